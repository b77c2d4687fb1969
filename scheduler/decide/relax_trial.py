"""What every kind of relaxation works with: the gang laid out, its raw objects, and a bounded number of trial placements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from scheduler.decide import filters
from scheduler.decide.arrays import Checks
from scheduler.decide.demand import weightless
from scheduler.decide.rehearsal import Outcome, Rehearsal
from scheduler.decide.relax_changes import Json, Object, Raw, annotated_of, objects_of
from scheduler.decide.relax_disturb import Neighbours
from scheduler.decide.relax_likewise import likewise, touched
from scheduler.decide.survey import Survey, survey_of
from scheduler.decide.whatif import WhatIf
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Shape
from scheduler.state.plan import Placed, Plan, Relaxation
from scheduler.state.snapshot import Snapshot

TryPlace: TypeAlias = Callable[[Snapshot, Gang], Plan]
CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


REHEARSALS: Final = 24
"""Times that the gangs before one are decided again at most."""
_ROUNDS: Final = 3
"""Times that a change is made larger at most, because gangs before the one that it is for take a part of it."""
_T = TypeVar("_T")
Offer: TypeAlias = tuple[Relaxation, WhatIf]
"""What is offered, and what it does to the cluster."""


@dataclass(slots=True, kw_only=True)
class Purse:
    """What trying may still cost."""

    left: int
    """Trial placements that may still be made."""
    rehearsals: int = REHEARSALS
    reserve: int = 0
    """Trials and rehearsals that are kept for the last kind, so that something is always offered."""

    @property
    def open(self) -> bool:
        """Whether a trial placement can be paid for."""
        return self.left > self.reserve

    def place(self) -> bool:
        """Pay for a trial placement, where that is possible."""
        if not self.open:
            return False
        self.left -= 1
        return True

    def rehearse(self) -> bool:
        """Pay for a rehearsal, where that is possible."""
        if self.rehearsals <= self.reserve:
            return False
        self.rehearsals -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Trial:
    """One gang that does not fit, and what has been spent on finding out how it would."""

    snapshot: Snapshot
    gang: Gang
    try_place: TryPlace
    raw: Raw | None
    purse: Purse
    survey: Survey
    fits: int | None = None
    """The most members that fit, where known."""
    objects: list[Object] = field(default_factory=list)
    """What its pending pods are made from."""
    annotated: list[Object] = field(default_factory=list)
    """Those, and every pod of the gang that exists: the running ones too say by their annotations what the gang demands."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    rehearsal: Rehearsal | None = None
    """What gangs before this one would do; ``None`` where there are none."""
    running: AbstractSet[PodUid] | None = None
    """The pods that run; ``None``: all of the snapshot."""
    last: Outcome | None = None
    """What came of the last rehearsal."""
    notes: list[str] = field(default_factory=list)
    """Sentences that belong to the explanation although they are no offer."""

    def place(self, snapshot: Snapshot, gang: Gang) -> Placed | None:
        """Place for a trial; ``None`` where it does not fit or the trials are used up."""
        if not self.purse.place():
            return None
        plan = self.try_place(snapshot, gang)
        return plan if isinstance(plan, Placed) else None

    def holds(self, change: WhatIf, gang: Gang | None = None) -> bool:
        """Tell whether the gang fits on a changed cluster, no gang before it asked; the cluster is made only where a trial is left."""
        return self.purse.open and self.place(change.of(self.snapshot), weightless(gang or self.gang)) is not None

    def writable(self, changes: Sequence[Json]) -> bool:
        """Tell whether a relaxation can be offered: its changes are known, or there are no raw objects to write them for."""
        return bool(changes) or self.raw is None

    def checked(self, found: Relaxation, *, change: WhatIf | None = None, gang: Gang | None = None, counted: bool = False) -> Relaxation | None:
        """Return the relaxation when the gang fits with it, the gangs before it decided again as well.

        ``change`` is what it does to the cluster, ``gang`` the gang with it. ``counted``: counting has shown that it is enough where no
        gang comes before.
        """
        self.last = None
        what, who = change or WhatIf(), weightless(gang or self.gang)
        if not self.writable(found.changes):
            return None
        if not counted and not self.holds(what, who):
            return None
        return found if self._holds(found, what, who) else None

    def _holds(self, found: Relaxation, what: WhatIf, who: Gang) -> bool:
        """Tell whether the gang is placed when all gangs before it are decided again first."""
        if self.rehearsal is None:
            return True
        others = touched(self.rehearsal.before, found.changes, self.gang, self.raw)
        if what.nothing and not others:
            return True  # those before it see what they saw
        if not self._rehearse():
            return False
        self.last = self.rehearsal.of(what, who, self._likewise(others, who))
        return self.last.placed

    def _rehearse(self) -> bool:
        return self.rehearsal is not None and self.purse.rehearse() and self.rehearsal.allowance.walk(len(self.rehearsal.before))

    def _likewise(self, others: frozenset[GangKey], who: Gang) -> Callable[[Gang], Gang]:
        return lambda one: likewise(one, self.gang, who) if one.key in others else one

    def grown(
        self, first: _T, more: Callable[[Trial, _T], _T | None], offer: Callable[[_T], Offer], *, gang: Gang | None = None, counted: bool = False
    ) -> Relaxation | None:
        """Check a change; where gangs before this one take a part of it, add to it what is lacking then, until it is enough.

        ``more`` makes the change larger, given the cluster as this gang (``gang`` where it asks for less) would see it.
        """
        found, change = offer(first)
        if self.checked(found, change=change, gang=gang, counted=counted) is not None:
            return found
        latest, taken, who = first, set[str](), weightless(gang or self.gang)

        def grow(seen: Snapshot) -> WhatIf | None:
            nonlocal latest
            larger = more(self.on(seen, gang), latest)
            latest = latest if larger is None else larger
            return None if larger is None else offer(larger)[1]

        for _ in range(_ROUNDS):
            if self.rehearsal is None or self.last is None or self.last.seen is None or not self._rehearse():
                return None
            taken |= {f"{one.namespace}/{one.name}" for one in self.last.served}
            others, before = touched(self.rehearsal.before, found.changes, self.gang, self.raw), latest
            seen = self.last.seen
            self.rehearsal.grown(change, who, self._likewise(others, who), grow)
            if latest is before and grow(seen) is None:  # gangs that were placed jointly are not walked along
                return None
            found, change = offer(latest)
            if self.checked(found, change=change, gang=gang, counted=True) is not None:
                return _shared(found, taken | {f"{one.namespace}/{one.name}" for one in self.last.served})
        return None

    def on(self, snapshot: Snapshot, gang: Gang | None = None) -> Trial:
        """Return a trial of the same gang on another snapshot, from the same purse."""
        who = gang or self.gang
        return replace(self, snapshot=snapshot, gang=who, survey=survey_of(snapshot, who, CHECKS))


def _shared(found: Relaxation, taken: set[str]) -> Relaxation:
    """Say that a change is larger than this gang alone needs."""
    who = some(sorted(taken)) if taken else "gangs"
    return replace(found, summary=f"{found.summary}; a part of it goes to {who} before it")


def trial_of(
    snapshot: Snapshot,
    gang: Gang,
    try_place: TryPlace,
    raw: Raw | None,
    *,
    tries: int,
    fits: int | None,
    neighbours: Neighbours | None = None,
    rehearsal: Rehearsal | None = None,
    running: AbstractSet[PodUid] | None = None,
) -> Trial:
    """Lay a gang out for trials."""
    objects = objects_of(gang, raw)
    return Trial(
        snapshot=snapshot,
        gang=gang,
        try_place=try_place,
        raw=raw,
        purse=Purse(left=tries),
        fits=fits,
        survey=survey_of(snapshot, gang, CHECKS),
        objects=objects,
        annotated=annotated_of(gang, raw, objects),
        neighbours=neighbours or Neighbours(),
        rehearsal=rehearsal,
        running=running,
    )


def with_shapes(gang: Gang, change: Callable[[Shape], Shape]) -> Gang:
    """Return the gang with other shapes of its pending members."""

    def changed(shape: Shape) -> Shape:
        return known.setdefault(shape, change(shape))

    known: dict[Shape, Shape] = {}
    members = tuple(m if m.pod.node is not None else replace(m, pod=replace(m.pod, shape=changed(m.pod.shape))) for m in gang.members)
    return replace(gang, members=members)


def node_patch(name: str, op: Json) -> Json:
    """Return a change of one node."""
    return {"patch": {"apiVersion": "v1", "kind": "Node", "name": name}, "ops": [op]}


def some(names: Sequence[str], most: int = 4) -> str:
    """List names for people: the first few, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
