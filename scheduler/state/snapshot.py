"""One immutable view of the cluster; what-ifs are new snapshots that share structure with the old one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from scheduler.state.objects import Node, Pod
from scheduler.state.resources import NOTHING, Resources, total

if TYPE_CHECKING:
    from scheduler.state.ids import NodeName, PodUid
    from scheduler.state.plan import Placed
    from topology import Topology


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Nodes, the pods that count on them, and the topology of their labels."""

    topology: Topology
    nodes: Mapping[NodeName, Node] = field(default_factory=dict)
    pods: Mapping[PodUid, Pod] = field(default_factory=dict)
    """Pods that hold room: bound (or assumed) on a node, not finished; terminating ones count."""
    memo: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    """Tables that a stage derives from the nodes and keeps here for the what-ifs that share them; each checks that it is its own nodes' table."""

    @cached_property
    def pods_on(self) -> Mapping[NodeName, tuple[Pod, ...]]:
        """Pods by node, nodes without pods left out; in order of key."""
        found: dict[NodeName, list[Pod]] = {}
        for pod in self.pods.values():
            if pod.node is not None:
                found.setdefault(pod.node, []).append(pod)
        return {name: tuple(sorted(pods, key=lambda p: (p.key, p.uid))) for name, pods in found.items()}

    @cached_property
    def used(self) -> Mapping[NodeName, Resources]:
        """What all pods of a node take together."""
        return {name: total(p.used for p in pods) for name, pods in self.pods_on.items()}

    @cached_property
    def repelling(self) -> tuple[Pod, ...]:
        """The pods that keep others away by a required anti-affinity: few, and asked for with every role."""
        return tuple(pod for pod in self.pods.values() if pod.repels)

    def free(self, name: NodeName) -> Resources:
        """Return what a node has left; negative amounts where somebody over-committed it."""
        known = vars(self).get("used")  # worked out for all nodes already? else one node's pods are enough
        used = total(p.used for p in self.pods_on.get(name, ())) if known is None else known.get(name, NOTHING)
        return self.nodes[name].allocatable - used

    def with_plan(self, plan: Placed) -> Snapshot:
        """Return the snapshot after the plan's new seats are taken."""
        seated = {s.member.pod.uid: replace(s.member.pod, node=s.node) for s in plan.seats if not s.bound}
        touched = {pod.node for uid in seated if (pod := self.pods.get(uid)) is not None}
        return self._after({**self.pods, **seated}, {*touched, *(pod.node for pod in seated.values())})

    def without(self, uids: Iterable[PodUid]) -> Snapshot:
        """Return the snapshot as if these pods were gone."""
        gone = set(uids)
        touched = {self.pods[uid].node for uid in gone if uid in self.pods}
        return self._after({u: p for u, p in self.pods.items() if u not in gone}, touched)

    def beside(self, nominated: Iterable[Pod], priority: int) -> Snapshot:
        """Return the snapshot as a gang of this priority sees it: pods of at least as much that are nominated to a node hold room there."""
        coming = {p.uid: replace(p, node=p.nominated_node) for p in nominated if p.priority >= priority and p.uid not in self.pods}
        return self._after({**self.pods, **coming}, {p.node for p in coming.values()}) if coming else self

    def _after(self, pods: Mapping[PodUid, Pod], touched: Iterable[NodeName | None]) -> Snapshot:
        """Return this snapshot with other pods; nodes that are not touched keep their rows, so that a what-if costs what it changes."""
        pods_on = dict(self.pods_on)
        used = dict(self.used) if "used" in vars(self) else None
        here: dict[NodeName | None, list[Pod]] = {node: [] for node in touched}
        for pod in pods.values():
            if pod.node in here:
                here[pod.node].append(pod)
        for node, found in here.items():
            if node is None:
                continue
            pods_on.pop(node, None)
            if used is not None:
                used.pop(node, None)
            if found:
                pods_on[node] = tuple(sorted(found, key=lambda pod: (pod.key, pod.uid)))
            if found and used is not None:
                used[node] = total(pod.used for pod in found)
        return with_tables(replace(self, pods=pods), pods_on=pods_on, used=used)


def with_tables(snapshot: Snapshot, *, pods_on: Mapping[NodeName, tuple[Pod, ...]], used: Mapping[NodeName, Resources] | None) -> Snapshot:
    """Fill in a new snapshot's tables where they are known already; they must be what it would work out itself."""
    vars(snapshot).update({"pods_on": pods_on} if used is None else {"pods_on": pods_on, "used": used})  # cached_property keeps them there
    return snapshot
