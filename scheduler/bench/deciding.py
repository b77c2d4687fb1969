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
    seconds: list[float] = field(default_factory=list)

    def __call__(self, problem: Problem, budget: Budget) -> Solution:
        """Solve and take the time."""
        started = time.perf_counter()
        found = self.solver(problem, budget)
        self.seconds.append(time.perf_counter() - started)
        return found


def ready() -> None:
    """Load the engines that are imported when they are first needed: no decision that is measured shall pay for it."""
    from scheduler.solve.cpsat import joint, solver  # noqa: F401, PLC0415 - only to be there; every other command does without it where it can


def decided(snapshot: Snapshot, gangs: Iterable[Gang], *, solver: Solver = engines.default, budget: Budget | None = None) -> tuple[Plan, ...]:
    """Decide gangs as a dry run does, jointly where they compete, explanations left out; RefereeError where the referee refuses a plan."""
    return decide(snapshot, gangs, solver=solver, budget=budget or Budget(), checks=CHECKS, verify=_judge, joint=engines.joint)


def bare(snapshot: Snapshot) -> Snapshot:
    """Return the same cluster without anything that was worked out about it."""
    return Snapshot(topology=snapshot.topology, nodes=snapshot.nodes, pods=snapshot.pods)


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
        return {"solver ms": round(1000 * statistics.median(self.solver.seconds), 1)}


def cold_and_warm(clusters: Sequence[Snapshot], gang: Gang, runs: int, *, budget: Budget | None = None) -> tuple[Decided, Decided]:
    """Decide a gang on one cluster after the other: knowing nothing but the objects, then with all that was worked out before."""
    cold = _timed([bare(s) for s in clusters], gang, runs, Stopwatch, budget)
    known = Stopwatch()
    decided(clusters[-1], (gang,), solver=known, budget=budget)  # works out what the changed clusters share
    return cold, _timed(clusters, gang, runs, lambda: Stopwatch(solver=known.solver), budget)


def _timed(clusters: Sequence[Snapshot], gang: Gang, runs: int, watched: Callable[[], Stopwatch], budget: Budget | None) -> Decided:
    plans: list[Plan] = []
    solver: list[float] = []

    def run(snapshot: Snapshot) -> None:
        watch = watched()
        plans.extend(decided(snapshot, (gang,), solver=watch, budget=budget))
        solver.append(sum(watch.seconds))

    taken = repeated(in_turn(clusters, run), runs, patience=PATIENCE)
    return Decided(plans=plans, taken=taken, solver=Taken(seconds=tuple(solver)))


def changed(snapshot: Snapshot, count: int) -> list[Snapshot]:
    """Return as many clusters as asked, each this one after another pod has gone; the cluster itself where it has too few pods."""
    uids = sorted(snapshot.pods)
    step = max(1, len(uids) // count)
    return [snapshot.without({uid}) for uid in islice(cycle(uids), 0, step * count, step)] or [snapshot]


def in_turn(snapshots: Sequence[Snapshot], action: Callable[[Snapshot], object]) -> Callable[[], object]:
    """Return a call that takes the next snapshot every time."""
    turn = cycle(snapshots)
    return lambda: action(next(turn))
