"""What gangs cost that cannot be placed: a full cluster, hundreds of gangs that wait, and a pod that comes and goes without helping any of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from scheduler.bench.measure import Fact, Row
from scheduler.bench.worlds import Load
from scheduler.benchlive import cluster
from scheduler.benchlive.objects import NOBODY, POD_GROUPS, our_group, ours, pod
from scheduler.benchlive.process import LEADING, Process, scheduler
from scheduler.benchlive.site import Bench, Site, bench
from scheduler.kube.api import PODS

GANGS: Final = 500
GANG: Final = Load(pods=2, gpus=8)
CPU_PERCENT: Final = 5.0
WINDOW_SECONDS: Final = 13.0
"""Of a run: five of them are longer than a minute, so that work that comes once in a while is in the mean."""
EVERY_SECONDS: Final = 1.0


async def hopeless(site: Site) -> AsyncIterator[Row]:
    """Measure the scheduler's CPU time, in windows that follow each other; what counts is the whole, so that no window is left out."""
    count = site.options.size(GANGS)
    async with bench(site) as on:
        site.options.tell(f"making {count} gangs that do not fit")
        full = [f"full-{i:04}" for i in range(len(site.nodes))]
        await on.make(PODS, [pod(name, NOBODY, 8, spec={"nodeName": node}) for name, node in zip(full, site.names, strict=True)])
        gangs = {on.name("hopeless"): None for _ in range(count)}
        members = {gang: [f"{gang}-{i}" for i in range(GANG.pods)] for gang in gangs}
        await on.make(POD_GROUPS, [our_group(gang, GANG.pods, in_rack=False) for gang in members])
        await on.make(PODS, [each for gang, names in members.items() for each in ours(gang, names, GANG.gpus)])
        async with scheduler(site.credentials, on.namespace) as running:
            leading = await running.said(LEADING)
            rest, _ = await running.quiet(seconds=180.0)
            site.options.tell(f"at rest {rest - leading:.1f} s after leading; watching {site.options.runs} windows")
            shares = await _windows(on, running)
        names = [name for gang in members.values() for name in gang]
        bound = sum(name in on.observer.nodes for name in names)
        await on.clear([*full, *names])
    facts: dict[str, Fact] = {"most of a window %": round(max(shares), 1), "seconds watched": round(len(shares) * _seconds(site)), "bound": bound}
    mean = sum(shares) / len(shares)
    what = f"{count} gangs of {GANG} that do not fit on {len(site.nodes):,} full nodes, a pod comes and goes each second: CPU"
    yield Row(what=what, unit="%", values=(mean,), bound=CPU_PERCENT, facts=facts)


async def _windows(on: Bench, running: Process) -> list[float]:
    """Return percent of one CPU, window after window, while a pod comes and goes."""
    coming = asyncio.create_task(_come_and_go(on))
    shares: list[float] = []
    try:
        for _ in range(on.site.options.runs):
            began, before = time.perf_counter(), running.cpu_seconds
            await asyncio.sleep(_seconds(on.site))
            shares.append(100 * (running.cpu_seconds - before) / (time.perf_counter() - began))
            if coming.done():
                coming.result()  # raises what ended it
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
    return shares


async def _come_and_go(on: Bench) -> None:
    """Make and delete a pod without GPUs that is bound from its beginning: room that comes free, and helps nobody."""
    nodes = on.site.names
    number = 0
    while True:
        name = on.name("unrelated")
        await on.make(PODS, [pod(name, NOBODY, 0, spec={"nodeName": nodes[number % len(nodes)]})])
        await asyncio.sleep(EVERY_SECONDS / 2)
        await cluster.gone(on.site.api, PODS.path(on.namespace, name), cluster.NOW)
        await asyncio.sleep(EVERY_SECONDS / 2)
        number += 1


def _seconds(site: Site) -> float:
    return WINDOW_SECONDS if site.options.shrink == 1 else WINDOW_SECONDS / 10
