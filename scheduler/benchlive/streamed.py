"""Syncs a large cluster from pages that are generated while they are asked for, in a process of its own whose memory can be weighed.

Run as ``python -m scheduler.benchlive.streamed FILE NODES PODS SEED`` and the thresholds of the garbage collector, as `scheduler.bench.syncing` does:
writes what it took into FILE. The pages are those of one small cluster, again and again under other names, so that no more than a page of JSON
exists at one moment; making them is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from scheduler.bench.worlds import Json, objects
from scheduler.kube.api import Api, Query
from scheduler.kube.errors import NotFound
from scheduler.kube.follow.listing import PAGE
from scheduler.kube.follow.watch import Watcher
from scheduler.state.cache import ClusterCache

_COPIES: Final = 20
_PATHS: Final = {"/api/v1/nodes": "Node", "/api/v1/pods": "Pod"}


class _Pages(Api):
    """Answers lists of nodes and pods with generated pages, and counts what making them costs; a watch tells nothing."""

    def __init__(self, *, nodes: int, pods: int, seed: int) -> None:
        small = objects(nodes=max(1, nodes // _COPIES), pods=max(1, pods // _COPIES), seed=seed)
        self._made = dict(zip(_PATHS, small, strict=True))
        self._sizes = dict(zip(_PATHS, (nodes, pods), strict=True))
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    async def get(self, path: str, query: Query | None = None) -> bytes:
        """Return one page."""
        if path not in self._made:
            raise NotFound(f"GET {path}: it is not served")
        started, cpu = time.perf_counter(), time.process_time()
        start = int((query or {}).get("continue", 0))
        end = min(start + PAGE, self._sizes[path])
        metadata = {"resourceVersion": "100000", **({"continue": str(end)} if end < self._sizes[path] else {})}
        items = [_again(self._made[path], number) for number in range(start, end)]
        page = {"kind": f"{_PATHS[path]}List", "apiVersion": "v1", "metadata": metadata, "items": items}
        made = json.dumps(page, separators=(",", ":")).encode()
        self.seconds += time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu
        return made

    async def stream(self, path: str, query: Query, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Tell nothing, for ever."""
        del path, query, idle  # the same for every watch
        await asyncio.Event().wait()
        yield b""


def _again(made: list[Json], number: int) -> Json:
    """Return an object of the small cluster under the names of one of its copies."""
    copy, at = divmod(number, len(made))
    item = made[at]
    metadata = {**item["metadata"], "name": f"{item['metadata']['name']}-{copy}", "uid": f"{item['metadata']['uid']}-{copy}"}
    spec = item["spec"] | ({"nodeName": f"{item['spec']['nodeName']}-{copy}"} if "nodeName" in item["spec"] else {})
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind")} | {"metadata": metadata, "spec": spec}


async def sync(api: Api) -> ClusterCache:
    """Follow all resources until every one was told once; return the cache."""
    watcher, cache = Watcher(api), ClusterCache()
    running = asyncio.create_task(watcher.run())
    synced = asyncio.create_task(watcher.synced())
    try:
        while not (synced.done() and watcher.events.empty()):
            if watcher.events.empty():
                await asyncio.sleep(0)
                continue
            cache.apply(watcher.events.get_nowait())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    cache.snapshot()
    cache.world()
    return cache


def main(file: Path, nodes: int, pods: int, seed: int, *garbage: int) -> None:
    """Sync, and write the seconds and the seconds of CPU that it took without the making of the pages; ``garbage``: thresholds of the collector."""
    gc.set_threshold(*garbage)
    api = _Pages(nodes=nodes, pods=pods, seed=seed)
    started, cpu = time.perf_counter(), time.process_time()
    cache = asyncio.run(sync(api))
    took = {"seconds": time.perf_counter() - started - api.seconds, "cpu": time.process_time() - cpu - api.cpu_seconds}
    found = (len(cache.snapshot().nodes), len(cache.world().pods))
    if found != (nodes, pods):
        raise AssertionError(f"the cache holds {found[0]:,} nodes and {found[1]:,} pods, expected {nodes:,} and {pods:,}")
    file.write_text(json.dumps(took), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
