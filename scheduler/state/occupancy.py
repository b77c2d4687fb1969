"""Who holds room on which node, kept up to date pod by pod, so that a snapshot costs what changed and not what exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from scheduler.state.by_name import ByName, Name
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.snapshot import Snapshot, with_tables
from topology import Topology, build


class Occupancy:
    """Pods that hold room: the snapshot that was given out last, and what changed since."""

    def __init__(self) -> None:
        """Begin with empty nodes."""
        self._last = with_tables(Snapshot(topology=build({})), pods_on={}, used={}, repelling=())
        self._since: dict[PodUid, Pod | None] = {}
        """Pods by UID as they hold room now, None where they do not any more."""
        self._holder: ByName[Pod] = ByName()
        """The pod of each name that holds room, the first where there are several."""
        self._more: dict[Name, tuple[Pod, ...]] = {}
        """The others: a pod that goes away beside one that is still to come."""

    def put(self, name: Name, pods: Iterable[Pod]) -> bool:
        """Let these be the pods of this name that hold room; return whether anything changed."""
        first, after = self._holder.get(name), tuple(pods)
        before = () if first is None else (first, *self._more.pop(name, ()))
        if len(after) > 1:
            self._more[name] = after[1:]
        if before == after:
            return False
        self._since.update((pod.uid, None) for pod in before)
        self._since.update((pod.uid, pod) for pod in after)
        if after:
            self._holder.put(name, after[0])
        else:
            self._holder.pop(name)
        return True

    def snapshot(self, nodes: Mapping[NodeName, Node], topology: Topology, memo: dict[str, object]) -> Snapshot:
        """Return a snapshot with its tables filled in; only nodes whose pods changed are summed anew."""
        put = {uid: pod for uid, pod in self._since.items() if pod is not None}
        made = self._last.changed(put, self._since.keys() - put.keys()) if self._since else self._last
        self._since.clear()
        bare = replace(made, nodes=nodes, topology=topology, memo=memo)
        self._last = with_tables(bare, pods_on=made.pods_on, used=made.used, repelling=made.repelling)
        return self._last
