"""Each rule of the model alone on an otherwise empty one, the statuses, and the order of the aims."""

from __future__ import annotations

import numpy as np
import pytest
from ortools.sat.python import cp_model

from scheduler.solve import engines
from scheduler.solve.bounds import bounds
from scheduler.solve.cost import cost, placed
from scheduler.solve.cpsat import constraints as rules
from scheduler.solve.cpsat.hints import hint
from scheduler.solve.cpsat.solver import STATUS, solve
from scheduler.solve.cpsat.variables import Block
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Start
from tests.solve.models import model_of, possible
from tests.solve.problems import HOST_WEIGHT, RACK_WEIGHT, hosts, known, loads, problem, racks


def pods(block: Block, role: int = 0) -> cp_model.IntVar:
    found = block.pods[role]
    assert found is not None
    return found


def cpsat(of: Problem, *, start: Start | None = None, budget: Budget | None = None) -> Solution:
    instance = known(of)
    return solve(instance, bounds(instance, of.count, of.core), start, budget or Budget())


def test_no_more_nodes_are_used_than_exist() -> None:
    conflict = np.array([[False, True], [True, False]])
    of = problem(nodes=[2], free=[2], count=[4, 4], request=[1, 1], conflict=conflict)
    for used, fits in ((2, True), (3, False)):
        model, v = model_of(of, rules.nodes_exist)
        model.add(v.all.blocks[0].used == used)
        assert possible(model) is fits


def test_pods_need_loads_that_hold_them() -> None:
    of = problem(nodes=[3], free=[2], count=[6])
    for n, fits in ((4, True), (5, False)):
        model, v = model_of(of, rules.loads_fit)
        model.add(v.all.blocks[0].used == 2)
        model.add(pods(v.all.blocks[0]) == n)
        assert possible(model) is fits


def single_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.solve.patterns._MOST_LOADS", 0)


def test_a_single_node_holds_what_its_resources_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    single_nodes(monkeypatch)
    of = problem(nodes=[1], free=[[4, 10]], count=[2, 2], request=[[1, 4], [1, 2]])
    for n, fits in ((1, True), (2, False)):
        model, v = model_of(of, rules.single_nodes_hold)
        model.add(pods(v.all.blocks[0], 0) == 2)
        model.add(pods(v.all.blocks[0], 1) == n)
        assert possible(model) is fits


def test_roles_that_conflict_never_share_a_single_node(monkeypatch: pytest.MonkeyPatch) -> None:
    single_nodes(monkeypatch)
    of = problem(nodes=[1], free=[4], count=[1, 2], request=[1, 1], conflict=np.array([[True, True], [True, False]]))
    for n, fits in ((0, True), (1, False)):
        model, v = model_of(of, rules.conflicts_apart)
        model.add(pods(v.all.blocks[0], 0) == n)
        model.add(pods(v.all.blocks[0], 1) == 1)
        assert possible(model) is fits


def test_everyone_is_placed_unless_pods_may_be_left_out() -> None:
    for need, n, fits in ((3, 3, True), (3, 2, False), (1, 2, True), (1, 4, False)):
        model, v = model_of(problem(nodes=[4], free=[1], count=[3], need=need), rules.everyone_placed)
        model.add(pods(v.all.blocks[0]) == n)
        assert possible(model) is fits


def test_the_core_has_its_number_and_its_leaders() -> None:
    for leaders, fits in ((1, True), (0, False)):
        model, v = model_of(problem(nodes=[4], free=[1], count=[1, 3], request=[1, 1], need=2, must=[1, 0]), rules.core_placed)
        model.add(pods(v.core.blocks[0], 0) == leaders)
        assert possible(model) is fits


def test_the_core_is_a_part_of_the_placement() -> None:
    for n, fits in ((1, True), (0, False)):
        model, v = model_of(problem(nodes=[4], free=[1], count=[3], need=1), rules.core_within)
        model.add(pods(v.core.blocks[0]) == 1)
        model.add(pods(v.all.blocks[0]) == n)
        assert possible(model) is fits


def test_all_pods_lie_in_one_cell() -> None:
    of = problem(nodes=[1, 1], free=[1, 1], count=[2], levels=(racks(0, 1, required=True),))
    for other, fits in ((0, True), (1, False)):
        model, v = model_of(of, rules.one_cell)
        model.add(v.all.blocks[0].used == 1)
        model.add(v.all.blocks[1].used == other)
        assert possible(model) is fits


def test_one_host_is_one_node() -> None:
    of = problem(nodes=[3], free=[2], count=[2], levels=(hosts(1, required=True),))
    for used, fits in ((1, True), (2, False)):
        model, v = model_of(of, rules.hosts_in_cell)
        model.add(v.all.blocks[0].used == used)
        assert possible(model) is fits


def test_a_domain_with_a_pod_is_used() -> None:
    of = problem(nodes=[2, 2], free=[1, 1], count=[2], levels=(racks(0, 1),))
    for used, fits in ((1, True), (0, False)):
        model, v = model_of(of, rules.used_domains)
        model.add(v.all.blocks[0].used == 1)
        model.add(v.all.levels[0].new[0] == used)
        assert possible(model) is fits


def test_the_bound_that_sums_proved_is_kept() -> None:
    of = problem(nodes=[4], free=[1], count=[3])
    for used, fits in ((3, True), (2, False)):
        model, v = model_of(of, rules.proved_bound)
        model.add(v.all.blocks[0].used == used)
        assert possible(model) is fits


def test_every_rule_is_in_the_model() -> None:
    listed = {rule.__name__ for rule in rules.CONSTRAINTS}
    assert {name for name in vars(rules) if not name.startswith("_") and getattr(vars(rules)[name], "__module__", "") == rules.__name__} == listed


def test_the_five_statuses_are_mapped_one_to_one() -> None:
    assert {*STATUS.values(), SolveStatus.INEXPRESSIBLE} == set(SolveStatus)
    assert len(set(STATUS.values())) == len(STATUS)


def test_what_sums_do_not_refuse_is_refused_by_search() -> None:
    of = problem(nodes=[1, 1], free=[4, 2], count=[2, 1], request=[2, 2], need=3)
    assert cpsat(of).status is SolveStatus.OPTIMAL
    odd = problem(nodes=[1, 1], free=[[4, 9], [9, 4]], count=[2], request=[[5, 5]])
    assert engines.default(odd, Budget()).status is SolveStatus.INFEASIBLE
    mixed = problem(nodes=[2], free=[4], count=[1, 2], request=[2, 3])
    assert cpsat(mixed).status is SolveStatus.INFEASIBLE


def test_running_out_is_not_impossibility() -> None:
    of = problem(nodes=[2], free=[1], count=[2])
    for budget, ended in ((Budget(deterministic_seconds=1e-9), "deterministic"), (Budget(wall_seconds=1e-9), "wall")):
        found = cpsat(of, budget=budget)
        assert (found.status, found.why) == (SolveStatus.UNKNOWN, f"the {ended} budget was used up")
    start = loads((0, (1,), 2))
    found = cpsat(of, start=Start(loads=start, core=start), budget=Budget(deterministic_seconds=1e-9))
    assert (found.status, found.loads, found.cost) == (SolveStatus.FEASIBLE, start, HOST_WEIGHT)
    assert found.proved == ()


def test_the_core_is_not_dearer_for_the_sake_of_more_pods() -> None:
    levels = (racks(0, 1, 2, weight=RACK_WEIGHT),)
    of = problem(nodes=[2, 1, 1], free=[1, 1, 1], count=[4], need=2, levels=levels)
    found = cpsat(of)
    assert (placed(found.loads), found.cost, found.proved) == (4, 2 * RACK_WEIGHT, ("core", "extras", "cost", "harm"))


def test_of_equal_costs_the_least_harm_is_chosen() -> None:
    of = problem(nodes=[2, 2], free=[5, 1], count=[1], levels=(racks(0, 0), hosts(2)))
    found = cpsat(of)
    assert found.loads == loads((1, (1,), 1))
    assert "harm" in found.proved


def test_a_hint_names_every_variable() -> None:
    of = problem(nodes=[2, 2], free=[2, 2], count=[3], need=1, levels=(racks(0, 1), hosts(2)))
    model, v = model_of(of, *rules.CONSTRAINTS)
    whole = loads((0, (2,), 1), (0, (1,), 1))
    hint(model, v, Start(loads=whole, core=loads((0, (1,), 1))))
    hinted = model.proto.solution_hint
    assert sorted(hinted.vars) == list(range(len(model.proto.variables)))


def test_the_same_problem_has_the_same_answer() -> None:
    of = problem(nodes=[3] * 6, free=[1, 2, 3] * 2, count=[2, 7], request=[2, 1], levels=(racks(0, 0, 1, 1, 2, 2, weight=7), hosts(6)))
    assert cpsat(of) == cpsat(of)
    assert cost(of, cpsat(of).loads) == cpsat(of).bound
