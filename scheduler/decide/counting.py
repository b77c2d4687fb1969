"""How many members of a gang a set of nodes can hold: the quick counting by which relaxations are found before they are tried.

Nothing here decides a placement, and nothing here is shown: rooms in a report are `scheduler.decide.room`'s. Counting is exact
where the counts of all roles but the largest span few combinations (a leader and its workers, a handful of roles); beyond that
the filling is greedy and `Ground.exact` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scheduler.state.objects import Pod, Shape

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

CELLS: Final = 2048
"""Most combinations of role counts that are counted exactly."""
LARGEST: Final = 2**48
"""Amounts are cut here (256 TiB): thousands of such requests still fit 64 bits."""
_PLENTY: Final = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Pending members that are interchangeable."""

    name: str
    shape: Shape
    pods: tuple[Pod, ...]
    must: int
    """How many of them belong to the core in any case (a leader)."""

    @property
    def count(self) -> int:
        """How many pods of this role are to be placed."""
        return len(self.pods)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """Pending roles (the largest last) and nodes as arrays, K resources in the order in which they count as harm."""

    roles: tuple[Role, ...]
    need: int
    """Pending members that must be placed."""
    resources: tuple[str, ...]
    request: Ints
    """int64[R, K]."""
    conflict: Bools
    """bool[R, R]: pods of the two roles never share a node."""
    free: Ints
    """int64[N, K], never negative."""
    allowed: Bools
    """bool[R, N]: every check but room passes."""

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """Counts + 1 of all roles but the last: the shape of a frontier."""
        return tuple(r.count + 1 for r in self.roles[:-1]) or (1,)

    @cached_property
    def alike(self) -> bool:
        """Whether the roles differ in name only (a leader and its workers from one template)."""
        equal = (self.request == self.request[0]).all() and (self.allowed == self.allowed[0]).all()
        return bool(equal and (self.conflict == self.conflict[0, 0]).all())

    @property
    def exact(self) -> bool:
        """Whether rooms are exact; else they are what a greedy filling reaches."""
        return int(np.prod(self.dims)) <= CELLS

    @cached_property
    def grid(self) -> Ints:
        """int64[cells, R - 1]: every combination of counts of all roles but the last."""
        if len(self.roles) == 1:
            return np.zeros((1, 0), dtype=np.int64)
        return np.stack([axis.ravel() for axis in np.indices(self.dims)], axis=1).astype(np.int64)


def holds(ground: Ground, nodes: Ints, free: Ints | None = None) -> tuple[int, bool]:
    """Return how many pending members these nodes hold, and whether that is enough (the must-have roles included).

    ``free`` stands for ``ground.free`` in what-ifs. A room that is not enough is always less than the need.
    """
    left = ground.free if free is None else free
    if not ground.roles:
        return 0, ground.need <= 0
    if not ground.exact:
        counts = fill(ground, nodes, left.copy())
        enough = sum(counts) >= ground.need and all(c >= r.must for c, r in zip(counts, ground.roles, strict=True))
        return _said(sum(counts), ground.need, enough=enough)
    return best(ground, frontier(ground, nodes, left))


def _said(count: int, need: int, *, enough: bool) -> tuple[int, bool]:
    return (count, True) if enough else (max(0, min(count, need - 1)), False)


def best(ground: Ground, table: Ints) -> tuple[int, bool]:
    """Return the most members in a frontier, and whether they are enough."""
    whole = core(ground, table)
    return _said(whole if whole >= ground.need else int(_totals(ground, table).max()), ground.need, enough=whole >= ground.need)


def core(ground: Ground, table: Ints) -> int:
    """Return the most members in a frontier with all must-have roles among them; -1 where those do not fit."""
    must = np.array([r.must for r in ground.roles[:-1]], dtype=np.int64)
    complete = (ground.grid >= must).all(axis=1) & (table.ravel() >= ground.roles[-1].must)
    return int(_totals(ground, table)[complete].max(initial=-1))


def _totals(ground: Ground, table: Ints) -> Ints:
    return np.where(table.ravel() >= 0, table.ravel() + ground.grid.sum(axis=1), -1)


def frontier(ground: Ground, nodes: Ints, free: Ints) -> Ints:
    """Return, for each combination of counts of the other roles, the most pods of the last role beside them; -1: not even those fit.

    Nodes that look alike to the gang are one class, whose frontier is combined with itself by doubling.
    """
    last = ground.roles[-1].count
    if ground.alike:
        left = capacity(ground, 0, nodes, free, most=sum(r.count for r in ground.roles)).sum() - ground.grid.sum(axis=1)
        return np.where(left >= 0, np.minimum(left, last), -1).reshape(ground.dims)
    demand = (ground.request * np.array([[r.count] for r in ground.roles])).sum(axis=0)
    looks = np.concatenate((np.minimum(free[nodes], demand), ground.allowed[:, nodes].T), axis=1)
    kinds, counts = np.unique(looks, axis=0, return_counts=True)
    total = np.full(ground.dims, -1, dtype=np.int64)
    total[(0,) * len(ground.dims)] = 0
    for kind, many in zip(kinds, counts.tolist(), strict=True):
        table = _node_frontier(ground, kind[: len(ground.resources)], kind[len(ground.resources) :] > 0)
        for power in _powers(table, many, last):
            total = combine(total, power, last)
        if total.ravel()[-1] >= last:
            break
    return total


def _node_frontier(ground: Ground, free: Ints, allowed: Bools) -> Ints:
    others, last = ground.request[:-1], ground.request[-1]
    present = ground.grid > 0
    rest = free - ground.grid @ others if len(ground.roles) > 1 else np.broadcast_to(free, (1, len(free)))
    fits = (rest >= 0).all(axis=1) & ~(present & ~allowed[:-1]).any(axis=1) & ~(ground.grid[:, ground.conflict[:-1, :-1].diagonal()] > 1).any(axis=1)
    for one, other in zip(*np.nonzero(np.triu(ground.conflict[:-1, :-1], 1)), strict=True):
        fits &= ~(present[:, one] & present[:, other])
    asked = last > 0
    many = np.minimum((rest[:, asked] // last[asked]).min(axis=1, initial=_PLENTY), ground.roles[-1].count)
    if ground.conflict[-1, -1]:
        many = np.minimum(many, 1)
    blocked = (present & ground.conflict[-1, :-1]).any(axis=1) | (not allowed[-1])
    many = np.where(blocked, 0, many)
    return np.where(fits, many, -1).reshape(ground.dims)


def _powers(table: Ints, many: int, last: int) -> list[Ints]:
    """Return tables that combine to ``many`` nodes of one class."""
    found = []
    while many:
        if many & 1:
            found.append(table)
        many >>= 1
        if many:
            table = combine(table, table, last)
    return found


def combine(one: Ints, other: Ints, last: int) -> Ints:
    """Return the frontier of two disjoint sets of nodes; pods beyond the gang's counts are cut off."""
    few, many = sorted((one, other), key=lambda t: int((t >= 0).sum()))
    total = np.full(one.shape, -1, dtype=np.int64)
    for cell in zip(*np.nonzero(few >= 0), strict=True):
        to = total[tuple(slice(int(c), None) for c in cell)]
        source = many[tuple(slice(None, size - int(c)) for c, size in zip(cell, one.shape, strict=True))]
        np.maximum(to, np.where(source >= 0, source + few[cell], -1), out=to)
    return np.minimum(total, last)


def fill(ground: Ground, nodes: Ints, free: Ints) -> list[int]:
    """Place roles greedily, large requests first, tight nodes first; ``free`` is changed. Return the count of each role."""
    counts = [0] * len(ground.roles)
    held = np.zeros((len(ground.roles), len(nodes)), dtype=np.bool_)
    for role in sorted(range(len(ground.roles)), key=lambda r: (*(-ground.request[r]).tolist(), r)):
        cap = capacity(ground, role, nodes, free)
        cap[held[ground.conflict[role]].any(axis=0)] = 0
        order = np.lexsort((np.arange(len(nodes)), cap))
        taken = np.clip(ground.roles[role].count - (np.cumsum(cap[order]) - cap[order]), 0, cap[order])
        free[nodes[order]] -= taken[:, None] * ground.request[role]
        held[role, order] = taken > 0
        counts[role] = int(taken.sum())
    return counts


def capacity(ground: Ground, role: int, nodes: Ints, free: Ints, *, most: int | None = None) -> Ints:
    """Return int64[n]: pods of one role that each node holds, at most the role's count (or ``most``)."""
    asked = ground.request[role] > 0
    each = (free[nodes][:, asked] // ground.request[role][asked]).min(axis=1, initial=_PLENTY)
    limit = 1 if ground.conflict[role, role] else ground.roles[role].count if most is None else most
    return np.where(ground.allowed[role, nodes], np.minimum(each, limit), 0)


def order_of(names: Sequence[str]) -> tuple[str, ...]:
    """Order resources by how much harm it does to lack them: devices first, then memory, CPU and the rest."""
    common = ("memory", "cpu", "ephemeral-storage", "pods")
    return tuple(sorted(names, key=lambda n: (common.index(n) if n in common else -1, n)))
