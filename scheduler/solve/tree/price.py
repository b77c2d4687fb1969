"""The aims in one whole number: cost before ties before harm, so that the least number is the best placement.

What a newly used domain adds is one number for each domain, what a newly used node adds one for each node: the cost of its
host, and of every level whose label it lacks, where it is a domain of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.solve.problem import Ints, LevelColumn, Problem

_BITS: Final = 60
_STEP: Final = 8
"""Multipliers grow in steps of so many bits: what the cluster is worth in all may change without changing prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What one unit of each aim is worth; 0: the aim does not fit into 64 bits and is left out."""

    cost: int
    tie: int
    harm: int
    core: int = 0
    """What one unit of the core's cost is worth, where the core is counted beside all."""

    def level(self, level: LevelColumn) -> int:
        """Return what one more domain of the level adds, harm aside."""
        return level.weight * self.cost + int(level.tie) * self.tie


def scale(problem: Problem, *, core: bool = False) -> Scale | None:
    """Choose multipliers that keep the aims apart, with the cost of the core before all others if asked; ``None`` where it does not fit."""
    levels = problem.levels
    cost = sum(v.weight for v in levels) * problem.total
    ties = sum(v.tie for v in levels) * problem.total
    harm = int(problem.worth.flat.sum()) * (1 + len(levels)) + sum(int(v.worth.sum()) for v in levels)
    above = _rounded(cost) * (2 if core else 1)
    for tie, rest in ((ties, harm), (ties, 0), (0, 0)):
        bits = _rounded(rest), _rounded(tie)
        if above + sum(bits) <= _BITS:
            unit = 1 << sum(bits)
            return Scale(cost=unit, tie=1 << bits[0] if tie else 0, harm=int(rest == harm), core=unit << _rounded(cost) if core else 0)
    return None


def _rounded(largest: int) -> int:
    return -(-largest.bit_length() // _STEP) * _STEP


def domain_prices(level: LevelColumn, of: Scale) -> Ints:
    """Return int64[D + 1]: what each domain adds when it is newly used; nothing at the end, for nodes without the label."""
    found = np.append(level.worth * of.harm + of.level(level), 0)
    found[list(level.occupied)] = 0
    return found


def node_prices(problem: Problem, levels: tuple[LevelColumn, ...], nodes: Ints, classes: Ints, of: Scale) -> Ints:
    """Return what each node adds, class after class, ``nodes[c]`` nodes of each of the classes, the least worth first."""
    base = np.zeros(len(nodes), dtype=np.int64)
    times = np.full(len(nodes), of.harm, dtype=np.int64)
    for level in levels:
        if level.host:
            base += of.level(level)
            continue
        lacking = level.domain < 0
        if lacking.any():
            base[lacking] += of.level(level)
            times[lacking] += of.harm
    new = ~problem.occupied_host
    counts = nodes[classes]
    first = np.cumsum(counts) - counts
    at = np.arange(int(counts.sum())) + np.repeat(problem.worth.start[classes] - first, counts)
    return np.asarray(problem.worth.flat[at] * np.repeat((times * new)[classes], counts) + np.repeat((base * new)[classes], counts))
