"""Proofs without a solver: sums of floor capacities that refuse a gang, and lower bounds of its cost.

Everything here relaxes the problem: a measure is an amount that must be placed (pods, pods of one role, units of one
resource) and, for each class, the most that one node can take of it. If the nodes of a group together take less than the
amount, the gang does not fit there; the fewest domains whose capacities cover the amount bound the domains of a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.solve.cost import fixed_cost
from scheduler.solve.grouping import codes
from scheduler.solve.instance import Instance, occupied_classes, occupied_count
from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem

NEVER: Final = 2**60
"""Stands for "no number of domains is enough"; larger than every cost."""
_PRECISE: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """An amount to place, and for each class the most that one node can take of it."""

    amount: int
    node: Ints


def measures(instance: Instance, want: Ints, core: int) -> tuple[Measure, ...]:
    """Return what must be covered to place ``core`` pods of ``want``, the leaders among them."""
    problem, found = instance.problem, instance.rooms
    rows = [Measure(amount=core, node=found.most)]
    if len(want) == 1:
        return tuple(rows)
    least = np.maximum(np.minimum(problem.must, want), core - (int(want.sum()) - want))
    rows += [Measure(amount=int(least[r]), node=found.single[r]) for r in range(len(want)) if least[r] > 0]
    for k in range(problem.request.shape[1]):
        amount = _least_amount(problem.request[:, k], want, least, core)
        if amount > 0:
            rows.append(_scaled(amount, np.where(found.most > 0, problem.free[:, k], 0)))
    return tuple(rows)


def _least_amount(request: Ints, want: Ints, least: Ints, core: int) -> int:
    """Return the least of a resource that a core takes: what each role must place, then the cheapest others."""
    amount = sum(int(asked) * int(n) for asked, n in zip(request.tolist(), least.tolist(), strict=True))
    rest = core - int(least.sum())
    for role in np.argsort(request, kind="stable").tolist():
        more = min(rest, int(want[role] - least[role]))
        amount += more * int(request[role])
        rest -= more
    return amount


def _scaled(amount: int, node: Ints) -> Measure:
    """Keep sums exact: large amounts are divided, the amount rounded down and the capacities up, which only relaxes."""
    unit = max(1, amount // _PRECISE)
    return Measure(amount=amount // unit, node=-(-np.minimum(node, min(amount, NEVER)) // unit))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Classes in groups (cells, or domains within cells), each to be judged as if the gang had to lie in it."""

    of: Ints
    """int64[C]: group of each class, -1 for classes that no group holds."""
    count: int
    nodes: Ints
    """int64[C]: nodes of each class that the group may use."""


def cells(instance: Instance) -> Groups:
    """Return one group per cell."""
    return Groups(of=instance.cell, count=instance.cells, nodes=instance.nodes)


def lower(instance: Instance, groups: Groups, rows: tuple[Measure, ...]) -> Ints:
    """Return int64[G]: a lower bound of the cost when all lies in the group, ``NEVER`` where it cannot."""
    where = np.flatnonzero(groups.of >= 0)
    found = np.zeros(groups.count, dtype=np.int64)
    for level in instance.weighted:
        found += level.weight * np.maximum(0, occupied_count(level) + fewest(instance.problem, groups, where, level, rows) - 1)
    for row in rows:
        room = np.bincount(groups.of[where], row.node[where] * groups.nodes[where], minlength=groups.count)
        found[room < row.amount] = NEVER
    return np.minimum(found, NEVER)


def fewest(problem: Problem, groups: Groups, where: Ints, level: LevelColumn, rows: tuple[Measure, ...]) -> Ints:
    """Return int64[G]: the fewest new domains of the level that cover every measure (anything where none do)."""
    known = occupied_classes(level, problem)[where]
    group, nodes = groups.of[where], groups.nodes[where]
    alone = np.ones(len(where), dtype=np.bool_) if level.host else level.domain[where] < 0
    item, first = codes((group, np.where(alone, -1 - where, level.domain[where])), len(where))
    found = np.zeros(groups.count, dtype=np.int64)
    for row in rows:
        capacity = row.node[where]
        base = np.bincount(group[known], (capacity * nodes)[known], minlength=groups.count)
        size = np.where(alone, capacity, 0)[first] + np.bincount(item, np.where(alone, 0, capacity * nodes), minlength=len(first)).astype(np.int64)
        times = np.where(alone, nodes, 1)[first]
        keep = ~known[first]
        found = np.maximum(found, cover(row.amount - base.astype(np.int64), size[keep], times[keep], group[first][keep]))
    return found


def cover(amount: Ints, size: Ints, times: Ints, group: Ints) -> Ints:
    """Return for each group how many items, largest first, cover its amount (all of them where they do not).

    Item i has ``size[i]`` and exists ``times[i]`` times. Amounts may be negative: nothing is to be covered.
    """
    order = np.lexsort((-size, group))
    size, times, group = size[order], times[order], group[order]
    sums = np.cumsum(size * times)
    start = np.searchsorted(group, np.arange(len(amount)))
    offset = np.concatenate(([0], sums))[start]
    before = sums - size * times - offset[group]
    taken = np.clip(-(-(amount[group] - before) // np.maximum(size, 1)), 0, times)
    taken[size == 0] = 0
    return np.bincount(group, taken, minlength=len(amount)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What is proved before any search."""

    cells: Ints
    """int64[cells]: lower bound of the cost in each cell, ``NEVER`` where the gang cannot fit."""
    classes: Ints
    """int64[C]: lower bound of the cost of any placement that uses the class."""

    @property
    def cost(self) -> int:
        """Lower bound of the cost."""
        return int(self.cells.min(initial=NEVER))

    @property
    def refused(self) -> bool:
        """Whether the gang is proved not to fit anywhere."""
        return self.cost >= NEVER

    def at_least(self, instance: Instance, least: Ints) -> Bounds:
        """Return the bounds with another lower bound of each cell."""
        cell = np.maximum(self.cells, np.minimum(least, NEVER))
        return Bounds(cells=cell, classes=np.where(instance.cell >= 0, np.maximum(self.classes, cell[instance.cell]), self.classes))


def short(instance: Instance, want: Ints, core: int) -> bool:
    """Tell whether sums alone refuse ``core`` pods of ``want``: in every cell the nodes together take too little of something."""
    if not core:
        return False
    fits = np.ones(instance.cells, dtype=np.bool_)
    for row in measures(instance, want, core):
        room = np.bincount(instance.cell[instance.play], (row.node * instance.nodes)[instance.play], minlength=instance.cells)
        fits &= room >= row.amount
    return not fits.any()


def bounds(instance: Instance, want: Ints, core: int) -> Bounds:
    """Prove what sums can prove for ``core`` pods of ``want``.

    The bound of a cell is sharpened level by level: either all new pods lie in one domain of the level (then the best
    domain's own bound holds), or the level has one domain more than that.
    """
    if not core:  # nothing need be placed: what runs already costs what it costs
        least = fixed_cost(instance.problem)
        return Bounds(cells=np.full(max(instance.cells, 1), least), classes=np.where(instance.cell >= 0, least, NEVER))
    rows = measures(instance, want, core)
    coarse = lower(instance, cells(instance), rows)
    cell = coarse
    classes = np.where(instance.cell >= 0, cell[instance.cell] if instance.cells else NEVER, NEVER)
    play = instance.play[cell[instance.cell[instance.play]] < NEVER]
    for level in instance.weighted:
        groups = split(instance, level, play)
        one = np.append(lower(instance, groups, rows), NEVER)  # the last for classes of no group, whose number is -1
        either = np.minimum(one[groups.of[play]], _spread(instance, level, rows, coarse)[instance.cell[play]])
        sharper = np.full(instance.cells, NEVER, dtype=np.int64)
        np.minimum.at(sharper, instance.cell[play], either)
        classes[play] = np.maximum(classes[play], either)
        cell = np.maximum(cell, np.where(cell < NEVER, sharper, cell))
    classes[play] = np.maximum(classes[play], cell[instance.cell[play]])
    return Bounds(cells=cell, classes=classes)


def split(instance: Instance, level: LevelColumn, play: Ints) -> Groups:
    """Return the ways in which all new pods lie in one domain of the level, or in those that the gang occupies already."""
    known = occupied_classes(level, instance.problem)
    fixed = occupied_count(level)
    alone = np.ones(len(known), dtype=np.bool_) if level.host else level.domain < 0
    choice = np.zeros(len(known), dtype=np.int64) if fixed else np.where(alone, -1 - np.arange(len(known)), level.domain)
    inside = play[known[play]] if fixed else play
    of = np.full(len(known), -1, dtype=np.int64)
    of[inside], first = codes((instance.cell[inside], choice[inside]), len(inside))
    return Groups(of=of, count=len(first), nodes=instance.nodes if fixed else np.where(alone, np.minimum(instance.nodes, 1), instance.nodes))


def _spread(instance: Instance, level: LevelColumn, rows: tuple[Measure, ...], coarse: Ints) -> Ints:
    """Return for each cell the bound when the level has one domain more: it costs ``weight * max(fixed, 1)`` at least, the others as before."""
    fixed = occupied_count(level)
    where = np.flatnonzero(instance.cell >= 0)
    least = np.maximum(0, fixed + fewest(instance.problem, cells(instance), where, level, rows) - 1)
    return np.asarray(coarse + np.maximum(max(fixed, 1) - least, 0) * level.weight)


def in_play(instance: Instance, bound: Bounds, most: int) -> Bools:
    """Tell which classes can be part of a placement that costs at most ``most``."""
    return (instance.cell >= 0) & (bound.classes <= most)
