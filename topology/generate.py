"""Synthetic fabrics for tests, benchmarks and the demo: Kubernetes objects as plain JSON, the same for the same seed.

The sizes follow real hardware: racks of 16 eight-GPU nodes, or NVL72 racks of 18 four-GPU trays in one NVLink domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from topology.vocabulary import GPU_CLIQUE, GPU_PRODUCT, HOSTNAME, REGION, VOCABULARIES, ZONE, Vocabulary, tier_name

Json: TypeAlias = dict[str, Any]  # Kubernetes objects as JSON, whose values have every type

_GPU: Final = "nvidia.com/gpu"
_POD_GPUS: Final = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One kind of node."""

    product: str
    instance: str
    gpus: int
    cpu: int
    memory_gib: int
    arch: str


H100: Final = Machine(product="NVIDIA-H100-80GB-HBM3", instance="dgx-h100", gpus=8, cpu=192, memory_gib=1900, arch="amd64")
GB200: Final = Machine(product="NVIDIA-GB200", instance="gb200-nvl72", gpus=4, cpu=144, memory_gib=850, arch="arm64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """Nodes and the pods that run on them."""

    nodes: list[Json]
    pods: list[Json]

    def as_list(self) -> Json:
        """Return one ``List`` object, as ``kubectl get nodes,pods -A -o json`` prints it."""
        return {"apiVersion": "v1", "kind": "List", "items": [*self.nodes, *self.pods]}

    def labels(self) -> dict[str, dict[str, str]]:
        """Return the nodes' labels by node name, as ``topology.build`` takes them."""
        return {node["metadata"]["name"]: node["metadata"]["labels"] for node in self.nodes}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The sizes of a fabric: what one number of a node says about its place."""

    machine: Machine
    vocabulary: Vocabulary
    rack_size: int
    racks_per_spine: int
    spines_per_core: int

    def tiers(self, number: int) -> list[str]:
        """Return the domain names of a node, rack first."""
        rack = number // self.rack_size
        spine = rack // self.racks_per_spine
        return [f"rack-{rack + 1:04}", f"spine-{spine + 1:03}", f"core-{spine // self.spines_per_core + 1:02}"]


def fabric(
    *,
    nodes: int,
    gpus_per_node: int | None = None,
    rack_size: int | None = None,
    racks_per_spine: int = 20,
    spines_per_core: int = 8,
    vocabulary: str = "topograph v1",
    nvl72: bool = False,
    used: float = 0.0,
    seed: int = 0,
) -> Fabric:
    """Return a fabric of three tiers; every core is a zone of its own.

    ``gpus_per_node`` and ``rack_size`` are 8 and 16, with ``nvl72`` 4 and 18 and each rack is one NVLink domain. ``used`` is the share
    of GPUs that running pods take (0 to 1, reached on average): half of the nodes are either full or empty, the others partly
    used. KeyError for a vocabulary that does not exist.
    """
    machine = GB200 if nvl72 else H100
    plan = _Plan(
        machine=machine,
        vocabulary={v.name: v for v in VOCABULARIES}[vocabulary],
        rack_size=rack_size or (18 if nvl72 else 16),
        racks_per_spine=racks_per_spine,
        spines_per_core=spines_per_core,
    )
    gpus = machine.gpus if gpus_per_node is None else gpus_per_node
    rng = np.random.default_rng(seed)
    width = len(str(max(nodes, 1)))
    names = [f"{machine.instance}-{number + 1:0{width}}" for number in range(nodes)]
    cliques = [_uuid(rng) for _ in range(-(-nodes // plan.rack_size))] if nvl72 else []
    made = [
        _node(
            name, uid=_uuid(rng), gpus=gpus, plan=plan, tiers=plan.tiers(number), clique=f"{cliques[number // plan.rack_size]}.0" if nvl72 else None
        )
        for number, name in enumerate(names)
    ]
    pods = [pod for name, busy in zip(names, _busy(rng, nodes, gpus, used), strict=True) for pod in _pods(name, busy, rng)]
    return Fabric(nodes=made, pods=pods)


def labels_at(vocabulary: Vocabulary, tiers: list[str], nvlink: str | None) -> dict[str, str]:
    """Return the labels that a vocabulary writes for a node's domains (rack first) and its NVLink domain."""
    by_name = {tier_name(tier): domain for tier, domain in enumerate(tiers)}
    if nvlink is not None:
        by_name["nvlink"] = nvlink
    found = {key: by_name[name] for name, key in vocabulary.rows if name in by_name}
    series = vocabulary.series
    if series is not None:
        found |= {f"{series.prefix}{len(tiers) - tier if series.top_first else tier}": domain for tier, domain in enumerate(tiers)}
    return found


def _node(name: str, *, uid: str, gpus: int, plan: _Plan, tiers: list[str], clique: str | None) -> Json:
    """Return one node as the API server would print it, cut to the fields that matter."""
    machine = plan.machine
    labels = {
        "kubernetes.io/arch": machine.arch,
        "kubernetes.io/os": "linux",
        HOSTNAME: name,
        "node.kubernetes.io/instance-type": machine.instance,
        REGION: "region-1",
        ZONE: f"zone-{tiers[-1].removeprefix('core-')}",
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.present": "true",
        GPU_PRODUCT: machine.product,
        **labels_at(plan.vocabulary, tiers, clique),
    }
    if clique is not None:
        labels[GPU_CLIQUE] = clique
    amounts = {"cpu": str(machine.cpu), "memory": f"{machine.memory_gib}Gi", "ephemeral-storage": "1800Gi", "pods": "110", _GPU: str(gpus)}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": uid, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {"providerID": f"synthetic://region-1/{name}"},
        "status": {"allocatable": amounts, "capacity": dict(amounts), "conditions": [ready]},
    }


def _busy(rng: np.random.Generator, nodes: int, gpus: int, used: float) -> list[int]:
    """Return how many GPUs of each node are taken."""
    whole = rng.random(nodes) < 0.5  # noqa: PLR2004 - half of the nodes are full or empty, as training leaves them
    full = np.where(rng.random(nodes) < used, gpus, 0)
    found: list[int] = np.where(whole, full, rng.binomial(gpus, used, nodes)).tolist()
    return found


def _pods(node: str, busy: int, rng: np.random.Generator) -> list[Json]:
    """Fill the taken GPUs of a node with pods of the usual sizes, largest first."""
    pods: list[Json] = []
    while busy > 0:
        gpus = next(size for size in _POD_GPUS if size <= busy)
        pods.append(_pod(f"train-{node}-{len(pods)}", node, gpus, _uuid(rng)))
        busy -= gpus
    return pods


def _pod(name: str, node: str, gpus: int, uid: str) -> Json:
    """Return one running pod."""
    resources = {"requests": {"cpu": str(4 * gpus), "memory": f"{32 * gpus}Gi", _GPU: str(gpus)}, "limits": {_GPU: str(gpus)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "batch", "name": name, "uid": uid, "labels": {"app": "train"}},
        "spec": {
            "nodeName": node,
            "schedulerName": "default-scheduler",
            "containers": [{"name": "main", "image": "registry.example/train:1", "resources": resources}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _uuid(rng: np.random.Generator) -> str:
    """Return a random UUID (version 4)."""
    digits = rng.bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
