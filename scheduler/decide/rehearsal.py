"""What comes of a change when the whole question is planned again: the gangs before the one it is for are decided first, and may take the room.

At most `MOST` gangs before it are decided again, whatever became of them. Where there are more, those that were placed keep their
seats and only those that were refused are decided again (one of those that ask for the same stands for all that are refused like it);
where these are too many as well there is no rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.decide.competition import question
from scheduler.decide.round import Round, Rules
from scheduler.decide.whatif import WhatIf
from scheduler.solve.solver import Budget
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

MOST: Final = 16
"""Gangs before the one that asks, of which it is rehearsed what they do."""
_LEAST: Final = 1e-6


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What the joint questions of all rehearsals of a round may still cost, in deterministic seconds."""

    left: float

    def budget(self, whole: Budget) -> Budget:
        """Return what is left as a budget; next to nothing decides nothing, and what is not decided is not offered."""
        return replace(whole, deterministic_seconds=max(_LEAST, min(self.left, whole.deterministic_seconds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a rehearsal."""

    placed: bool
    seen: Snapshot | None
    """The cluster as the gang saw it; ``None`` where a gang before it could not be decided."""
    served: tuple[Gang, ...] = ()
    """Gangs before it that were refused and are placed now."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rehearsal:
    """The gangs before one that is refused, and the cluster that the first of them sees."""

    snapshot: Snapshot
    """The cluster before the round, or with the seats that are kept."""
    coming: tuple[Pod, ...]
    rules: Rules
    before: tuple[Gang, ...]
    placed: frozenset[GangKey]
    unknown: frozenset[GangKey]
    allowance: Allowance

    def of(self, change: WhatIf, gang: Gang, likewise: Callable[[Gang], Gang]) -> Outcome:
        """Decide the gangs before it on the changed cluster, then the gang itself; ``likewise`` is what the change does to the others."""
        coming = tuple(p for p in self.coming if p.uid not in change.gone)
        jointly = self.allowance.budget(self.rules.budget)
        walk = Round(snapshot=change.of(self.snapshot), coming=coming, rules=self.rules, jointly=jointly)
        try:
            return self._walked(walk, gang, [likewise(one) for one in self.before], change.gone)
        finally:
            self.allowance.left -= walk.spent

    def _walked(self, walk: Round, gang: Gang, before: Sequence[Gang], gone: frozenset[PodUid]) -> Outcome:
        refused, served = set[object](), list[Gang]()
        for one in filter(None, (_left(one, gone) for one in before)):
            asked = question(one)
            if asked in refused:
                continue  # what is placed since makes no room
            verdict = walk.settled(walk.first(walk.view(one), one, explained=False))
            if verdict.moved:
                refused.clear()
            if isinstance(verdict.plan, Placed):
                served += [] if one.key in self.placed else [one]
            elif verdict.plan.status == "INFEASIBLE":
                refused.add(asked)
            elif verdict.plan.status == "UNKNOWN" and one.key not in self.unknown:
                return Outcome(placed=False, seen=None)
            walk.take(verdict)
        seen = walk.view(gang)
        plan = walk.settled(self.rules.again(seen, gang)).plan
        return Outcome(placed=isinstance(plan, Placed), seen=seen, served=tuple(served))


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What an explanation may ask: a gang decided again on a what-if, or the whole question up to it."""

    rules: Rules
    refused: tuple[Gang, ...] = ()
    """Gangs before it that were refused."""
    running: AbstractSet[PodUid] | None = None
    """The pods that run: no seat that the round has given away is one."""
    rehearsal: Rehearsal | None = None
    """``None`` where no gang comes before it, or too many do."""

    def __call__(self, snapshot: Snapshot, gang: Gang) -> Plan:
        """Decide a gang on another snapshot or with another demand."""
        return self.rules.again(snapshot, gang)


@dataclass(kw_only=True, eq=False)
class Stage:
    """Sets up the rehearsals of one round."""

    walk: Round
    before: dict[GangKey, Plan] = field(default_factory=dict)
    """What became of the gangs so far."""
    allowance: Allowance

    def again(self) -> Again:
        """Return what the explanation of the next gang may ask."""
        plans = tuple(self.before.values())
        refused = tuple(p.gang for p in plans if isinstance(p, Unplaced) and p.status == "INFEASIBLE")
        return Again(rules=self.walk.rules, refused=refused, running=self.walk.snapshot.pods.keys(), rehearsal=self._rehearsal(plans, refused))

    def _rehearsal(self, plans: Sequence[Plan], refused: tuple[Gang, ...]) -> Rehearsal | None:
        few = len(plans) <= MOST
        before = tuple(p.gang for p in plans) if few else refused
        if not before or (not few and len({question(gang) for gang in refused}) > MOST):
            return None
        return Rehearsal(
            snapshot=self.walk.snapshot if few else self.walk.taken,
            coming=self.walk.coming,
            rules=self.walk.rules,
            before=before,
            placed=frozenset(p.gang.key for p in plans if isinstance(p, Placed)),
            unknown=frozenset(p.gang.key for p in plans if isinstance(p, Unplaced) and p.status == "UNKNOWN"),
            allowance=self.allowance,
        )


def _left(gang: Gang, gone: frozenset[PodUid]) -> Gang | None:
    """Return a gang of which running members are deleted: a controller makes them again, bare pods are gone; ``None`` where nobody is left."""
    lost = {m.pod.uid for m in gang.fixed} & gone
    if not lost:
        return gang
    if gang.workload.kind in ("Pod", "PodGroup"):
        left = tuple(m for m in gang.members if m.pod.uid not in lost)
        return replace(gang, members=left) if left else None
    return anew(gang, lost)


def anew(gang: Gang, deleted: AbstractSet[PodUid]) -> Gang:
    """Return a gang whose controller makes deleted pods again."""
    members = (replace(m, pod=replace(m.pod, node=None, phase="Pending")) if m.pod.uid in deleted else m for m in gang.members)
    return replace(gang, members=tuple(members))
