"""Packing to the last GPU: jobs that fill a cluster exactly, one after the other as they arrive, then all in one question.

One after the other nobody can know what comes next, so what is reached there says how well the room for later jobs was kept. Asked
jointly, every job fits, because the cluster was filled with them first. Every run has jobs of its own.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.bench.deciding import Stopwatch, counted, decided, ready, status
from scheduler.bench.grids import GPUS, RACK, Layout, filled, gang
from scheduler.bench.known import known_answers
from scheduler.bench.measure import Options, Row
from scheduler.bench.sites import Chosen
from scheduler.bench.yardsticks import YARDSTICKS
from scheduler.state.gang import Demand, Gang
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

NODES: Final = 32
RACK_NODES: Final = 8
JOBS: Final = 53
MOST_REPLICAS: Final = 32
_FILLINGS: Final = ((8,), (8,), (4, 4), (5, 3), (6, 2), (4, 2, 2), (2, 2, 2, 2), (1,) * 8)
"""How replicas fill one node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What one method reached with the jobs of one run."""

    gpus: int
    """Of all GPUs, those that were given out."""
    jobs: int
    seconds: float
    words: str = ""
    """Statuses of the jobs."""


def tight(options: Options) -> Iterator[Row]:
    """Fill a cluster with jobs that may lie anywhere, then with jobs that must lie in one rack each; then the known answers of others."""
    ready()
    nodes = options.size(NODES)
    for in_rack in (False, True):
        what = f"{nodes} nodes, {'each job in one rack' if in_rack else 'jobs anywhere'}"
        jobs = [planted(nodes, options.size(JOBS), np.random.default_rng([options.seed, run]), in_rack=in_rack) for run in range(options.runs)]
        snapshot = filled([0] * nodes, Layout(rack=RACK_NODES))
        methods: dict[str, Callable[[Snapshot, Sequence[Gang]], Packed]] = {
            "ours, as they arrive": _arriving,
            **{f"{y.name}, as they arrive": _by_yardstick(y.place) for y in YARDSTICKS},
            "ours, all at once": _at_once,
        }
        for name, method in methods.items():
            options.tell(f"{what}: {name}")
            found = [method(snapshot, queue) for queue in jobs]
            yield _row(f"{what}: {name}", found, nodes * GPUS, asked=name == "ours, all at once")
    yield from known_answers(options)


def planted(nodes: int, count: int, rng: np.random.Generator, *, in_rack: bool) -> tuple[Gang, ...]:
    """Return jobs, in random order, whose replicas filled the nodes exactly, one of `_FILLINGS` each; where jobs lie in one rack, rack by rack."""
    spans = [min(RACK_NODES, nodes - start) for start in range(0, nodes, RACK_NODES)] if in_rack else [nodes]
    jobs = [job for at, span in enumerate(spans) for job in _filling(span, count // len(spans) + (at < count % len(spans)), rng)]
    demand = Demand(required=RACK) if in_rack else Demand()
    order = rng.permutation(len(jobs)).tolist()
    return tuple(replace(gang(f"job-{at:03}", [("worker", *jobs[job])], demand=demand), created=float(at)) for at, job in enumerate(order))


def _filling(nodes: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return (replicas, GPUs of one) of so many jobs that fill the nodes; more where sizes are many, fewer where replicas are few."""
    sizes = Counter(size for _ in range(nodes) for size in _FILLINGS[int(rng.integers(len(_FILLINGS)))])
    jobs = sorted((n, size) for size, n in sizes.items())
    while len(jobs) < count or jobs[-1][0] > MOST_REPLICAS:
        replicas, size = jobs.pop()
        if replicas == 1:  # every job has one replica
            return [*jobs, (replicas, size)]
        cut = int(rng.integers(1, replicas))
        jobs = sorted([*jobs, (cut, size), (replicas - cut, size)])
    return jobs


def _gpus(gangs: Sequence[Gang]) -> int:
    return sum(m.pod.shape.requests.amount("nvidia.com/gpu") for g in gangs for m in g.members)


def _arriving(snapshot: Snapshot, queue: Sequence[Gang]) -> Packed:
    """Decide job by job; what is placed stays."""
    solver = Stopwatch()
    placed: list[Gang] = []
    words: list[str] = []
    started = time.process_time()
    for job in queue:
        (plan,) = decided(snapshot, (job,), solver=solver)
        words.append(status(plan))
        if isinstance(plan, Placed):
            placed.append(job)
            snapshot = snapshot.with_plan(plan)
    return Packed(gpus=_gpus(placed), jobs=len(placed), seconds=time.process_time() - started, words=counted(words))


def _at_once(snapshot: Snapshot, queue: Sequence[Gang]) -> Packed:
    """Decide all jobs in one round."""
    started = time.process_time()
    plans: Sequence[Plan] = decided(snapshot, queue, solver=Stopwatch())
    placed = [plan.gang for plan in plans if isinstance(plan, Placed)]
    return Packed(gpus=_gpus(placed), jobs=len(placed), seconds=time.process_time() - started, words=counted(map(status, plans)))


def _by_yardstick(place: Callable[[Snapshot, Gang], Chosen | None]) -> Callable[[Snapshot, Sequence[Gang]], Packed]:
    def pack(snapshot: Snapshot, queue: Sequence[Gang]) -> Packed:
        placed: list[Gang] = []
        started = time.process_time()
        for job in queue:
            chosen = place(snapshot, job)
            if chosen is not None:
                placed.append(job)
                taken = {m.pod.uid: replace(m.pod, node=chosen[m.pod.key], phase="Running") for m in job.members}
                snapshot = Snapshot(topology=snapshot.topology, nodes=snapshot.nodes, pods={**snapshot.pods, **taken}, memo=snapshot.memo)
        return Packed(gpus=_gpus(placed), jobs=len(placed), seconds=time.process_time() - started)

    return pack


def _row(what: str, found: Sequence[Packed], gpus: int, *, asked: bool) -> Row:
    words = {one.words for one in found if one.words}
    return Row(
        what=what,
        unit="%",
        values=tuple(100 * one.gpus / gpus for one in found),
        bound=100.0 if asked else None,
        at_least=asked,
        facts={
            "jobs placed": statistics.median(one.jobs for one in found),
            "CPU ms": round(1000 * statistics.median(one.seconds for one in found)),
            **({"status": "; ".join(sorted(words))} if words else {}),
        },
    )
