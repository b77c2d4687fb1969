"""How scenarios decide: as the scheduler does, referee included, with the time of the solver taken apart from that of the whole."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from scheduler.bench.measure import Fact
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
    """Say what was decided, by which engine."""
    return {"status": counted(map(status, plans)), "engine": counted(plan.decision.engine for plan in plans)}
