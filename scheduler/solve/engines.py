"""The solver that callers inject: best fit and bounds, then CP-SAT, which is imported only when it is needed (0.7 s).

Only entry points import this module; the core gets the solver as an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from scheduler.solve import door
from scheduler.solve.bounds import Bounds
from scheduler.solve.instance import Instance
from scheduler.solve.joint.window import Answer, Joint, Window
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget, Solver, Start


def default(problem: Problem, budget: Budget) -> Solution:
    """Decide a problem; see `scheduler.solve.door`."""
    return door.solve(problem, budget, cpsat)


def watched(loading: Callable[[], AbstractContextManager[None]]) -> Solver:
    """Return the default solver, with the import of OR-Tools inside ``loading()``: who measures decisions can leave it out."""

    def load(instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
        with loading():
            from scheduler.solve.cpsat import solver  # noqa: F401, PLC0415 - only to be there when it is asked
        return cpsat(instance, bounds, start, budget)

    return lambda problem, budget: door.solve(problem, budget, load)


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
