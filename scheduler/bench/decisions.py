"""Decisions alone: from a parsed snapshot to a plan that the referee accepts, against first fit in the same run.

Every run decides on a cluster of its own, from which another pod has gone. *Cold*: nothing is known of it but the objects. *Warm*: the
tables of the decision before are there, as in a running scheduler, and are brought up to date.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Final

from scheduler.bench.measure import Fact, Options, Row, repeated
from scheduler.bench.worlds import Load, cluster
from scheduler.bench.yardsticks_fit import first_fit
from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide
from scheduler.dryrun import CHECKS
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Gang
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

NODES: Final = (500, 1_000, 10_000)
USED: Final = (0.9, 0.5)
LOADS: Final = (Load(pods=8, gpus=8), Load(pods=64, gpus=8), Load(pods=256, gpus=1))
BUDGET: Final = Budget(deterministic_seconds=1.0)
"""Less than a scheduler has, so that what cannot be proved in time does not hold up the whole bench."""
PATIENCE: Final = 10.0
"""Seconds after which a decision that takes long is not repeated any more."""

_judge = partial(verify.verify, passes=filters.allowed)


def deciding(options: Options) -> Iterator[Row]:
    """Decide one gang at a time on clusters of several sizes and fill grades; the plans are not kept."""
    for nodes in (options.size(n) for n in NODES):
        for used in USED:
            options.tell(f"generating {nodes:,} nodes, {used:.0%} full")
            snapshot = cluster(nodes=nodes, used=used, seed=options.seed)
            for load in LOADS:
                yield from _measured(snapshot, load, options, f"{nodes:,} nodes, {used:.0%} full, {load}")


def _measured(snapshot: Snapshot, load: Load, options: Options, what: str) -> Iterator[Row]:
    """Decide the same gang cold, warm and by first fit, on the same clusters in the same order."""
    options.tell(what)
    gang = load.gang()
    clusters = _changed(snapshot, options.runs)
    plans: list[Plan] = []
    cold = repeated(_each(clusters, lambda s: plans.append(_decided(_bare(s), gang))), options.runs, patience=PATIENCE)
    _decided(snapshot, gang)  # fills the tables that the changed clusters share
    warm = repeated(_each(clusters, lambda s: _decided(s, gang)), options.runs, patience=PATIENCE)
    greedy = repeated(_each(clusters, lambda s: first_fit(s, gang)), options.runs)
    fits = [_first_fit_cost(s, gang) for s, _ in zip(clusters, plans, strict=False)]
    ratio = statistics.median(warm.seconds) / statistics.median(greedy.seconds)
    yield cold.row(f"{what}: cold", unit="ms", facts=_outcome(plans))
    yield warm.row(f"{what}: warm", unit="ms", facts={"time over first fit": round(ratio, 1)})
    yield greedy.row(f"{what}: first fit", unit="ms", facts=_compared(plans, fits))


def _decided(snapshot: Snapshot, gang: Gang) -> Plan:
    (plan,) = decide(snapshot, (gang,), solver=engines.default, budget=BUDGET, checks=CHECKS, verify=_judge)
    return plan


def _bare(snapshot: Snapshot) -> Snapshot:
    """Return the same cluster without anything that was worked out about it."""
    return Snapshot(topology=snapshot.topology, nodes=snapshot.nodes, pods=snapshot.pods)


def _changed(snapshot: Snapshot, count: int) -> list[Snapshot]:
    """Return as many clusters as asked, each this one after another pod has gone; the cluster itself where it has too few pods."""
    uids = sorted(snapshot.pods)
    step = max(1, len(uids) // count)
    return [snapshot.without({uid}) for uid in islice(cycle(uids), 0, step * count, step)] or [snapshot]


def _each(snapshots: list[Snapshot], action: Callable[[Snapshot], object]) -> Callable[[], object]:
    """Return a call that takes the next snapshot every time."""
    turn = cycle(snapshots)
    return lambda: action(next(turn))


def _outcome(plans: Sequence[Plan]) -> dict[str, Fact]:
    """Say what was decided, and how far from their proofs the plans are: the median costs."""
    placed = [p for p in plans if isinstance(p, Placed)]
    status = Counter("OPTIMAL" if p.optimal else "FEASIBLE" for p in placed) + Counter(p.status for p in plans if not isinstance(p, Placed))
    found: dict[str, Fact] = {"status": _counted(status), "engine": _counted(Counter(p.decision.engine for p in plans))}
    if placed:
        found |= {"cost": statistics.median(p.cost for p in placed), "bound": statistics.median(p.bound for p in placed)}
    return found


def _first_fit_cost(snapshot: Snapshot, gang: Gang) -> int | None:
    """Return the cost of first fit's placement by the referee's count; None where it places nothing."""
    chosen = first_fit(snapshot, gang)
    return None if chosen is None else verify.cost(snapshot, gang, set(chosen.values()))


def _compared(plans: Sequence[Plan], fits: Sequence[int | None]) -> dict[str, Fact]:
    """Say what first fit came to on the same clusters: the median of the ratios of costs, where both placed the gang and ours costs something."""
    found: dict[str, Fact] = {"status": _counted(Counter("placed" if cost is not None else "not placed" for cost in fits))}
    costs = [cost for cost in fits if cost is not None]
    if costs:
        found["cost"] = statistics.median(costs)
    ratios = [cost / plan.cost for plan, cost in zip(plans, fits, strict=True) if cost is not None and isinstance(plan, Placed) and plan.cost]
    if ratios:
        found["cost over ours"] = round(statistics.median(ratios), 2)
    return found


def _counted(words: Counter[str]) -> str:
    """Write what was always the same as one word, else each with its count."""
    return next(iter(words)) if len(words) == 1 else ", ".join(f"{n} {word}" for word, n in sorted(words.items()))
