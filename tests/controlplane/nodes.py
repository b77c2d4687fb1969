"""KWOK nodes with GPUs: builders, and the way in and out of a cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.controlplane.admin import Admin

Object = dict[str, Any]

GPU = "nvidia.com/gpu"
PRODUCT = "NVIDIA-H100-80GB-HBM3"
ZONE = "topology.kubernetes.io/zone"
TIER_0 = "fabric.topograph.run/tier-0"  # the nearest switch: the rack
TIER_1 = "fabric.topograph.run/tier-1"


def gpu_node(name: str, *, labels: Mapping[str, str] | None = None, gpus: int = 8, cpu: str = "192", memory: str = "2Ti", pods: int = 110) -> Object:
    """Return a node that KWOK plays. KWOK keeps the capacity that it finds."""
    resources = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "4Ti", GPU: str(gpus)}
    own = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "nvidia.com/gpu.product": PRODUCT}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**own, **(labels or {})}, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": resources, "capacity": resources},
    }


def racks(*, racks: int = 4, nodes: int = 8, prefix: str = "gpu", zone: str = "zone-a") -> list[Object]:
    """Return racks of nodes with topograph's labels, two racks under each spine, all in one zone."""
    return [
        gpu_node(
            f"{prefix}-r{rack}-{number}",
            labels={ZONE: zone, TIER_0: f"{prefix}-rack-{rack}", TIER_1: f"{prefix}-spine-{(rack - 1) // 2 + 1}"},
        )
        for rack in range(1, racks + 1)
        for number in range(1, nodes + 1)
    ]


def add_nodes(admin: Admin, nodes: Iterable[Object], *, timeout: float = 30.0) -> list[str]:
    """Create nodes and wait until each is Ready and free of the taint that admission put on it; return their names."""
    names = [admin.create("/api/v1/nodes", node)["metadata"]["name"] for node in nodes]
    wanted = set(names)
    admin.wait(lambda: wanted <= set(usable_nodes(admin)), timeout, what=f"{len(names)} nodes ready")
    return names


def remove_nodes(admin: Admin, names: Iterable[str]) -> None:
    """Delete nodes that exist, without waiting for their pods to go."""
    for name in names:
        admin.delete(f"/api/v1/nodes/{name}", missing_ok=True)


def usable_nodes(admin: Admin) -> list[str]:
    """Return the names of the nodes that are Ready and without a not-ready taint."""
    return [node["metadata"]["name"] for node in admin.items("/api/v1/nodes") if _usable(node)]


def _usable(node: Object) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
    return ready and not any(each["key"] == "node.kubernetes.io/not-ready" for each in node["spec"].get("taints", []))
