"""The topology as nested partitions of the classes in play: cells, then levels and places of segments, then equal nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scheduler.solve.instance import Instance
from scheduler.solve.problem import Ints, Layer
from scheduler.solve.tree.nesting import Nested, Partition, clash, nested, partitions
from scheduler.solve.tree.price import Scale, node_prices


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


def chain(instance: Instance, of: Scale, table: Ints, *, apart: bool = False) -> Chain | str:
    """Build the chain of the classes in play, or say what does not nest.

    ``table`` is the number of each class's table of loads; ``apart``: every node is a run of its own.
    """
    cell, runs = instance.cell[instance.play], table[instance.play]
    every = partitions(instance, of)
    needed = [p for p in every if not p.idle]
    found = nested(every, cell, runs) or nested(needed, cell, runs)
    return clash(needed, cell) if found is None else _built(instance, found, of, table, complete=len(found.order) == len(every), apart=apart)


def _built(instance: Instance, found: Nested, of: Scale, table: Ints, *, complete: bool, apart: bool) -> Chain:
    classes = instance.play[found.sorting]
    counts = instance.nodes[classes]
    ends = np.append(0, np.cumsum(counts))
    runs = np.append(found.starts[-1], len(classes))
    levels = (*(v for v in instance.problem.levels if v.host), *(p.level for p in found.order if p.level is not None))
    prices = node_prices(instance.problem, levels, instance.nodes, classes, of)
    prices, owner = _rising(prices, np.repeat(classes, counts), ends[runs])
    last = _apart(table[owner]) if apart else _runs(table[classes[runs[:-1]]], runs, ends)
    depths = [last]
    bound = ends
    for start, here in reversed(list(_collapsed(found.order, found.starts[:-1]))):
        outer = np.append(start, len(classes))
        inner = last.child if len(depths) == 1 else bound
        depths.insert(0, _depth(instance, found, here, outer, np.searchsorted(inner, ends[outer] if len(depths) == 1 else outer)))
        bound = outer
    return Chain(depths=tuple(depths), classes=classes, prices=prices, owner=owner, complete=complete)


def _depth(instance: Instance, found: Nested, here: Sequence[Partition], start: Ints, child: Ints) -> Depth:
    """Return the groups of partitions that are equal; of none: the cells."""
    first = found.sorting[start[:-1]]
    price = sum((p.price[p.column[first]] for p in here), np.zeros(len(first), dtype=np.int64))
    steps = tuple(Step(layer=p.layer, allowed=_allowed(instance.problem.layers[p.layer], p.domain[first])) for p in here if p.layer is not None)
    index = here[0].domain[first] + 1 if here else np.arange(len(first))
    return Depth(start=start, child=child, index=index, price=price, steps=steps)


def _runs(table: Ints, start: Ints, ends: Ints) -> Depth:
    """Return the runs of nodes of one table in one domain."""
    return Depth(start=start, child=ends[start], index=table, table=table, price=np.zeros_like(table))


def _apart(table: Ints) -> Depth:
    """Return a run for every node."""
    number = np.arange(len(table) + 1)
    return Depth(start=number, child=number, index=number[:-1], table=table, price=np.zeros_like(table))


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
