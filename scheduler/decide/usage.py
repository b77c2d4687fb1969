"""What every node has left, as arrays over the nodes of the topology; what-ifs of one snapshot cost only their difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.solve.problem import Bools, Ints
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.overlay import difference
from scheduler.state.resources import PODS
from scheduler.state.snapshot import Snapshot

LARGEST: Final = 2**60
"""Amounts above this are cut: sums of two still fit 64 bits. Nothing real comes near (an exbibyte of memory)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeTable:
    """Amounts by resource and node position. Pods are counted, whatever they request."""

    nodes: Mapping[NodeName, Node]
    pods: Mapping[PodUid, Pod]
    position: Mapping[str, int]
    allocatable: dict[str, Ints]
    used: dict[str, Ints]

    def total(self, resource: str) -> Ints:
        """Return what nodes have of a resource, never negative."""
        found = self.allocatable.get(resource)
        return np.zeros(len(self.position), dtype=np.int64) if found is None else np.asarray(np.maximum(found, 0))

    def free(self, resource: str) -> Ints:
        """Return what is left of a resource, never negative."""
        used = self.used.get(resource)
        return np.asarray(np.maximum(self.total(resource) - (0 if used is None else used), 0))

    def overcommitted(self, resource: str) -> Bools:
        """Tell on which nodes pods use more of a resource than there is."""
        used = self.used.get(resource)
        return np.asarray(self.total(resource) < (0 if used is None else used))


def table(snapshot: Snapshot) -> NodeTable:
    """Return the node table of a snapshot; the last one made for the same nodes is brought up to date by its difference."""
    known = snapshot.memo.get(__name__)
    if isinstance(known, NodeTable) and known.nodes is snapshot.nodes and known.position is snapshot.topology.position:
        if known.pods is snapshot.pods:
            return known
        found = _updated(known, snapshot.pods)
    else:
        found = _built(snapshot)
    snapshot.memo[__name__] = found
    return found


def _built(snapshot: Snapshot) -> NodeTable:
    names = snapshot.topology.nodes
    allocatable: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        for resource, amount in snapshot.nodes[NodeName(name)].allocatable.items():
            if resource not in allocatable:
                allocatable[resource] = [0] * len(names)
            allocatable[resource][at] = _cut(amount)
    used: dict[str, list[int]] = {}
    position = snapshot.topology.position
    for at, resource, amount in _amounts(snapshot.pods.values(), position):
        if resource not in used:
            used[resource] = [0] * len(names)
        used[resource][at] = _cut(used[resource][at] + amount)
    return NodeTable(nodes=snapshot.nodes, pods=snapshot.pods, position=position, allocatable=_arrays(allocatable), used=_arrays(used))


def _updated(known: NodeTable, pods: Mapping[PodUid, Pod]) -> NodeTable:
    gone, come = difference(known.pods, pods)
    used = {resource: column.copy() for resource, column in known.used.items()}
    for sign, changed in ((-1, gone), (1, come)):
        for at, resource, amount in _amounts(changed, known.position):
            if resource not in used:
                used[resource] = np.zeros(len(known.position), dtype=np.int64)
            used[resource][at] = _cut(int(used[resource][at]) + sign * amount)
    return NodeTable(nodes=known.nodes, pods=pods, position=known.position, allocatable=known.allocatable, used=used)


def _amounts(pods: Iterable[Pod], position: Mapping[str, int]) -> Iterable[tuple[int, str, int]]:
    for pod in pods:
        at = None if pod.node is None else position.get(pod.node)
        if at is None:
            continue
        yield at, PODS, 1
        for resource, amount in pod.used.items():
            if resource != PODS:
                yield at, resource, amount


def _cut(amount: int) -> int:
    return max(-LARGEST, min(LARGEST, amount))


def _arrays(columns: Mapping[str, list[int]]) -> dict[str, Ints]:
    return {resource: np.array(column, dtype=np.int64) for resource, column in columns.items()}
