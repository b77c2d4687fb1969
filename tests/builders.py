"""Small worlds for tests: every argument that does not matter has a default, so that a test shows what does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scheduler.state.gang import Demand, Gang, Member
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node, Pod, Ref, Shape, Taint
from scheduler.state.resources import GPU, Resources
from scheduler.state.snapshot import Snapshot
from topology import build

RACK = "fabric.topograph.run/tier-0"
SPINE = "fabric.topograph.run/tier-1"
CLIQUE = "nvidia.com/gpu.clique"


def resources(*, gpus: int = 0, cpu: int = 0, memory: int = 0, pods: int = 1, **others: int) -> Resources:
    """Return a vector; ``cpu`` in thousandths."""
    return Resources({GPU: gpus, "cpu": cpu, "memory": memory, "pods": pods, **others})


def node(
    name: str,
    *,
    rack: str = "",
    spine: str = "",
    clique: str = "",
    gpus: int = 8,
    pods: int = 110,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Taint] = (),
    unschedulable: bool = False,
) -> Node:
    """Return a node with eight GPUs and room for everything else."""
    places = {RACK: rack, SPINE: spine, CLIQUE: clique, "kubernetes.io/hostname": name}
    return Node(
        name=NodeName(name),
        labels={**{key: value for key, value in places.items() if value}, **(labels or {})},
        taints=tuple(taints),
        unschedulable=unschedulable,
        allocatable=resources(gpus=gpus, cpu=64_000, memory=2**40, pods=pods),
    )


def shape(*, gpus: int = 1, **fields: object) -> Shape:
    """Return what a pod with so many GPUs asks for; ``fields`` are those of Shape."""
    return Shape(**{"requests": resources(gpus=gpus), **fields})  # type: ignore[arg-type]  # fields of any type, checked by Shape's users


def pod(name: str, *, on: str | None = None, gpus: int = 1, namespace: str = "default", priority: int = 0, of: Shape | None = None) -> Pod:
    """Return a pod, bound when ``on`` names a node."""
    looks = of or shape(gpus=gpus)
    return Pod(
        namespace=namespace,
        name=name,
        uid=PodUid(f"uid-{namespace}-{name}"),
        shape=looks,
        used=looks.requests,
        node=None if on is None else NodeName(on),
        phase="Pending" if on is None else "Running",
        priority=priority,
    )


def gang(
    name: str = "train",
    *,
    pods: int = 2,
    gpus: int = 8,
    min_member: int | None = None,
    demand: Demand | None = None,
    leader: Shape | None = None,
    worker: Shape | None = None,
    on: Mapping[int, str] | None = None,
) -> Gang:
    """Return a gang of equal workers, with a leader as rank 0 when its shape is given; ``on`` binds ranks to nodes."""
    where = on or {}
    members = []
    for rank in range(pods):
        first = leader is not None and rank == 0
        looks = leader if first else worker or shape(gpus=gpus)
        member = pod(f"{name}-{rank}", on=where.get(rank), of=looks, namespace="ai")
        members.append(Member(pod=member, role="leader" if first else "worker", rank=rank))
    return Gang(
        key=GangKey(f"ai/LeaderWorkerSet/{name}"),
        namespace="ai",
        name=name,
        workload=Ref(kind="LeaderWorkerSet", name=name, api_version="leaderworkerset.x-k8s.io/v1"),
        owner=Ref(kind="LeaderWorkerSet", name=name),
        members=tuple(members),
        min_member=pods if min_member is None else min_member,
        demand=demand or Demand(),
    )


def snapshot(nodes: Iterable[Node], pods: Iterable[Pod] = ()) -> Snapshot:
    """Return a snapshot with the topology of the nodes' labels; pods without a node are left out, as in a real one."""
    known = {n.name: n for n in nodes}
    return Snapshot(topology=build({n.name: n.labels for n in known.values()}), nodes=known, pods={p.uid: p for p in pods if p.node})
