"""How few new nodes are enough at a site, by counting: over all mixes of shapes that exist, or of the pods' own.

Segments ask for more than is counted here: for them it is the least that may be enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scheduler.decide.counting import Ground, Ints, best, combine, frontier
from scheduler.decide.relax_templates import Site, ground_of, kinds_of, like_existing, like_pods, named_by_pods, room_for
from scheduler.decide.survey import Survey
from scheduler.state.objects import Node
from scheduler.state.snapshot import Snapshot


@dataclass(kw_only=True, eq=False)
class _Mixes:
    """The most that any so many nodes of some shapes hold together, number by number."""

    ground: Ground
    tables: list[Ints]
    """One frontier for each shape."""
    known: list[Ints] = field(default_factory=list)

    def of(self, number: int) -> Ints:
        """Return, for each combination of counts, the most of the last role that this many nodes hold, whichever shapes they have."""
        if not self.known:
            nothing = np.full(self.ground.dims, -1, dtype=np.int64)
            nothing[(0,) * len(self.ground.dims)] = 0
            self.known.append(nothing)
        while len(self.known) <= number:
            self.known.append(np.max([self.joined(self.known[-1], table) for table in self.tables], axis=0))
        return self.known[number]

    def joined(self, one: Ints, other: Ints) -> Ints:
        """Return the frontier of both."""
        return combine(one, other, self.ground.roles[-1].count)

    def chosen(self, rest: Ints, number: int) -> list[int]:
        """Return the shapes of so few nodes that are enough beside ``rest``: of one shape where one will do."""
        for at, table in enumerate(self.tables):
            whole = rest
            for _ in range(number):
                whole = self.joined(whole, table)
            if best(self.ground, whole)[1]:
                return [at] * number
        found = []
        for left in reversed(range(number)):
            wholes = [self.joined(rest, table) for table in self.tables]
            at = next(i for i, whole in enumerate(wholes) if best(self.ground, self.joined(whole, self.of(left)))[1])
            found.append(at)
            rest = wholes[at]
        return sorted(found)


@dataclass(kw_only=True, eq=False)
class Least:
    """Counts how few nodes are enough, site by site."""

    snapshot: Snapshot
    survey: Survey
    own: bool
    mixes: dict[tuple[bytes, ...], _Mixes] = field(default_factory=dict)

    @cached_property
    def kinds(self) -> list[Node]:
        """The kinds of node that exist."""
        return kinds_of(self.snapshot, self.survey.ground.roles)

    @cached_property
    def largest(self) -> int:
        """Members that one new node holds at most, each role counted alone and no check asked."""
        roles = self.survey.ground.roles
        if self.own:
            return sum(role.count for role in roles)
        return max((sum(min(role.count, room_for(kind, role.shape)) for role in roles) for kind in self.kinds), default=0)

    def least(self, site: Site, most: int | None) -> tuple[Node, ...] | None:
        """Return the fewest nodes that are enough at a site, ``None`` where there are none (or none as few as ``most``)."""
        ground, snapshot = self.survey.ground, self.snapshot
        core = max(ground.need, sum(r.must for r in ground.roles))
        if not ground.roles or core < 1 or not ground.exact or (most is not None and (most < 1 or site.most + most * self.largest < core)):
            return None
        named = named_by_pods(snapshot, ground.roles, site) if self.own else None
        if named is not None:
            return tuple(named) or None
        templates = like_pods(ground.roles, site) if self.own else like_existing(snapshot, self.kinds, ground.roles, site)
        shapes = ground_of(ground, templates)
        tables = [frontier(shapes, np.array([at]), shapes.free) for at in range(len(templates))]
        holds = [int((table + ground.grid.sum(axis=1).reshape(table.shape)).max()) for table in tables]
        chosen = sorted({table.tobytes(): at for at, table in reversed(list(enumerate(tables))) if holds[at] > 0}.values())
        if site.alone:
            return next(((templates[at],) for at in chosen if best(ground, tables[at])[1]), None)
        if not chosen or (most is not None and site.most + most * max(holds) < core):
            return None
        mix = self.mixes.setdefault(tuple(tables[at].tobytes() for at in chosen), _Mixes(ground=ground, tables=[tables[at] for at in chosen]))
        rest = frontier(ground, site.nodes, ground.free)
        number = _fewest(mix, rest, core if most is None else min(most, core))
        if number is None or (number == 0 and not self.survey.gang.demand.segments):
            return None
        return tuple(templates[chosen[at]] for at in mix.chosen(rest, number)) if number else (templates[chosen[0]],)


def _fewest(mix: _Mixes, rest: Ints, most: int) -> int | None:
    """Return how few nodes are enough beside ``rest``, ``None`` where ``most`` are not; more nodes never hold less."""

    def enough(number: int) -> bool:
        return best(mix.ground, mix.joined(rest, mix.of(number)))[1]

    high = 1
    while high < most and not enough(high):
        high *= 2
    low, high = 0, min(high, most)
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
