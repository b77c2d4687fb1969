"""What-ifs: a cluster with pods gone and nodes added or changed, and the same done to whatever snapshot is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node
from scheduler.state.snapshot import Snapshot
from topology import CustomLevel, build
from topology.vocabulary import CUSTOM


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What is changed in the cluster; nothing where only a gang changes what it asks for."""

    gone: frozenset[PodUid] = frozenset()
    nodes: tuple[Node, ...] = ()
    """Nodes that are added, or replace their namesakes."""

    @property
    def nothing(self) -> bool:
        """Whether the cluster stays as it is."""
        return not self.gone and not self.nodes

    def of(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with these changes."""
        left = snapshot.without(self.gone) if self.gone else snapshot
        return with_nodes(left, self.nodes) if self.nodes else left


def with_nodes(snapshot: Snapshot, nodes: Iterable[Node]) -> Snapshot:
    """Return the snapshot with nodes added or replaced; the topology is built anew when labels or names change."""
    changed = list(nodes)
    known: Mapping[NodeName, Node] = {**snapshot.nodes, **{n.name: n for n in changed}}
    topology = snapshot.topology
    if any(n.name not in snapshot.nodes or snapshot.nodes[n.name].labels != n.labels for n in changed):
        custom = [CustomLevel(key=v.key, name="" if v.name == v.key else v.name) for v in topology.levels if v.vocabulary == CUSTOM]
        topology = build({str(name): node.labels for name, node in known.items()}, custom=custom)
    return replace(snapshot, nodes=known, topology=topology, memo={})
