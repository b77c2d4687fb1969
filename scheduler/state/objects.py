"""Nodes and pods: only the fields that a decision reads, parsed once at the edge (`scheduler.kube.parse.wire`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from scheduler.state.ids import NodeName, PodUid
from scheduler.state.resources import NOTHING, Resources

EMPTY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A reference to one Kubernetes object, as an owner reference or an event names it."""

    kind: str
    name: str
    uid: str = ""
    api_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A toleration of a pod; empty key with ``Exists`` tolerates all, empty effect matches every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One expression over labels (or, in ``fields``, over ``metadata.name``): key, operator, values."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelectorTerm:
    """Requirements that must all hold; a term without any matches no node."""

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPort:
    """A port that a pod takes on its node; ``ip`` is ``0.0.0.0`` where none is given."""

    port: int
    protocol: str = "TCP"
    ip: str = "0.0.0.0"  # noqa: S104 - the API's own spelling of "every address", nothing listens here


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTerm:
    """A required anti-affinity term of a pod that exists: it refuses pods that match, wherever ``topology_key`` has its value."""

    topology_key: str
    selector: tuple[Requirement, ...] | None = None
    """Over pod labels; empty matches every pod, ``None`` matches none."""
    namespaces: tuple[str, ...] = ()
    """Namespaces of the pods that are meant, the pod's own where the term names none."""
    namespace_selector: tuple[Requirement, ...] | None = None
    """Namespaces by label, in addition; empty means every namespace, ``None`` adds none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A field of a pod that restricts its nodes and that we do not check yet: it blocks the pod, by name."""

    field: str
    """Path in the pod, for example ``spec.topologySpreadConstraints[0]``."""
    check: str
    """kube-scheduler's plugin that checks it, for example ``PodTopologySpread``."""
    message: str
    """What the field asks for, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """All of a pod that decides which nodes can take it; pods of one shape are interchangeable: a role."""

    requests: Resources = NOTHING
    """The full pod request (containers, sidecars, init containers, pod level, overhead); ``pods: 1`` included."""
    node_name: NodeName | None = None
    """``spec.nodeName`` where a manifest gives it: only that node will do."""
    node_selector: tuple[tuple[str, str], ...] = ()
    affinity: tuple[NodeSelectorTerm, ...] | None = None
    """Required node affinity: one of the terms must hold; ``None`` where there is none."""
    tolerations: tuple[Toleration, ...] = ()
    ports: tuple[HostPort, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as the API server tells it."""

    name: NodeName
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    allocatable: Resources = NOTHING
    problem: str | None = None
    """Why the object cannot be read, in one sentence; it then offers nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod as the API server tells it, or as its controller would create it from a manifest."""

    namespace: str
    name: str
    uid: PodUid
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only those that name a group or a demand (wire.py tells which)."""
    owner: Ref | None = None
    """The controller that owns the pod."""
    scheduler_name: str = "default-scheduler"
    shape: Shape = field(default_factory=Shape)
    used: Resources = NOTHING
    """What the pod takes on its node: like ``shape.requests`` but with in-place resize counted as kube-scheduler does."""
    priority: int = 0
    created: float = 0.0
    """Seconds since the epoch, from creationTimestamp; 0 in manifests."""
    node: NodeName | None = None
    phase: str = "Pending"
    ready: bool = False
    terminating: bool = False
    gates: tuple[str, ...] = ()
    scheduling_group: str = ""
    """``spec.schedulingGroup.podGroupName`` where the server has it."""
    resource_version: str = ""
    reason: str = ""
    """``status.reason``: kubelet writes OutOf... here when it refuses a pod."""
    priority_class: str = ""
    """``spec.priorityClassName``: gives the priority where ``spec.priority`` is not set yet (manifests)."""
    nominated_node: NodeName | None = None
    """``status.nominatedNodeName``: the node that is being emptied for the pod."""
    repels: tuple[PodTerm, ...] = ()
    """Required anti-affinity terms of a bound pod: they hold against newcomers too (InterPodAffinity is symmetric)."""
    problem: str | None = None
    """Why the object cannot be read, in one sentence; its shape is then unsupported, so that it is never placed."""

    @property
    def finished(self) -> bool:
        """Whether the pod holds nothing any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"
