"""How long a gang takes from its last member created to its last member bound: on an idle cluster, and while gangs keep arriving.

Idle: one gang at a time, beside what a bare loop of the same binds takes. Arriving: an open loop, gangs come at a fixed rate whatever becomes of
those before them.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from scheduler.bench.measure import Fact, Row
from scheduler.bench.worlds import Load
from scheduler.benchlive.floor import bare, best
from scheduler.benchlive.objects import POD_GROUPS, our_group, ours
from scheduler.benchlive.process import LEADING, Process, scheduler
from scheduler.benchlive.site import Bench, Site, bench
from scheduler.kube.api import PODS

GANG: Final = Load(pods=8, gpus=8)
MEDIAN_MILLISECONDS: Final = 60.0
P99_MILLISECONDS: Final = 150.0
GANGS_A_RUN: Final = 20
"""A gang takes a blink: so many to a run, that five runs have a hundred, of which a hundredth part can be spoken of."""
ARRIVING: Final = Load(pods=8, gpus=1)
RATE: Final = 10
"""Gangs a second that arrive: their pods are made and bound by the same two CPUs, which are half busy then."""
ARRIVALS: Final = 100


async def idle(site: Site) -> AsyncIterator[Row]:
    """Measure gangs on the idle cluster, a few at a time, and in between the same binds by a bare loop."""
    took: list[float] = []
    floors: list[float] = []
    used: list[float] = []
    each = site.options.size(GANGS_A_RUN)
    in_flight = await best(site)
    async with bench(site) as on, scheduler(site.credentials, on.namespace) as running:
        await running.said(LEADING)
        await _gang(on)  # the first one pays for what is loaded when it is needed
        for run in range(site.options.runs):
            site.options.tell(f"binding {each} gangs of {GANG} one by one, run {run + 1}")
            before = running.cpu_seconds
            took += [1000 * await _gang(on) for _ in range(each)]
            used.append((running.cpu_seconds - before) / each)
            running.check()
            floors.append(1000 * (await bare(on, GANG.pods, GANG.gpus, in_flight)).whole)
    about = f"gang of {GANG} on {len(site.nodes):,} idle nodes: last created to last bound"
    facts: dict[str, Fact] = {
        "over the bare loop": round(statistics.median(took) / statistics.median(floors), 1),
        "scheduler's CPU ms": round(1000 * statistics.median(used), 1),
    }
    yield Row(what=about, unit="ms", values=tuple(took), bound=MEDIAN_MILLISECONDS, facts=facts)
    yield Row(what=f"{about}, p99 of {len(took)}", unit="ms", values=(centile(took, 99),), bound=P99_MILLISECONDS)
    yield Row(what="the same binds by a bare loop (yardstick)", unit="ms", values=tuple(floors))


async def arrivals(site: Site) -> AsyncIterator[Row]:
    """Measure gangs that arrive at a fixed rate, the median and the 99th part of each run."""
    count = site.options.size(ARRIVALS)
    halves: list[float] = []
    tails: list[float] = []
    late: list[float] = []
    async with bench(site) as on:
        for run in range(site.options.runs):
            site.options.tell(f"{count} gangs of {ARRIVING} arrive, {RATE} a second, run {run + 1}")
            async with scheduler(site.credentials, on.namespace) as running:
                await running.said(LEADING)
                took, behind = await _arrive(on, running, count)
            halves.append(1000 * statistics.median(took))
            tails.append(1000 * centile(took, 99))
            late.append(1000 * behind)
    about = f"{count} gangs of {ARRIVING} arrive, {RATE} a second: last created to last bound"
    facts: dict[str, Fact] = {"most that one came late ms": round(max(late))}
    yield Row(what=f"{about}, p50", unit="ms", values=tuple(halves), facts=facts)
    yield Row(what=f"{about}, p99", unit="ms", values=tuple(tails))


def centile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


async def _gang(on: Bench) -> float:
    """Have the scheduler bind one gang on the idle cluster; return the seconds."""
    names = await _come(on, GANG)
    created = await on.observer.created(names)
    bound = await on.observer.bound(names)
    await on.clear(names)
    return bound - created


async def _arrive(on: Bench, running: Process, count: int) -> tuple[list[float], float]:
    """Let gangs come; return the seconds of each, and how late the latest was made."""
    began = time.perf_counter()

    async def one(number: int) -> tuple[list[str], float]:
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        late = time.perf_counter() - began - number / RATE
        return await _come(on, ARRIVING), late

    made = await asyncio.gather(*map(one, range(count)))
    pods = [name for names, _ in made for name in names]
    await on.observer.bound(pods)
    await running.quiet()
    took = [await on.observer.bound(names) - await on.observer.created(names) for names, _ in made]
    await on.clear(pods)
    return took, max(late for _, late in made)


async def _come(on: Bench, load: Load) -> list[str]:
    """Make one gang; return the names of its pods."""
    gang = on.name("gang")
    names = [f"{gang}-{i}" for i in range(load.pods)]
    await on.make(POD_GROUPS, [our_group(gang, load.pods, in_rack=False)])
    await on.make(PODS, ours(gang, names, load.gpus))
    return names
