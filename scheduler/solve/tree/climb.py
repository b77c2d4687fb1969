"""From nodes to cells: the curve of every group, looked up by its content from above, made from below where it is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scheduler.solve.problem import Ints
from scheduler.solve.tree import kernels
from scheduler.solve.tree.chain import Chain, Depth
from scheduler.solve.tree.content import Content
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Store, alike, boxed
from scheduler.solve.tree.runs import Runs

_APART: Final = 64
"""More than any number of bits: neighbours that are no siblings never merge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """What the axes of curves count: pods of each role, or segments of each kind of one layer."""

    limit: Ints
    """int64[axes]: how many there are in all."""
    sizes: Ints
    """int64[axes, inner axes]: what one segment is made of; empty for pods."""
    kinds: int = 0
    """How many axes, the first, are kinds of segments; the others are pods that lie in none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """One step of merging siblings: ``left[i]`` and its right neighbour became one."""

    ids: Ints
    left: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climb:
    """The curves of one chain."""

    chain: Chain
    store: Store
    core: tuple[int, int] | None
    """Where the core is counted beside the other pods: what a unit of cost is worth, and what one of the core's cost is."""
    spaces: tuple[Space, ...]
    """By layer, outermost first; at the end, pods."""
    inner: tuple[Space, ...]
    """What the children's curves count, by depth."""
    content: Content
    runs: Runs
    opened: dict[int, tuple[Ints, Ints, list[Round]]] = field(default_factory=dict)
    """The children of cells, merged up to two curves at most."""

    @classmethod
    def of(cls, chain: Chain, store: Store, tables: Ints, spaces: tuple[Space, ...], *, count: Ints, core: tuple[int, int] | None) -> Climb:
        """Prepare the content of all groups."""
        taken = np.cumsum([len(depth.steps) for depth in chain.depths[:-1]]).tolist()
        runs = Runs(
            depth=chain.depths[-1],
            store=store,
            tables=tables,
            count=count,
            limit=spaces[-1].limit,
            sums=np.append(0, np.cumsum(chain.prices)),
            core_sums=np.zeros(0, dtype=np.int64) if core is None else np.append(0, np.cumsum(chain.prices // core[0] * core[1])),
        )
        inner = tuple(spaces[layers] for layers in taken)
        return cls(chain=chain, store=store, core=core, spaces=spaces, inner=inner, content=Content.of(chain, tables), runs=runs)

    def curves(self, at: int, groups: Ints) -> Ints:
        """Return the numbers of the curves of groups of one depth, all that they add included, but for what cells add."""
        last = at == len(self.chain.depths) - 1
        keys = self.content.keys(at, groups)
        return self.store.numbers(self.store.domains, keys, lambda new: self.runs.curves(groups[new]) if last else self._made(at, groups[new]))

    def _made(self, at: int, groups: Ints) -> Ints:
        depth = self.chain.depths[at]
        ids = self._stepped(depth, groups, self.merged(at, groups)[1])
        return self._priced(ids, depth.price[groups]) if at else ids

    def cells(self, cells: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Give the whole curves of these cells, those of one box at a time, and which they are."""
        ids, price = self.curves(0, cells), self.chain.depths[0].price[cells]
        for where in alike(self.store.pool[ids][:, None]):
            yield where, self._paid(self.store.many(ids[where]), price[where])

    def values(self, cells: Ints, amount: tuple[int, ...]) -> Ints:
        """Return the price of an amount in each of these cells."""
        if len(cells) == 1:
            return np.array([self.value(int(cells[0]), amount)], dtype=np.int64)
        found = self.store.at(self.curves(0, cells), amount) + self.chain.depths[0].price[cells]
        return np.asarray(np.minimum(found, NEVER))

    def value(self, cell: int, amount: tuple[int, ...]) -> int:
        """Return the price of an amount in one cell, by the last sum at this amount alone: its whole curve is not made."""
        depth, store = self.chain.depths[0], self.store
        for step in depth.steps:
            if any(n and not int(step.allowed[cell]) >> bit & 1 for bit, n in enumerate(amount)):
                return NEVER
            amount = tuple((np.array(amount) @ self.spaces[step.layer].sizes).tolist())
        ids = self.cell(cell)[1].tolist()
        if (amount > store.caps[ids, : len(amount)].sum(axis=0)).any():
            return NEVER
        if len(ids) == 1:
            return int(store.one(ids[0])[amount]) + int(depth.price[cell])
        there, rest = store.split(ids[0], ids[1], amount)
        return min(NEVER, int(store.one(ids[0])[there] + store.one(ids[1])[rest]) + int(depth.price[cell]))

    def cell(self, cell: int) -> tuple[Ints, Ints, list[Round]]:
        """Return what `merged` does for one cell, but for the last sum."""
        if cell not in self.opened:
            self.opened[cell] = self.merged(0, np.array([cell]), leave=2)
        return self.opened[cell]

    def merged(self, at: int, groups: Ints, *, leave: int = 1) -> tuple[Ints, Ints, list[Round]]:
        """Return the children of groups of one depth, the merged curve of each group's, and the rounds of merging.

        Siblings merge two by two as the bits of their numbers say: whoever else is in play, the same two meet. One group may
        be left with two curves.
        """
        space = self.inner[at]
        children, parent = below(self.chain.depths[at], groups)
        index, ids = self.chain.depths[at + 1].index[children], self.curves(at + 1, children)
        apart = np.where(parent[1:] == parent[:-1], np.frexp((index[1:] ^ index[:-1]).astype(np.float64))[1], _APART)
        rounds = []
        while len(ids) > leave and len(apart) and (nearest := int(apart.min())) < _APART:
            left = np.flatnonzero(apart == nearest)
            rounds.append(Round(ids=ids, left=left))
            both = ids.copy()
            both[left] = self._sums(ids[left], ids[left + 1], space)
            keep = apart != nearest
            ids, apart = np.append(both[:1], both[1:][keep]), apart[keep]
        return children, ids, rounds

    def _sums(self, left: Ints, right: Ints, space: Space) -> Ints:
        def make(new: Ints) -> Ints:
            a, b = left[new], right[new]
            axes = len(space.limit)
            caps = np.minimum(space.limit, store.caps[a, :axes] + store.caps[b, :axes])
            boxes = boxed(caps, space.limit)
            ids = np.zeros(len(new), dtype=np.int64)
            for where in alike(np.column_stack((store.pool[a], store.pool[b], boxes))):
                box = tuple(boxes[where[0]].tolist())
                ids[where] = store.add(kernels.convolve(store.many(a[where]), store.many(b[where]), box), caps[where])
            return ids

        store = self.store
        return store.numbers(store.sums, list(zip(left.tolist(), right.tolist(), strict=True)), make)

    def _priced(self, ids: Ints, price: Ints) -> Ints:
        def make(new: Ints) -> Ints:
            return self._each(ids[new], lambda curves, where: self._paid(curves, price[new][where]), store.caps[ids[new]])

        store = self.store
        return store.numbers(store.prices, list(zip(ids.tolist(), price.tolist(), strict=True)), make) if price.any() else ids

    def _paid(self, curves: Ints, price: Ints) -> Ints:
        found = kernels.priced(curves, price)
        if self.core is None:
            return found
        axes = curves.ndim - 1
        with_core = np.indices(curves.shape[1:])[: axes // 2].any(axis=0)
        more = (price // self.core[0] * self.core[1]).reshape(-1, *(1,) * axes)
        return np.asarray(np.minimum(found + with_core * more, NEVER))

    def _stepped(self, depth: Depth, groups: Ints, ids: Ints) -> Ints:
        """Count segments from here on, the innermost layer first."""
        for step in reversed(depth.steps):
            ids = self._segments(step.layer, step.allowed[groups], ids)
        return ids

    def _segments(self, layer: int, allowed: Ints, ids: Ints) -> Ints:
        store, space = self.store, self.spaces[layer]

        def make(new: Ints) -> Ints:
            inner = store.caps[ids[new], : space.sizes.shape[1]]
            possible = np.where(space.sizes > 0, inner[:, None, :] // np.maximum(space.sizes, 1), NEVER).min(axis=2)
            bits = (allowed[new][:, None] >> np.arange(len(space.limit))) & 1
            caps = np.minimum(possible, space.limit) * bits
            boxes = boxed(caps, space.limit)
            made = np.zeros(len(new), dtype=np.int64)
            for where in alike(np.column_stack((store.pool[ids[new]], boxes))):
                curves = kernels.reindexed(store.many(ids[new][where]), space.sizes, tuple(boxes[where[0]].tolist()))
                outside = (np.indices(curves.shape[1:]).reshape(1, len(space.limit), -1) > caps[where][:, :, None]).any(axis=1)
                curves[outside.reshape(curves.shape)] = NEVER
                made[where] = store.add(curves, caps[where])
            return made

        return store.numbers(store.segments, list(zip(ids.tolist(), allowed.tolist(), [layer] * len(ids), strict=True)), make)

    def _each(self, ids: Ints, change: Callable[[Ints, Ints], Ints], caps: Ints) -> Ints:
        made = np.zeros(len(ids), dtype=np.int64)
        for where in alike(self.store.pool[ids][:, None]):
            made[where] = self.store.add(change(self.store.many(ids[where]), where), caps[where])
        return made


def below(depth: Depth, groups: Ints) -> tuple[Ints, Ints]:
    """Return the children of groups, and for each the position of its parent among them."""
    start, count = depth.child[groups], depth.child[groups + 1] - depth.child[groups]
    parent = np.repeat(np.arange(len(groups)), count)
    return np.arange(int(count.sum())) + np.repeat(start - (np.cumsum(count) - count), count), parent
