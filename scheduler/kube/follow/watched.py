"""WATCHED: every resource that the scheduler follows, one row each, with the parser of its objects; LISTED: all that a snapshot holds.

How they are followed is `scheduler.kube.follow.watch`. A row whose server does not serve it is simply absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json

from scheduler.kube.api import Resource
from scheduler.kube.bindings.records import placement
from scheduler.kube.group import names
from scheduler.kube.parse import pages, wire
from scheduler.kube.parse.pages import ReadPage
from scheduler.kube.parse.reading import Raw
from scheduler.state.events import Levels, PriorityClass, Value
from scheduler.state.problems import BadInput, InputProblem
from topology import levels_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One resource that snapshots hold."""

    group: str
    plural: str
    kind: str
    versions: tuple[str, ...] = ("v1",)
    """In order of preference: the first that the server serves counts."""
    needed: bool = False
    """Whether nothing can be decided without it; other rows may be absent or forbidden."""

    @property
    def source(self) -> str:
        """Unique name of the row: ``pods``, ``podgroups.scheduling.run.ai``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def resource(self, version: str) -> Resource:
        """Return the resource in one version."""
        return Resource(group=self.group, version=version, plural=self.plural)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Listed):
    """One followed resource."""

    parse: Callable[[Raw], Value]
    read: ReadPage = pages.whole
    """Reads a page of the list as far as ``parse`` needs it."""
    prefix: str = ""
    """What stands before the name in the cache, so that objects of one kind from two API groups do not meet."""


def _node(raw: Raw) -> Value:
    return wire.node(raw, strict=False)


def _pod(raw: Raw) -> Value:
    return wire.pod(raw, strict=False)


def _pod_group(raw: Raw) -> Value:
    return wire.pod_group(raw, strict=False)


def _policy(raw: Raw) -> Value:
    return wire.topology_policy(raw, strict=False)


def _workload(raw: Raw) -> Value:
    return wire.workload(raw, strict=False)


def _priority_class(raw: Raw) -> Value:
    name, value, default = wire.priority_class(raw)
    return PriorityClass(name=name, value=value, default=default)


def _levels(raw: Raw) -> Value:
    document: Mapping[str, object] = from_json(raw) if isinstance(raw, bytes) else raw
    metadata = document.get("metadata")
    name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
    try:
        return Levels(name=f"{document.get('kind')}/{name}", levels=levels_of(document))
    except ValueError as error:
        raise BadInput(InputProblem(object=f"{document.get('kind')}/{name}", expected=str(error))) from error


WATCHED: Final[tuple[Watched, ...]] = (
    Watched(group="", plural="nodes", kind="Node", parse=_node, read=pages.nodes, needed=True),
    Watched(group="", plural="pods", kind="Pod", parse=_pod, read=pages.pods, needed=True),
    Watched(group="coterie.dev", plural="placements", kind="Placement", parse=placement, versions=("v1alpha1",), needed=True),
    Watched(group=names.RUN_AI, plural="podgroups", kind="PodGroup", parse=_pod_group, versions=("v1", "v2alpha2")),
    Watched(group=names.RUN_AI, plural="topologypolicies", kind="TopologyPolicy", parse=_policy),
    Watched(
        group=names.NATIVE_GROUPS,
        plural="podgroups",
        kind="PodGroup",
        parse=_pod_group,
        versions=("v1beta1", "v1alpha2"),
        prefix=f"{names.NATIVE_GROUPS}/",
    ),
    Watched(group=names.X_K8S_GROUPS, plural="podgroups", kind="PodGroup", parse=_pod_group, versions=("v1alpha1",), prefix=f"{names.X_K8S_GROUPS}/"),
    Watched(
        group=names.VOLCANO_GROUPS,
        plural="podgroups",
        kind="PodGroup",
        parse=_pod_group,
        versions=("v1beta1",),
        prefix=f"{names.VOLCANO_GROUPS}/",
    ),
    Watched(group="leaderworkerset.x-k8s.io", plural="leaderworkersets", kind="LeaderWorkerSet", parse=_workload),
    Watched(group="apps", plural="statefulsets", kind="StatefulSet", parse=_workload),
    Watched(group="apps", plural="replicasets", kind="ReplicaSet", parse=_workload),
    Watched(group="apps", plural="deployments", kind="Deployment", parse=_workload),
    Watched(group="batch", plural="jobs", kind="Job", parse=_workload),
    Watched(group="scheduling.k8s.io", plural="priorityclasses", kind="PriorityClass", parse=_priority_class),
    Watched(group="kueue.x-k8s.io", plural="topologies", kind="Topology", parse=_levels, versions=("v1beta2", "v1beta1", "v1alpha1")),
    Watched(group="grove.io", plural="clustertopologybindings", kind="ClusterTopologyBinding", parse=_levels, versions=("v1alpha1",)),
)

LISTED: Final[tuple[Listed, ...]] = (*WATCHED, Listed(group="policy", plural="poddisruptionbudgets", kind="PodDisruptionBudget"))
"""What a snapshot holds: all that is followed, and what only explanations read."""
