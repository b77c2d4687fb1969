"""The cluster of the model check as one immutable value: nodes, pods, commit records, and what the surroundings did to them.

Every object is a value that can be hashed, so that two schedules which lead to the same cluster meet in one state. Versions are counted per
object, not for the whole server: the scheduler compares versions of one object only, and so the order of unrelated writes leaves no trace.
What the API server does with a call is `tests.model.server`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from scheduler.kube.bindings.records import placement
from scheduler.kube.group import names
from scheduler.kube.parse import wire
from scheduler.state.objects import Node, Pod
from scheduler.state.record import Record
from tests.builders import node

NS: Final = "ai"
LWS: Final = "LeaderWorkerSet"
POD_GROUP: Final = "PodGroup"
SET: Final = "StatefulSet"
"""Pods of a StatefulSet that a PodGroup makes one gang: each of them is made anew alone."""
JOB: Final = "Job"
"""Pods of a Job that a PodGroup makes one gang: one that failed stays, and another one comes beside it."""
GROUPED: Final = (POD_GROUP, SET, JOB)
LONE: Final = "Pod"
STRANGER: Final = ""
_OWNERS: Final = {LWS: ("apps/v1", "StatefulSet"), SET: ("apps/v1", "StatefulSet"), JOB: ("batch/v1", "Job")}
EDIT: Final = "later"
"""A field of a record's spec that only a newer version knows."""
GPUS: Final = 8
"""GPUs of a node, and of a pod unless it says otherwise: one member fills a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNode:
    """A node of eight GPUs; its rack is the first letter of its name."""

    name: str
    cordoned: bool = False

    @property
    def value(self) -> Node:
        """The node as the scheduler's cache holds it."""
        return _node(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPod:
    """A pod; ``kind`` is what made it, ``made`` counts the times that its gang was made anew."""

    name: str
    kind: str
    gang: str
    index: int = 0
    size: int = 1
    made: int = 0
    gpus: int = GPUS
    version: int = 1
    node: str = ""
    record: str = ""
    """Record on whose behalf it was bound, as the bind says."""
    touched: str = ""
    terminating: bool = False
    failed: bool = False
    """Whether the kubelet refused it."""
    again: int = 0
    """Times that a StatefulSet replaced it inside one making of its LeaderWorkerSet group."""
    first: bool = False
    """Whether the workers of its LeaderWorkerSet are made only after the leader is bound."""
    grouped: bool = True
    """Whether its PodGroup exists."""

    @property
    def uid(self) -> str:
        """The UID: another one each time that the pod is made anew."""
        return f"{self.name}.{self.made}" + (f".{self.again}" if self.again else "")

    @property
    def group(self) -> tuple[str, int]:
        """The gang, and which making of it; pods of a PodGroup are one gang however often one is made anew."""
        return (self.gang, self.made if self.kind == LWS else 0)

    @property
    def value(self) -> Pod:
        """The pod as the scheduler reads it."""
        return _read(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Everything that the API server holds, and what happened around it."""

    nodes: tuple[ModelNode, ...]
    pods: tuple[ModelPod, ...]
    records: tuple[str, ...] = ()
    """Placement objects as JSON with sorted keys, in order of name."""
    made: int = 0
    """Records made so far, for UIDs."""
    events: tuple[str, ...] = ()
    """What the surroundings did, by name, sorted."""
    crowded: tuple[str, ...] = ()
    """Nodes where a stranger took room: binds that were decided before may over-commit them, as with any second scheduler."""
    budget: tuple[str, ...] = ()
    """Pods that a disruption budget protects from eviction for now."""
    late: bool = False
    """Whether every deadline written so far has passed."""

    def pod(self, name: str) -> ModelPod | None:
        """Return a pod by name."""
        return next((pod for pod in self.pods if pod.name == name), None)

    def with_pod(self, name: str, pod: ModelPod | None) -> Cluster:
        """Return the cluster with another pod of this name, or none."""
        rest = [each for each in self.pods if each.name != name]
        return replace(self, pods=tuple(sorted([*rest, *([pod] if pod else [])], key=lambda each: each.name)))

    def record(self, name: str) -> str | None:
        """Return a Placement by name."""
        return next((text for text in self.records if name_of(text) == name), None)

    def with_record(self, name: str, text: str | None) -> Cluster:
        """Return the cluster with another Placement of this name, or none."""
        rest = [each for each in self.records if name_of(each) != name]
        return replace(self, records=tuple(sorted([*rest, *([text] if text else [])])))

    def used(self, name: str) -> int:
        """Return the GPUs that pods take on a node."""
        return sum(pod.gpus for pod in self.pods if pod.node == name and not pod.failed)


@cache
def record(text: str) -> Record:
    """Read a Placement as the scheduler does; raises BadInput where somebody has edited it."""
    return placement(text.encode())


@cache
def meant(text: str) -> Record:
    """Read a Placement, also one that somebody has edited: what it said before."""
    return record(canonical(mended(json.loads(text))))


@cache
def readable(text: str) -> bool:
    """Whether nobody has edited the Placement."""
    return EDIT not in json.loads(text)["spec"]


def mended(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Placement without the edit."""
    return {**raw, "spec": {key: value for key, value in raw["spec"].items() if key != EDIT}}


@cache
def name_of(text: str) -> str:
    """Return the name of a Placement."""
    return str(json.loads(text)["metadata"]["name"])


def canonical(raw: Mapping[str, Any]) -> str:
    """Write an object so that equal objects are equal texts."""
    return json.dumps(raw, sort_keys=True, separators=(",", ":"))


@cache
def pod_json(pod: ModelPod) -> str:
    """Return the pod as the API server sends it."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    if pod.kind == LWS:
        labels = {names.LWS_NAME: pod.gang, names.LWS_GROUP_INDEX: "0", names.LWS_WORKER_INDEX: str(pod.index)}
        annotations = {names.LWS_SIZE: str(pod.size)}
    elif pod.kind in GROUPED:
        labels = {names.POD_GROUP: pod.gang}
    version, owner = _OWNERS.get(pod.kind, ("", ""))
    above = {"apiVersion": version, "kind": owner, "name": pod.gang, "uid": f"set-{pod.gang}-{pod.made}", "controller": True}
    metadata = {
        "name": pod.name,
        "namespace": NS,
        "uid": pod.uid,
        "resourceVersion": str(pod.version),
        "creationTimestamp": f"2026-01-01T00:00:0{pod.made}Z",
        "labels": labels,
        "annotations": annotations,
        **({"ownerReferences": [above]} if owner else {}),
        **({"deletionTimestamp": "2026-01-01T01:00:00Z"} if pod.terminating else {}),
    }
    amounts = {"requests": {"nvidia.com/gpu": str(pod.gpus)}, "limits": {"nvidia.com/gpu": str(pod.gpus)}}
    spec = {
        "schedulerName": "default-scheduler" if pod.kind == STRANGER else names.SCHEDULER_NAME,
        "containers": [{"name": "main", "resources": amounts}],
        **({"nodeName": pod.node} if pod.node else {}),
    }
    status = {"phase": "Failed", "reason": "OutOfnvidia.com/gpu"} if pod.failed else {"phase": "Pending"}
    return canonical({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})


@cache
def _node(about: ModelNode) -> Node:
    return node(about.name, rack=about.name[0], gpus=GPUS, unschedulable=about.cordoned)


@cache
def _read(pod: ModelPod) -> Pod:
    return wire.pod(pod_json(pod).encode(), strict=False)


def lws_gang(name: str, size: int, *, made: int = 0, gpus: int = GPUS) -> tuple[ModelPod, ...]:
    """Return the pods of one LeaderWorkerSet group: evicting its leader makes all of them anew."""
    rows = [(f"{name}-0" if index == 0 else f"{name}-0-{index}", index) for index in range(size)]
    return tuple(ModelPod(name=pod, kind=LWS, gang=name, index=index, size=size, made=made, gpus=gpus) for pod, index in rows)


def leader_first(name: str, size: int) -> tuple[ModelPod, ...]:
    """Return the leader of a LeaderWorkerSet group whose workers come when it is bound."""
    return (replace(lws_gang(name, size)[0], first=True),)


def loose_gang(name: str, size: int, *, gpus: int = GPUS, kind: str = POD_GROUP) -> tuple[ModelPod, ...]:
    """Return pods that a PodGroup makes one gang: bare ones, which nobody makes anew, or those of a StatefulSet."""
    return tuple(ModelPod(name=f"{name}-{index}", kind=kind, gang=name, index=index, size=size, gpus=gpus) for index in range(size))


def lone_pod(name: str, *, gpus: int = GPUS) -> ModelPod:
    """Return a pod that is a gang of one."""
    return ModelPod(name=name, kind=LONE, gang=name, gpus=gpus)


def stranger(name: str, on: str, *, gpus: int = GPUS) -> ModelPod:
    """Return a pod that another scheduler has bound."""
    return ModelPod(name=name, kind=STRANGER, gang=name, gpus=gpus, node=on)
