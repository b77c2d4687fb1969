"""Which of equal nodes: where neither cost nor harm tells nodes of a class apart, those that lie close together are taken.

The levels that count here are those that nobody weighted; the order of aims is not touched, because only nodes of one class and of
equal worth change places.
"""

from __future__ import annotations

import numpy as np

from scheduler.solve.problem import Ints
from topology import HOSTNAME, Topology, default_weights


def spots(topology: Topology, nodes: Ints, worth: Ints, wanted: int) -> Ints:
    """Choose ``wanted`` of the nodes of one class (positions, sorted by worth, then by name); the least worth comes first.

    All nodes worth less than the last one that is needed are taken; among those worth the same, the stretch along the topology
    that crosses the fewest and cheapest borders between domains.
    """
    if wanted in (0, len(nodes)):
        return nodes[:wanted]
    last = worth[wanted - 1]
    sure, equal = nodes[worth < last], nodes[worth == last]
    rest = wanted - len(sure)
    path, borders = _along(topology, equal)
    crossed = np.concatenate(([0], np.cumsum(borders)))
    starts = np.arange(len(path) - rest + 1)
    best = int(np.argmin(crossed[starts + rest - 1] - crossed[starts]))
    return np.concatenate((sure, path[best : best + rest]))


def _along(topology: Topology, nodes: Ints) -> tuple[Ints, Ints]:
    """Return the nodes in the order of the topology, widest level first, and the cost of the border behind each."""
    weights: dict[str, int] = dict(default_weights(topology))
    levels = [level for level in topology.levels if level.key != HOSTNAME]
    codes: list[Ints] = [topology.column(level.key).index[nodes] for level in levels]
    order = np.lexsort((nodes, *reversed(codes)))
    borders = np.zeros(max(0, len(nodes) - 1), dtype=np.int64)
    for level, code in zip(levels, codes, strict=True):
        at = code[order]
        # Two nodes without the label lie in two domains of their own.
        borders += weights.get(level.key, 1) * ((at[1:] != at[:-1]) | (at[1:] < 0))
    return nodes[order], borders
