"""The topology as a networkx graph, for drawings and for checks against graph algorithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from topology.columns import Column
from topology.vocabulary import CUSTOM, Level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from topology.tree import Topology


def graph(topology: Topology) -> nx.Graph[object]:
    """Return the graph of nodes, switches and NVLink domains.

    A node is its name (``kind="node"``). A domain is ``(level key, domain)`` with ``kind`` ``switch`` or ``nvlink``, ``level`` (the
    level's name) and ``domain``. An edge leads from a node, or a domain, to the next wider domain of the same tree that its
    nodes name, and from a fabric's widest domain to the zone and region.
    """
    found: nx.Graph[object] = nx.Graph()
    found.add_nodes_from(topology.nodes, kind="node")
    for level in topology.levels:
        if level.dimension != "host":
            kind = "nvlink" if level.dimension == "nvlink" else "switch"
            for domain in topology.column(level.key).domains:
                found.add_node((level.key, domain), kind=kind, level=level.name, domain=domain)
    for levels, where in ladders(topology):
        found.add_edges_from(_edges(topology, [topology.column(level.key) for level in levels], where))
    return found


def ladders(topology: Topology) -> list[tuple[list[Level], NDArray[np.bool_]]]:
    """Return the ways up: levels, narrowest first, and which nodes climb them; one per vocabulary and dimension."""
    place = [level for level in reversed(topology.levels) if level.dimension == "place"]
    extra = [level for level in reversed(topology.levels) if level.vocabulary == CUSTOM and level.dimension in ("fabric", "custom")]
    found: list[tuple[list[Level], NDArray[np.bool_]]] = []
    climbing = np.zeros(len(topology.nodes), dtype=np.bool_)
    for vocabulary in dict.fromkeys(level.vocabulary for level in topology.levels):
        own = [level for level in reversed(topology.levels) if level.vocabulary == vocabulary]
        fabric = [level for level in own if level.dimension in ("fabric", "custom")]
        nvlink = [level for level in own if level.dimension == "nvlink"]
        if nvlink:
            found.append((nvlink, np.ones(len(topology.nodes), dtype=np.bool_)))
        if fabric and vocabulary != CUSTOM:
            where = _carry(topology, fabric)
            climbing |= where
            found.append((sorted([*fabric, *extra], key=lambda level: (level.width, level.key)) + place, where))
    found.append((extra + place, ~climbing))
    return found


def _carry(topology: Topology, levels: Sequence[Level]) -> NDArray[np.bool_]:
    """Tell which nodes lie in a domain of any of the levels."""
    found = np.zeros(len(topology.nodes), dtype=np.bool_)
    for level in levels:
        found |= topology.column(level.key).index >= 0
    return found


def _edges(topology: Topology, columns: Sequence[Column], where: NDArray[np.bool_]) -> list[tuple[object, object]]:
    """Return the edges of one ladder: each node's nearest domain, then from domain to domain."""
    below = np.stack((np.full(len(where), -1), np.arange(len(where))))
    edges: list[tuple[object, object]] = []
    for number, column in enumerate(columns):
        here = where & (column.index >= 0)
        steps = np.unique(np.vstack((below[:, here], column.index[here])), axis=1)
        for level, lower, upper in steps.T.tolist():
            start = topology.nodes[lower] if level < 0 else (columns[level].key, columns[level].domains[lower])
            edges.append((start, (column.key, column.domains[upper])))
        below[0, here], below[1, here] = number, column.index[here]
    return edges
