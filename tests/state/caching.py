"""Events and plans for tests of the cache."""

from collections.abc import Sequence
from dataclasses import replace

from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Levels, PriorityClass, Put, Removed, Value
from scheduler.state.gang import Member
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.plan import Decision, Placed, Seat
from tests.builders import gang, pod

KEY = GangKey("ai/LeaderWorkerSet/train")


def put(value: Value) -> Put:
    """Return the event that a watch would tell of."""
    match value:
        case Node():
            about = Id(source="nodes", namespace="", name=value.name, uid=value.uid)
        case Pod():
            about = Id(source="pods", namespace=value.namespace, name=value.name, uid=value.uid)
        case PriorityClass() | Levels():
            about = Id(source=type(value).__name__, namespace="", name=value.name, uid="")
        case _:
            about = Id(source=type(value).__name__, namespace=value.namespace, name=value.name, uid=value.uid)
    return Put(id=about, value=value)


def gone(value: Value) -> Removed:
    return Removed(id=put(value).id)


def told(*values: Value) -> ClusterCache:
    cache = ClusterCache()
    for value in values:
        cache.apply(put(value))
    return cache


def plan(pods: Sequence[Pod], nodes: Sequence[str]) -> Placed:
    members = [Member(pod=p, role="worker", rank=rank) for rank, p in enumerate(pods)]
    whole = replace(gang("train", pods=len(pods)), key=KEY, members=tuple(members))
    seats = tuple(Seat(member=m, node=NodeName(n), bound=False) for m, n in zip(members, nodes, strict=True))
    return Placed(gang=whole, seats=seats, cost=0, bound=0, levels=(), decision=Decision(engine="none"))


def held(name: str, gpus: int = 4) -> Pod:
    return replace(pod(name, gpus=gpus), uid=PodUid(f"seat:default/{name}"))
