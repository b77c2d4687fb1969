"""Which running pods to delete where segments decide: segment after segment, each as if its level were required of it alone.

Segments that fit as it is keep their seats; for each of the others the smallest set of pods to delete is searched in the domains of the
segments' level. That is the smallest for one segment; for several it is a set that is enough, not always the smallest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from scheduler.decide.counting import Bools
from scheduler.decide.demand import weightless
from scheduler.decide.relax_disturb import Ledger
from scheduler.decide.relax_search import Search, Victims
from scheduler.decide.relax_site import Site
from scheduler.decide.relax_trial import CHECKS, Trial
from scheduler.decide.survey import Survey, survey_of
from scheduler.state.gang import Gang, Member
from scheduler.state.ids import PodUid
from scheduler.state.plan import Placed
from scheduler.state.segments import cut
from scheduler.state.snapshot import Snapshot
from topology import Level

MOST: Final = 16
"""Segments that room is searched for."""


@dataclass(slots=True, kw_only=True, eq=False)
class Seeker:
    """Makes room for the segments that are missing."""

    trial: Trial
    snapshot: Snapshot
    """The cluster with the segments that have seats, and without the pods that go for them."""
    level: Level
    """The level of the innermost segments."""
    missing: list[tuple[Member, ...]]
    need: int
    """Members that are lacking."""
    nodes: dict[PodUid, str]
    """Where members are, by pod."""
    running: AbstractSet[PodUid]
    chosen: list[Victims] = field(default_factory=list)

    def all(self) -> Iterator[Victims]:
        """Yield sets of pods to delete, the smallest first: they differ in the domain of the last segment."""
        while len(self.missing) > 1 and self.need > _lacking(self.missing[0]):
            if not self._next():
                return
        if self.chosen and self._as_it_is(self.missing[0]) is not None:
            yield _union(self.chosen, proved=False)
            return
        alone = not self.chosen and not self.nodes and self.need >= len(self.trial.gang.members)
        for victims in self._searched(self.missing[0]) if self.missing else ():
            yield _union([*self.chosen, victims], proved=victims.proved and alone)

    def _next(self) -> bool:
        """Make room for one segment and seat it there."""
        part = self.missing.pop(0)
        for victims in self._searched(part):
            left = self.snapshot.without(frozenset(pod.uid for pod in victims.pods))
            plan = self.trial.place(left, weightless(self._alone(part)))
            if plan is not None:
                self.chosen.append(victims)
                self._seat(left, plan)
                return True
        plan = self._as_it_is(part)
        if plan is not None:
            self._seat(self.snapshot, plan)
        return plan is not None

    def _as_it_is(self, part: Sequence[Member]) -> Placed | None:
        return self.trial.place(self.snapshot, weightless(self._alone(part)))

    def _seat(self, snapshot: Snapshot, plan: Placed) -> None:
        self.snapshot = snapshot.with_plan(plan)
        self.need -= sum(not seat.bound for seat in plan.seats)
        self.nodes |= _nodes(plan.gang.members, plan)

    def _alone(self, part: Sequence[Member]) -> Gang:
        """Return a segment, or as many of its members as are needed, as a gang that requires the level of segments."""
        gang = self.trial.gang
        running = sum(m.pod.node is not None for m in part)
        number = min(len(part), running + self.need)
        return replace(gang, members=tuple(part), min_member=number, demand=replace(gang.demand, required=self.level.key, segments=()))

    def _searched(self, part: tuple[Member, ...]) -> Iterator[Victims]:
        who = self._alone(part)
        survey = _inside(survey_of(self.snapshot, who, CHECKS), self._around(part))
        ledger = Ledger(
            snapshot=self.snapshot, gang=self.trial.gang, neighbours=self.trial.neighbours, raw=self.trial.raw, running=self.running, budgeted=True
        )
        if not survey.ground.roles or not survey.ground.exact or who.min_member <= len(who.fixed):
            return
        search, asked = Search(site=Site(survey=survey, ledger=ledger), ledger=ledger), set[int]()
        while (victims := search.smallest(asked)) is not None:
            asked.add(victims.group)
            yield victims

    def _around(self, part: Iterable[Member]) -> Bools:
        """Return bool[N]: nodes in the domains that the rest of the gang, and of the outer segments, is in."""
        gang, topology = self.trial.gang, self.snapshot.topology
        demand, ours = gang.demand, {m.pod.uid for m in part}
        rows = [(demand.required, gang.members)] if demand.required is not None else []
        for segment in demand.segments[:-1]:
            rows += [(segment.required, group) for group in cut(gang.members, segment) if segment.required and ours & {m.pod.uid for m in group}]
        inside = np.ones(len(topology.nodes), dtype=np.bool_)
        for name, members in rows:
            level = topology.resolve(name) if name is not None else None
            index = topology.column(level.key).index if level is not None else None
            homes = [index[topology.position[at]] for m in members if (at := self.nodes.get(m.pod.uid)) is not None] if index is not None else []
            inside &= np.isin(index, homes) if homes and index is not None else True
        return inside


def seekers(trial: Trial) -> Iterator[Seeker]:
    """Yield who makes room for the segments of a gang: those with running members first, then last; nobody where too many are missing."""
    for pinned in (True, False) if trial.gang.fixed else (True,):
        found = _seeker(trial, pinned=pinned)
        if found is not None:
            yield found


def _seeker(trial: Trial, *, pinned: bool) -> Seeker | None:
    gang = trial.gang
    segment = gang.demand.segments[-1]
    level = trial.snapshot.topology.resolve(segment.required) if segment.required is not None else None
    if level is None:
        return None
    parts = cut(gang.members, segment)
    plan = _seated(trial, parts, pinned=pinned)
    nodes = _nodes(gang.members, plan)
    missing = sorted(
        (part for part in parts if any(m.pod.uid not in nodes for m in part)), key=lambda part: (_pinned(part) != pinned, -_lacking(part))
    )
    unseated = {m.pod.uid for part in missing for m in part if m.pod.node is None}
    kept = {uid: node for uid, node in nodes.items() if uid not in unseated}
    need = gang.min_member - len(kept)
    if sum(_lacking(part) for part in missing[:MOST]) < need:
        return None
    seats = () if plan is None else tuple(seat for seat in plan.seats if seat.member.pod.uid in kept)
    return Seeker(
        trial=trial,
        snapshot=trial.snapshot if plan is None else trial.snapshot.with_plan(replace(plan, seats=seats)),
        level=level,
        missing=missing,
        need=need,
        nodes=kept,
        running=trial.snapshot.pods.keys() if trial.running is None else trial.running,
    )


def _seated(trial: Trial, parts: Sequence[tuple[Member, ...]], *, pinned: bool) -> Placed | None:
    """Return seats of as many of the first segments as fit, and of the members in none: by bisection, no more than the members that fit."""
    gang, inside = trial.gang, {m.pod.uid for part in parts for m in part}
    loose = [m for m in gang.members if m.pod.uid not in inside]
    if len(gang.demand.segments) == 1 and gang.demand.segments[0].leader == "member":  # else others would be cut than were chosen
        parts = sorted(parts, key=lambda part: _pinned(part) != pinned)
    low, high, best = 1 - bool(loose), len(parts) - 1, None
    while high > 0 and trial.fits is not None and sum(len(part) for part in parts[:high]) + len(loose) > trial.fits:
        high -= 1
    while low <= high:
        middle = (low + high + 1) // 2
        chosen = (*loose, *(m for part in parts[:middle] for m in part))
        plan = trial.place(trial.snapshot, weightless(replace(gang, members=chosen, min_member=len(chosen))))
        best, low, high = (best, low, middle - 1) if plan is None else (plan, middle + 1, high)
    return best


def _pinned(part: Sequence[Member]) -> bool:
    """Tell whether running members have settled the domain of a segment: it is asked first."""
    return any(m.pod.node is not None for m in part)


def _lacking(part: Sequence[Member]) -> int:
    return sum(m.pod.node is None for m in part)


def _nodes(members: Iterable[Member], plan: Placed | None) -> dict[PodUid, str]:
    """Return where members run, or would."""
    found = {m.pod.uid: str(m.pod.node) for m in members if m.pod.node is not None}
    return found if plan is None else {**found, **{seat.member.pod.uid: str(seat.node) for seat in plan.seats}}


def _inside(survey: Survey, inside: Bools) -> Survey:
    """Return the survey with what lies inside these nodes only."""
    rows = [(replace(g, nodes=g.nodes[inside[g.nodes]]), most) for g, most in zip(survey.groups, survey.most, strict=True)]
    kept = [row for row in rows if len(row[0].nodes)]
    return replace(survey, groups=tuple(g for g, _ in kept), most=tuple(most for _, most in kept))


def _union(sets: Sequence[Victims], *, proved: bool) -> Victims:
    pods = {pod.uid: pod for one in sets for pod in one.pods}
    companies = {company.key: company for one in sets for company in one.companies}
    return Victims(
        group=sets[-1].group,
        pods=tuple(sorted(pods.values(), key=lambda pod: (pod.key, pod.uid))),
        companies=tuple(companies[key] for key in sorted(companies)),
        proved=proved,
    )
