"""The answer of a solver: a status that maps one to one to CP-SAT's, loads of nodes by class, cost and proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class SolveStatus(Enum):
    """Running out is not impossibility; a model that is invalid is a bug and is raised, never returned."""

    OPTIMAL = "OPTIMAL"
    FEASIBLE = "FEASIBLE"
    INFEASIBLE = "INFEASIBLE"
    UNKNOWN = "UNKNOWN"
    INEXPRESSIBLE = "INEXPRESSIBLE"
    """A forced engine has no words for this problem: nothing was tried. No engine of OR-Tools answers so."""
    MODEL_INVALID = "MODEL_INVALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``nodes`` nodes of class ``node_class`` take ``pods[r]`` pods of each role r."""

    node_class: int
    pods: tuple[int, ...]
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``times`` segments of one kind of one layer lie in the domain of class ``node_class`` (and of the outer layers' domains there)."""

    layer: int
    kind: int
    node_class: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """``loads`` is empty unless the status is OPTIMAL or FEASIBLE. ``cost`` counts fixed members' domains too."""

    status: SolveStatus
    loads: tuple[Load, ...] = ()
    cost: int = 0
    bound: int = 0
    proved: tuple[str, ...] = ()
    """Which aims are proved: ``core``, ``extras``, ``cost``, ``harm``."""
    engine: str = "cpsat"
    parts: tuple[Part, ...] = ()
    """Where the segments lie, all layers, where the problem has some."""
    why: str = ""
    """Why this engine decided, or why it cannot express the problem: a part of a sentence."""


def merged(loads: Iterable[Load]) -> tuple[Load, ...]:
    """Add up equal loads, in order of class and load."""
    found: dict[tuple[int, tuple[int, ...]], int] = {}
    for load in loads:
        found[load.node_class, load.pods] = found.get((load.node_class, load.pods), 0) + load.nodes
    return tuple(Load(node_class=c, pods=pods, nodes=n) for (c, pods), n in sorted(found.items()))
