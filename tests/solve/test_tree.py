"""The tree programme against every placement there is, against CP-SAT, and against itself with a memo."""

from __future__ import annotations

from random import Random

import pytest

from scheduler.solve import cost as costs
from scheduler.solve import engines
from scheduler.solve.bounds import bounds
from scheduler.solve.instance import instance
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.solver import solve
from tests.solve.trees import Wanted, best, best_part, check, core_cost, random_problem, worth

KINDS = {
    "one role": Wanted(),
    "two roles": Wanted(roles=2),
    "two roles, the first apart": Wanted(roles=2, spread=True),
    "unlabelled nodes": Wanted(ragged=True),
    "fixed members": Wanted(fixed=True, ragged=True, roles=2),
    "a required spine": Wanted(required=0, fixed=True),
    "a required rack": Wanted(required=1, ragged=True, roles=2),
    "one host": Wanted(required=2, fixed=True),
    "racks that break ties": Wanted(tie=True, ragged=True),
    "segments in racks": Wanted(layers=1, ragged=True),
    "segments of two roles": Wanted(layers=1, roles=2),
    "segments in racks in spines": Wanted(layers=2, ragged=True, roles=2),
    "segments and pods in none": Wanted(layers=1, loose=True, ragged=True),
    "two layers and pods in no inner segment": Wanted(layers=2, loose=True),
    "segments within a required spine": Wanted(layers=1, required=0, fixed=True),
}
ELASTIC = {
    "some of one role": Wanted(elastic=True, ragged=True),
    "some of one role beside fixed members": Wanted(elastic=True, fixed=True),
    "some of two roles": Wanted(elastic=True, roles=2),
    "some of two roles in one rack": Wanted(elastic=True, roles=2, required=1, fixed=True),
}
SEEDS = 12


def tree(of: Problem, memo: Memo | None = None) -> Solution:
    """Solve, and check that what is found is a placement."""
    found = solve(instance(of), Budget(), Memo() if memo is None else memo)
    if found.loads:
        check(of, found)
    return found


def problems(name: str, count: int = SEEDS) -> list[Problem]:
    rng = Random(f"tree programme, {name}")  # noqa: S311 - test data, the same every time
    return [random_problem(rng, {**KINDS, **ELASTIC}[name]) for _ in range(count)]


@pytest.mark.parametrize("name", KINDS)
def test_the_tree_programme_finds_the_best_of_all_placements(name: str) -> None:
    statuses = set()
    for of in problems(name):
        found, least = tree(of), best(of)
        statuses.add(found.status)
        assert found.status is (SolveStatus.INFEASIBLE if least is None else SolveStatus.OPTIMAL)
        if least is not None:
            assert worth(of, found.loads) == least
            assert (found.cost, found.bound, found.engine) == (least[0], least[0], "tree")
            assert found.proved == ("core", "extras", "cost", "harm")
            assert [sum(load.pods[r] * load.nodes for load in found.loads) for r in range(len(of.count))] == of.count.tolist()
    assert SolveStatus.OPTIMAL in statuses


@pytest.mark.parametrize("name", ELASTIC)
def test_where_pods_may_be_left_out_the_aims_are_met_in_their_order(name: str) -> None:
    for of in problems(name):
        found, least = tree(of), best_part(of)
        assert found.status is (SolveStatus.INFEASIBLE if least is None else SolveStatus.OPTIMAL)
        if least is not None:
            reached = (core_cost(of, found.loads), -costs.placed(found.loads), *worth(of, found.loads))
            assert reached[: 5 if "harm" in found.proved else 3] == least[: 5 if "harm" in found.proved else 3]
            assert found.cost == least[2]


@pytest.mark.parametrize("name", ["a required rack", "a required spine", "segments within a required spine", "one host"])
def test_opening_the_most_promising_cells_first_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [tree(of) for of in problems(name, SEEDS * 2)]
    monkeypatch.setattr("scheduler.solve.tree.solver.SMALL", 0)
    monkeypatch.setattr("scheduler.solve.tree.solver._AT_A_TIME", 1)
    assert [tree(of) for of in problems(name, SEEDS * 2)] == expected


def test_what_is_placed_around_a_best_core_is_proved_as_far_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the larger table: the answer is right, or there is none."""
    monkeypatch.setattr("scheduler.solve.tree.elastic._beside", lambda *_: Solution(status=SolveStatus.INEXPRESSIBLE))
    proofs = set()
    for of in (of for name in ELASTIC for of in problems(name, SEEDS * 4)):
        found = tree(of)
        if found.proved == ("core", "extras", "cost"):
            least = best_part(of)
            assert least is not None
            assert (core_cost(of, found.loads), -costs.placed(found.loads), costs.cost(of, found.loads)) == least[:3]
            assert found.cost == least[2]
        proofs.add(found.proved)
    assert proofs == {(), ("core", "extras", "cost"), ("core", "extras", "cost", "harm")}


@pytest.mark.parametrize("name", [*KINDS, *ELASTIC])
def test_the_tree_programme_and_cpsat_agree(name: str) -> None:
    for of in problems(name)[:8]:
        known = instance(of)
        found, other = tree(of), engines.cpsat(known, bounds(known, of.count, of.core), None, Budget())
        assert (found.status, found.cost) == (other.status, other.cost)
        if other.loads and "harm" in other.proved:
            assert costs.harm(of, found.loads) == costs.harm(of, other.loads)


def test_a_memo_changes_nothing_and_two_of_its_users_never_meet() -> None:
    """One memo for problems of all kinds, asked twice in another order, against an empty one each time."""
    memo = Memo()
    asked = [of for name in KINDS for of in problems(name)]
    for of in (*asked, *reversed(asked)):
        assert tree(of, memo) == tree(of)


def test_a_memo_that_may_hold_nothing_changes_nothing() -> None:
    memo = Memo(most_bytes=0)
    for of in problems("two roles"):
        assert tree(of, memo) == tree(of)
        assert len(memo.stores) == 1
