"""Which of equal pods takes which place: consecutive ranks are put as close together as the plan allows.

Only pods of one role are exchanged, so neither cost nor fit can change. From rank to rank the nearest free place is taken:
the same node while it lasts, then the same domain of the narrowest level, and so on; a domain is left when it is full. Where
the levels nest and the leader comes first, no order crosses fewer boundaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.state.gang import Member
from scheduler.state.ids import NodeName
from topology import Topology


@dataclass(slots=True, kw_only=True)
class _Places:
    """The places of one role that are still free, by node."""

    left: dict[NodeName, int]

    def take(self, node: NodeName) -> None:
        self.left[node] -= 1
        if not self.left[node]:
            del self.left[node]


def order(topology: Topology, fixed: Sequence[Member], chosen: Sequence[tuple[tuple[Member, ...], Mapping[NodeName, int]]]) -> dict[str, NodeName]:
    """Return the node of each member by pod key.

    ``chosen`` holds, for each role, its members and how many of them each node takes; ``fixed`` members stay where they are
    and their neighbours are drawn to them.
    """
    role_of = {m.pod.key: role for role, (members, _) in enumerate(chosen) for m in members}
    places = [_Places(left=dict(nodes)) for _, nodes in chosen]
    sequence = sorted([*fixed, *(m for members, _ in chosen for m in members)], key=lambda m: (m.rank, m.role, m.pod.key))
    paths = _paths(topology, [*(node for _, nodes in chosen for node in nodes), *(m.pod.node for m in fixed if m.pod.node is not None)])
    found: dict[str, NodeName] = {}
    for index, member in enumerate(sequence):
        if member.pod.node is not None:
            found[member.pod.key] = member.pod.node
            continue
        free = places[role_of[member.pod.key]]
        after = next((m.pod.node for m in sequence[index + 1 :] if m.pod.node is not None), None) if fixed else None
        node = _nearest(paths, free.left, _neighbour(sequence, index, found), after)
        free.take(node)
        found[member.pod.key] = node
    return found


def _paths(topology: Topology, nodes: Sequence[NodeName]) -> dict[NodeName, tuple[int, ...]]:
    """Return for each node its domains, widest first, the node's own position last."""
    columns = [topology.column(level.key).index for level in topology.levels]
    found: dict[NodeName, tuple[int, ...]] = {}
    for node in nodes:
        at = topology.position.get(node)
        found[node] = () if at is None else (*(int(c[at]) if c[at] >= 0 else -1 - at for c in columns), at)
    return found


def _neighbour(sequence: Sequence[Member], index: int, found: Mapping[str, NodeName]) -> NodeName | None:
    """Return the node to be near to: the rank before's; for the very first rank the next one's if that runs already."""
    if index:
        return found[sequence[index - 1].pod.key]
    return sequence[1].pod.node if len(sequence) > 1 else None


def _nearest(paths: Mapping[NodeName, tuple[int, ...]], left: Mapping[NodeName, int], near: NodeName | None, after: NodeName | None) -> NodeName:
    """Return the free node nearest to the neighbour; of several, one that is far from the next fixed member."""
    if near is not None and near in left:
        return near
    return min(left, key=lambda node: (_closeness(paths, node, near), _far(paths, node, after), paths[node], node))


def _closeness(paths: Mapping[NodeName, tuple[int, ...]], node: NodeName, other: NodeName | None) -> tuple[bool, ...]:
    """Return which levels two nodes do not share, widest first: smaller is closer."""
    return () if other is None else tuple(a != b for a, b in zip(paths[node], paths[other], strict=False))


def _far(paths: Mapping[NodeName, tuple[int, ...]], node: NodeName, after: NodeName | None) -> tuple[bool, ...]:
    """Keep places near the next fixed member for the ranks just before it and after it."""
    return tuple(not x for x in _closeness(paths, node, after))
