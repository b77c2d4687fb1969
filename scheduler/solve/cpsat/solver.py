"""Build the model, run it aim by aim, map CP-SAT's statuses one to one, read the loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ortools.sat.python import cp_model

from scheduler.solve import cost as costs
from scheduler.solve.bounds import Bounds
from scheduler.solve.cpsat.constraints import CONSTRAINTS
from scheduler.solve.cpsat.hints import hint
from scheduler.solve.cpsat.objective import OBJECTIVES, Aim
from scheduler.solve.cpsat.variables import Layer, Variables, make
from scheduler.solve.instance import Instance
from scheduler.solve.solution import Load, Part, Solution, SolveStatus, merged
from scheduler.solve.solver import Budget, Start

STATUS: Final = {
    cp_model.OPTIMAL: SolveStatus.OPTIMAL,
    cp_model.FEASIBLE: SolveStatus.FEASIBLE,
    cp_model.INFEASIBLE: SolveStatus.INFEASIBLE,
    cp_model.UNKNOWN: SolveStatus.UNKNOWN,
    cp_model.MODEL_INVALID: SolveStatus.MODEL_INVALID,
}
LEAST: Final = 1e-3
"""Deterministic seconds below which no run is started: it could not even presolve."""


USED_UP: Final = ("the deterministic budget was used up", "the wall budget was used up")
"""Which budget ended a search, by whether it was the wall clock's."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """A model on its way through the aims."""

    model: cp_model.CpModel
    variables: Variables
    budget: Budget
    deterministic: float = 0.0
    wall: float = 0.0
    loads: tuple[Load, ...] | None = None
    parts: tuple[Part, ...] = ()
    proved: list[str] = field(default_factory=list)
    bound: int = 0
    ended: str = ""
    """Which budget was used up, where one was: a part of a sentence."""

    def left(self, share: float) -> tuple[float, float | None]:
        """Return what is left of both budgets for an aim that may use this share of them."""
        wall = self.budget.wall_seconds
        return (
            min(self.budget.deterministic_seconds - self.deterministic, self.budget.deterministic_seconds * share),
            None if wall is None else min(wall - self.wall, wall * share),
        )

    def seek(self, aim: Aim) -> SolveStatus:
        """Make one aim as small as the budget allows and hold what was reached."""
        deterministic, wall = self.left(aim.share)
        if deterministic < LEAST or (wall is not None and wall < LEAST):
            self.ended = USED_UP[deterministic >= LEAST]
            return SolveStatus.UNKNOWN
        value = aim.value(self.model, self.variables)
        self.model.minimize(value)
        solver = cp_model.CpSolver()
        set_parameters(solver, self.budget, deterministic, wall)
        status = STATUS[solver.solve(self.model)]
        if status is SolveStatus.MODEL_INVALID:
            raise AssertionError(f"aim {aim.name}: CP-SAT calls the model invalid: {self.model.validate()}")
        self.deterministic += solver.response_proto.deterministic_time
        self.wall += solver.wall_time
        if status in (SolveStatus.UNKNOWN, SolveStatus.FEASIBLE):
            by_wall = wall is not None and solver.wall_time / wall > solver.response_proto.deterministic_time / deterministic
            self.ended = USED_UP[by_wall]
        if status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            self.loads, self.parts = read(solver, self.variables.all), read_parts(solver, self.variables)
            self.model.add(value <= round(solver.objective_value))
            start_from(self.model, solver)
        if status is SolveStatus.OPTIMAL:
            self.proved.append(aim.name)
        if aim.name in ("core", "cost") and status is not SolveStatus.INFEASIBLE:
            self.bound = max(self.bound, round(solver.best_objective_bound))
        return status


def solve(instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
    """Place the gang; the status is that of aims one to three together, the loads never worse than the start's."""
    model = cp_model.CpModel()
    variables = make(model, instance, bounds)
    for constraint in CONSTRAINTS:
        constraint(model, variables)
    if start is not None:
        hint(model, variables, start)
    run = _Run(model=model, variables=variables, budget=budget, bound=bounds.cost)
    if start is not None:
        run.loads, run.parts = start.loads, start.parts
    for aim in OBJECTIVES:
        if not aim.applies(variables):
            run.proved.append(aim.name)
            continue
        status = run.seek(aim)
        if status is SolveStatus.INFEASIBLE and run.loads is None:
            return Solution(status=SolveStatus.INFEASIBLE)
        if status is SolveStatus.INFEASIBLE:
            raise AssertionError(f"aim {aim.name}: CP-SAT refuses a placement that is valid")
        if status is not SolveStatus.OPTIMAL and aim.name != "ties":
            break
    return _solution(instance, run)


def _solution(instance: Instance, run: _Run) -> Solution:
    if run.loads is None:
        return Solution(status=SolveStatus.UNKNOWN, bound=run.bound, why=run.ended)
    if not run.variables.elastic and "cost" in run.proved:
        run.proved = ["core", "extras", *(p for p in run.proved if p not in ("core", "extras"))]
    proved = tuple(p for p in run.proved if p != "ties")
    if not run.variables.elastic and "cost" not in proved:
        proved = ()
    status = SolveStatus.OPTIMAL if {"core", "extras", "cost"} <= set(proved) else SolveStatus.FEASIBLE
    cost = costs.cost(instance.problem, run.loads)
    return Solution(status=status, loads=run.loads, cost=cost, bound=min(cost, run.bound), proved=proved, parts=run.parts)


def set_parameters(solver: cp_model.CpSolver, budget: Budget, deterministic: float, wall: float | None) -> None:
    """Make a run repeatable and bounded."""
    solver.parameters.num_workers = budget.workers
    solver.parameters.random_seed = budget.seed
    solver.parameters.max_deterministic_time = deterministic
    solver.parameters.cp_model_probing_level = 0
    if wall is not None:
        solver.parameters.max_time_in_seconds = wall


def start_from(model: cp_model.CpModel, solver: cp_model.CpSolver) -> None:
    """Give the placement just found as a complete hint."""
    model.clear_hints()  # type: ignore[no-untyped-call]  # the library has no annotation here
    for index, value in enumerate(solver.response_proto.solution):
        model.add_hint(model.get_int_var_from_proto_index(index), value)


def read(solver: cp_model.CpSolver, layer: Layer) -> tuple[Load, ...]:
    """Return the loads: the nodes of a block are filled one after the other, the largest loads first; empty ones are left."""
    loads: list[Load] = []
    for block in layer.blocks:
        left = [0 if pods is None else solver.value(pods) for pods in block.pods]
        for pattern, use in block.uses:
            for _ in range(solver.value(use)):
                pods = tuple(left) if pattern is None else tuple(min(n, have) for n, have in zip(pattern, left, strict=True))
                left = [have - n for have, n in zip(left, pods, strict=True)]
                if any(pods):
                    loads.append(Load(node_class=block.node_class, pods=pods, nodes=1))
    return merged(loads)


def read_parts(solver: cp_model.CpSolver, v: Variables) -> tuple[Part, ...]:
    """Return where the segments lie."""
    return tuple(
        Part(layer=at, kind=k, node_class=places.blocks[place][0].node_class, times=times)
        for at, places in enumerate(v.places)
        for k, lie in enumerate(places.segments)
        for place, s in lie.items()
        if (times := solver.value(s))
    )
