"""Large clusters and gangs made as values, without JSON in between: 100,000 nodes in seconds, the same for the same seed.

They look like `topology.generate`'s: eight-GPU nodes in racks, spines and cores, half of them full or empty, the others partly used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.state.gang import Demand, Gang, Member
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node, Pod, Ref, Shape
from scheduler.state.resources import CPU, GPU, MEMORY, PODS, Resources
from scheduler.state.snapshot import Snapshot
from topology import FABRIC_TIERS, HOSTNAME, ZONE, build

RACK, SPINE, CORE = FABRIC_TIERS
GPUS: Final = 8
_GIB: Final = 2**30
_NODE: Final = Resources({CPU: 192_000, MEMORY: 1_900 * _GIB, GPU: GPUS, PODS: 110})
_SIZES: Final = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How nodes lie in racks, spines and cores."""

    rack: int = 16
    """Nodes of a rack."""
    spine: int = 20
    """Racks of a spine."""
    core: int = 8
    """Spines of a core, which is a zone of its own."""


def shape(gpus: int) -> Shape:
    """Return what a pod with so many GPUs asks for: CPU and memory in proportion."""
    return Shape(requests=Resources({CPU: 4_000 * gpus, MEMORY: 32 * _GIB * gpus, GPU: gpus, PODS: 1}))


SHAPES: Final[Mapping[int, Shape]] = {gpus: shape(gpus) for gpus in range(1, GPUS + 1)}


def grid(*, nodes: int, used: float, seed: int, layout: Layout | None = None) -> Snapshot:
    """Return a cluster of whose GPUs the share ``used`` is taken, on average."""
    rng = np.random.default_rng(seed)
    whole = rng.random(nodes) < 0.5  # noqa: PLR2004 - half of the nodes are full or empty, as training leaves them
    full = np.where(rng.random(nodes) < used, GPUS, 0)
    taken: list[int] = np.where(whole, full, rng.binomial(GPUS, used, nodes)).tolist()
    return filled(taken, layout or Layout())


def filled(taken: Sequence[int], layout: Layout) -> Snapshot:
    """Return a cluster with one node for each number of GPUs that running pods take of it."""
    width = len(str(len(taken)))
    names = [NodeName(f"node-{number + 1:0{width}}") for number in range(len(taken))]
    nodes = {name: Node(name=name, labels=_labels(name, number, layout), allocatable=_NODE) for number, name in enumerate(names)}
    pods = {pod.uid: pod for name, gpus in zip(names, taken, strict=True) for pod in _running(name, gpus)}
    return Snapshot(topology=build({name: node.labels for name, node in nodes.items()}), nodes=nodes, pods=pods)


def gang(name: str, roles: Iterable[tuple[str, int, int]], *, demand: Demand | None = None) -> Gang:
    """Return a gang of roles, each with its name, its number of pods and the GPUs of one; all members must be placed."""
    members: list[Member] = []
    for role, count, gpus in roles:
        for _ in range(count):
            rank = len(members)
            uid = PodUid(f"{name}-{rank:04}")
            requests = SHAPES[gpus].requests
            pod = Pod(namespace="bench", name=uid, uid=uid, shape=SHAPES[gpus], used=requests)
            members.append(Member(pod=pod, role=role, rank=rank))
    about = Ref(kind="PodGroup", name=name)
    return Gang(
        key=GangKey(f"bench/PodGroup/{name}"),
        namespace="bench",
        name=name,
        workload=about,
        owner=about,
        members=tuple(members),
        min_member=len(members),
        demand=demand or Demand(),
    )


def _labels(name: str, number: int, layout: Layout) -> dict[str, str]:
    rack = number // layout.rack
    spine = rack // layout.spine
    core = spine // layout.core
    places = {RACK: f"rack-{rack + 1:05}", SPINE: f"spine-{spine + 1:04}", CORE: f"core-{core + 1:03}", ZONE: f"zone-{core + 1:03}"}
    return {HOSTNAME: name, **places}


def _running(node: NodeName, taken: int) -> Iterable[Pod]:
    """Give pods of the usual sizes, largest first, that take so many GPUs."""
    left, number = taken, 0
    while left:
        gpus = next(size for size in _SIZES if size <= left)
        uid = PodUid(f"{node}-{number}")
        yield Pod(namespace="batch", name=uid, uid=uid, shape=SHAPES[gpus], used=SHAPES[gpus].requests, node=node, phase="Running", ready=True)
        left, number = left - gpus, number + 1
