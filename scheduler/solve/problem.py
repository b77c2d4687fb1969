"""The door of the solvers: one gang on one cluster as arrays; nodes that cannot be told apart are one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


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
    domain: Ints
    """int64[C]; at the host level unused (-1)."""
    occupied: frozenset[int]
    """Domains that the gang's fixed members occupy already."""
    occupied_unlabelled: int
    """Fixed members' nodes without the label (or, at the host level, fixed members' nodes): domains that count already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Place ``count[r]`` equal pods of each role r on nodes of C classes with K resources; L levels, widest first.

    At least ``need`` pods must be placed (the core; ``must[r]`` of them of role r at least), the others if they fit.
    The aims and their order are placement.md's: (1) the core at the least cost, (2) as many more as fit, (3) the cost of
    all, then (5) the least harm to later gangs.
    """

    count: Ints
    """int64[R]: pods to place, by role."""
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
    value: Ints
    """int64[K]: what a free unit of each resource is worth when harm to later gangs is measured (GPUs first)."""
