"""Raw Kubernetes objects as dicts: what a user hands to `plan`. Every argument that does not matter has a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = dict[str, Any]

RACK = "fabric.topograph.run/tier-0"
POD_GROUP = "coterie.dev/pod-group"
LWS = "leaderworkerset.sigs.k8s.io"


def node(name: str, *, rack: str = "", gpus: int = 8, pods: int = 110) -> Raw:
    """Return a node with room for GPUs and pods alone, as small as an input may be."""
    labels = {RACK: rack} if rack else {}
    allocatable = {"nvidia.com/gpu": str(gpus), "pods": str(pods)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}}


def spec(*, gpus: int = 8, scheduler: str = "coterie", **fields: object) -> Raw:
    """Return a pod spec."""
    container = {"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    named = {"schedulerName": scheduler} if scheduler else {}
    return {**named, "containers": [container], **fields}


def pod(name: str, *, on: str | None = None, gpus: int = 8, phase: str = "", labels: Mapping[str, str] | None = None, **metadata: object) -> Raw:
    """Return a bare pod, running where ``on`` names a node."""
    where = {"nodeName": on} if on else {}
    status = phase or ("Running" if on else "Pending")
    about = {"name": name, "labels": dict(labels or {}), **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec(gpus=gpus, **where), "status": {"phase": status}}


def lws(name: str = "serve", *, size: int = 2, replicas: int = 1, gpus: int = 8, scheduler: str = "coterie", **annotations: str) -> Raw:
    """Return a LeaderWorkerSet; annotations are Coterie's, with underscores for dashes."""
    asked = {f"coterie.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    template = {"size": size, "workerTemplate": {"spec": spec(gpus=gpus, scheduler=scheduler)}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "annotations": asked},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": template},
    }


def lws_pod(index: int, *, on: str, lws_name: str = "serve", group: int = 0, size: int = 2, gpus: int = 8) -> Raw:
    """Return a running pod of a LeaderWorkerSet group."""
    name = f"{lws_name}-{group}" if index == 0 else f"{lws_name}-{group}-{index}"
    labels = {f"{LWS}/name": lws_name, f"{LWS}/group-index": str(group), f"{LWS}/worker-index": str(index)}
    return pod(name, on=on, gpus=gpus, labels=labels, annotations={f"{LWS}/size": str(size)})


def deployment(name: str = "web", *, replicas: int = 2, gpus: int = 4, **annotations: str) -> Raw:
    """Return a Deployment."""
    asked = {f"coterie.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec(gpus=gpus)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": asked},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def pod_group(name: str = "train", *, minimum: int = 2, **fields: object) -> Raw:
    """Return a PodGroup."""
    return {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": name}, "spec": {"minMember": minimum, **fields}}


def policy(name: str = "policy", **weights: int) -> Raw:
    """Return a default TopologyPolicy with weights by level name."""
    rows = [{"topologyKey": level, "weight": weight} for level, weight in weights.items()]
    return {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": {"name": name}, "spec": {"preferredTopology": rows}}
