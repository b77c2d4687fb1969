"""How segments spread over places at the least cost, counted by tables: a bound that joins the levels, and a good start.

For each place a table says what n segments cost there at least: the fewest nodes, and the fewest domains of each narrower level,
whose sums of room cover n times the least amounts that a segment takes. Tables of the places of one domain are combined by
(min,+) convolution, the domain's own weight is added where it is newly used, and so on up the levels that nest. Segments of
different kinds are counted as if all took the least; what a place cannot hold in truth only raises the cost. So every value is
a lower bound, and the counts behind the least one are where best fit should look first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve.bounds import NEVER, cells, fewest, measures
from scheduler.solve.grouping import codes, ordered
from scheduler.solve.holding import Holding, pure
from scheduler.solve.instance import Instance, occupied_classes, occupied_count
from scheduler.solve.problem import Ints, LevelColumn
from scheduler.solve.solution import Load

MOST_WORK: Final = 2_000_000
"""Cells of tables to combine; where there would be more, nothing is counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The least cost of n segments in a group of places, and for each part how many of the n lie there."""

    cost: Ints
    """int64[n + 1], ``NEVER`` where so many do not fit."""
    parts: tuple[Table, ...] = ()
    shares: tuple[Ints, ...] = ()
    """By part: int64[n + 1], how many of n segments in this part and all before it lie in this one."""
    place: int = -1
    """The place, where the group is one."""

    def counts(self, segments: int, found: dict[int, int]) -> dict[int, int]:
        """Return how many of so many segments lie in each place."""
        if self.place >= 0:
            if segments:
                found[self.place] = segments
            return found
        for part, share in zip(reversed(self.parts), reversed(self.shares), strict=True):
            here = int(share[segments])
            part.counts(here, found)
            segments -= here
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """What the tables of the cells say."""

    bounds: Ints
    """int64[cells]: a lower bound of the cost when all lies in the cell."""
    tables: dict[int, Table]
    """By cell, where it has places."""
    segments: int

    def best(self) -> dict[int, int]:
        """Return how many segments lie in each place of the innermost layer where the least bound is reached."""
        cell = int(np.argmin(self.bounds))
        return {} if self.bounds[cell] >= NEVER else self.tables[cell].counts(self.segments, {})


Trial: TypeAlias = Callable[[int, int], tuple[Load, ...] | None]
"""Really places so many segments on a place: the loads, ``None`` where it fails."""


def spread(known: Instance, held: tuple[Holding, ...], trial: Trial | None = None) -> Spread | None:
    """Count how the segments of the innermost layer spread; ``None`` where the tables would be too large.

    With a trial the costs are those of what is really placed: no bounds then, but better counts.
    """
    problem, holding = known.problem, held[-1]
    layer = problem.layers[-1]
    segments = sum(kind.times for kind in layer.kinds)
    most = np.minimum(holding.most.sum(axis=0), _together(holding))
    if int(np.minimum(most, segments).sum()) * segments > MOST_WORK:
        return None
    inner, outer = _levels(known, holding)
    members = ordered((known.places[-1][known.play],))
    edges = np.searchsorted(known.places[-1][known.play][members], known.places[-1][holding.first])
    sizes = np.bincount(known.places[-1][known.play][known.places[-1][known.play] >= 0])
    tables = [
        Table(cost=_costs(known, holding, inner, known.play[members[edge : edge + size]], int(min(n, segments))), place=place)
        if trial is None
        else Table(cost=_tried(known, inner, trial, place, int(min(n, segments))), place=place)
        for place, (edge, size, n) in enumerate(zip(edges.tolist(), sizes[sizes > 0].tolist(), most.tolist(), strict=True))
    ]
    group = np.arange(len(tables))
    for level in outer:
        occupied = occupied_classes(level, problem)[holding.first]
        group, tables = _grouped(group, _domains(level, holding), tables, extra=np.where(occupied, 0, level.weight), segments=segments)
    _, roots = _grouped(group, holding.cell, tables, extra=np.zeros(len(holding.first), dtype=np.int64), segments=segments)
    cell = dict(zip(np.unique(holding.cell).tolist(), roots, strict=True))
    least = np.array([int(cell[c].cost[segments]) if c in cell and len(cell[c].cost) > segments else NEVER for c in range(known.cells)])
    others = _others(known, [v for v in known.weighted if v not in (*inner, *outer)])
    fixed = sum(v.weight * (occupied_count(v) - 1) for v in (*inner, *outer))
    bounds = np.where(least < NEVER, np.maximum(least + fixed, 0) + others, NEVER)
    return Spread(bounds=bounds, tables=cell, segments=segments)


def _others(known: Instance, levels: Sequence[LevelColumn]) -> Ints:
    """Return int64[cells]: the least cost of the levels that no table counts, each by itself."""
    problem, found = known.problem, np.zeros(known.cells, dtype=np.int64)
    rows = measures(known, problem.count, problem.core)
    for level in levels:
        new = fewest(problem, cells(known), np.flatnonzero(known.cell >= 0), level, rows)
        found += level.weight * np.maximum(0, occupied_count(level) + new - 1)
    return found


def _least(holding: Holding) -> Ints:
    """Return int64[M]: the least of each amount that a segment of any kind takes."""
    return np.asarray(holding.amount.min(axis=1))


def _together(holding: Holding) -> Ints:
    """Return int64[P]: segments of all kinds together that a place holds at most."""
    least = _least(holding)[:, None]
    return np.asarray(np.where(least > 0, holding.room // np.maximum(least, 1), NEVER).min(axis=0))


def _levels(known: Instance, holding: Holding) -> tuple[tuple[LevelColumn, ...], tuple[LevelColumn, ...]]:
    """Return the weighted levels whose domains lie within places, and those that places and each other's domains lie within, narrowest first."""
    layer, place = known.problem.layers[-1], known.places[-1]
    inside = known.play[place[known.play] >= 0]
    inner, outer = [], []
    group = np.arange(len(holding.first))
    for level in sorted(known.weighted, key=lambda v: -len(np.unique(v.domain[inside]))):
        if level.host or _within(level, inside, place):
            inner.append(level)
        elif pure(known, level, layer) is not None and (level.domain[holding.first] >= 0).all():
            both, _ = codes((group, _domains(level, holding)), len(group))
            if len(np.unique(both)) == len(np.unique(group)):
                outer.append(level)
                group = _domains(level, holding)
    return tuple(inner), tuple(outer)


def _domains(level: LevelColumn, holding: Holding) -> Ints:
    """Return int64[P]: the domain of each place, told apart by cell: all lies in one cell, whatever domains reach beyond it."""
    return codes((level.domain[holding.first], holding.cell), len(holding.first))[0]


def _within(level: LevelColumn, inside: Ints, place: Ints) -> bool:
    """Tell whether each domain of the level lies in one place; pods that lie in no segment could use one more only."""
    labelled = inside[level.domain[inside] >= 0]
    both, _ = codes((level.domain[labelled], place[labelled]), len(labelled))
    return len(np.unique(both)) == len(np.unique(level.domain[labelled]))


def _costs(known: Instance, holding: Holding, inner: Sequence[LevelColumn], classes: Ints, most: int) -> Ints:
    """Return int64[most + 1]: the least cost of n segments in one place, whose classes these are."""
    found = np.zeros(most + 1, dtype=np.int64)
    want = np.arange(most + 1)
    for level in inner if most else ():
        occupied = occupied_classes(level, known.problem)[classes]
        alone = np.ones(len(classes), dtype=np.bool_) if level.host else level.domain[classes] < 0
        item, first = codes((np.where(alone, -1 - classes, level.domain[classes]),), len(classes))
        new = np.zeros(most + 1, dtype=np.int64)
        for least, node in zip(_least(holding).tolist(), holding.node[:, classes], strict=True):
            if least:
                nodes = known.nodes[classes]
                sums = np.bincount(item, node * nodes, minlength=len(first)).astype(np.int64)
                size, times = np.where(alone[first], node[first], sums), np.where(alone[first], nodes[first], 1)
                free = int((node * nodes)[occupied].sum())
                new = np.maximum(new, _fewest(want * least - free, size[~occupied[first]], times[~occupied[first]]))
        found += level.weight * new
    return found


def _tried(known: Instance, inner: Sequence[LevelColumn], trial: Trial, place: int, most: int) -> Ints:
    """Return int64[n + 1]: the cost of n segments as they are really placed, up to the first number that fails."""
    found = [0]
    for n in range(1, most + 1):
        loads = trial(place, n)
        if loads is None:
            break
        found.append(sum(v.weight * (costs.domains(known.problem, v, loads) - occupied_count(v)) for v in inner))
    return np.array(found, dtype=np.int64)


def _fewest(amount: Ints, size: Ints, times: Ints) -> Ints:
    """Return for each amount how many items, largest first, cover it; all of them where they do not."""
    order = np.argsort(-size, kind="stable")
    each = np.repeat(size[order], np.minimum(times[order], 1 + max(0, int(amount[-1])) // np.maximum(size[order], 1)))
    return np.where(amount > 0, np.minimum(np.searchsorted(np.cumsum(each), amount) + 1, len(each)), 0)


def _grouped(group: Ints, own: Ints, tables: Sequence[Table], *, extra: Ints, segments: int) -> tuple[Ints, list[Table]]:
    """Combine the tables of the groups that lie in one domain; ``own`` and ``extra`` are per place, the domain's price is paid once."""
    number, _ = codes((own,), len(own))
    first = np.zeros(len(tables), dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    found = []
    for domain in range(int(number.max(initial=-1)) + 1):
        inside = [tables[g] for g in range(len(tables)) if number[first[g]] == domain]
        price = int(extra[number == domain][0])
        found.append(_combined(inside, price, segments))
    return number, found


def _combined(parts: Sequence[Table], price: int, segments: int) -> Table:
    cost = np.zeros(1, dtype=np.int64)
    shares: list[Ints] = []
    for part in parts:
        size = min(segments, len(cost) + len(part.cost) - 2) + 1
        wider = np.full(size, NEVER, dtype=np.int64)
        share = np.zeros(size, dtype=np.int64)
        for n, here in enumerate(part.cost[:size].tolist()):
            with_it = cost[: size - n] + here
            to = wider[n : n + len(with_it)]
            better = with_it < to
            to[better] = with_it[better]
            share[n : n + len(with_it)][better] = n
        cost = np.minimum(wider, NEVER)
        shares.append(share)
    return Table(cost=np.where(np.arange(len(cost)) > 0, np.minimum(cost + price, NEVER), 0), parts=tuple(parts), shares=tuple(shares))
