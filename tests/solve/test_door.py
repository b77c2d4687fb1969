"""Which way a problem takes through the door, and that ways agree."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.solve import door, engines
from scheduler.solve.bounds import Bounds, bounds
from scheduler.solve.cost import cost, placed
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Start
from tests.solve.problems import hosts, loads, problem, racks


class Never:
    """An exact engine that must not be asked."""

    def __call__(self, instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
        raise AssertionError(f"an exact engine is asked: {instance}, {bounds}, {start}, {budget}")


never = Never()


def test_what_sums_refuse_asks_no_engine() -> None:
    found = door.solve(problem(nodes=[4], free=[3], count=[5], request=[2]), Budget(), never)
    assert (found.status, found.engine) == (SolveStatus.INFEASIBLE, "counting")


def test_best_fit_that_meets_the_bound_asks_no_engine() -> None:
    found = door.solve(problem(nodes=[2, 2], free=[4, 1], count=[6]), Budget(), never)
    assert (found.status, found.engine, found.cost, found.bound) == (SolveStatus.OPTIMAL, "bound", 10, 10)


def test_an_elastic_gang_that_fits_asks_no_engine() -> None:
    of = problem(nodes=[2, 2], free=[1, 1], count=[3], need=2, levels=(racks(0, 1), hosts(2)))
    found = door.solve(of, Budget(), never)
    assert (found.status, placed(found.loads), found.proved) == (SolveStatus.OPTIMAL, 3, ("core", "extras", "cost"))


def test_an_elastic_gang_of_which_only_a_part_fits_asks_no_engine() -> None:
    found = door.solve(problem(nodes=[2], free=[2], count=[9], need=2), Budget(), never)
    assert (found.status, found.loads) == (SolveStatus.OPTIMAL, loads((0, (2,), 2)))


def test_the_exact_engine_gets_a_valid_start_and_no_class_that_cannot_be_part_of_an_answer() -> None:
    seen: list[tuple[Instance, Start | None]] = []

    class Spy:
        def __call__(self, instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
            seen.append((instance, start))
            return engines.cpsat(instance, bounds, start, budget)

    # Two pods of 3 and three of 2 exactly fill rack 0; packing by size alone goes astray. Rack 1 is two racks too far.
    of = problem(
        nodes=[2, 6],
        free=[6, 3],
        count=[2, 3],
        request=[3, 2],
        levels=(racks(0, 1, weight=1000), hosts(2)),
    )
    found = door.solve(of, Budget(), Spy())
    assert found.status is SolveStatus.OPTIMAL
    for narrowed, start in seen:
        assert start is None or (placed(start.loads) == 5 and cost(of, start.loads) >= found.cost)
        assert len(narrowed.play)


def test_ortools_is_not_imported_while_it_is_not_needed() -> None:
    code = "import sys; import scheduler.solve.engines; import scheduler.decide.cycle; assert not any(m.startswith('ortools') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@st.composite
def small(draw: st.DrawFn) -> Problem:
    classes = draw(st.integers(1, 6))
    roles = draw(st.integers(1, 2))
    few = st.lists(st.integers(1, 3), min_size=classes, max_size=classes)
    count = draw(st.lists(st.integers(1, 5), min_size=roles, max_size=roles))
    levels = [racks(*draw(st.lists(st.integers(-1, 2), min_size=classes, max_size=classes)), weight=draw(st.integers(1, 30)))]
    levels.append(racks(*draw(st.lists(st.integers(-1, 1), min_size=classes, max_size=classes)), weight=draw(st.integers(1, 30))))
    return problem(
        nodes=draw(few),
        free=draw(st.lists(st.integers(0, 6), min_size=classes, max_size=classes)),
        count=count,
        request=draw(st.lists(st.integers(1, 3), min_size=roles, max_size=roles)),
        need=draw(st.one_of(st.none(), st.integers(1, sum(count)))),
        levels=(*levels, hosts(classes, weight=draw(st.integers(1, 30)))),
    )


@given(small())
@settings(max_examples=150, deadline=None)
def test_the_door_and_cpsat_alone_agree(of: Problem) -> None:
    """Best fit, bounds and pruning change nothing: the status, the number placed, the cost and the proof are the same."""
    quick = engines.default(of, Budget())
    derived = instance(of)
    slow = engines.cpsat(derived, bounds(derived, of.count, of.core), None, Budget())
    assert (quick.status, placed(quick.loads), quick.cost, quick.bound) == (slow.status, placed(slow.loads), slow.cost, slow.bound)
