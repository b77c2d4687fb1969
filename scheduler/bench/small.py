"""Small worlds whose optimum can be found by trying everything: values, and the Kubernetes objects that say the same.

The oracle reads the values, the scheduler gets the objects. Both are plain; drawing worlds is `scheduler.bench.families`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from topology import FABRIC_TIERS, GPU_CLIQUE, HOSTNAME

RACK, SPINE, _ = FABRIC_TIERS
CLIQUE: Final = GPU_CLIQUE
HOST: Final = HOSTNAME
ROW: Final = "example.com/row"
"""A key of no vocabulary: its domains follow no tree."""
NAMES: Final = {RACK: "rack", SPINE: "spine", CLIQUE: "nvlink", HOST: "host"}
"""Level names that a demand may use instead of the keys."""
GPU: Final = "nvidia.com/gpu"
PODS: Final = "pods"

Json = dict[str, Any]
_BYTES: Final = ("memory", "ephemeral-storage")
_LWS: Final = "leaderworkerset.sigs.k8s.io"
_SEGMENT_LEVEL: Final = "coterie.dev/segment-required-topology"
_GROUP: Final = "gang"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNode:
    """A node; ``room`` is allocatable: cores, GiB, devices, pods."""

    name: str
    labels: Mapping[str, str]
    room: Mapping[str, int]
    tainted: bool = False
    cordoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallShape:
    """What a pod asks for; ``kind`` is the value that its node selector wants of the label of that name."""

    asks: Mapping[str, int]
    port: int = 0
    kind: str = ""
    tolerates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPod:
    """A pod of somebody else that runs on a node."""

    node: str
    asks: Mapping[str, int]
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallMember:
    """A member in rank order: the index of its shape, and the node where it runs already."""

    shape: int
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """One gang and the cluster that it is asked of."""

    family: str
    number: int
    nodes: tuple[SmallNode, ...]
    others: tuple[SmallPod, ...]
    shapes: tuple[SmallShape, ...]
    members: tuple[SmallMember, ...]
    least: int
    """minMember."""
    leads: bool = False
    """Whether the first member is a leader: the gang is then a group of a LeaderWorkerSet, else bare pods of a PodGroup."""
    required: str | None = None
    weights: Mapping[str, int] | None = None
    """By label key; ``None``: the built-in weights."""
    segments: tuple[tuple[int, str], ...] = ()
    """Size and label key of each layer, outermost first."""
    subgroups: str = ""
    """``LeaderWorker`` or ``LeaderExcluded``: the one layer of segments is the LeaderWorkerSet's own, with its rule for the leader."""
    nvlink: str = "unasked"
    named: bool = False
    """Whether the objects name levels (``rack``) rather than keys."""

    @property
    def elastic(self) -> bool:
        """Whether some members may be left out."""
        return self.least < len(self.members)

    def level(self, key: str) -> str:
        """Return what a demand writes for a level."""
        return NAMES.get(key, key) if self.named else key


def cluster(world: SmallWorld) -> list[Json]:
    """Return the nodes, other people's pods, and the members that run."""
    found = [_node(node) for node in world.nodes]
    for number, pod in enumerate(world.others):
        spec = _spec(SmallShape(asks=pod.asks, port=pod.port))
        found.append(_pod(f"other-{number}", {**spec, "nodeName": pod.node}, {}, {}, namespace="others"))
    return [*found, *(_member(world, rank) for rank, member in enumerate(world.members) if member.node is not None)]


def objects(world: SmallWorld) -> list[Json]:
    """Return what is to be planned: the gang and its demands."""
    return [*_demands(world), *((_leader_worker_set(world),) if world.leads else _bare_pods(world))]


def pod_name(world: SmallWorld, rank: int) -> str:
    """Return the name of a member's pod."""
    if world.leads:
        return f"{_GROUP}-0-{rank}" if rank else f"{_GROUP}-0"
    return f"{_GROUP}-{rank}"


def _node(node: SmallNode) -> Json:
    spec: Json = {"taints": [{"key": "reserved", "value": "yes", "effect": "NoSchedule"}]} if node.tainted else {}
    if node.cordoned:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": dict(node.labels)},
        "spec": spec,
        "status": {"allocatable": _amounts(node.room)},
    }


def _amounts(amounts: Mapping[str, int]) -> Json:
    return {name: f"{amount}Gi" if name in _BYTES else str(amount) for name, amount in amounts.items()}


def _spec(shape: SmallShape) -> Json:
    container: Json = {"name": "main", "image": "image", "resources": {"requests": _amounts(shape.asks), "limits": _devices(shape.asks)}}
    if shape.port:
        container["ports"] = [{"containerPort": shape.port, "hostPort": shape.port}]
    spec: Json = {"schedulerName": "coterie", "containers": [container]}
    if shape.kind:
        spec["nodeSelector"] = {"kind": shape.kind}
    if shape.tolerates:
        spec["tolerations"] = [{"key": "reserved", "operator": "Exists"}]
    return spec


def _devices(asks: Mapping[str, int]) -> Json:
    return {name: str(amount) for name, amount in asks.items() if "/" in name}


def _pod(name: str, spec: Json, labels: Mapping[str, str], annotations: Mapping[str, str], namespace: str = "default") -> Json:
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels), "annotations": dict(annotations)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Running" if "nodeName" in spec else "Pending"},
    }


def _member(world: SmallWorld, rank: int) -> Json:
    member = world.members[rank]
    labels, annotations = {"coterie.dev/pod-group": _GROUP}, {}
    if world.leads:
        labels |= {f"{_LWS}/name": _GROUP, f"{_LWS}/group-index": "0", f"{_LWS}/worker-index": str(rank)}
        annotations = {f"{_LWS}/size": str(len(world.members))}
    if world.subgroups:
        ((size, key),) = world.segments
        annotations |= {f"{_LWS}/subgroup-size": str(size), f"{_LWS}/subgroup-policy-type": world.subgroups, _SEGMENT_LEVEL: world.level(key)}
    where = {"nodeName": member.node} if member.node is not None else {}
    return _pod(pod_name(world, rank), {**_spec(world.shapes[member.shape]), **where}, labels, annotations)


def _bare_pods(world: SmallWorld) -> Iterator[Json]:
    return (_member(world, rank) for rank, member in enumerate(world.members) if member.node is None)


def _leader_worker_set(world: SmallWorld) -> Json:
    leader, *workers = world.members
    labels = {"metadata": {"labels": {"coterie.dev/pod-group": _GROUP}}}
    template: Json = {
        "size": len(world.members),
        "leaderTemplate": {**labels, "spec": _spec(world.shapes[leader.shape])},
        "workerTemplate": {**labels, "spec": _spec(world.shapes[(workers or [leader])[0].shape])},
    }
    annotations = {}
    if world.subgroups:
        ((size, key),) = world.segments
        template["subGroupPolicy"] = {"subGroupSize": size, "subGroupPolicyType": world.subgroups}
        annotations[_SEGMENT_LEVEL] = world.level(key)
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": _GROUP, "namespace": "default", "annotations": annotations},
        "spec": {"replicas": 1, "leaderWorkerTemplate": template},
    }


def _demands(world: SmallWorld) -> Iterator[Json]:
    """Give a PodGroup with minMember, segments and the wish for NVLink, and a policy of the namespace with levels and weights."""
    group: Json = {"minMember": world.least}
    if world.segments and not world.subgroups:
        group["segments"] = [{"size": size, "requiredTopology": world.level(key)} for size, key in world.segments]
    annotations = {} if world.nvlink == "unasked" else {"coterie.dev/nvlink": world.nvlink}
    metadata = {"name": _GROUP, "namespace": "default", "annotations": annotations}
    yield {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": metadata, "spec": group}
    policy: Json = {}
    if world.required is not None:
        policy["requiredTopology"] = world.level(world.required)
    if world.weights is not None:
        policy["preferredTopology"] = [{"topologyKey": world.level(key), "weight": weight} for key, weight in world.weights.items()]
    if policy:
        metadata = {"name": "policy", "namespace": "default"}
        yield {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": metadata, "spec": policy}
