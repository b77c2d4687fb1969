"""The solvers that callers inject: which engines there are, what they keep, and when they are imported (OR-Tools takes 0.7 s).

Only entry points import this module; the core gets the solver as an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from scheduler.solve import door
from scheduler.solve.bounds import Bounds
from scheduler.solve.instance import Instance
from scheduler.solve.joint.window import Answer, Joint, Window
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Solver, Start
from scheduler.solve.tree import solver as programme
from scheduler.solve.tree.memo import Memo

Engine: TypeAlias = Literal["auto", "tree", "cpsat"]
ENGINES: Final[tuple[Engine, ...]] = ("auto", "tree", "cpsat")
QUICK: Final = 0.2
"""Deterministic seconds that the tree programme may take before best fit and bounds are asked: they are often enough for large tables."""


def default(problem: Problem, budget: Budget) -> Solution:
    """Decide one problem and keep nothing; see `scheduler.solve.door`."""
    return solver()(problem, budget)


def solver(engine: Engine = "auto", loading: Callable[[], AbstractContextManager[None]] = nullcontext) -> Solver:
    """Return a solver that keeps the curves of the tree programme from one problem to the next; no answer depends on them.

    ``engine`` forces one. OR-Tools is imported inside ``loading()``: who measures decisions can leave that out.
    """
    memo = Memo()

    def tree(instance: Instance, budget: Budget) -> Solution:
        return programme.solve(instance, budget, memo)

    def quick(instance: Instance, budget: Budget) -> Solution:
        return tree(instance, replace(budget, deterministic_seconds=min(budget.deterministic_seconds, QUICK)))

    def patient(instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
        found = tree(instance, budget)
        return load(instance, bounds, start, budget) if found.status is SolveStatus.INEXPRESSIBLE else found

    def load(instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
        with loading():
            from scheduler.solve.cpsat import solver  # noqa: F401, PLC0415 - only to be there when it is asked
        return cpsat(instance, bounds, start, budget)

    match engine:
        case "tree":
            return lambda problem, budget: door.forced_tree(problem, budget, tree)
        case "cpsat":
            return lambda problem, budget: door.forced_exact(problem, budget, load)
        case "auto":
            return lambda problem, budget: door.solve(problem, budget, patient, quick)


def cpsat(instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
    """Ask CP-SAT."""
    from scheduler.solve.cpsat.solver import solve  # noqa: PLC0415 - OR-Tools is slow to import and often not needed

    return solve(instance, bounds, start, budget)


def joint(window: Window, budget: Budget) -> Answer:
    """Ask CP-SAT for several gangs at once."""
    from scheduler.solve.cpsat.joint import solve  # noqa: PLC0415 - OR-Tools is slow to import and often not needed

    return solve(window, budget)


def joint_watched(loading: Callable[[], AbstractContextManager[None]]) -> Joint:
    """Return `joint`, with the import of OR-Tools inside ``loading()``."""

    def load(window: Window, budget: Budget) -> Answer:
        with loading():
            from scheduler.solve.cpsat import joint as engine  # noqa: F401, PLC0415 - only to be there when it is asked
        return joint(window, budget)

    return load
