"""The floor: how fast a bare loop binds, at the constant number of calls in flight that is best here.

The loop is `scheduler.benchlive.bare`, a process of its own as the scheduler is; the time is read off the same watch as the scheduler's, from the
first bind to the last. Which constant is best is found once, by `best`; later rows use it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.bench.launch import CommandFailedError
from scheduler.bench.measure import Fact, Row
from scheduler.benchlive.objects import NOBODY, pod
from scheduler.benchlive.process import stop
from scheduler.benchlive.site import Bench, Site, bench
from scheduler.config import Config
from scheduler.kube.api import PODS

CONSTANTS: Final = (8, 16, 32, 64, 128)
"""Calls in flight that are tried."""
PODS_A_RUN: Final = 600
WHOLE: Final = 500
"""Pods of one try where the best constant is only to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What binding alone took."""

    pods: int
    seconds: float
    """From the first bind seen to the last."""
    whole: float
    """From the word to begin to the last bind seen."""
    cpu: float
    """Seconds of CPU of the loop's process."""

    @property
    def rate(self) -> float:
        """Binds a second."""
        return self.pods / self.seconds if self.seconds else 0.0


async def bare(on: Bench, count: int, gpus: int, in_flight: int, *, paced: bool = False) -> Floor:
    """Make pods and have them bound by the bare loop, evenly over the nodes; take them away again. ``paced``: at most so many."""
    group, nodes = on.name("bare"), on.site.names
    names = [f"{group}-{i:04}" for i in range(count)]
    await on.make(PODS, [pod(name, NOBODY, gpus) for name in names])
    await on.observer.created(names)
    await asyncio.sleep(on.site.pause)
    seats = [(name, nodes[i % len(nodes)]) for i, name in enumerate(names)]
    floor = await _bound(on, seats, in_flight, paced=paced)
    await on.clear(names)
    return floor


async def _bound(on: Bench, seats: Sequence[tuple[str, str]], in_flight: int, *, paced: bool) -> Floor:
    asked = (f"--kubeconfig={on.site.credentials}", f"--namespace={on.namespace}", f"--in-flight={in_flight}", *(["--paced"] if paced else []))
    command = ("-m", "scheduler.benchlive.bare", *asked)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("the pipes of a process that was started with pipes")
        process.stdin.write(json.dumps(seats).encode() + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise CommandFailedError(f"the bare loop did not begin: {(await process.stderr.read()).decode(errors='replace')[-1000:]}")
        began = time.perf_counter()
        process.stdin.write(b"go\n")
        answer = await process.stdout.readline()
        if not answer:
            raise CommandFailedError(f"the bare loop did not end: {(await process.stderr.read()).decode(errors='replace')[-1000:]}")
    finally:
        await stop(process)
    names = [name for name, _ in seats]
    last = await on.observer.bound(names)
    first = min(on.observer.moments[name] for name in names)
    return Floor(pods=len(seats), seconds=last - first, whole=last - began, cpu=json.loads(answer)["cpu"])


async def best(site: Site) -> int:
    """Return the constant whose median rate is best; tries each once where none was measured yet."""
    if not site.rates:
        site.options.tell("finding how many binds in flight are best for the bare loop")
        async with bench(site) as on:
            for constant in CONSTANTS:
                site.rates[constant] = [(await bare(on, site.options.size(WHOLE), 1, constant)).rate]
    return max(CONSTANTS, key=lambda constant: (statistics.median(site.rates[constant]), -constant))


async def flights(site: Site) -> AsyncIterator[Row]:
    """Measure the bare loop at every constant, and with the scheduler's own limit, in turn within each run."""
    count = site.options.size(PODS_A_RUN)
    most = Config().binds_in_flight
    rates: dict[int, list[float]] = {constant: [] for constant in CONSTANTS}
    paced: list[float] = []
    async with bench(site) as on:
        for run in range(site.options.runs):
            site.options.tell(f"binding {count} pods by a bare loop with {', '.join(map(str, CONSTANTS))} calls in flight, run {run + 1}")
            for constant in CONSTANTS:
                rates[constant].append((await bare(on, count, 1, constant)).rate)
            paced.append((await bare(on, count, 1, most, paced=True)).rate)
    site.rates.update(rates)
    chosen = statistics.median(rates[await best(site)])
    for constant in CONSTANTS:
        share = round(statistics.median(rates[constant]) / chosen, 2)
        yield Row(
            what=f"bare loop, {constant} binds in flight (yardstick)", unit="binds/s", values=tuple(rates[constant]), facts={"of the best": share}
        )
    facts: dict[str, Fact] = {"of the best": round(statistics.median(paced) / chosen, 2), "at most": most}
    yield Row(what="bare loop, binds in flight as the scheduler finds them", unit="binds/s", values=tuple(paced), facts=facts)
