"""One budget for all the models of a window: each run gets what is left, and what a run reached is held in the next."""

from __future__ import annotations

from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.solve.cpsat.solver import LEAST, STATUS, set_parameters, start_from
from scheduler.solve.solution import SolveStatus
from scheduler.solve.solver import Budget

LinearExpr = cp_model.LinearExpr


@dataclass(slots=True, kw_only=True)
class Search:
    """One budget for all models of a window."""

    budget: Budget
    deterministic: float = 0.0
    wall: float = 0.0
    last: cp_model.CpSolver | None = None
    """The last run that found a placement: what it found holds for everything that is held."""

    def settled(self, model: cp_model.CpModel, value: LinearExpr, least: int) -> bool:
        """Tell whether the last placement has the least value that there can be, and hold it."""
        if self.last is None or self.last.value(value) > least:
            return False
        model.add(value <= least)
        return True

    def seek(self, model: cp_model.CpModel, value: LinearExpr, share: float) -> tuple[SolveStatus, cp_model.CpSolver | None]:
        """Make the value as small as a share of what is left of the budget allows, and hold what was reached."""
        model.minimize(value)
        status, solver = self.run(model, share)
        if solver is not None and status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            model.add(value <= round(solver.objective_value))
            start_from(model, solver)
            self.last = solver
        return status, solver

    def run(self, model: cp_model.CpModel, share: float) -> tuple[SolveStatus, cp_model.CpSolver | None]:
        """Solve a model within this share of what is left of the budget; no solver where that is nothing."""
        limit = self.budget.wall_seconds
        deterministic = share * (self.budget.deterministic_seconds - self.deterministic)
        wall = None if limit is None else share * (limit - self.wall)
        if deterministic < LEAST or (wall is not None and wall < LEAST):
            return SolveStatus.UNKNOWN, None
        solver = cp_model.CpSolver()
        set_parameters(solver, self.budget, deterministic, wall)
        status = STATUS[solver.solve(model)]
        if status is SolveStatus.MODEL_INVALID:
            raise AssertionError(f"CP-SAT calls the joint model invalid: {model.validate()}")
        self.deterministic += solver.response_proto.deterministic_time
        self.wall += solver.wall_time
        return status, solver
