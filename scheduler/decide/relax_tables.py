"""The cheapest way to hold so many members: one table per node, tables of many nodes combined pairwise, and the way back.

A table has a cell for every combination of counts of the gang's roles, and of uses of the limits that are watched; a cell holds the
least price at which a node can hold those counts within those uses. Nodes are rows, so that all of them are combined at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

import numpy as np

from scheduler.decide.counting import Bools, Ground, Ints
from scheduler.decide.relax_disturb import MOST_GPUS, UNIT
from scheduler.state.resources import GPU

NEVER: Final = 2**60
"""Price of what cannot be."""
_STATES: Final = 512
"""Most ways to empty one node that are kept: more are there only where a node holds dozens of pods of different sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One pod that may go, as a node's table sees it; equal options are interchangeable."""

    price: int
    gives: tuple[int, ...]
    blocks: tuple[bool, ...]
    """By role: whether it keeps the role off the node."""
    uses: tuple[int, ...]
    """By watched limit: 1 where it counts against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One node: what it has left (less than nothing where it is over-committed), whom it takes once nobody is in the way, and who may go."""

    spare: tuple[int, ...]
    allowed: tuple[bool, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """The axes of a table: members of each role, then uses of each watched limit."""

    ground: Ground
    watched: tuple[int, ...] = ()
    """The most uses of each watched limit."""

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Cells along each role: no more of a role than the core can need."""
        others = self.core - sum(r.must for r in self.ground.roles)
        return tuple(min(r.count, r.must + others) + 1 for r in self.ground.roles)

    @property
    def dims(self) -> tuple[int, ...]:
        """Cells along every axis."""
        return (*self.counts, *(most + 1 for most in self.watched))

    @property
    def core(self) -> int:
        """Pending members that must be placed."""
        return max(self.ground.need, sum(r.must for r in self.ground.roles))

    @cached_property
    def cells(self) -> Ints:
        """int64[cells, roles]: the counts of each combination of roles."""
        return np.array(list(product(*map(range, self.counts))), dtype=np.int64).reshape(-1, len(self.counts))

    @cached_property
    def asked(self) -> Ints:
        """int64[cells, K]: what the counts ask for together."""
        return self.cells @ self.ground.request

    @cached_property
    def together(self) -> Bools:
        """bool[cells]: whether the counts may share one node."""
        present = self.cells > 0
        fine: Bools = ~np.asarray((self.cells[:, self.ground.conflict.diagonal()] > 1).any(axis=1))
        for one, other in np.argwhere(np.triu(self.ground.conflict, 1)):
            fine &= ~(present[:, one] & present[:, other])
        return fine

    @cached_property
    def targets(self) -> tuple[tuple[int, ...], ...]:
        """The cells that hold a core, every use allowed."""
        must = np.array([r.must for r in self.ground.roles], dtype=np.int64)
        enough = (self.cells.sum(axis=1) == self.core) & (self.cells >= must).all(axis=1)
        return tuple((*map(int, cell), *self.watched) for cell in self.cells[enough])


def _fits(shape: Shape, free: Ints, allowed: Bools) -> Bools:
    """Return bool[N, cells]: whether nodes with so much left can hold the counts."""
    fits = np.ones((len(free), len(shape.cells)), dtype=np.bool_)
    for k in range(len(shape.ground.resources)):
        fits &= (shape.asked[:, k] <= free[:, k, None]) | (shape.asked[:, k] == 0)
    present = shape.cells > 0
    fits &= ~(present[None, :, :] & ~allowed.T[:, None, :]).any(axis=2) & shape.together
    return fits


def fitting(shape: Shape, free: Ints, allowed: Bools) -> Ints:
    """Return int64[N, dims]: 0 where a node can hold the counts as it is, else `NEVER`."""
    return np.where(_fits(shape, free, allowed), 0, NEVER).reshape(len(free), *shape.counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """Which numbers of GPUs the pods of a node can give together: nodes with the same answers share a row."""

    row: Ints
    """int64[N]."""
    least: Ints
    """int64[rows, lacking + 1]: the fewest GPUs that pods give together and that are enough; `NEVER` where all are not."""

    def of(self, nodes: Ints) -> Reach:
        """Return the answers for some of the nodes."""
        return Reach(row=self.row[nodes], least=self.least)


def bounds(shape: Shape, spare: Ints, most: Ints, allowed: Bools, reach: Reach) -> Ints:
    """Return int64[N, dims]: prices that no node undercuts, whoever may go: as many GPUs are disturbed as pods with enough of them have.

    ``most`` is what nodes have left when all who may go are gone.
    """
    ground = shape.ground
    fits = _fits(shape, most, allowed)
    lacking = np.zeros(fits.shape, dtype=np.bool_)
    for k in range(len(ground.resources)):
        lacking |= (shape.asked[:, k] > spare[:, k, None]) & (shape.asked[:, k] > 0)
    price = lacking.astype(np.int64)  # one pod at least
    if GPU in ground.resources:
        k = ground.resources.index(GPU)
        short = np.where(shape.asked[:, k] > 0, np.maximum(0, shape.asked[:, k] - spare[:, k, None]), 0)
        gpus = reach.least[reach.row[:, None], np.minimum(short, reach.least.shape[1] - 1)]
        gpus = np.maximum(gpus, np.minimum(short, MOST_GPUS))
        fits &= gpus < NEVER
        price += np.minimum(gpus, MOST_GPUS) * UNIT
    flat = np.where(fits, price, NEVER).reshape(len(spare), *shape.counts, *(1 for _ in shape.watched))
    return np.broadcast_to(flat, (len(spare), *shape.dims))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emptying:
    """What one node can hold at which price, and the ways to empty it."""

    table: Ints
    """int64[dims]."""
    gives: Ints
    """int64[ways, K + roles]: what each way gives, blockers of each role last."""
    uses: Ints
    prices: Ints
    chosen: tuple[tuple[int, ...], ...]
    """Options that each way takes."""
    needs: Ints
    """int64[cells, K + roles]."""

    def way(self, shape: Shape, cell: Sequence[int]) -> tuple[int, ...]:
        """Return the options that go for a cell."""
        roles = len(shape.counts)
        row = int(np.ravel_multi_index(tuple(cell[:roles]), shape.counts))
        good = (self.gives >= self.needs[row]).all(axis=1) & (self.uses <= np.array(cell[roles:], dtype=np.int64)).all(axis=1)
        return self.chosen[int(np.flatnonzero(good)[self.prices[good].argmin()])]


def emptying(shape: Shape, look: Look) -> Emptying:
    """Work out a node: every useful set of pods that may go, the cheapest of those that give the same."""
    blockers = np.array([sum(o.blocks[r] for o in look.options) for r in range(len(shape.counts))], dtype=np.int64)
    lacking = np.where(shape.asked > 0, np.maximum(0, shape.asked - np.array(look.spare, dtype=np.int64)), 0)
    needs = np.concatenate((lacking, np.where(shape.cells > 0, blockers, 0)), axis=1)
    total = np.array([[*o.gives, *o.blocks] for o in look.options], dtype=np.int64).reshape(-1, needs.shape[1]).sum(axis=0)
    held = (needs <= total).all(axis=1) & ~((shape.cells > 0) & ~np.array(look.allowed, dtype=np.bool_)).any(axis=1) & shape.together
    most = tuple(needs[held].max(axis=0, initial=0).tolist())
    ways = _ways(look.options, most, shape.watched)
    gives = np.array([give for give, _ in ways], dtype=np.int64).reshape(len(ways), -1)
    uses = np.array([use for _, use in ways], dtype=np.int64).reshape(len(ways), -1)
    prices = np.array([cost for cost, _ in ways.values()], dtype=np.int64)
    enough = (gives[None, :, :] >= needs[:, None, :]).all(axis=2) & held[:, None]
    layers = []
    for use in product(*(range(most + 1) for most in shape.watched)):
        within = (uses <= np.array(use, dtype=np.int64)).all(axis=1)
        layers.append(np.where(enough & within, prices, NEVER).min(axis=1, initial=NEVER))
    table = np.stack(layers, axis=1).reshape(shape.dims)
    return Emptying(table=table, gives=gives, uses=uses, prices=prices, chosen=tuple(chosen for _, chosen in ways.values()), needs=needs)


_Way = dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[int, tuple[int, ...]]]


def _ways(options: Sequence[Option], most: tuple[int, ...], watched: tuple[int, ...]) -> _Way:
    """Return, for what can be given (cut at ``most``) within the watched limits, the price and the options."""
    ways: _Way = {((0,) * len(most), (0,) * len(watched)): (0, ())}
    for at, option in enumerate(options):
        gives = tuple(min(g, m) for g, m in zip((*option.gives, *option.blocks), most, strict=True))
        if not any(gives):
            continue
        for (have, used), (cost, chosen) in list(ways.items()):
            total = tuple(min(h + g, m) for h, g, m in zip(have, gives, most, strict=True))
            use = tuple(map(sum, zip(used, option.uses, strict=True))) if option.uses else used
            if total == have or any(u > m for u, m in zip(use, watched, strict=True)):
                continue
            known = ways.get((total, use))
            if known is None or cost + option.price < known[0]:
                ways[total, use] = (cost + option.price, (*chosen, at))
        if len(ways) > _STATES:
            ways = dict(sorted(ways.items(), key=lambda way: (way[1][0], way[0]))[:_STATES])
    return ways


def combined(tables: Ints) -> list[Ints]:
    """Return the tables of all nodes, of pairs of nodes, of pairs of pairs, ..., of all together."""
    levels = [tables]
    while len(levels[-1]) > 1:
        rows = levels[-1]
        joined = _joined(rows[: len(rows) // 2 * 2 : 2], rows[1::2])
        levels.append(joined if len(rows) % 2 == 0 else np.concatenate((joined, rows[-1:])))
    return levels


def together(tables: Ints, groups: Sequence[Ints]) -> list[Ints]:
    """Return the table of each group of rows; groups of about one size are combined at once."""
    nothing = np.full((1, *tables.shape[1:]), NEVER, dtype=np.int64)
    nothing[(0,) * nothing.ndim] = 0
    rows = np.concatenate((tables, nothing))
    found: list[Ints] = [nothing[0]] * len(groups)
    sizes = [max(0, len(group) - 1).bit_length() for group in groups]
    for size in sorted(set(sizes)):
        here = [at for at, own in enumerate(sizes) if own == size]
        padded = np.full((len(here), 1 << size), len(tables), dtype=np.int64)
        for row, at in enumerate(here):
            padded[row, : len(groups[at])] = groups[at]
        whole = rows[padded.ravel()]
        for _ in range(size):
            whole = _joined(whole[::2], whole[1::2])
        for row, at in enumerate(here):
            found[at] = whole[row]
    return found


def _joined(one: Ints, other: Ints) -> Ints:
    """Return the least price of each cell with one part of it here and the rest there."""
    found = np.full(one.shape, NEVER, dtype=np.int64)
    useful = np.argwhere((other < NEVER).any(axis=0))
    for offset in useful:
        at = tuple(offset.tolist())
        to = (slice(None), *(slice(o, None) for o in at))
        rest = (slice(None), *(slice(None, size - o) for o, size in zip(at, one.shape[1:], strict=True)))
        np.minimum(found[to], one[rest] + other[(slice(None), *at)].reshape(-1, *(1 for _ in at)), out=found[to])
    return found


def split(levels: Sequence[Ints], cell: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Return which node holds which part of a cell of the whole; nodes that hold nothing for nothing are left out."""
    parts = {0: cell}
    for rows in reversed(levels[:-1]):
        below: dict[int, tuple[int, ...]] = {}
        for at, whole in parts.items():
            if 2 * at + 1 >= len(rows):
                below[2 * at] = whole
            else:
                below[2 * at], below[2 * at + 1] = _parts(rows[2 * at], rows[2 * at + 1], whole)
        parts = {at: part for at, part in below.items() if any(part)}
    return parts


def _parts(one: Ints, other: Ints, whole: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    inside = tuple(slice(None, size + 1) for size in whole)
    prices = other[inside] + np.flip(one[inside])
    here = np.unravel_index(int(prices.argmin()), prices.shape)
    there = tuple(int(h) for h in here)
    return tuple(size - h for size, h in zip(whole, there, strict=True)), there
