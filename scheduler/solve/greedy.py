"""Best fit by descent: the first placement, often the best one, and the complete hint for the exact engine.

From the widest level down: if one domain can hold all that is left, the one with the least lower bound is taken (then the
one whose free room is worth least, so that large empty domains stay empty). If none can, the fewest domains are, each
the smallest with which the largest others still suffice. What it returns is valid; whether it is optimal, bounds tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from scheduler.solve import beside
from scheduler.solve import cost as costs
from scheduler.solve.bounds import NEVER, Bounds, Groups, Measure, bounds, lower, measures
from scheduler.solve.grouping import codes
from scheduler.solve.instance import Instance, occupied_classes
from scheduler.solve.problem import Bools, Ints, LevelColumn
from scheduler.solve.solution import Load, merged

MOST_BESIDE: Final = 16
"""Pods of smaller roles that are set one by one beside the largest role."""
TRIES: Final = 12
"""Cells, or domains of the widest level, that are tried before the best so far is taken."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Fill:
    """One descent: what is left to place, what is left of the nodes, and the loads so far."""

    instance: Instance
    want: Ints
    nodes: Ints
    worth: Ints
    loads: list[Load] = field(default_factory=list)

    def descend(self, classes: Ints, levels: tuple[LevelColumn, ...]) -> None:
        """Place as much as fits of what is left on these classes."""
        while self.want.any():
            before = int(self.want.sum())
            if not levels:
                self._hosts(classes)
                return
            group, first = self._domains(classes, levels[0])
            chosen = self._one(classes, group, len(first), levels) if len(first) > 1 else 0
            if chosen is None:
                chosen = self._smallest_of_fewest(classes, group, first, levels[0])
            inside = classes[group == chosen]
            self.descend(inside, levels[1:])
            if int(self.want.sum()) < before:
                continue
            classes = classes[group != chosen]
            if not len(classes):
                return

    def _domains(self, classes: Ints, level: LevelColumn) -> tuple[Ints, Ints]:
        """Group the classes by domain; classes without the label stay together here: their nodes are told apart at the hosts."""
        return codes((level.domain[classes],), len(classes))

    def _rows(self) -> tuple[Measure, ...]:
        return measures(self.instance, self.want, int(self.want.sum()))

    def _one(self, classes: Ints, group: Ints, count: int, levels: tuple[LevelColumn, ...]) -> int | None:
        """Return the best domain that can hold all that is left, if any can."""
        of = np.full(len(self.nodes), -1, dtype=np.int64)
        of[classes] = group
        bound = lower(self.instance, Groups(of=of, count=count, nodes=self.nodes), self._rows())
        worth = self._worth(classes, group, count, levels[0])
        best = int(np.lexsort((np.arange(count), worth, bound))[0])
        return best if bound[best] < NEVER else None

    def _worth(self, classes: Ints, group: Ints, count: int, level: LevelColumn) -> Ints:
        """Return the worth of each domain's free room, nothing for occupied ones; unlabelled nodes by their own."""
        domain = np.full(count, -1, dtype=np.int64)
        domain[group] = level.domain[classes]
        least = np.full(count, NEVER, dtype=np.int64)
        np.minimum.at(least, group, self.worth[classes])
        known = np.zeros(count, dtype=np.bool_)
        known[group] = occupied_classes(level, self.instance.problem)[classes]
        labelled = level.worth[np.maximum(domain, 0)] if len(level.worth) else least
        return np.where(known, -1, np.where(domain >= 0, labelled, least))

    def _share(self, classes: Ints) -> Ints:
        """Return how many pods of the mix that is left one node of each class takes, in 1024ths, estimated over the measures."""
        total = int(self.want.sum())
        found = np.full(len(classes), NEVER, dtype=np.int64)
        for row in self._rows():
            found = np.minimum(found, np.minimum(row.node[classes], row.amount) * (1024 * total) // row.amount)
        return found

    def _smallest_of_fewest(self, classes: Ints, group: Ints, first: Ints, level: LevelColumn) -> int:
        """Return the smallest domain with which the fewest domains suffice; occupied ones first, they cost nothing."""
        known = occupied_classes(level, self.instance.problem)[classes]
        alone = level.domain[classes] < 0
        share = self._share(classes)
        capacity = np.bincount(group, np.where(alone, 0, share * self.nodes[classes]), minlength=len(first)).astype(np.int64)
        np.maximum.at(capacity, group[alone], share[alone])  # each node without the label is a domain of its own
        if known.any():
            inside = np.unique(group[known])
            if capacity[inside].any():
                return int(inside[np.argmax(capacity[inside])])
        worth = level.worth[np.maximum(level.domain[classes[first]], 0)] if len(level.worth) else np.zeros(len(first), dtype=np.int64)
        return _choose(capacity, np.ones_like(capacity), worth, 1024 * int(self.want.sum()))

    def _hosts(self, classes: Ints) -> None:
        """Fill nodes: occupied ones first, then the fewest, each the smallest with which the largest others suffice."""
        problem = self.instance.problem
        while self.want.any():
            fitting = classes[(self.nodes[classes] > 0) & self._fits(classes)]
            if not len(fitting):
                return
            here = fitting[problem.occupied_host[fitting]]
            fitting = here if len(here) else fitting
            share = self._share(fitting)
            chosen = _choose(share, self.nodes[fitting], self.worth[fitting], 1024 * int(self.want.sum()))
            self._take(int(fitting[chosen]), all_alike=bool(share[chosen] == share.max()))

    def _fits(self, classes: Ints) -> Bools:
        left = self.instance.rooms.single[:, classes][self.want > 0]
        return np.asarray((left > 0).any(axis=0))

    def _take(self, node_class: int, *, all_alike: bool) -> None:
        """Put what is left, or the best load, on nodes of the class; several at once while each takes the same full load."""
        load = self._load(node_class)
        times = 1
        if all_alike:
            times = min([int(self.nodes[node_class]), *(int(w) // n for w, n in zip(self.want, load, strict=True) if n)])
        self.want -= np.array(load, dtype=np.int64) * times
        self.nodes[node_class] -= times
        self.loads.append(Load(node_class=node_class, pods=load, nodes=times))

    def _load(self, node_class: int) -> tuple[int, ...]:
        """Return the load that takes most of what is left, each role measured by the scarcest resource it takes."""
        listed = self.instance.rooms.of(node_class)
        if listed is None:
            return self._packed(node_class)
        size = self._sizes()
        cut = [tuple(min(n, int(w)) for n, w in zip(pattern, self.want, strict=True)) for pattern in listed]
        return max(cut, key=lambda load: (sum(n * s for n, s in zip(load, size, strict=True)), load))

    def _packed(self, node_class: int) -> tuple[int, ...]:
        """Pack one node role by role, the largest pods first."""
        problem = self.instance.problem
        free = problem.free[node_class].copy()
        load = [0] * len(self.want)
        size = self._sizes()
        for role in sorted(range(len(load)), key=lambda r: (-size[r], r)):
            if any(n and problem.conflict[role, other] for other, n in enumerate(load)):
                continue
            request = problem.request[role]
            asked = request > 0
            most = min(int(self.instance.rooms.single[role, node_class]), int(self.want[role]))
            load[role] = min(most, int((free[asked] // request[asked]).min())) if asked.any() else most
            free = free - load[role] * request
        return tuple(load)

    def _sizes(self) -> list[float]:
        request = self.instance.problem.request
        amounts = np.maximum((request * self.want[:, None]).sum(axis=0), 1)
        # The small addend lets a pod that asks for nothing count too: a load is never empty while pods are left that fit.
        return [float(s) + 1e-9 for s in (request / amounts).max(axis=1, initial=0)]


def _choose(size: Ints, times: Ints, worth: Ints, amount: int) -> int:
    """Return the smallest item with which, and the largest others, the fewest items cover the amount; the largest if none do."""
    order = np.lexsort((np.arange(len(size)), worth, -size))
    capped = np.minimum(times, amount // np.maximum(size, 1) + 1)
    held = np.cumsum((size * capped)[order])
    if held[-1] < amount:
        return int(order[0])
    # One item fewer than the fewest, the largest ones: how much they hold is what the chosen one must add to.
    at = int(np.searchsorted(held, amount))
    item = order[at]
    before = int(held[at - 1]) if at else 0
    others = before + (-(-(amount - before) // int(size[item])) - 1) * int(size[item])
    enough = np.flatnonzero(size >= amount - others)
    return int(enough[np.lexsort((enough, worth[enough], size[enough]))[0]])


def fill(instance: Instance, classes: Ints, want: Ints, *, ties: bool = True) -> tuple[Load, ...]:
    """Place as much of ``want`` as this method can on these classes, all of one cell; by tie-break levels too, or not."""
    state = _Fill(instance=instance, want=want.copy(), nodes=instance.nodes.copy(), worth=instance.problem.least_worth)
    levels = tuple(v for v in instance.problem.levels if not v.host and not v.required and (ties or not v.tie))
    state.descend(classes, levels)
    return merged(state.loads)


def search(instance: Instance, want: Ints, known: Bounds | None = None) -> tuple[Load, ...] | None:
    """Return the best placement of all of ``want`` that descents into the most promising cells find, if any does.

    ``known``: the bounds of placing all of them, where they are worked out already.
    """
    total = int(want.sum())
    bound = bounds(instance, want, total) if known is None else known
    best: tuple[Load, ...] | None = None
    ways = (True, False) if any(v.tie for v in instance.problem.levels) else (True,)
    for tries, (least, classes) in enumerate(_starts(instance, bound.classes)):
        if tries == TRIES or (best is not None and costs.cost(instance.problem, best) <= least):
            break
        for loads in (attempt for ties in ways for attempt in _attempts(instance, classes, want, ties=ties)):
            if costs.placed(loads) == total and (best is None or _rank(instance, loads) < _rank(instance, best)):
                best = loads
    return best


def _attempts(instance: Instance, classes: Ints, want: Ints, *, ties: bool) -> Iterator[tuple[Load, ...]]:
    """Give what descents find: all roles at once, and the largest role first with the others beside it."""
    yield fill(instance, classes, want, ties=ties)
    first = _largest(instance, want)
    if 0 < int(want.sum() - want[first]) <= MOST_BESIDE:
        main = np.where(np.arange(len(want)) == first, want, 0)
        yield beside.add(instance, classes, fill(instance, classes, main, ties=ties), want - main)


def _largest(instance: Instance, want: Ints) -> int:
    """Return the role whose pods together take most."""
    share = instance.problem.request / np.maximum(instance.problem.free.max(axis=0, initial=1), 1)
    return int(np.argmax(want * share.max(axis=1, initial=0)))


def thresholds(instance: Instance, want: Ints, bound: int, best: tuple[Load, ...]) -> tuple[Load, ...]:
    """Return a better placement than ``best`` if one is found on the roomier nodes alone: fewer hosts can be worth more domains."""
    room = instance.rooms.single[_largest(instance, want)]
    sizes = np.unique(room[instance.play])[1:][::-1]
    for size in sizes[:: max(1, len(sizes) // TRIES)].tolist():
        play = instance.play[room[instance.play] >= size]
        cell = np.full_like(instance.cell, -1)
        cell[play] = instance.cell[play]
        loads = search(replace(instance, play=play, cell=cell), want)
        if loads is not None and _rank(instance, loads) < _rank(instance, best):
            best = loads
        if costs.cost(instance.problem, best) <= bound:
            break
    return best


def _rank(instance: Instance, loads: tuple[Load, ...]) -> tuple[int, int, int]:
    """Return what makes a placement good: cost, then ties, then harm."""
    problem = instance.problem
    return (costs.cost(problem, loads), costs.ties(problem, loads), costs.harm(problem, loads))


def _starts(instance: Instance, bound: Ints) -> list[tuple[int, Ints]]:
    """Return the cells where all may fit, most promising first: least bound, then least worth of the cell's free room."""
    found: list[tuple[int, int, int, Ints]] = []
    play = instance.play[bound[instance.play] < NEVER]
    cell = instance.cell[play]
    order = np.argsort(cell, kind="stable")
    edges = np.flatnonzero(np.diff(cell[order], prepend=-1))
    for classes in np.split(play[order], edges[1:]) if len(play) else []:
        first = int(classes[0])
        worth = sum(_shared_worth(v, classes) for v in instance.problem.levels if not v.host)
        worth += int(instance.problem.worth[first][0]) if any(v.required and v.host for v in instance.problem.levels) else 0
        found.append((int(bound[classes].min()), worth, first, classes))
    return [(least, classes) for least, _, _, classes in sorted(found, key=lambda row: row[:3])]


def _shared_worth(level: LevelColumn, classes: Ints) -> int:
    """Return what the free room of the one domain that holds all the classes is worth; nothing where they lie in several or in none."""
    domain = level.domain[classes]
    return int(level.worth[domain[0]]) if domain[0] >= 0 and bool((domain == domain[0]).all()) else 0
