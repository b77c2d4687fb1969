"""Which of equal pods takes which place: consecutive ranks are put as close together as the plan allows.

Only pods of one role are exchanged, so neither cost nor fit can change. From rank to rank the nearest free place is taken:
the same node while it lasts, then the same domain of the narrowest level, and so on; a domain is left when it is full. Where
the levels nest and the leader comes first, no order crosses fewer boundaries.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.solve.problem import Bools, Ints
from scheduler.state.gang import Member
from scheduler.state.ids import NodeName
from topology import Topology


def order(topology: Topology, fixed: Sequence[Member], chosen: Sequence[tuple[tuple[Member, ...], Mapping[NodeName, int]]]) -> dict[str, NodeName]:
    """Return the node of each member by pod key.

    ``chosen`` holds, for each role, its members and how many of them each node takes; ``fixed`` members stay where they are
    and their neighbours are drawn to them.
    """
    grouped = ((m, group) for group, (members, _) in enumerate(chosen) for m in members)
    rows = [(m.rank, m.role, m.pod.key, m.pod.node, group) for m, group in (*((m, -1) for m in fixed), *grouped)]
    sequence = [(key, node if group < 0 else None, group) for _, _, key, node, group in sorted(rows, key=lambda row: row[:3])]
    found: dict[str, NodeName] = {key: node for key, node, _ in sequence if node is not None}
    known = Nearby(topology, [*(node for _, taken in chosen for node in taken), *found.values()])
    left = [known.places(taken) for _, taken in chosen]
    anchors = [i for i, (key, _, _) in enumerate(sequence) if key in found]
    first = anchors[0] if anchors else 0
    # Ranks before the first running member are set from it backwards: it is the only neighbour that they have.
    for step, indices in ((1, range(first, len(sequence))), (-1, range(first - 1, -1, -1))):
        near = found[sequence[first][0]] if anchors else None
        for index in indices:
            key, own, group = sequence[index]
            if own is None:
                later = bisect_right(anchors, index) if anchors and step > 0 else len(anchors)
                after = found[sequence[anchors[later]][0]] if later < len(anchors) else None
                own = known.take(left[group], near, after)
                found[key] = own
            near = own
    return found


@dataclass(slots=True, kw_only=True)
class Places:
    """What is left of the places of some nodes, node by node in the order of `Nearby`."""

    left: list[int]
    free: Bools
    """Whether any is left: found at once where one must be searched for."""


class Nearby:
    """The nodes in question, ordered so that domains of every level follow each other, and how close they are."""

    def __init__(self, topology: Topology, nodes: Sequence[NodeName]) -> None:
        """Read each node's domains, widest level first; a node without a label is a domain of its own there, an unknown one everywhere."""
        columns = [topology.column(level.key).index for level in topology.levels]
        paths = {}
        for node in dict.fromkeys(nodes):
            at = topology.position.get(node)
            own = len(topology.nodes) if at is None else at
            paths[node] = (*(-1 - own if at is None or c[at] < 0 else int(c[at]) for c in columns), own)
        self.names = sorted(paths, key=lambda node: (paths[node], node))
        self.at = {node: i for i, node in enumerate(self.names)}
        self.paths = np.array([paths[node] for node in self.names], dtype=np.int64).reshape(len(self.names), -1)
        self.value: Ints = 2 ** np.arange(self.paths.shape[1], dtype=np.int64)[::-1]
        """Sharing a wide level counts more than sharing all narrower ones."""

    def places(self, taken: Mapping[NodeName, int]) -> Places:
        """Return how many places each node has."""
        found = Places(left=[0] * len(self.names), free=np.zeros(len(self.names), dtype=np.bool_))
        for node, n in taken.items():
            found.left[self.at[node]] = n
            found.free[self.at[node]] = n > 0
        return found

    def take(self, places: Places, near: NodeName | None, after: NodeName | None) -> NodeName:
        """Take the free place nearest to the neighbour; of several, one that is far from the next running member."""
        if near is None or not places.left[self.at[near]]:
            free = np.flatnonzero(places.free)
            if near is not None:
                apart = self._apart(free, near)
                free = free[apart == apart.min()]
            chosen = int(free[0] if after is None else free[np.argmax(self._apart(free, after))])
        else:
            chosen = self.at[near]
        places.left[chosen] -= 1
        if not places.left[chosen]:
            places.free[chosen] = False
        return self.names[chosen]

    def _apart(self, nodes: Ints, other: NodeName) -> Ints:
        return np.asarray((self.paths[nodes] != self.paths[self.at[other]]) @ self.value)
