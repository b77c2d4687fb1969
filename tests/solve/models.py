"""Models of CP-SAT with some of the rules only, so that each rule is tested alone."""

from __future__ import annotations

from collections.abc import Callable

from ortools.sat.python import cp_model

from scheduler.solve.bounds import bounds
from scheduler.solve.cpsat.variables import Variables, make
from scheduler.solve.instance import instance
from scheduler.solve.problem import Problem

Rule = Callable[[cp_model.CpModel, Variables], None]


def model_of(of: Problem, *chosen: Rule) -> tuple[cp_model.CpModel, Variables]:
    model = cp_model.CpModel()
    known = instance(of)
    variables = make(model, known, bounds(known, of.count, of.core))
    for rule in chosen:
        rule(model, variables)
    return model, variables


def possible(model: cp_model.CpModel) -> bool:
    status = cp_model.CpSolver().solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
    return status == cp_model.OPTIMAL
