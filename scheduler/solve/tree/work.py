"""How much work the sums of curves are, before they are made: the tables are bounded, so that there are many domains must be too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.solve.problem import Ints
from scheduler.solve.tree.chain import Chain
from scheduler.solve.tree.climb import Space

Floats = NDArray[np.float64]

SUMS: Final = 1e9
"""Additions of two prices that count as one deterministic second; about that many are made in a second."""


def too_much(chain: Chain, spaces: Sequence[Space], single: Ints, seconds: float) -> bool:
    """Tell whether merging all groups takes more than so many deterministic seconds; ``single`` is the room of one node by table and role.

    Domains that are alike are counted as if they were not.
    """
    every = sum(len(depth.index) for depth in chain.depths)
    largest = max(_cells(space.limit[None, :].astype(np.float64))[0] for space in spaces)
    return bool(every * largest**2 > seconds * SUMS) and _sums(chain, spaces, single) > seconds * SUMS


def _sums(chain: Chain, spaces: Sequence[Space], single: Ints) -> float:
    """Add up from below, every curve as large as the room of what it is made of."""
    runs = chain.depths[-1]
    caps = (single[runs.table] * np.diff(runs.child)[:, None]).astype(np.float64)
    if 2 * caps.shape[1] == len(spaces[-1].limit):
        caps = np.tile(caps, 2)
    caps = np.minimum(caps, spaces[-1].limit)
    found, at = 0.0, len(spaces) - 1
    for depth in reversed(chain.depths[:-1]):
        limit = spaces[at].limit
        count = np.diff(depth.child)
        together = np.add.reduceat(caps, depth.child[:-1], axis=0)
        found += _merging(together, count, limit)
        caps = np.minimum(together, limit)
        for step in reversed(depth.steps):
            at = step.layer
            sizes = spaces[at].sizes
            possible = np.where(sizes > 0, caps[:, None, :] // np.maximum(sizes, 1), np.inf).min(axis=2)
            caps = np.minimum(possible, spaces[at].limit)
    return found


def _merging(together: Floats, count: Ints, limit: Ints) -> float:
    """Add up the rounds of merging siblings two by two, each as large as the others."""
    found, pieces = 0.0, count.astype(np.float64)
    while (pieces > 1).any():
        curve = _cells(np.minimum(together / pieces[:, None], limit))
        found += float((np.floor(pieces / 2) * curve * curve).sum())
        pieces = np.ceil(pieces / 2)
    return found


def _cells(caps: Floats) -> Floats:
    return np.asarray((caps + 1).prod(axis=1))
