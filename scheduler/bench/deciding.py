"""How scenarios decide: as the scheduler does, referee included, with the time of the solver taken apart from that of the whole."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from typing import Final

from scheduler.bench.measure import Fact, Taken, repeated
from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide
from scheduler.dryrun import CHECKS
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

PATIENCE: Final = 4.0
"""Seconds after which what takes long is not repeated any more."""
_judge = partial(verify.verify, passes=filters.allowed)


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """A solver, and how long it took: from each problem to its solution. A new one knows of no decision before."""

    solver: Solver = field(default_factory=engines.solver)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __call__(self, problem: Problem, budget: Budget) -> Solution:
        """Solve and add up the time."""
        started, before = time.perf_counter(), time.process_time()
        found = self.solver(problem, budget)
        self.cpu_seconds += time.process_time() - before
        self.seconds += time.perf_counter() - started
        return found


def ready() -> None:
    """Load the engines that are imported when they are first needed: no decision that is measured shall pay for it."""
    from scheduler.solve.cpsat import joint, solver  # noqa: F401, PLC0415 - only to be there; every other command does without it where it can


def decided(snapshot: Snapshot, gangs: Iterable[Gang], *, solver: Solver = engines.default, budget: Budget | None = None) -> tuple[Plan, ...]:
    """Decide gangs as a dry run does, jointly where they compete, explanations left out; RefereeError where the referee refuses a plan."""
    return decide(snapshot, gangs, solver=solver, budget=budget or Budget(), checks=CHECKS, verify=_judge, joint=engines.joint)


def bare(snapshot: Snapshot) -> Snapshot:
    """Return the same cluster without anything that was worked out about it, and without what it was changed from."""
    return Snapshot(topology=snapshot.topology, nodes=dict(snapshot.nodes), pods=dict(snapshot.pods))


def status(plan: Plan) -> str:
    """Return the status as reports show it."""
    return ("OPTIMAL" if plan.optimal else "FEASIBLE") if isinstance(plan, Placed) else plan.status


def counted(words: Iterable[str]) -> str:
    """Write what was always the same as one word, else each with its count."""
    found = Counter(words)
    return next(iter(found)) if len(found) == 1 else ", ".join(f"{n} {word}" for word, n in sorted(found.items()))


def outcome(plans: Sequence[Plan]) -> dict[str, Fact]:
    """Say what was decided, by which engine, and how far from their proofs the plans are: the median costs."""
    found: dict[str, Fact] = {"status": counted(map(status, plans)), "engine": counted(plan.decision.engine for plan in plans)}
    placed = [p for p in plans if isinstance(p, Placed)]
    if placed:
        found |= {"cost": statistics.median(p.cost for p in placed), "bound": statistics.median(p.bound for p in placed)}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What deciding on one cluster after the other gave and took."""

    plans: list[Plan]
    taken: Taken
    solver: Taken
    """The solver's part, from problem to solution."""

    @property
    def solver_facts(self) -> dict[str, Fact]:
        """The median of the solver's part."""
        wall, cpu = (round(1000 * statistics.median(s), 1) for s in (self.solver.seconds, self.solver.cpu_seconds))
        return {"solver ms": wall, "solver CPU ms": cpu}


def cold_and_warm(clusters: Sequence[Snapshot], gang: Gang, runs: int, *, budget: Budget | None = None) -> tuple[Decided, Decided]:
    """Decide a gang on one cluster after the other: knowing nothing but the objects, then with all that was worked out before."""
    cold = _timed([bare(s) for s in clusters], gang, runs, Stopwatch, budget)
    known = Stopwatch()
    decided(clusters[-1], (gang,), solver=known, budget=budget)  # works out what the changed clusters share
    return cold, _timed(clusters, gang, runs, lambda: Stopwatch(solver=known.solver), budget)


def _timed(clusters: Sequence[Snapshot], gang: Gang, runs: int, watched: Callable[[], Stopwatch], budget: Budget | None) -> Decided:
    plans: list[Plan] = []
    watches: list[Stopwatch] = []

    def run(snapshot: Snapshot) -> None:
        watches.append(watched())
        plans.extend(decided(snapshot, (gang,), solver=watches[-1], budget=budget))

    taken = repeated(in_turn(clusters, run), runs, patience=PATIENCE)
    solver = Taken(seconds=tuple(w.seconds for w in watches), cpu_seconds=tuple(w.cpu_seconds for w in watches))
    return Decided(plans=plans, taken=taken, solver=solver)


def changed(snapshot: Snapshot, count: int) -> list[Snapshot]:
    """Return as many clusters as asked, each this one after another pod has gone; the cluster itself where it has too few pods."""
    uids = sorted(snapshot.pods)
    step = max(1, len(uids) // count)
    return [snapshot.without({uid}) for uid in islice(cycle(uids), 0, step * count, step)] or [snapshot]


def in_turn(snapshots: Sequence[Snapshot], action: Callable[[Snapshot], object]) -> Callable[[], object]:
    """Return a call that takes the next snapshot every time."""
    turn = cycle(snapshots)
    return lambda: action(next(turn))
