"""The referee's own rules between pods that share a node or a domain: room, host ports, anti-affinity.

Plain loops, used by `scheduler.decide.verify` alone; nothing here is shared with the code that makes plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import HostPort, Pod, PodTerm, Requirement, Shape
from scheduler.state.resources import PODS
from scheduler.state.snapshot import Snapshot


def others(snapshot: Snapshot, gang: Gang, nodes: Iterable[NodeName]) -> dict[NodeName, list[Pod]]:
    """Return the pods on these nodes but the gang's own members without a node (an assumed seat is not counted twice)."""
    pending = {m.pod.uid for m in gang.members if m.pod.node is None}
    return {node: [pod for pod in snapshot.pods_on.get(node, ()) if pod.uid not in pending] for node in nodes}


def room_left(snapshot: Snapshot, node: NodeName, pods: Iterable[Pod], shapes: Iterable[Shape]) -> Iterator[str]:
    """Say what is too much when pods of these shapes join the pods of a node; a resource that nobody new asks for is not judged."""
    here, joining = list(pods), list(shapes)
    allocatable = snapshot.nodes[node].allocatable
    asked = sorted({name for s in joining for name, amount in s.requests.items() if amount > 0 and name != PODS})
    for name in asked:
        held = sum(p.used.amount(name) for p in here)
        added = sum(s.requests.amount(name) for s in joining)
        if held + added > allocatable.amount(name):
            yield f"node {node}: {name}: {held} used and {added} added exceed {allocatable.amount(name)}"
    if joining and len(here) + len(joining) > allocatable.amount(PODS):
        yield f"node {node}: {len(here)} pods and {len(joining)} added exceed {allocatable.amount(PODS)}"


def meet(one: HostPort, other: HostPort) -> bool:
    """Tell whether two host ports exclude each other on one node."""
    every = "0.0.0.0"  # noqa: S104 - the API's word for all addresses; nothing listens here
    same = (one.port, one.protocol) == (other.port, other.protocol) and one.port > 0
    return same and (one.ip == other.ip or every in (one.ip, other.ip))


def meant(term: PodTerm, pod: Pod) -> bool:
    """Tell whether an anti-affinity term speaks of a pod; labels of namespaces are not known, so a selector of them may mean any."""
    here = pod.namespace in term.namespaces or term.namespace_selector is not None
    return here and term.selector is not None and all(_holds(r, pod.labels.get(r.key)) for r in term.selector)


def _holds(requirement: Requirement, value: str | None) -> bool:
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "DoesNotExist":
            return value is None
        case _:
            return value is not None
