"""A start on a full cluster: list, parse and cache all nodes and pods from a real API server, again and again."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from scheduler.bench.measure import Row, Taken
from scheduler.bench.worlds import objects
from scheduler.benchlive import cluster
from scheduler.benchlive.site import Site
from scheduler.kube.api import PODS, Api
from scheduler.kube.follow.watch import Watcher
from scheduler.state.cache import ClusterCache

PODS_THERE: Final = 10_000
SYNC_SECONDS: Final = 3.0
SETTLE_SECONDS: Final = 15.0
"""After the last pod is there, until controllers, events and caches have caught up with ten thousand new pods."""


async def syncing(site: Site) -> AsyncIterator[Row]:
    """Fill the cluster with pods and follow it anew, again and again."""
    options, count = site.options, site.options.size(PODS_THERE)
    async with cluster.namespace(site.api) as namespace:
        options.tell(f"making {count:,} pods")
        _, wanted = objects(nodes=len(site.nodes), pods=count, seed=options.seed)
        await cluster.together(site.api.post(PODS.path(namespace), _bound(pod)) for pod in wanted)
        if site.played:
            options.tell("waiting until KWOK has them running")
            await cluster.until(lambda: cluster.all_running(site.api, namespace), what=f"{count:,} pods running", every=2.0)
        await asyncio.sleep(SETTLE_SECONDS / options.shrink)
        options.tell(f"syncing {len(site.nodes):,} nodes and {count:,} pods")
        took = [await _synced(site.api) for _ in range(options.runs)]
        options.tell(f"deleting {count:,} pods")
        paths = [PODS.path(namespace, pod["metadata"]["name"]) for pod in wanted]
        await cluster.together(cluster.gone(site.api, path, cluster.NOW) for path in paths)
    taken = Taken(seconds=tuple(wall for wall, _ in took), cpu_seconds=tuple(cpu for _, cpu in took))
    yield taken.row(f"list, parse and cache {len(site.nodes):,} nodes, {count:,} pods", unit="s", bound=SYNC_SECONDS)


async def _synced(api: Api) -> tuple[float, float]:
    """Follow every watched resource into an empty cache; return the seconds to the first snapshot, and those of our CPU time."""
    watcher, cache = Watcher(api), ClusterCache()
    gc.collect()
    used, started = time.process_time(), time.perf_counter()
    following = asyncio.create_task(watcher.run())
    try:
        await watcher.synced()
        while not watcher.events.empty():
            cache.apply(watcher.events.get_nowait())
        cache.snapshot()
        cache.world()
        return time.perf_counter() - started, time.process_time() - used
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _bound(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod that is bound from its beginning, without what only the server writes."""
    given = pod["spec"]
    containers = [{key: c[key] for key in ("name", "image", "resources")} for c in given["containers"]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod["metadata"]["name"], "labels": pod["metadata"]["labels"]},
        "spec": {"nodeName": given["nodeName"], "schedulerName": given["schedulerName"], "containers": containers},
    }
