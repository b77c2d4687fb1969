"""Curves by what they are made of: equal content has one number, so domains that did not change cost a look-up.

Nothing here is ever out of date: a key holds everything that the curve depends on. A memo belongs to its caller; tables of
gangs with other counts are other stores, the least recently used are forgotten first when there are too many bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final, TypeVar

import numpy as np

from scheduler.solve.problem import Ints
from scheduler.solve.tree.kernels import NEVER, fewest_nodes, split

DEFAULT_BYTES: Final = 2**26
_ENTRY: Final = 150
"""Bytes of an entry of a dictionary, roughly."""
_SIZES: Final = np.array([0, *sorted({2**b for b in range(22)} | {3 * 2**b for b in range(21)})], dtype=np.int64)
"""What an axis is rounded up to, so that many curves share a box."""

Key = TypeVar("Key", bound=tuple[Hashable, ...])


@dataclass(slots=True, kw_only=True, eq=False)
class Pool:
    """All curves of one box, one behind the other."""

    box: tuple[int, ...]
    rows: Ints
    used: int = 0

    def put(self, curves: Ints) -> Ints:
        """Keep a batch and return where."""
        end = self.used + len(curves)
        if end > len(self.rows):
            larger = np.empty((max(2 * len(self.rows), end), self.rows.shape[1]), dtype=np.int64)
            larger[: self.used] = self.rows[: self.used]
            self.rows = larger
        self.rows[self.used : end] = curves.reshape(len(curves), -1)
        self.used = end
        return np.arange(end - len(curves), end)

    def get(self, slots: Ints) -> Ints:
        """Return a batch."""
        return self.rows[slots].reshape(-1, *self.box)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Equal nodes: their maximal loads, and how many hold each amount."""

    loads: Ints
    nodes: Ints
    single: Ints
    """int64[R]: the most pods of each role on one node."""


@dataclass(slots=True, kw_only=True, eq=False)
class Store:
    """Curves of gangs with the same counts. A curve's number says nothing but where it is; ``caps`` is the most it holds, by axis."""

    axes: int
    pools: list[Pool] = field(default_factory=list)
    boxes: dict[tuple[int, ...], int] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    kinds: dict[tuple[int, bytes], int] = field(default_factory=dict)
    sums: dict[tuple[int, int], int] = field(default_factory=dict)
    prices: dict[tuple[int, int], int] = field(default_factory=dict)
    segments: dict[tuple[int, int, int], int] = field(default_factory=dict)
    domains: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    splits: dict[tuple[int, int, tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    weight: int = 0
    """Bytes of keys, roughly."""
    count: int = 0
    pool: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    slot: Ints = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    caps: Ints = field(default_factory=lambda: np.zeros((64, 1), dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Return what all this takes, roughly."""
        entries = len(self.sums) + len(self.prices) + len(self.segments) + len(self.domains) + 2 * len(self.splits)
        return sum(p.rows.nbytes for p in self.pools) + sum(t.nodes.nbytes for t in self.tables) + _ENTRY * entries + self.weight + 56 * self.count

    def table(self, loads: tuple[tuple[int, ...], ...], box: tuple[int, ...], most: int) -> int:
        """Return the number of a table of maximal loads, worked out for up to so many nodes."""
        rows = np.array(loads, dtype=np.int64)
        key = most, rows.tobytes()
        if key not in self.kinds:
            self.kinds[key] = len(self.tables)
            self.tables.append(Table(loads=rows, nodes=fewest_nodes(rows, box, most), single=rows.max(axis=0)))
        return self.kinds[key]

    def add(self, curves: Ints, caps: Ints) -> Ints:
        """Keep curves of one box."""
        box = curves.shape[1:]
        if box not in self.boxes:
            self.boxes[box] = len(self.pools)
            self.pools.append(Pool(box=box, rows=np.empty((8, prod(box)), dtype=np.int64)))
        number = self.boxes[box]
        ids = np.arange(self.count, self.count + len(curves))
        self.count += len(curves)
        if self.count > len(self.pool):
            self._grow()
        self.slot[ids] = self.pools[number].put(curves)
        self.pool[ids] = number
        self.caps[ids, : caps.shape[1]] = caps
        return ids

    def _grow(self) -> None:
        size = 2 * self.count
        self.pool, self.slot = np.resize(self.pool, size), np.resize(self.slot, size)
        caps = np.zeros((size, self.axes), dtype=np.int64)
        caps[: len(self.caps)] = self.caps
        self.caps = caps

    def one(self, number: int) -> Ints:
        """Return a curve."""
        pool = self.pools[int(self.pool[number])]
        return np.asarray(pool.rows[int(self.slot[number])].reshape(pool.box))

    def many(self, ids: Ints) -> Ints:
        """Return curves of one box."""
        return self.pools[int(self.pool[ids[0]])].get(self.slot[ids])

    def at(self, ids: Ints, amount: tuple[int, ...]) -> Ints:
        """Return the price of one amount in each of these curves."""
        found = np.full(len(ids), NEVER, dtype=np.int64)
        for number in np.unique(self.pool[ids]).tolist():
            pool = self.pools[number]
            if all(n < size for n, size in zip(amount, pool.box, strict=True)):
                where = np.flatnonzero(self.pool[ids] == number)
                found[where] = pool.rows[self.slot[ids[where]], np.ravel_multi_index(amount, pool.box)]
        return found

    def split(self, left: int, right: int, amount: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the first division of an amount between two curves that has the least price."""
        key = (left, right, amount)
        if key not in self.splits:
            self.splits[key] = split(self.one(left), self.one(right), amount)
        return self.splits[key]

    def numbers(self, known: dict[Key, int], keys: Sequence[Key], make: Callable[[Ints], Ints]) -> Ints:
        """Return the number of each key; ``make`` gives curves for those keys (by position) that are new."""
        new = {key: at for at, key in enumerate(keys) if key not in known}
        if new:
            made = make(np.fromiter(new.values(), dtype=np.int64, count=len(new)))
            known.update(zip(new, made.tolist(), strict=True))
            self.weight += sum(len(part) for key in new for part in key if isinstance(part, bytes))
        return np.array([known[key] for key in keys], dtype=np.int64)


def boxed(caps: Ints, limit: Ints) -> Ints:
    """Return the boxes, int64[B, axes], that hold these caps: each axis rounded up, plus one for nothing."""
    return np.asarray(np.minimum(_SIZES[np.searchsorted(_SIZES, caps)], limit) + 1)


def alike(rows: Ints) -> Iterator[Ints]:
    """Give the positions of equal rows, those of one kind at a time."""
    if not len(rows):
        return
    if len(rows) == 1:
        yield np.zeros(1, dtype=np.int64)
        return
    order = np.lexsort(rows.T)
    change = (rows[order][1:] != rows[order][:-1]).any(axis=1)
    yield from np.split(order, np.flatnonzero(change) + 1)


@dataclass(slots=True, kw_only=True, eq=False)
class Memo:
    """The stores of one caller."""

    most_bytes: int = DEFAULT_BYTES
    stores: dict[Hashable, Store] = field(default_factory=dict)
    """By context, the most recently used last."""

    def store(self, context: Hashable, axes: int) -> Store:
        """Return the store of a context, forgetting others, and at last its own content, when they are too large."""
        found = self.stores.pop(context, None)
        if found is None or found.bytes > self.most_bytes:
            found = Store(axes=axes, caps=np.zeros((64, axes), dtype=np.int64))
        self.stores[context] = found
        total = sum(s.bytes for s in self.stores.values())
        while total > self.most_bytes and len(self.stores) > 1:
            total -= self.stores.pop(next(iter(self.stores))).bytes
        return found
