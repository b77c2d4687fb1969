"""The door of the solvers: one gang on one cluster as arrays; nodes that cannot be told apart are one class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

LARGEST: Final = 2**53
"""Costs must stay below this: sums of them then stay below 2^62 in the solver and exact in floating point."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One row of numbers for each class, rows of different lengths, in one flat array: a class is often a single node."""

    flat: Ints
    start: Ints
    """int64[C + 1]: row c is ``flat[start[c]:start[c + 1]]``."""

    @classmethod
    def of(cls, rows: Iterable[Ints]) -> Rows:
        """Put rows one behind the other."""
        kept = tuple(rows)
        start = np.cumsum([0, *(len(row) for row in kept)], dtype=np.int64)
        return cls(flat=np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64), start=start)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.start) - 1

    def __getitem__(self, row: int) -> Ints:
        """Return one row."""
        return self.flat[self.start[row] : self.start[row + 1]]

    def __iter__(self) -> Iterator[Ints]:
        """Give the rows in order."""
        return (self[row] for row in range(len(self)))

    @property
    def first(self) -> Ints:
        """The first number of each row; no row may be empty."""
        return self.flat[self.start[:-1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Equal segments of one layer: each has ``pods[r]`` pods of each role to place, all in one domain of the layer."""

    times: int
    """How many segments are of this kind."""
    pods: tuple[int, ...]
    """By role, at least one in all."""
    inside: tuple[int, ...] = ()
    """How many segments of each kind of the next inner layer one of these is cut into; empty at the innermost layer."""
    pinned: int | None = None
    """The domain in which running members of the segment lie already; ``None``: any. A domain that no class lies in holds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One layer of segments: every pod belongs to one segment of each layer, but for the loose ones.

    Segments of inner layers lie in one domain of their own level and, as parts of outer segments, in one domain of each outer
    layer: what holds them is the intersection. Where pods may be left out, a segment may be placed in part.
    """

    domain: Ints
    """int64[C]: the domain of each class, -1 where its nodes carry no label and so cannot hold members. At the host level
    every class is one node and its own domain."""
    kinds: tuple[Kind, ...]
    loose: tuple[int, ...] = ()
    """By role, empty where there are none: pods that lie in no segment of this layer and may lie in any class, with a label or without."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelColumn:
    """One level of the demand, seen from the node classes.

    ``domain[c]`` is the domain of class ``c``, or -1 where its nodes carry no label: then each of its nodes is a domain
    of its own (cost), or in no domain at all (required level).
    """

    weight: int
    """Cost of each domain beyond the first; 0 for a level that is only required or only a tie-break."""
    required: bool
    host: bool
    """Every node is a domain of its own: the narrowest level."""
    tie: bool = False
    """Only among plans of equal cost the one with fewer of these domains is better."""
    domain: Ints
    """int64[C]; at the host level unused (-1)."""
    occupied: frozenset[int]
    """Domains that the gang's fixed members occupy already."""
    occupied_unlabelled: int
    """Fixed members' nodes without the label (or, at the host level, fixed members' nodes): domains that count already."""
    worth: Ints
    """int64[D]: what the free room of each domain, all its nodes counted, is worth to later gangs."""
    name: str = ""
    """What people call the level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Place ``count[r]`` equal pods of each role r on nodes of C classes with K resources; L levels, widest first.

    At least ``need`` pods must be placed (the core; ``must[r]`` of them of role r at least), the others if they fit.
    The aims and their order are placement.md's: (1) the core at the least cost, (2) as many more as fit, (3) the cost of
    all, then (5) the least harm to later gangs: see `scheduler.solve.cost`.
    """

    count: Ints
    """int64[R]: pods to place, by role; each at least 1."""
    must: Ints
    """int64[R]: of these, how many belong to the core in any case (a leader)."""
    need: int
    request: Ints
    """int64[R, K]."""
    conflict: Bools
    """bool[R, R], symmetric: pods of the two roles never share a node (host ports); on the diagonal: one per node."""
    nodes: Ints
    """int64[C]: how many nodes are in each class."""
    free: Ints
    """int64[C, K]: what each node of the class has left, never negative."""
    allowed: Bools
    """bool[R, C]: whether a pod of the role passes every check but resources on nodes of the class."""
    occupied_host: Bools
    """bool[C]: whether the nodes of the class hold fixed members of the gang (no new host domain)."""
    levels: tuple[LevelColumn, ...]
    worth: Rows
    """For each class the worth of its nodes' free room to later gangs (GPUs first), least first: they are taken in that order."""
    layers: tuple[Layer, ...] = ()
    """Segments, outermost layer first."""

    def __post_init__(self) -> None:
        """Refuse weights that no exact sum can hold."""
        domains = int(self.count.sum()) + max((len(v.occupied) + v.occupied_unlabelled for v in self.levels), default=0)
        largest = sum(v.weight for v in self.levels) * domains
        if largest >= LARGEST:
            raise ValueError(f"weights: found sums up to {largest}, expected less than {LARGEST}")

    @property
    def least_worth(self) -> Ints:
        """int64[C]: worth of the first node of each class."""
        return self.worth.first

    @property
    def total(self) -> int:
        """Pods to place, of all roles."""
        return int(self.count.sum())

    @property
    def core(self) -> int:
        """Pods that must be placed: ``need``, or the leaders where they are more."""
        return min(self.total, max(self.need, int(self.must.sum())))

    @property
    def elastic(self) -> bool:
        """Whether some pods may be left out."""
        return self.core < self.total
