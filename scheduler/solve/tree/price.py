"""The aims in one whole number: cost before ties before harm, so that the least number is the best placement.

What a newly used domain adds is one number for each domain, what a newly used node adds one for each node: the cost of its
host, and of every level whose label it lacks, where it is a domain of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.solve.problem import Ints, LevelColumn, Problem

_LARGEST: Final = 2**60
_STEP: Final = 8
"""Multipliers grow in steps of so many bits: what the cluster is worth in all may change without changing prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What one unit of each aim is worth; 0: the aim does not fit into 64 bits and is left out."""

    cost: int
    tie: int
    harm: int

    def level(self, level: LevelColumn) -> int:
        """Return what one more domain of the level adds, harm aside."""
        return level.weight * self.cost + int(level.tie) * self.tie


def scale(problem: Problem) -> Scale:
    """Choose multipliers that keep the aims apart."""
    levels = problem.levels
    harm = int(problem.worth.flat.sum()) * (1 + len(levels)) + sum(int(v.worth.sum()) for v in levels)
    ties = sum(v.tie for v in levels) * problem.total
    cost = sum(v.weight for v in levels) * problem.total + 1
    bits = [_rounded(ties), _rounded(harm)]
    if cost << sum(bits) >= _LARGEST:
        bits[1] = 0
        harm = 0
    if cost << bits[0] + bits[1] >= _LARGEST:
        bits[0] = 0
        ties = 0
    return Scale(cost=1 << sum(bits), tie=1 << bits[1] if ties else 0, harm=1 if harm else 0)


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
