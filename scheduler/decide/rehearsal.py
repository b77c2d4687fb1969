"""What comes of a change when the whole question is planned again: the gangs before the one it is for are decided first, and may take the room.

At most `MOST` gangs before it are decided again, whatever became of them. Where there are more, those that were placed keep their
seats and only those that were refused are decided again; where these are too many as well there is no rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from scheduler.decide.competition import question
from scheduler.decide.round import Round, Rules
from scheduler.decide.whatif import WhatIf
from scheduler.solve.solver import Budget
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

Likewise: TypeAlias = Callable[[Gang], Gang]
MOST: Final = 16
"""Gangs before the one that asks, of which it is rehearsed what they do."""
WALKS: Final = 800
"""Gangs that all rehearsals of a round may decide again together, which takes a second or two; offers that were not rehearsed say so."""
_LEAST: Final = 1e-6


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What all rehearsals of a round may still cost."""

    left: float
    """Deterministic seconds of joint questions."""
    walks: int = WALKS
    """Gangs that may still be decided again."""

    def walk(self, gangs: int) -> bool:
        """Pay for deciding so many gangs again, where that is possible."""
        if self.walks < gangs:
            return False
        self.walks -= gangs
        return True

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
    whole: bool = True
    """Whether all of them and the gang itself are placed."""


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

    @property
    def waiting(self) -> int:
        """How many gangs before it have no seats."""
        return sum(gang.key not in self.placed for gang in self.before)

    def of(self, change: WhatIf, gang: Gang, likewise: Likewise) -> Outcome:
        """Decide the gangs before it on the changed cluster, then the gang itself; ``likewise`` is what the change does to the others.

        Joint questions are put only where they may matter: where somebody is refused, and it is not that the room went to gangs that had none.
        """
        quick = self._walked(self._round(change, self._alone), gang, likewise, change.gone)
        if quick.whole or (quick.served and not quick.placed) or self.rules.joint is None:
            return quick
        walk = self._round(change, self.rules)
        try:
            return self._walked(walk, gang, likewise, change.gone)
        finally:
            self.allowance.left -= walk.spent

    def grown(self, change: WhatIf, gang: Gang, likewise: Likewise, grow: Callable[[Snapshot], WhatIf | None]) -> None:
        """Walk along the same gangs and let the change grow whenever one of them leaves too little: ``grow`` is told what the gang would see."""
        self._walked(self._round(change, self._alone), gang, likewise, change.gone, grow)

    @property
    def _alone(self) -> Rules:
        return replace(self.rules, joint=None)

    def _round(self, change: WhatIf, rules: Rules) -> Round:
        coming = tuple(p for p in self.coming if p.uid not in change.gone)
        return Round(snapshot=change.of(self.snapshot), coming=coming, rules=rules, jointly=self.allowance.budget(rules.budget))

    def _walked(
        self, walk: Round, gang: Gang, likewise: Likewise, gone: frozenset[PodUid], grow: Callable[[Snapshot], WhatIf | None] | None = None
    ) -> Outcome:
        refused, served, whole = set[object](), list[Gang](), True
        for one in filter(None, (_left(likewise(one), gone) for one in self.before)):
            asked = question(one)
            if asked in refused:
                continue  # what is placed since makes no room
            verdict = walk.settled(walk.first(walk.view(one), one, explained=False))
            walk.take(verdict)
            if verdict.moved:
                refused.clear()
            if isinstance(verdict.plan, Placed):
                served += [] if one.key in self.placed else [one]
            elif verdict.plan.status == "INFEASIBLE":
                refused.add(asked)
                whole = False
            elif verdict.plan.status == "UNKNOWN" and one.key not in self.unknown:
                return Outcome(placed=False, seen=None, whole=False)
            if grow is not None and served and served[-1] is one and not self._enough(walk, gang, grow):
                refused.clear()
        if grow is not None:
            self._enough(walk, gang, grow)
        seen = walk.view(gang)
        plan = walk.settled(self.rules.again(seen, gang)).plan
        placed = isinstance(plan, Placed)
        return Outcome(placed=placed, seen=seen, served=tuple(served), whole=whole and placed)

    def _enough(self, walk: Round, gang: Gang, grow: Callable[[Snapshot], WhatIf | None]) -> bool:
        """Tell whether there is room for the gang as it is; make some where there is not."""
        seen = walk.view(gang)
        if isinstance(self.rules.again(seen, gang), Placed):
            return True
        further = grow(seen)
        if further is not None:
            walk.change(further)
        return False


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
        if len(before) > MOST or (few and not before):
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
