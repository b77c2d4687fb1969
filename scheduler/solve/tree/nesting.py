"""Whether levels and places of segments nest: partitions of the classes in play, put in order from wide to narrow.

Classes without a label lie in a rest of the domain around. Where partitions do not nest, the tree programme has no words for
the problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.solve.instance import Instance
from scheduler.solve.problem import Ints, LevelColumn
from scheduler.solve.tree.price import Scale, domain_prices

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
    level: LevelColumn | None = None

    @property
    def idle(self) -> bool:
        """Whether the level neither costs nor is required: it only breaks ties."""
        return self.level is not None and not self.level.weight and not self.level.required


def partitions(instance: Instance, of: Scale) -> tuple[Partition, ...]:
    """Return levels and layers in the order of the problem, layers at the end."""
    problem, play = instance.problem, instance.play
    found = [
        Partition(
            name=level.name or f"level {at + 1}",
            column=level.domain[play],
            domain=level.domain[play],
            price=domain_prices(level, of),
            level=level,
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nested:
    """Partitions from wide to narrow, and the classes in play sorted by all of them, runs at the end."""

    order: tuple[Partition, ...]
    sorting: Ints
    starts: tuple[Ints, ...]
    """Where groups start, for the cells, each partition and the runs."""


def nested(every: Sequence[Partition], cell: Ints, runs: Ints) -> Nested | None:
    """Put partitions in order, ``None`` where they do not nest."""
    found = _nests(tuple(sorted(every, key=lambda p: _size(p.column))), cell, runs)
    if found is not None:
        return found
    left, ordered = list(every), []
    while left:
        outer = next((a for a in left if all(_within(b, a, cell) for b in left if b is not a)), None)
        if outer is None:
            return None
        left.remove(outer)
        ordered.append(outer)
    return _nests(tuple(ordered), cell, runs)


def _size(column: Ints) -> int:
    return int(np.count_nonzero(np.bincount(column + 1)[1:]))


def _nests(order: tuple[Partition, ...], cell: Ints, runs: Ints) -> Nested | None:
    """Sort by the partitions in this order, if no domain lies in two groups of one cell."""
    layers = [p.layer for p in order if p.layer is not None]
    if layers != sorted(layers):
        return None
    columns = [cell, *(p.column for p in order), runs]
    sorting, starts = np.arange(len(cell)), []
    for column in reversed(columns):
        sorting = sorting[np.argsort(_narrow(column)[sorting], kind="stable")]
    change = np.zeros(len(sorting), dtype=np.bool_)
    change[:1] = True
    for column in columns:
        there = column[sorting]
        change[1:] |= there[1:] != there[:-1]
        starts.append(np.flatnonzero(change))
    if not all(_whole(p, cell, sorting[start]) for p, start in zip(order, starts[1:-1], strict=True)):
        return None
    return Nested(order=order, sorting=sorting, starts=tuple(starts))


def _whole(partition: Partition, cell: Ints, first: Ints) -> bool:
    """Tell whether each domain is the only group of its label in its cell; ``first`` is a class of each group."""
    domain = partition.column[first]
    labelled = domain >= 0
    key, cells = domain[labelled], cell[first[labelled]]
    if (cells == cells[:1]).all():
        return int(np.count_nonzero(np.bincount(key))) == len(key)
    return len(np.unique(cells * (int(key.max()) + 1) + key)) == len(key)


def _within(inner: Partition, outer: Partition, cell: Ints) -> bool:
    return _nests((outer, inner), cell, cell) is not None


def clash(every: Sequence[Partition], cell: Ints) -> str:
    """Say which two partitions do not nest, the first found."""
    for at, a in enumerate(every):
        for b in every[at + 1 :]:
            if not _within(a, b, cell) and not _within(b, a, cell):
                return f"{a.name} and {b.name} do not nest"
    return f"{', '.join(p.name for p in every)} do not nest"


def _narrow(column: Ints) -> NDArray[np.int64 | np.uint16]:
    """Return the column in 16 bits where it fits: such numbers are sorted in one pass."""
    return (column + 1).astype(np.uint16) if int(column.max(initial=0)) < _NARROW else column
