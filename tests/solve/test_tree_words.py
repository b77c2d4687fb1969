"""What the tree programme has no words for, what it then says, and the pieces that it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from scheduler.solve import engines
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Ints, Kind, Layer, Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget
from scheduler.solve.tree import kernels
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.plan import plan
from scheduler.solve.tree.solver import solve
from tests.solve.problems import hosts, ints, problem, racks
from tests.solve.trees import best, core_cost, worth


def tree(of: Problem, memo: Memo | None = None) -> Solution:
    return solve(instance(of), Budget(), Memo() if memo is None else memo)


def words(of: Instance) -> str | None:
    """Return why it cannot express a problem, before anything is solved."""
    found = plan(of)
    return found if isinstance(found, str) else None


def refusal(of: Problem) -> str:
    """Return what it says; solve says the same as words."""
    said = words(instance(of))
    assert said is not None
    found = tree(of)
    assert (found.status, found.why, found.loads) == (SolveStatus.INEXPRESSIBLE, said, ())
    return said


# Refusals ------------------------------------------------------------------------------------------------------------------


def test_levels_that_do_not_nest_are_named() -> None:
    levels = (replace(racks(0, 0, 1, 1), name="nvlink"), replace(racks(0, 1, 1, 0), name="rack"), hosts(4))
    assert refusal(problem(nodes=[1] * 4, free=[1] * 4, count=[2], levels=levels)) == "nvlink and rack do not nest"


def test_a_level_and_a_layer_of_segments_that_do_not_nest_are_named() -> None:
    of = problem(nodes=[1] * 4, free=[1] * 4, count=[2], levels=(racks(0, 0, 1, 1), hosts(4)))
    of = replace(of, layers=(Layer(domain=ints(0, 1, 1, 0), kinds=(Kind(times=1, pods=(2,)),)),))
    assert refusal(of) == "level 1 and segment layer 1 do not nest"


def test_a_tie_break_level_that_does_not_nest_is_left_out_and_no_more_is_claimed() -> None:
    levels = (racks(0, 0, 1, 1), replace(racks(0, 1, 1, 0), weight=0, tie=True), hosts(4))
    of = problem(nodes=[1] * 4, free=[2, 1, 1, 3], count=[4], levels=levels)
    found, least = tree(of), best(of)
    assert least is not None
    assert (found.status, found.cost, found.proved) == (SolveStatus.OPTIMAL, least[0], ("core", "extras", "cost"))


def test_tables_of_many_amounts_are_refused() -> None:
    assert words(instance(problem(nodes=[90], free=[9], count=[199, 99, 1], request=[1, 1, 1]))) is None
    assert refusal(problem(nodes=[90], free=[9], count=[199, 100, 1], request=[1, 1, 1])) == "the table of 40,400 amounts is too large"
    assert refusal(problem(nodes=[9], free=[9], count=[20_001])) == "the table of 20,002 amounts is too large"


def test_nodes_of_many_loads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.solve.patterns._MOST_LOADS", 0)
    assert refusal(problem(nodes=[2], free=[4], count=[2, 2], request=[1, 1])) == "the loads of one node are too many to list"


def test_what_takes_longer_than_the_budget_is_refused_before_it_is_done() -> None:
    of = instance(problem(nodes=[2, 2], free=[4, 3], count=[2, 2], request=[1, 1], levels=(racks(0, 1), hosts(2))))
    for budget in (Budget(deterministic_seconds=5e-8), Budget(wall_seconds=5e-8)):
        found = solve(of, budget, Memo())
        assert (found.status, found.why) == (SolveStatus.INEXPRESSIBLE, "tables for 5 domains and runs of equal nodes are too much work")
    assert solve(of, Budget(deterministic_seconds=1e-3), Memo()).status is SolveStatus.OPTIMAL


def test_segments_of_which_pods_may_be_left_out_are_refused() -> None:
    of = problem(nodes=[2], free=[4], count=[4], need=3, levels=(racks(0),))
    of = replace(of, layers=(Layer(domain=ints(0), kinds=(Kind(times=2, pods=(2,)),)),))
    assert refusal(of) == "minMember is below the number of pods, and there are segments"


def test_segments_that_do_not_add_up_are_refused() -> None:
    of = problem(nodes=[9], free=[9], count=[5], levels=(racks(0),))
    short = Layer(domain=ints(0), kinds=(Kind(times=2, pods=(2,)),))
    outer = Layer(domain=ints(0), kinds=(Kind(times=1, pods=(5,), inside=(3,)),))
    for layers in ((short,), (outer, replace(short, loose=(1,)))):
        assert refusal(replace(of, layers=layers)) == "the segments do not add up to the pods"


def apart(size: int) -> Problem:
    """Make a core fit on one host, and all pods in another spine, where a core needs ten times as many hosts."""
    levels = (racks(0, 1, weight=1_000), hosts(2))
    return problem(nodes=[1, 20], free=[10 * size, size], count=[20 * size], need=10 * size, levels=levels)


def test_where_the_best_of_all_holds_no_best_core_the_core_is_counted_beside_it() -> None:
    found = tree(apart(1))
    assert found.status is SolveStatus.OPTIMAL
    assert core_cost(apart(1), found.loads) == 0
    assert found.cost == 1_000 + 10 * 10
    known = instance(apart(1))
    assert engines.solver("cpsat")(known.problem, Budget()).cost == found.cost


def test_and_said_to_be_too_much_where_that_table_is_too_large() -> None:
    found = tree(apart(20))
    assert found.status is SolveStatus.INEXPRESSIBLE
    assert found.why == "the best placement of all pods holds no best core, and the table of 40,401 amounts is too large"


def test_costs_that_leave_no_room_for_harm_are_still_exact() -> None:
    of = problem(nodes=[2, 2], free=[1, 1], count=[3], levels=(racks(0, 1, weight=2**49), hosts(2)))
    found = tree(of)
    assert (found.cost, found.proved) == (2**49 + 20, ("core", "extras", "cost"))


def test_nothing_to_place_and_nowhere_to_place_it() -> None:
    assert tree(problem(nodes=[1], free=[1], count=[2])).status is SolveStatus.INFEASIBLE
    assert tree(problem(nodes=[1], free=[0], count=[1])).status is SolveStatus.INFEASIBLE
    found = tree(problem(nodes=[1], free=[0], count=[1], need=0))
    assert (found.status, found.loads, found.cost) == (SolveStatus.OPTIMAL, (), 0)


# Nesting -------------------------------------------------------------------------------------------------------------------


def test_levels_nest_in_whatever_order_they_are_given() -> None:
    """The inner level has fewer domains than the outer one, because most nodes lack it."""
    inner, outer = racks(0, -1, -1, -1, weight=7), racks(0, 0, 1, 2, weight=50)
    found = [tree(problem(nodes=[2] * 4, free=[2, 1, 1, 1], count=[5], levels=levels)) for levels in ((inner, outer), (outer, inner))]
    assert found[0] == found[1]
    least = best(problem(nodes=[2] * 4, free=[2, 1, 1, 1], count=[5], levels=(outer, inner)))
    assert least is not None
    assert found[0].cost == least[0]


def test_a_level_that_crosses_cells_nests_within_each() -> None:
    levels = (racks(0, 1, 0, 1, weight=50), racks(0, 0, 1, 1, weight=0, required=True), hosts(4))
    of = problem(nodes=[1] * 4, free=[1, 1, 2, 2], count=[3], levels=levels)
    assert worth(of, tree(of).loads) == best(of)


def test_cells_that_cannot_win_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten racks, no two alike, of which one has nodes with room for all."""
    free = [9 if c // 10 == 7 else 2 if c % 10 < c // 10 else 1 for c in range(100)]
    of = problem(nodes=[1] * 100, free=free, count=[4, 4], request=[1, 1], levels=(racks(*(c // 10 for c in range(100)), required=True), hosts(100)))
    opened, found = [], []
    for small in (1, 300):
        monkeypatch.setattr("scheduler.solve.tree.solver.SMALL", small)
        memo = Memo()
        found.append(tree(of, memo))
        opened.append(next(iter(memo.stores.values())).count)
    assert found[0] == found[1]
    assert opened[0] < opened[1]


# Kernels -------------------------------------------------------------------------------------------------------------------


def curves(rng: np.random.Generator, *shape: int) -> Ints:
    made = rng.integers(0, 50, size=shape)
    made[rng.random(shape) < 0.3] = NEVER
    return made


@pytest.mark.parametrize("small", [0, 2**18], ids=["by shifts", "at once"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_sum_of_curves_takes_the_best_of_all_divisions(small: int, axes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.solve.tree.kernels._AT_ONCE", small)
    rng = np.random.default_rng(axes)
    left, right = curves(rng, 3, *range(4, 4 + axes)), curves(rng, 3, *range(3, 3 + axes))
    for box in (tuple(n + m - 1 for n, m in zip(left.shape[1:], right.shape[1:], strict=True)), (2,) * axes):
        found = kernels.convolve(left, right, box)
        for b, *at in product(range(3), *(range(n) for n in box)):
            divisions = [
                int(left[b][there]) + int(right[b][tuple(k - n for k, n in zip(at, there, strict=True))])
                for there in product(*(range(min(k, n - 1) + 1) for k, n in zip(at, left.shape[1:], strict=True)))
                if all(k - n < m for k, n, m in zip(at, there, right.shape[1:], strict=True))
            ]
            assert int(found[(b, *at)]) == min([NEVER, *divisions])


def test_a_division_has_the_price_of_the_sum() -> None:
    rng = np.random.default_rng(0)
    left, right = np.sort(rng.integers(0, 50, size=9)), np.sort(rng.integers(0, 50, size=5))
    both = kernels.convolve(left[None], right[None], (13,))[0]
    for k in range(13):
        there, rest = kernels.split(left, right, (k,))
        assert (there[0] + rest[0], left[there] + right[rest]) == (k, both[k])


def test_the_fewest_nodes_of_a_kind_hold_an_amount() -> None:
    """Nodes hold two of the first role, or one of each."""
    found = kernels.fewest_nodes(np.array([[2, 0], [1, 1]]), (4, 4), 6)
    assert found.tolist() == [[0, 1, 2, 3], [1, 1, 2, 3], [1, 2, 2, 3], [2, 2, 3, 3]]
    assert kernels.fewest_nodes(np.array([[3]]), (8,), 9).tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    assert kernels.fewest_nodes(np.array([[1, 0]]), (2, 2), 3).tolist() == [[0, 4], [1, 4]]


# Memo ----------------------------------------------------------------------------------------------------------------------


def wide(changed: int = 0) -> Problem:
    """64 racks of four nodes, in eight spines; no two racks are alike."""
    rng = np.random.default_rng(5)
    free = rng.integers(1, 9, size=256)
    free[7] += changed
    rack = np.repeat(np.arange(64), 4)
    levels = (racks(*(rack // 8).tolist(), weight=50), racks(*rack.tolist(), weight=20), hosts(256))
    return problem(nodes=[1] * 256, free=free.tolist(), count=[40], levels=levels)


def test_after_one_node_changed_only_what_is_above_it_is_made_anew() -> None:
    memo = Memo()
    tree(wide(), memo)
    store = next(iter(memo.stores.values()))
    before = store.count
    assert tree(wide(), memo) == tree(wide())
    assert store.count == before
    assert tree(wide(1), memo) == tree(wide(1))
    assert 0 < store.count - before <= 1 + 2 + 1 + 3 + 1 + 3  # run, rack, its price, spine, its price, all


def test_the_least_recently_used_tables_are_forgotten_first() -> None:
    memo = Memo()
    for count in (4, 5, 4, 6):
        tree(problem(nodes=[9], free=[9], count=[count]), memo)
    assert [context[0] for context in memo.stores if isinstance(context, tuple)] == [(5,), (4,), (6,)]
    memo.most_bytes = sum(store.bytes for store in memo.stores.values())
    tree(problem(nodes=[9], free=[9], count=[7]), memo)
    tree(problem(nodes=[9], free=[9], count=[7]), memo)
    assert [context[0] for context in memo.stores if isinstance(context, tuple)][-1] == (7,)
    assert (5,) not in [context[0] for context in memo.stores if isinstance(context, tuple)]
