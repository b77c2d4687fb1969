"""What a start costs before the first decision: parse every node and pod, fill the cache, take a snapshot.

Offline: the bytes are those of list pages, but no server sends them and the objects' heads are not compared with what was told before (that
is the watches' part). The same against a real API server is measured by `scheduler.benchlive`.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from pydantic_core import from_json

from scheduler.bench.measure import Fact, Options, Row, repeated
from scheduler.bench.worlds import list_pages, objects
from scheduler.kube.parse import wire
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Value

NODES: Final = 1_000
PODS: Final = 10_000
SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """All pages of one resource, and the parser of its objects."""

    source: str
    parse: Callable[[dict[str, object]], Value]
    pages: Sequence[bytes]


def syncing(options: Options) -> Iterator[Row]:
    """Sync from bytes; then once more under a tracer, to weigh what is kept."""
    nodes, pods = options.size(NODES), options.size(PODS)
    options.tell(f"generating {nodes:,} nodes and {pods:,} pods")
    lists = _lists(nodes, pods, options.seed)
    options.tell(f"syncing {nodes:,} nodes and {pods:,} pods")
    took = repeated(lambda: _synced(lists), options.runs)
    sizes: dict[str, Fact] = {
        f"bytes of JSON a {one}": sum(map(len, found.pages)) // n for one, n, found in zip(("node", "pod"), (nodes, pods), lists, strict=True)
    }
    yield took.row(f"parse and cache {nodes:,} nodes, {pods:,} pods", unit="s", bound=SECONDS, facts=sizes)
    per_node, per_pod, per_view = _kept(lists, (nodes, pods))
    yield Row(what="kept for each node", unit="bytes", values=(per_node,))
    yield Row(what="kept for each pod", unit="bytes", values=(per_pod,), facts={"more with a snapshot": round(per_view)})


def _lists(nodes: int, pods: int, seed: int) -> tuple[_List, _List]:
    node_objects, pod_objects = objects(nodes=nodes, pods=pods, seed=seed)
    return (
        _List(source="nodes", parse=lambda raw: wire.node(raw, strict=False), pages=tuple(list_pages(node_objects, "Node"))),
        _List(source="pods", parse=lambda raw: wire.pod(raw, strict=False), pages=tuple(list_pages(pod_objects, "Pod"))),
    )


def _synced(lists: Sequence[_List]) -> ClusterCache:
    cache = ClusterCache()
    for found in lists:
        _take(cache, found)
    cache.snapshot()
    cache.world()
    return cache


def _take(cache: ClusterCache, found: _List) -> None:
    for page in found.pages:
        for item in from_json(page)["items"]:
            metadata: dict[str, Any] = item["metadata"]
            about = Id(source=found.source, namespace=metadata.get("namespace", ""), name=metadata["name"], uid=metadata["uid"])
            cache.apply(Put(id=about, value=found.parse(item)))


def _kept(lists: tuple[_List, _List], counts: tuple[int, int]) -> tuple[float, float, float]:
    """Return the bytes that the cache keeps for a node and for a pod, and what a snapshot and a world add for a pod."""
    _synced(lists)  # what is built once and kept by the modules is not the cache's
    nodes, pods = lists
    gc.collect()
    tracemalloc.start()
    try:
        cache = ClusterCache()
        marks = [_traced()]
        for found in (nodes, pods):
            _take(cache, found)
            marks.append(_traced())
        views = (cache.snapshot(), cache.world())
        marks.append(_traced())
        del views
    finally:
        tracemalloc.stop()
    grown = [after - before for before, after in pairwise(marks)]
    return grown[0] / counts[0], grown[1] / counts[1], grown[2] / counts[1]


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
