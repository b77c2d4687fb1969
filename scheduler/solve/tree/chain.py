"""The topology as nested partitions of the classes in play: cells, then levels and places of segments, then equal nodes.

Classes without a label lie in a rest of the domain around: it costs nothing itself, its nodes cost more each. Where levels
do not nest there is no chain, and the tree programme has no words for the problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.solve.instance import Instance
from scheduler.solve.problem import Ints, Layer, LevelColumn
from scheduler.solve.tree.price import Scale, domain_prices, node_prices

_NARROW: Final = 2**16 - 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """One level, or the places of one layer of segments, seen from the classes in play."""

    name: str
    column: Ints
    """int64[P]: domain of each class in play, -1 for the rest."""
    price: Ints
    """int64[D + 1]: see `scheduler.solve.tree.price`."""
    domain: Ints
    """int64[P]: the number by which siblings are known."""
    layer: int | None = None
    idle: bool = False
    """Whether the level neither costs nor is required: it only breaks ties."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """Above these domains segments are counted, no longer what they are made of."""

    layer: int
    allowed: Ints
    """For each group the kinds that may lie in it, one bit each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depth:
    """All groups of one partition, in order; those of equal partitions are one."""

    start: Ints
    """int64[groups + 1], in sorted classes."""
    child: Ints
    """int64[groups + 1], in groups of the next depth."""
    index: Ints
    """Number of each group among its siblings, which stays the same whatever else is in play."""
    price: Ints
    steps: tuple[Step, ...] = ()
    """Outer layer first."""
    table: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """For runs, the number of their table of loads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """Depths from the cells down to equal nodes of one domain, and the nodes themselves."""

    depths: tuple[Depth, ...]
    """The last holds runs of nodes with one table of loads: ``child`` counts nodes there."""
    classes: Ints
    """int64[P]: the classes in play, sorted."""
    prices: Ints
    """For each node, run by run, what it adds; within a run not falling."""
    owner: Ints
    """For each node its class."""
    complete: bool
    """Whether every tie-break level is in the chain."""


def partitions(instance: Instance, of: Scale) -> tuple[Partition, ...]:
    """Return levels and layers in the order of the problem, layers at the end."""
    problem, play = instance.problem, instance.play
    found = [
        Partition(
            name=level.name or f"level {at + 1}",
            column=level.domain[play],
            domain=level.domain[play],
            price=domain_prices(level, of),
            idle=not level.weight and not level.required,
        )
        for at, level in enumerate(problem.levels)
        if not level.host
    ]
    for at, layer in enumerate(problem.layers):
        column = instance.places[at][play]
        price = np.zeros(int(column.max(initial=-1)) + 2, dtype=np.int64)
        found.append(
            Partition(name=f"segment layer {at + 1}", column=column, domain=np.where(column >= 0, layer.domain[play], -1), price=price, layer=at)
        )
    return tuple(found)


def chain(instance: Instance, of: Scale, table: Ints, *, apart: bool = False) -> Chain | str:
    """Build the chain of the classes in play, or say what does not nest.

    ``table`` is the number of each class's table of loads; ``apart``: every node is a run of its own.
    """
    cell = instance.cell[instance.play]
    every = partitions(instance, of)
    order = nested(every, cell)
    complete = order is not None
    if order is None:
        order = nested([p for p in every if not p.idle], cell)
    if order is None:
        return _clash([p for p in every if not p.idle], cell)
    left_out = {p.name for p in every} - {p.name for p in order}
    levels = tuple(v for at, v in enumerate(instance.problem.levels) if (v.name or f"level {at + 1}") not in left_out)
    return _built(instance, order, levels, _Runs(table=table[instance.play], apart=apart), of, complete=complete)


def nested(every: Sequence[Partition], cell: Ints) -> tuple[Partition, ...] | None:
    """Return the partitions from wide to narrow, ``None`` where they do not nest."""
    ordered = tuple(sorted(every, key=lambda p: _size(p.column)))
    if _nests(ordered, cell):
        return ordered
    left, found = list(every), []
    while left:
        outer = next((a for a in left if all(_within(b, a, cell) for b in left if b is not a)), None)
        if outer is None:
            return None
        left.remove(outer)
        found.append(outer)
    return tuple(found) if _nests(found, cell) else None


def _size(column: Ints) -> int:
    return int(np.count_nonzero(np.bincount(column + 1)[1:]))


def _nests(ordered: Sequence[Partition], cell: Ints) -> bool:
    layers = [p.layer for p in ordered if p.layer is not None]
    if layers != sorted(layers):
        return False
    order, starts = _sorted([cell, *(p.column for p in ordered)])
    return all(_whole(p, cell, order, start) for p, start in zip(ordered, starts[1:], strict=True))


def _whole(partition: Partition, cell: Ints, order: Ints, start: Ints) -> bool:
    """Tell whether no domain of the partition lies in two groups of one cell."""
    first = order[start]
    domain = partition.column[first]
    labelled = domain >= 0
    if not labelled.any():
        return True
    key = domain[labelled]
    cells = cell[first][labelled]
    if (cells == cells[0]).all():
        return int(np.count_nonzero(np.bincount(key))) == len(key)
    return len(np.unique(cells * (int(key.max()) + 1) + key)) == len(key)


def _within(inner: Partition, outer: Partition, cell: Ints) -> bool:
    return _nests((outer, inner), cell)


def _clash(every: Sequence[Partition], cell: Ints) -> str:
    """Name two partitions that do not nest, the first found."""
    for at, a in enumerate(every):
        for b in every[at + 1 :]:
            if not _within(a, b, cell) and not _within(b, a, cell):
                return f"{a.name} and {b.name} do not nest"
    return f"{', '.join(p.name for p in every)} do not nest"


def _sorted(columns: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
    """Return the order by all columns, and where groups start at each."""
    order = np.arange(len(columns[0]))
    for column in reversed(columns):
        order = order[np.argsort(_narrow(column)[order], kind="stable")]
    change = np.zeros(len(order), dtype=np.bool_)
    change[:1] = True
    starts = []
    for column in columns:
        there = column[order]
        change[1:] |= there[1:] != there[:-1]
        starts.append(np.flatnonzero(change))
    return order, starts


def _narrow(column: Ints) -> NDArray[np.int64 | np.uint16]:
    """Return the column in 16 bits where it fits: such numbers are sorted in one pass."""
    return (column + 1).astype(np.uint16) if int(column.max(initial=0)) < _NARROW else column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Runs:
    """How the nodes of the innermost domains are put together."""

    table: Ints
    apart: bool


def _built(instance: Instance, order: Sequence[Partition], levels: tuple[LevelColumn, ...], runs: _Runs, of: Scale, *, complete: bool) -> Chain:
    cell = instance.cell[instance.play]
    sorting, starts = _sorted([cell, *(p.column for p in order), runs.table])
    classes = instance.play[sorting]
    counts = instance.nodes[classes]
    ends = np.append(0, np.cumsum(counts))
    first_of_run = np.append(starts[-1], len(sorting))
    prices, owner = _rising(node_prices(instance.problem, levels, instance.nodes, classes, of), np.repeat(classes, counts), ends[first_of_run])
    last = _run_depth(runs, sorting, first_of_run, ends)
    merged = list(_collapsed(order, starts[:-1]))
    bounds = [np.append(start, len(sorting)) for start, _ in merged]
    depths = []
    for at, (start, here) in enumerate(merged):
        first = sorting[start]
        inner = np.searchsorted(bounds[at + 1], bounds[at]) if at + 1 < len(merged) else np.searchsorted(last.child, ends[bounds[at]])
        price = sum((p.price[p.column[first]] for p in here), np.zeros(len(start), dtype=np.int64))
        steps = tuple(Step(layer=p.layer, allowed=_allowed(instance.problem.layers[p.layer], p.domain[first])) for p in here if p.layer is not None)
        index = here[0].domain[first] + 1 if here else cell[first]
        depths.append(Depth(start=bounds[at], child=inner, index=index, price=price, steps=steps))
    return Chain(depths=(*depths, last), classes=classes, prices=prices, owner=owner, complete=complete)


def _run_depth(runs: _Runs, sorting: Ints, start: Ints, ends: Ints) -> Depth:
    """Return the runs of nodes: those of one table in one domain, or every node for itself."""
    if not runs.apart:
        table = runs.table[sorting[start[:-1]]]
        return Depth(start=start, child=ends[start], index=table, table=table, price=np.zeros_like(table))
    number = np.arange(int(ends[-1]))
    table = np.repeat(runs.table[sorting], np.diff(ends))
    return Depth(
        start=np.repeat(np.arange(len(sorting)), np.diff(ends)),
        child=np.append(number, len(number)),
        index=number,
        table=table,
        price=np.zeros_like(table),
    )


def _collapsed(order: Sequence[Partition], starts: Sequence[Ints]) -> Iterable[tuple[Ints, list[Partition]]]:
    """Join partitions that have the same groups; the first are the cells."""
    start = starts[0]
    here: list[Partition] = []
    for partition, inner in zip(order, starts[1:], strict=True):
        if len(inner) > len(start):
            yield start, here
            start, here = inner, []
        here.append(partition)
    yield start, here


def _allowed(layer: Layer, domain: Ints) -> Ints:
    """Return the bits of the kinds that may lie in each domain, and above them those of loose pods, which may lie anywhere."""
    kinds = len(layer.kinds)
    found = np.full(len(domain), ((1 << len(layer.loose)) - 1) << kinds, dtype=np.int64)
    for bit, kind in enumerate(layer.kinds):
        inside = domain >= 0 if kind.pinned is None else (domain == kind.pinned) & (domain >= 0)
        found |= inside.astype(np.int64) << bit
    return found


def _rising(prices: Ints, owner: Ints, runs: Ints) -> tuple[Ints, Ints]:
    """Sort the nodes of each run by price."""
    falls = prices[1:] < prices[:-1]
    falls[runs[1:-1] - 1] = False
    if not falls.any():
        return prices, owner
    order = np.lexsort((prices, np.repeat(np.arange(len(runs) - 1), np.diff(runs))))
    return prices[order], owner[order]
