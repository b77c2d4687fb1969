"""The objects that are made to be bound: gangs of Coterie, gangs of kube-scheduler, pods of nobody. Only the grouping differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scheduler.bench.worlds import Load
from scheduler.kube.api import Resource
from scheduler.kube.group import names
from topology import FABRIC_TIERS

Json = dict[str, Any]

POD_GROUPS: Final = Resource(group=names.RUN_AI, version="v1", plural="podgroups")
PEER_GROUPS: Final = Resource(group="scheduling.k8s.io", version="v1alpha2", plural="podgroups")
"""Those of kube-scheduler."""
PEER: Final = "default-scheduler"
NOBODY: Final = "coterie-bench-nobody"
"""A scheduler that does not exist: its pods are left to us."""
RACK: Final = FABRIC_TIERS[0]
"""The node label of a rack in the clusters that are generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gangs:
    """So many equal gangs, each in one rack unless said otherwise."""

    count: int
    load: Load
    in_rack: bool = True

    @property
    def pods(self) -> int:
        """The pods of all of them."""
        return self.count * self.load.pods

    def __str__(self) -> str:
        """Name them as tables do."""
        return f"one gang of {self.load}" if self.count == 1 else f"{self.count:,} gangs of {self.load}"

    def members(self, prefix: str) -> dict[str, list[str]]:
        """Return the names of the pods by gang."""
        return {f"{prefix}-{g:04}": [f"{prefix}-{g:04}-{i:03}" for i in range(self.load.pods)] for g in range(self.count)}


def pod(name: str, scheduler: str, gpus: int, *, labels: Mapping[str, str] | None = None, spec: Mapping[str, object] | None = None) -> Json:
    """Return a pod."""
    resources: Json = {"requests": {"cpu": str(4 * gpus), "memory": f"{32 * gpus}Gi"}, "limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "schedulerName": scheduler,
            "containers": [{"name": "main", "image": "registry.example/train:1", "resources": resources}],
            **(spec or {}),
        },
    }


def ours(gang: str, members: Sequence[str], gpus: int) -> list[Json]:
    """Return the pods of a gang of Coterie."""
    return [pod(name, names.SCHEDULER_NAME, gpus, labels={names.POD_GROUP: gang}) for name in members]


def our_group(gang: str, pods: int, *, in_rack: bool) -> Json:
    """Return the PodGroup of a gang of Coterie."""
    spec: Json = {"minMember": pods, **({"requiredTopology": RACK} if in_rack else {})}
    return {"apiVersion": POD_GROUPS.api_version, "kind": "PodGroup", "metadata": {"name": gang}, "spec": spec}


def theirs(gang: str, members: Sequence[str], gpus: int) -> list[Json]:
    """Return the pods of a gang of kube-scheduler."""
    return [pod(name, PEER, gpus, spec={"schedulingGroup": {"podGroupName": gang}}) for name in members]


def their_group(gang: str, pods: int) -> Json:
    """Return the PodGroup of a gang of kube-scheduler, in one rack."""
    spec: Json = {"schedulingPolicy": {"gang": {"minCount": pods}}, "schedulingConstraints": {"topology": [{"key": RACK}]}}
    return {"apiVersion": PEER_GROUPS.api_version, "kind": "PodGroup", "metadata": {"name": gang}, "spec": spec}


def name_of(made: Json) -> str:
    """Return the name of an object."""
    return str(made["metadata"]["name"])
