"""The scenario ``openb``: what every rule leaves unallocated on every trace, beside what was published and what is asked of ours.

The seeds are those of the protocol, 42 to 51, whatever ``--seed`` and ``--runs`` say: other orders would not be comparable with what was
published. ``--shrink`` takes fewer of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Final

from scheduler.bench.measure import Fact, Options, Row
from scheduler.bench.openb.devices import Fleet, Machine
from scheduler.bench.openb.fits import BestFit, Fgd
from scheduler.bench.openb.mix import Typical, task_mix
from scheduler.bench.openb.replay import SEEDS, Outcome, Rule, arrivals, replay
from scheduler.bench.openb.scarcity import Scarcity
from scheduler.bench.openb.traces import NODES, Task, folder, read_nodes, read_tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A list of tasks, what is asked of our rule there, and what was published for the others; percent unallocated."""

    name: str
    most: float
    fgd: float
    best_fit: float

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"openb_pod_list_{self.name}.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A rule, and how it is made for a fleet and a task mix."""

    name: str
    make: Callable[[Fleet, Sequence[Typical]], Rule]
    published: Callable[[Trace], dict[str, Fact]]
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one replay came to, and what it took."""

    outcome: Outcome
    cpu_seconds: float


TRACES: Final = (
    Trace(name="default", most=4.5, fgd=4.77, best_fit=7.09),
    Trace(name="cpu250", most=5.2, fgd=6.80, best_fit=8.70),
    Trace(name="gpuspec33", most=9.0, fgd=12.12, best_fit=19.59),
    Trace(name="multigpu50", most=2.9, fgd=2.91, best_fit=4.42),
    Trace(name="gpushare100", most=13.0, fgd=13.36, best_fit=15.40),
)
RULES: Final = (
    Named(name="BestFit", make=BestFit, published=lambda trace: {"published": trace.best_fit}),
    Named(name="FGD", make=Fgd, published=lambda trace: {"published": trace.fgd}),
    Named(name="scarcity", make=Scarcity, published=lambda trace: {"published of FGD": trace.fgd}, ours=True),
)


def openb(options: Options) -> Iterator[Row]:
    """Replay every trace with every rule and seed. Raises BadInput before anything is replayed where a file is absent or bad."""
    place = folder(options.data)
    nodes = read_nodes(place / NODES)
    tasks = {trace: read_tasks(place / trace.file) for trace in TRACES}
    seeds = SEEDS[: options.size(len(SEEDS))]
    with ProcessPoolExecutor(max_workers=_workers(), mp_context=get_context("spawn")) as pool:
        for trace in TRACES:
            for rule in RULES:
                options.tell(f"replaying {trace.name} with {rule.name}, {len(seeds)} seeds")
                runs = tuple(pool.map(partial(replayed, nodes, tasks[trace], rule.name), seeds))
                yield _row(trace, rule, runs)


def replayed(nodes: Sequence[Machine], tasks: Sequence[Task], rule: str, seed: int) -> Run:
    """Replay a trace in the order of a seed with the rule of a name."""
    (named,) = (known for known in RULES if known.name == rule)
    fleet = Fleet.of(nodes)
    order = arrivals(tasks, seed=seed, capacity_milli=fleet.capacity_milli)
    chosen = named.make(fleet, task_mix(task.demand for task in tasks))
    started = time.process_time()
    return Run(outcome=replay(order, fleet, chosen), cpu_seconds=time.process_time() - started)


def _row(trace: Trace, rule: Named, runs: Sequence[Run]) -> Row:
    arrived = sum(run.outcome.arrived for run in runs)
    facts: dict[str, Fact] = {
        **rule.published(trace),
        "tasks dropped of 1,000": round(1000 * sum(run.outcome.dropped for run in runs) / arrived, 1),
        "CPU ms a task": round(1000 * sum(run.cpu_seconds for run in runs) / arrived, 2),
    }
    values = tuple(round(run.outcome.unallocated, 4) for run in runs)
    return Row(what=f"{trace.name}: {rule.name}", unit="%", values=values, bound=trace.most if rule.ours else None, facts=facts)


def _workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
