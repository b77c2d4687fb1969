"""What the cache keeps for each node and each pod, in bytes: our models, as they are parsed from the pages of a list."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from scheduler.bench.measure import Options, Row
from scheduler.bench.worlds import Json, list_pages
from scheduler.kube.parse import shared, wire
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Value
from topology.generate import fabric

SIZES: Final = (1_000, 4_000, 16_000)
"""Nodes: that the bytes stay the same from one to the next shows that the growth is linear."""
NODE_BYTES: Final = 3_000.0
POD_BYTES: Final = 1_500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """All pages of one resource, and the parser of its objects."""

    source: str
    parse: Callable[[dict[str, object]], Value]
    pages: Sequence[bytes]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Bytes that the cache keeps for a node and for a pod, snapshot and world included; and what these two add for a pod."""

    node: float
    pod: float
    view: float


def lists(nodes: Sequence[Json], pods: Sequence[Json]) -> tuple[Listed, Listed]:
    """Return nodes and pods as a server would list them."""
    return (
        Listed(source="nodes", parse=lambda raw: wire.node(raw, strict=False), pages=tuple(list_pages(nodes, "Node")), count=len(nodes)),
        Listed(source="pods", parse=lambda raw: wire.pod(raw, strict=False), pages=tuple(list_pages(pods, "Pod")), count=len(pods)),
    )


def synced(given: Sequence[Listed]) -> ClusterCache:
    """Parse all pages into a new cache, and take a snapshot and a world of it."""
    cache = ClusterCache()
    for listed in given:
        _take(cache, listed)
    cache.snapshot()
    cache.world()
    return cache


def kept(given: tuple[Listed, Listed]) -> Kept:
    """Weigh the cache as it is filled, under a tracer: what its values share as well, and once its changes are taken as the scheduler does."""
    synced(given)  # what is built once and kept by the modules is not the cache's
    shared.forget()
    gc.collect()
    tracemalloc.start()
    try:
        cache = ClusterCache()
        marks = [_traced()]
        for listed in given:
            _take(cache, listed)
            cache.changes()
            marks.append(_traced())
            views = (cache.snapshot(), cache.world())
            marks.append(_traced())
        del views
    finally:
        tracemalloc.stop()
    nodes, pods = given
    start, _, with_nodes, with_pods, end = marks
    return Kept(node=(with_nodes - start) / nodes.count, pod=(end - with_nodes) / max(1, pods.count), view=(end - with_pods) / max(1, pods.count))


def keeping(options: Options) -> Iterator[Row]:
    """Weigh generated clusters of several sizes, 90 % full."""
    for nodes in dict.fromkeys(options.size(n) for n in SIZES):
        options.tell(f"weighing what is kept of {nodes:,} nodes")
        made = fabric(nodes=nodes, used=0.9, seed=options.seed)
        found = kept(lists(made.nodes, made.pods))
        yield Row(what=f"kept for each of {nodes:,} nodes", unit="bytes", values=(found.node,), bound=NODE_BYTES)
        what = f"kept for each of the pods on {nodes:,} nodes"
        yield Row(
            what=what, unit="bytes", values=(found.pod,), bound=POD_BYTES, facts={"pods": len(made.pods), "of it for a snapshot": round(found.view)}
        )


def _take(cache: ClusterCache, listed: Listed) -> None:
    for page in listed.pages:
        for item in from_json(page)["items"]:
            metadata: dict[str, Any] = item["metadata"]
            about = Id(source=listed.source, namespace=metadata.get("namespace", ""), name=metadata["name"], uid=metadata["uid"])
            cache.apply(Put(id=about, value=listed.parse(item)))


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
