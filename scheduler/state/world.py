"""The objects besides nodes and pods that make gangs: policies, PodGroups, workloads, priority classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.state.disruption import DisruptionBudget
from scheduler.state.gang import Preference, Segment
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod, Ref, Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class PodGroup:
    """A PodGroup of any API group of the table in `scheduler.kube.group.workloads`, in our words."""

    namespace: str
    name: str
    uid: str = ""
    api_version: str = "scheduling.run.ai/v1"
    min_member: int | None = None
    timeout_seconds: int = 600
    priority_class: str = ""
    project: str = ""
    topology_policy: str | None = None
    required: str | None = None
    segments: tuple[Segment, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0
    generation: int = 0
    resource_version: str = ""
    problem: str | None = None
    """Why the object cannot be used (a bad field), in one sentence; it then makes its gangs wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyPolicy:
    """A TopologyPolicy (scheduling.run.ai/v1)."""

    namespace: str
    name: str
    uid: str = ""
    preferred: tuple[Preference, ...] = ()
    required: str | None = None
    selector: tuple[Requirement, ...] | None = None
    """Over pods (matchLabels become ``In`` requirements); ``None``: the namespace's default policy."""
    created: float = 0.0
    generation: int = 0
    resource_version: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A controller of pods: LeaderWorkerSet, StatefulSet, Deployment, ReplicaSet, Job, Knative objects, ..."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    api_version: str = ""
    owner: Ref | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The workload's own annotations, then those of its pod template where the workload has none of that key."""
    replicas: int | None = None
    size: int | None = None
    """LeaderWorkerSet: pods per group."""
    startup_policy: str = ""
    """LeaderWorkerSet: LeaderCreated or LeaderReady."""
    templates: Mapping[str, Pod] = field(default_factory=dict)
    """Pods by role as the controller would create them (``leader``, ``worker``): for seats of members that do not exist yet."""
    created: float = 0.0
    resource_version: str = ""
    problem: str | None = None
    """Why the object cannot be read, in one sentence; it then has no templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that grouping reads. Pods include bound ones; keys are ``(namespace, name)`` or ``(kind, namespace, name)``."""

    pods: Mapping[PodUid, Pod] = field(default_factory=dict)
    pod_groups: Mapping[tuple[str, str], PodGroup] = field(default_factory=dict)
    policies: Mapping[tuple[str, str], TopologyPolicy] = field(default_factory=dict)
    workloads: Mapping[tuple[str, str, str], Workload] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)
    """Value by PriorityClass name."""
    budgets: Mapping[tuple[str, str], DisruptionBudget] = field(default_factory=dict)
