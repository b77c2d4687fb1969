"""Generated clusters as an API server sends them, the same for the same seed; as values alone they come from `scheduler.bench.grids`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scheduler.dryrun import observe
from scheduler.kube.parse.documents import Document
from scheduler.state.snapshot import Snapshot
from topology.generate import fabric

Json = dict[str, Any]

PAGE: Final = 500
"""Objects on one page of a list, as the watches ask for them."""
_CREATED: Final = "2026-01-31T12:00:00Z"
_WRITERS: Final = ("kube-controller-manager", "kube-scheduler", "kubelet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A gang of ``pods`` equal pods with ``gpus`` GPUs each."""

    pods: int
    gpus: int

    def __str__(self) -> str:
        """Name it as tables do."""
        return f"{self.pods} pods x {self.gpus} GPU"


def cluster(*, nodes: int, used: float, seed: int) -> Snapshot:
    """Return a cluster of eight-GPU nodes, 16 to a rack and 20 racks to a spine, of whose GPUs the share ``used`` is taken."""
    made = fabric(nodes=nodes, used=used, seed=seed)
    return observe([Document(file="generated", index=i, raw=raw) for i, raw in enumerate([*made.nodes, *made.pods])])


def objects(*, nodes: int, pods: int, seed: int) -> tuple[list[Json], list[Json]]:
    """Return nodes and exactly ``pods`` running pods with all that an API server writes into them: about 4 kB a pod."""
    made = fabric(nodes=nodes, used=0.9, seed=seed)
    names = [node["metadata"]["name"] for node in made.nodes]
    small = (_small(number, names[number % len(names)]) for number in range(pods))
    filled = [*made.pods[:pods], *(next(small) for _ in range(pods - len(made.pods)))]
    return [_served_node(node) for node in made.nodes], [_served_pod(pod) for pod in filled]


def list_pages(items: Sequence[Json], kind: str) -> Iterator[bytes]:
    """Yield the pages of a list as the API server sends them: compact JSON, without apiVersion and kind in the items."""
    for start in range(0, len(items), PAGE):
        bare = [{key: value for key, value in item.items() if key not in ("apiVersion", "kind")} for item in items[start : start + PAGE]]
        page = {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {"resourceVersion": "100000"}, "items": bare}
        yield json.dumps(page, separators=(",", ":")).encode()


def _small(number: int, node: str) -> Json:
    """Return a pod without GPUs, as every node holds some."""
    resources = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "web", "name": f"web-{number:05}", "uid": f"00000000-0000-4000-a000-{number:012}", "labels": {"app": "web"}},
        "spec": {
            "nodeName": node,
            "schedulerName": "default-scheduler",
            "containers": [{"name": "main", "image": "registry.example/web:1", "resources": resources}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _served_node(node: Json) -> Json:
    extra = {"creationTimestamp": _CREATED, "resourceVersion": "1000", "managedFields": _managed(("kubelet", "kube-controller-manager"), 20)}
    images = [{"names": [f"registry.example/image-{i}@sha256:{i:064x}", f"registry.example/image-{i}:1"], "sizeBytes": 10**9} for i in range(10)]
    conditions = [
        {"type": kind, "status": status, "lastHeartbeatTime": _CREATED, "lastTransitionTime": _CREATED, "reason": f"Kubelet{kind}", "message": "-"}
        for kind, status in (("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"), ("Ready", "True"))
    ]
    return {
        **node,
        "metadata": {**node["metadata"], **extra},
        "status": {**node["status"], "conditions": conditions, "images": images},
    }


def _served_pod(pod: Json) -> Json:
    """Add what a server's pod carries and no decision reads: parsing has to skip it."""
    uid = pod["metadata"]["uid"]
    metadata = {
        "generateName": "train-",
        "creationTimestamp": _CREATED,
        "resourceVersion": "2000",
        "labels": {**pod["metadata"]["labels"], "controller-revision-hash": "6c8f9d5b7", "pod-template-hash": "6c8f9d5b7"},
        "annotations": {"kubernetes.io/config.seen": _CREATED},
        "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": uid[::-1], "controller": True, "blockOwnerDeletion": True}
        ],
        "managedFields": _managed(_WRITERS, 12),
    }
    mounts = [{"name": "token", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
    containers = [{**c, "terminationMessagePath": "/dev/termination-log", "volumeMounts": mounts} for c in pod["spec"]["containers"]]
    tolerations = [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
    ]
    spec = {
        **pod["spec"],
        "containers": containers,
        "tolerations": tolerations,
        "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}], "defaultMode": 420}}],
        "serviceAccountName": "default",
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "priority": 0,
    }
    states = [
        {"name": c["name"], "ready": True, "restartCount": 0, "image": c["image"], "state": {"running": {"startedAt": _CREATED}}} for c in containers
    ]
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": _CREATED} for kind in kinds]
    status = {
        **pod["status"],
        "conditions": conditions,
        "containerStatuses": states,
        "hostIP": "10.0.0.1",
        "podIP": "10.1.0.1",
        "qosClass": "Burstable",
    }
    return {**pod, "metadata": {**pod["metadata"], **metadata}, "spec": spec, "status": status}


def _managed(writers: Iterable[str], fields: int) -> list[Json]:
    """Return managedFields: a third of what a server sends."""
    owned: Json = {f"f:field-{i}": {".": {}, "f:lastTransitionTime": {}} for i in range(fields)}
    return [
        {"manager": w, "operation": "Update", "apiVersion": "v1", "time": _CREATED, "fieldsType": "FieldsV1", "fieldsV1": {"f:status": owned}}
        for w in writers
    ]
