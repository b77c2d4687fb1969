"""On tiny worlds the answer is what trying everything finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from scheduler.decide import filters, verify
from scheduler.decide.place import Checks, place
from scheduler.solve import engines
from scheduler.solve.bounds import bounds
from scheduler.solve.instance import instance
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget, Solver
from scheduler.state.plan import Placed, Unplaced
from tests.property.worlds import Case, best, cases, most

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


def cpsat_alone(problem: Problem, budget: Budget) -> Solution:
    """Solve without best fit, without proofs by sums and without a start."""
    known = instance(problem)
    return engines.cpsat(known, bounds(known, problem.count, problem.core), None, budget)


@given(cases())
@settings(max_examples=500, deadline=None)
def test_placements_are_what_trying_everything_finds(case: Case) -> None:
    compare(case, engines.default)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_cpsat_alone_finds_what_trying_everything_finds(case: Case) -> None:
    compare(case, cpsat_alone)


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_counting_pods_node_by_node_finds_the_same(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scheduler.solve.patterns._MOST_LOADS", 0)
        compare(case, cpsat_alone)


def compare(case: Case, solver: Solver) -> None:
    plan = place(case.snapshot, case.gang, solver, Budget(), CHECKS)
    assert verify.verify(case.snapshot, plan, filters.allowed) == ()
    expected = best(case)
    if isinstance(plan, Unplaced):
        assert plan.status == "INFEASIBLE"
        assert expected is None, (plan, expected)
        if plan.reason not in ("MembersSplit", "UnknownLevel"):
            assert plan.fits == most(case)
        return
    assert isinstance(plan, Placed), plan
    assert expected is not None, plan
    assert (len(plan.seats), plan.cost) == (expected.members, expected.cost)
    assert plan.bound == plan.cost
    assert {"core", "extras", "cost"} <= set(plan.decision.proved)
