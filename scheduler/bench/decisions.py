"""Decisions alone: from a parsed snapshot to a plan that the referee accepts, against first fit in the same run.

Every run decides on a cluster of its own, from which another pod has gone. *Cold*: nothing is known of it but the objects, and the
solver knows of no decision before. *Warm*: what was worked out for the decision before is there, as in a running scheduler, and is brought
up to date.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.bench.deciding import PATIENCE, changed, cold_and_warm, counted, in_turn, outcome, ready
from scheduler.bench.grids import gang, grid
from scheduler.bench.kept import keeping
from scheduler.bench.measure import Fact, Options, Row, repeated
from scheduler.bench.sites import Chosen
from scheduler.bench.stages import stages
from scheduler.bench.yardsticks_fit import first_fit
from scheduler.decide import verify
from scheduler.solve.solver import Budget
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

BUDGET: Final = Budget(deterministic_seconds=1.0)
"""Less than a scheduler has, so that what cannot be proved in time does not hold up the whole bench."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One gang to decide, and the milliseconds that are asked for."""

    roles: tuple[tuple[str, int, int], ...]
    """Name, pods and GPUs of a pod, role by role."""
    cold: float | None = None
    warm: float | None = None

    def __str__(self) -> str:
        """Name it as tables do."""
        return " + ".join(f"{pods:,} {'' if len(self.roles) == 1 else role + ' '}x {gpus} GPU" for role, pods, gpus in self.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster, and the gangs that are decided on it, each for itself."""

    nodes: int
    used: float
    loads: tuple[Load, ...]


def _equal(gpus: int, warm: float | None = None) -> tuple[Load, ...]:
    """Return gangs of several sizes; ``warm`` is asked of the one with 256 pods, cold ten times that."""
    asked = {256: warm} if warm else {}
    return tuple(
        Load(roles=(("worker", pods, gpus),), warm=asked.get(pods), cold=10 * warm if warm and pods in asked else None)
        for pods in (4, 64, 256, 1_000)
    )


def _led(gpus: int) -> Load:
    return Load(roles=(("leader", 1, 1), ("worker", 63, gpus)), warm=30.0)


CLUSTERS: Final = (
    Cluster(nodes=1_000, used=0.9, loads=_equal(1, 2.0)),
    Cluster(nodes=1_000, used=0.5, loads=_equal(8)),
    Cluster(nodes=2_000, used=0.5, loads=(Load(roles=(("worker", 1_000, 1),), cold=50.0),)),
    Cluster(nodes=10_000, used=0.9, loads=(*_equal(1, 10.0), _led(2))),
    Cluster(nodes=10_000, used=0.5, loads=(*_equal(8), _led(8))),
    Cluster(nodes=50_000, used=0.9, loads=_equal(1)),
    Cluster(nodes=50_000, used=0.5, loads=_equal(8)),
    Cluster(nodes=100_000, used=0.9, loads=_equal(1, 100.0)),
    Cluster(nodes=100_000, used=0.5, loads=_equal(8)),
)


def deciding(options: Options) -> Iterator[Row]:
    """Decide one gang at a time on clusters of several sizes and fill grades; the plans are not kept. Then weigh the cache."""
    ready()
    for cluster in CLUSTERS:
        nodes = options.size(cluster.nodes)
        options.tell(f"generating {nodes:,} nodes, {cluster.used:.0%} full")
        clusters = changed(grid(nodes=nodes, used=cluster.used, seed=options.seed), options.runs)
        gc.collect()
        gc.freeze()  # a hundred thousand nodes are not looked through again before every run
        try:
            for load in cluster.loads:
                yield from _measured(clusters, load, options, f"{nodes:,} nodes, {cluster.used:.0%} full, {load}")
        finally:
            gc.unfreeze()
    yield from keeping(options)


def _measured(clusters: Sequence[Snapshot], load: Load, options: Options, what: str) -> Iterator[Row]:
    """Decide the same gang cold, warm and by first fit, on the same clusters in the same order."""
    options.tell(what)
    wanted = gang("gang", load.roles)
    cold, warm = cold_and_warm(clusters, wanted, options.runs, budget=BUDGET)
    chosen: list[Chosen | None] = []
    greedy = repeated(in_turn(clusters, lambda s: chosen.append(first_fit(s, wanted))), options.runs, patience=PATIENCE / 4)
    fits = [None if c is None else verify.cost(s, wanted, set(c.values())) for s, c in zip(clusters, chosen, strict=False)]
    parts = stages(clusters, wanted, BUDGET) if load.warm is not None else {}
    ratio = statistics.median(warm.taken.seconds) / statistics.median(greedy.seconds)
    yield cold.taken.row(f"{what}: cold", unit="ms", bound=load.cold, facts={**cold.solver_facts, **outcome(cold.plans)})
    yield warm.taken.row(f"{what}: warm", unit="ms", bound=load.warm, facts={**warm.solver_facts, **parts, "time over first fit": round(ratio, 2)})
    for bound, name, found in ((load.cold, "cold", cold), (load.warm, "warm", warm)):
        if bound is not None:
            yield found.solver.row(f"{what}: {name}, the solver alone", unit="ms", bound=bound)
    yield greedy.row(f"{what}: first fit", unit="ms", facts=_compared(cold.plans, fits))


def _compared(plans: Sequence[Plan], fits: Sequence[int | None]) -> dict[str, Fact]:
    """Say what first fit came to on the same clusters: the median of the ratios of costs, where both placed the gang and ours costs something."""
    found: dict[str, Fact] = {"status": counted("placed" if cost is not None else "not placed" for cost in fits)}
    costs = [cost for cost in fits if cost is not None]
    if costs:
        found["cost"] = statistics.median(costs)
    ratios = [cost / plan.cost for plan, cost in zip(plans, fits, strict=False) if cost is not None and isinstance(plan, Placed) and plan.cost]
    if ratios:
        found["cost over ours"] = round(statistics.median(ratios), 2)
    return found
