"""Who holds room on which node, kept up to date pod by pod, so that a snapshot costs what changed and not what exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.resources import Resources, total
from scheduler.state.snapshot import Snapshot, with_tables
from topology import Topology

Name = tuple[str, str]


class Occupancy:
    """Pods that hold room, by UID and by node."""

    def __init__(self) -> None:
        """Begin with empty nodes."""
        self._pods: dict[PodUid, Pod] = {}
        self._of_name: dict[Name, tuple[Pod, ...]] = {}
        self._on: dict[NodeName, dict[PodUid, Pod]] = {}
        self._dirty: set[NodeName] = set()
        self._sorted: dict[NodeName, tuple[Pod, ...]] = {}
        self._used: dict[NodeName, Resources] = {}

    def put(self, name: Name, pods: Iterable[Pod]) -> bool:
        """Let these be the pods of this name that hold room; return whether anything changed."""
        before, after = self._of_name.get(name, ()), tuple(pods)
        if before == after:
            return False
        for pod in before:
            if pod.node is not None:
                del self._pods[pod.uid]
                del self._on[pod.node][pod.uid]
                self._dirty.add(pod.node)
        for pod in after:
            if pod.node is not None:
                self._pods[pod.uid] = pod
                self._on.setdefault(pod.node, {})[pod.uid] = pod
                self._dirty.add(pod.node)
        if after:
            self._of_name[name] = after
        else:
            del self._of_name[name]
        return True

    def snapshot(self, nodes: Mapping[NodeName, Node], topology: Topology, memo: dict[str, object]) -> Snapshot:
        """Return a snapshot with its tables filled in; only nodes whose pods changed are summed anew."""
        for node in self._dirty:
            here = self._on[node]
            if here:
                self._sorted[node] = tuple(sorted(here.values(), key=lambda pod: (pod.key, pod.uid)))
                self._used[node] = total(pod.used for pod in self._sorted[node])
            else:
                del self._on[node]
                self._sorted.pop(node, None)
                self._used.pop(node, None)
        self._dirty.clear()
        bare = Snapshot(topology=topology, nodes=nodes, pods=dict(self._pods), memo=memo)
        return with_tables(bare, pods_on=dict(self._sorted), used=dict(self._used))
