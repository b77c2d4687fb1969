"""Tells of a gang that is refused whether it loses only to others of the same plan, and to whom: the cluster itself would hold it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.decide.arrays import pods_of, roles
from scheduler.decide.competition import question
from scheduler.decide.demand import weightless
from scheduler.decide.joint_plans import names
from scheduler.decide.round import Round
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed, Unplaced

_SINGLE: Final = 4
"""Gangs, the latest first, of which it is tried whether one of them alone is in the way."""


@dataclass(kw_only=True, eq=False)
class Rivals:
    """The gangs of a round that have got seats, seen by those that have not."""

    walk: Round
    _known: dict[object, tuple[Gang, ...]] = field(default_factory=dict)
    """By what is asked and how many are placed: gangs of one question get one answer."""

    def told(self, refused: Unplaced) -> Unplaced:
        """Return the refusal; of a gang that would fit without the seats of gangs before it, with their names."""
        asked = (question(refused.gang), len(self.walk.placed))
        if asked not in self._known:
            self._known[asked] = self._in_the_way(refused.gang)
        rivals = self._known[asked]
        if not rivals:
            return refused
        take = "takes" if len(rivals) == 1 else "take"
        message = f"{refused.message} It would fit without the seats that {names(rivals)} {take} in this plan."
        return replace(refused, message=message, beside=tuple(f"{gang.namespace}/{gang.name}" for gang in rivals))

    def _in_the_way(self, gang: Gang) -> tuple[Gang, ...]:
        """Return the gang without whose seats it fits, or all that have seats where it could run; nobody where it would not fit alone either."""
        placed = [p for p in self.walk.placed.values() if any(not s.bound for s in p.seats)]
        if not placed or not self._fits(gang, placed):
            return ()
        useful = self._useful(gang)
        near = [p for p in placed if any(s.node in useful for s in p.seats if not s.bound)]
        for one in reversed(near[-_SINGLE:]):
            if self._fits(gang, [one]):
                return (one.gang,)
        return _gangs(near if self._fits(gang, near) else placed)

    def _fits(self, gang: Gang, without: Sequence[Placed]) -> bool:
        """Whether it is placed where these have no seats, at whatever cost."""
        gone, world = {p.gang.key for p in without}, self.walk.snapshot
        for plan in self.walk.placed.values():
            world = world if plan.gang.key in gone else world.with_plan(plan)
        return isinstance(self.walk.rules.again(world.beside(self.walk.coming, gang.priority), weightless(gang)), Placed)

    def _useful(self, gang: Gang) -> AbstractSet[NodeName]:
        """Return the nodes that pass the checks for a pod of the gang where nobody of the round has a seat."""
        world, found = self.walk.snapshot, set[NodeName]()
        for members in roles(gang):
            mask = self.walk.rules.checks.allowed(world, members[0].pod.shape, pods_of(members))
            found |= {NodeName(world.topology.nodes[at]) for at in mask.nonzero()[0].tolist()}
        return found


def _gangs(plans: Iterable[Placed]) -> tuple[Gang, ...]:
    return tuple(plan.gang for plan in plans)
