"""What every node has left, as arrays over the nodes of the topology; what-ifs of one snapshot cost only their difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scheduler.solve.problem import Bools, Ints
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.overlay import difference
from scheduler.state.resources import PODS, Resources
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
    left: dict[str, Ints] = field(default_factory=dict)
    """What `free` was asked for already."""

    def total(self, resource: str) -> Ints:
        """Return what nodes have of a resource, never negative."""
        found = self.allocatable.get(resource)
        return np.zeros(len(self.position), dtype=np.int64) if found is None else np.asarray(np.maximum(found, 0))

    def free(self, resource: str) -> Ints:
        """Return what is left of a resource, never negative."""
        known = self.left.get(resource)
        if known is None:
            used = self.used.get(resource)
            known = self.left[resource] = np.asarray(np.maximum(self.total(resource) - (0 if used is None else used), 0))
        return known

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
        found = _updated(known, snapshot.pods) or _built(snapshot)
    else:
        found = _built(snapshot)
    snapshot.memo[__name__] = found
    return found


def _built(snapshot: Snapshot) -> NodeTable:
    position = snapshot.topology.position
    size = len(snapshot.topology.nodes)
    offers = [snapshot.nodes[NodeName(name)].allocatable for name in snapshot.topology.nodes]
    pods = [(position[pod.node], pod.used) for pod in snapshot.pods.values() if pod.node is not None and pod.node in position]
    where = np.array([at for at, _ in pods], dtype=np.int64)
    used = _summed([vector for _, vector in pods], where, size)
    return NodeTable(
        nodes=snapshot.nodes,
        pods=snapshot.pods,
        position=position,
        allocatable=_summed(offers, np.arange(size), size),
        used={**used, PODS: np.bincount(where, minlength=size).astype(np.int64)} if pods else used,
    )


def _summed(vectors: Sequence[Resources], where: Ints, size: int) -> dict[str, Ints]:
    """Add up vectors at their places, resource by resource; equal vectors are read once."""
    kinds: dict[Resources, int] = {}
    kind = np.fromiter((kinds.setdefault(v, len(kinds)) for v in vectors), dtype=np.int64, count=len(vectors))
    most = int(np.bincount(where, minlength=1).max())
    found: dict[str, Ints] = {}
    for name in dict.fromkeys(name for vector in kinds for name in vector):
        amounts = [_cut(vector.amount(name)) for vector in kinds]
        column = found[name] = np.zeros(size, dtype=np.int64)
        if most * max(map(abs, amounts)) <= LARGEST:
            np.add.at(column, where, np.array(amounts, dtype=np.int64)[kind])
        else:  # sums may leave 64 bits: they are cut one by one
            for at, k in zip(where.tolist(), kind.tolist(), strict=True):
                column[at] = _cut(int(column[at]) + amounts[k])
    return found


def _updated(known: NodeTable, pods: Mapping[PodUid, Pod]) -> NodeTable | None:
    """Bring a table up to date; None where an amount was cut, because then its sum cannot be told from the difference."""
    gone, come = difference(known.pods, pods)
    used = dict(known.used)
    for sign, changed in ((-1, gone), (1, come)):
        for at, resource, amount in _amounts(changed, known.position):
            if resource not in used:
                used[resource] = np.zeros(len(known.position), dtype=np.int64)
            elif used[resource] is known.used.get(resource):
                used[resource] = used[resource].copy()
            before = int(used[resource][at])
            if max(amount, before, before + sign * amount) >= LARGEST:
                return None
            used[resource][at] = before + sign * amount
    same = {resource: column for resource, column in known.left.items() if used.get(resource) is known.used.get(resource)}
    return NodeTable(nodes=known.nodes, pods=pods, position=known.position, allocatable=known.allocatable, used=used, left=same)


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
