"""One round of decisions: a fold over the queue; every placed gang takes its seats before the next one is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from scheduler.decide import queue
from scheduler.decide.place import Checks, place
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

Replace: TypeAlias = Callable[[Snapshot, Gang], Plan]
"""Decide a gang again on another snapshot or with another demand: what explanations try."""
Explain: TypeAlias = Callable[[Snapshot, Gang, Unplaced, Replace], Unplaced]
Verify: TypeAlias = Callable[[Snapshot, Plan], tuple[str, ...]]


class RefereeError(Exception):
    """A plan that the solver calls valid is not: a bug, never an outcome."""

    def __init__(self, plan: Plan, complaints: tuple[str, ...]) -> None:
        """Keep the plan and what is wrong with it."""
        self.plan, self.complaints = plan, complaints
        super().__init__("; ".join(complaints))


def decide(
    snapshot: Snapshot,
    gangs: Iterable[Gang],
    *,
    solver: Solver,
    budget: Budget,
    checks: Checks,
    verify: Verify,
    explain: Explain | None = None,
    what_if: Solver | None = None,
) -> tuple[Plan, ...]:
    """Return one plan for each gang, in the order of the queue.

    Raises `RefereeError` when the referee refuses a plan. ``explain`` adds relaxations to what is proved not to fit;
    ``what_if`` is the solver that explanations ask, where the gangs themselves are decided by one engine alone.
    """
    again: Replace = partial(_again, solver=what_if or solver, budget=budget, checks=checks)
    plans: list[Plan] = []
    for gang in queue.ordered(gangs):
        plan = place(snapshot, gang, solver, budget, checks, what_if=what_if)
        if isinstance(plan, Unplaced) and plan.status == "INFEASIBLE" and explain is not None:
            plan = explain(snapshot, gang, plan, again)
        complaints = verify(snapshot, plan)
        if complaints:
            raise RefereeError(plan, complaints)
        if isinstance(plan, Placed):
            snapshot = snapshot.with_plan(plan)
        plans.append(plan)
    return tuple(plans)


def _again(snapshot: Snapshot, gang: Gang, *, solver: Solver, budget: Budget, checks: Checks) -> Plan:
    return place(snapshot, gang, solver, budget, checks, explained=False)
