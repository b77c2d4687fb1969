"""The referee's own reading of a demand: required keys, weights, domains and cost, on the cluster at hand.

Written from the rules of placement alone, and used by `scheduler.decide.verify` alone: the code that makes plans has another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scheduler.state.gang import Gang, Segment
from scheduler.state.ids import NodeName
from scheduler.state.snapshot import Snapshot
from topology import default_weights

NVLINK: Final = "nvlink"
NVLINK_PREFERENCE: Final = 100
"""What ``nvlink: preferred`` weighs beside explicit weights: as much as ``preferred-topology``."""


def cost(snapshot: Snapshot, gang: Gang, nodes: Iterable[NodeName], homes: Homes | None = None) -> int:
    """Return the cost of a gang whose members, fixed ones included, occupy these nodes: the sum of weight * (domains - 1)."""
    occupied, known = set(nodes), homes or Homes(snapshot)
    return sum(weight * max(0, len(known.domains(key, occupied)) - 1) for key, weight in weights(snapshot, gang))


def weights(snapshot: Snapshot, gang: Gang) -> list[tuple[str, int]]:
    """Return (key, weight) of every weighted level, as often as the demand names it."""
    demand = gang.demand
    nvlink = snapshot.topology.resolve(NVLINK)
    if demand.preferred is None:
        unwanted = nvlink.key if nvlink is not None and demand.nvlink == "ignore" else None
        return [(key, weight) for key, weight in default_weights(snapshot.topology) if key != unwanted]
    rows = [(key_of(snapshot, p.level), p.weight) for p in demand.preferred]
    if demand.nvlink == "preferred" and nvlink is not None and nvlink.key not in [key for key, _ in rows]:
        rows.append((nvlink.key, NVLINK_PREFERENCE))
    return rows


def required(snapshot: Snapshot, gang: Gang) -> list[str]:
    """Return the keys of the levels that must each hold the whole gang in one domain."""
    demand = gang.demand
    levels = [*([demand.required] if demand.required else []), *([NVLINK] if demand.nvlink == "required" else [])]
    return list(dict.fromkeys(key_of(snapshot, level) for level in levels))


def key_of(snapshot: Snapshot, level: str) -> str:
    """Return the label key of a level name; a level that no node carries stands for itself."""
    found = snapshot.topology.resolve(level)
    return level if found is None else found.key


def segment_of(place: int, members: int, layer: Segment) -> int:
    """Return the segment of the member at a place of the order, -1 for none; LeaderWorkerSet's rule for its subgroups."""
    if layer.leader == "excluded":
        return (place - 1) // layer.size  # -1 for the leader, whose place is 0
    if layer.leader == "subgroup" and (members - 1) % layer.size == 0:
        return max(0, place - 1) // layer.size
    return place // layer.size


class Homes:
    """The domains of nodes; each node is asked of the topology once."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Read nothing yet."""
        self._topology = snapshot.topology
        self._levels = {level.key for level in snapshot.topology.levels}
        self._known: dict[NodeName, dict[str, str]] = {}

    def domain(self, key: str, node: NodeName) -> str | None:
        """Return the domain of a node, ``None`` where it has no such label or is gone; keys of no vocabulary are read from the labels."""
        if node not in self._topology.position:
            return None
        if key not in self._levels:
            return self._topology.labels[node].get(key) or None
        if node not in self._known:
            self._known[node] = self._topology.domains_of(node)
        return self._known[node].get(key)

    def domains(self, key: str, nodes: Iterable[NodeName]) -> set[str]:
        """Return the domains that nodes occupy; a node without the label is a domain of its own."""
        found = ((node, self.domain(key, node)) for node in nodes)
        return {f"node {node}" if name is None else name for node, name in found}
