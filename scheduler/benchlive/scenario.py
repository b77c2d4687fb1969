"""The live scenario from beginning to end: gangs on an idle cluster, then a sync of a full one."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from typing import Any, Final

from scheduler.bench.launch import CommandFailedError
from scheduler.bench.measure import Options, Row, Taken
from scheduler.bench.worlds import objects
from scheduler.benchlive import cluster
from scheduler.benchlive.gangs import Bench, gangs
from scheduler.benchlive.observer import Observer
from scheduler.benchlive.process import scheduler
from scheduler.kube.api import PODS, Api, connect
from scheduler.kube.follow.watch import Watcher
from scheduler.state.cache import ClusterCache
from topology.generate import fabric

GANG_NODES: Final = 500
SYNC_NODES: Final = 1_000
SYNC_PODS: Final = 10_000
SYNC_SECONDS: Final = 3.0
SETTLE_SECONDS: Final = 15.0
"""After the last pod runs, until controllers, events and caches have caught up with ten thousand new pods."""


def live(kubeconfig: Path, options: Options) -> list[Row]:
    """Measure on a cluster that KWOK plays; ``kubeconfig`` must have the right to make nodes.

    Raises BadInput for a cluster with a real node, `scheduler.kube.errors.ApiError` for one that cannot be used, CommandFailedError when the
    scheduler or the cluster does not do what is measured.
    """
    try:
        return asyncio.run(_live(kubeconfig, options))
    except cluster.TookTooLongError as error:
        raise CommandFailedError(str(error)) from error


async def _live(kubeconfig: Path, options: Options) -> list[Row]:
    async with await connect(str(kubeconfig)) as api:
        there = await cluster.refuse_real_nodes(api)
        first, more = options.size(GANG_NODES), options.size(SYNC_NODES) - options.size(GANG_NODES)
        wanted = fabric(nodes=first + more, seed=options.seed).nodes
        async with cluster.nodes(api, wanted[:first], options.tell):
            rows = await _gangs(api, kubeconfig, options, [n["metadata"]["name"] for n in wanted[:first]], there)
            async with cluster.nodes(api, wanted[first:], options.tell):
                return [*rows, await _sync(api, options, there)]


async def _gangs(api: Api, kubeconfig: Path, options: Options, names: list[str], there: int) -> list[Row]:
    async with cluster.namespace(api) as namespace, Observer(api, namespace) as observer, scheduler(api, kubeconfig, namespace) as running:
        try:
            return [row async for row in gangs(Bench(api, namespace, observer, names), running, options, there + len(names))]
        except cluster.TookTooLongError as late:
            running.check()
            raise CommandFailedError(f"{late}; the scheduler's log ends: {running.tail}") from late


async def _sync(api: Api, options: Options, there: int) -> Row:
    """Fill the cluster with pods and follow it anew, again and again."""
    nodes, pods = options.size(SYNC_NODES), options.size(SYNC_PODS)
    async with cluster.namespace(api) as namespace:
        options.tell(f"making {pods:,} pods")
        _, wanted = objects(nodes=nodes, pods=pods, seed=options.seed)
        await cluster.together(api.post(PODS.path(namespace), _bound(pod)) for pod in wanted)
        options.tell("waiting until KWOK has them running")
        await cluster.until(lambda: cluster.all_running(api, namespace), what=f"{pods:,} pods running", every=2.0)
        await asyncio.sleep(SETTLE_SECONDS / options.shrink)
        options.tell(f"syncing {nodes:,} nodes and {pods:,} pods")
        took = [await _synced(api) for _ in range(options.runs)]
    taken = Taken(seconds=tuple(wall for wall, _ in took), cpu_seconds=tuple(cpu for _, cpu in took))
    return taken.row(f"list, parse and cache {nodes + there:,} nodes, {pods:,} pods", unit="s", bound=SYNC_SECONDS)


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
