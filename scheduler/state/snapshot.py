"""One immutable view of the cluster; what-ifs are new snapshots that share structure with the old one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from scheduler.state import overlay
from scheduler.state.objects import Node, Pod
from scheduler.state.resources import NOTHING, Resources, total

if TYPE_CHECKING:
    from scheduler.state.ids import NodeName, PodUid
    from scheduler.state.plan import Placed
    from topology import Topology


_BY_NAME: Final = attrgetter("namespace", "name", "uid")


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
        """Pods by node, nodes without pods left out; in order of namespace, name and UID."""
        found: dict[NodeName, list[Pod]] = {}
        for pod in self.pods.values():
            if pod.node is not None:
                found.setdefault(pod.node, []).append(pod)
        return {name: in_order(pods) if len(pods) > 1 else tuple(pods) for name, pods in found.items()}

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
        return self.changed({s.member.pod.uid: replace(s.member.pod, node=s.node) for s in plan.seats if not s.bound})

    def without(self, uids: Iterable[PodUid]) -> Snapshot:
        """Return the snapshot as if these pods were gone."""
        return self.changed({}, uids)

    def beside(self, nominated: Iterable[Pod], priority: int) -> Snapshot:
        """Return the snapshot as a gang of this priority sees it: pods of at least as much that are nominated to a node hold room there."""
        coming = {p.uid: replace(p, node=p.nominated_node) for p in nominated if p.priority >= priority and p.uid not in self.pods}
        return self.changed(coming) if coming else self

    def changed(self, put: Mapping[PodUid, Pod], gone: Iterable[PodUid] = ()) -> Snapshot:
        """Return this snapshot with these pods (all on a node) put and those gone; what does not change is shared: it costs its difference."""
        other = {*put, *gone}
        here: dict[NodeName, list[Pod]] = {pod.node: [] for pod in (*map(self.pods.get, other), *put.values()) if pod is not None and pod.node}
        for node, found in here.items():
            found.extend(pod for pod in self.pods_on.get(node, ()) if pod.uid not in other)
        for pod in put.values():
            if pod.node is not None:
                here[pod.node].append(pod)
        on = {node: in_order(found) for node, found in here.items() if found}
        empty = here.keys() - on.keys()
        known = vars(self)
        return with_tables(
            replace(self, pods=overlay.changed(self.pods, put, other - put.keys())),
            pods_on=overlay.changed(self.pods_on, on, empty),
            used=overlay.changed(self.used, {node: total(p.used for p in pods) for node, pods in on.items()}, empty) if "used" in known else None,
            repelling=(
                (*(p for p in self.repelling if p.uid not in other), *(p for p in put.values() if p.repels)) if "repelling" in known else None
            ),
        )


def in_order(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """Return the pods of one node as a snapshot's tables hold them."""
    return tuple(sorted(pods, key=_BY_NAME))


def with_tables(
    snapshot: Snapshot,
    *,
    pods_on: Mapping[NodeName, tuple[Pod, ...]],
    used: Mapping[NodeName, Resources] | None,
    repelling: tuple[Pod, ...] | None = None,
) -> Snapshot:
    """Fill in a new snapshot's tables where they are known already; they must be what it would work out itself."""
    tables = {"pods_on": pods_on, "used": used, "repelling": repelling}
    vars(snapshot).update({name: known for name, known in tables.items() if known is not None})  # cached_property keeps them there
    return snapshot
