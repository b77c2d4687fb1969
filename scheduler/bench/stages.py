"""Where the time of a decision goes: until the solver is asked, in the solver, until the referee is asked, in the referee.

Read off the moments at which the decision calls the two, so that nothing runs twice and nothing of the decision is known here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from scheduler.bench.measure import Fact
from scheduler.decide import filters
from scheduler.decide import verify as referee
from scheduler.decide.cycle import decide
from scheduler.dryrun import CHECKS
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

STAGES = ("arrays", "solver", "seats", "referee")


@dataclass(slots=True, kw_only=True)
class _Marks:
    """The solver and the referee, and when each began and ended."""

    solver: Solver
    seconds: list[float] = field(default_factory=list)

    def solve(self, problem: Problem, budget: Budget) -> Solution:
        """Solve between two marks."""
        self.mark()
        found = self.solver(problem, budget)
        self.mark()
        return found

    def verify(self, snapshot: Snapshot, plan: Plan) -> tuple[str, ...]:
        """Judge between two marks."""
        self.mark()
        found = referee.verify(snapshot, plan, filters.allowed)
        self.mark()
        return found

    def mark(self) -> None:
        """Note the moment."""
        self.seconds.append(time.perf_counter())


def stages(clusters: Sequence[Snapshot], gang: Gang, budget: Budget) -> dict[str, Fact]:
    """Return the median milliseconds of each stage over decisions on the clusters, one after the other; empty where none was placed by one question.

    ``arrays`` is all before the solver: what the demand means, the tables brought up to date, the problem.
    """
    rows: list[list[float]] = []
    solver = engines.solver()
    for cluster in (clusters[-1], *clusters):
        marks = _Marks(solver=solver)
        marks.mark()
        (plan,) = decide(cluster, (gang,), solver=marks.solve, budget=budget, checks=CHECKS, verify=marks.verify)
        if isinstance(plan, Placed) and len(marks.seconds) == len(STAGES) + 1:
            rows.append([1000 * (after - before) for before, after in zip(marks.seconds, marks.seconds[1:], strict=False)])
    known = rows[1:]  # the first works out what the others share
    return {f"{stage} ms": round(statistics.median(took), 2) for stage, took in zip(STAGES, zip(*known, strict=True), strict=False)}
