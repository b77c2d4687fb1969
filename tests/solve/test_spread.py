"""Tables of how segments spread over places: lower bounds that are never too high, and counts that are a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from scheduler.solve import segments
from scheduler.solve.bounds import NEVER, bounds
from scheduler.solve.cost import cost
from scheduler.solve.cpsat.solver import solve
from scheduler.solve.holding import holdings
from scheduler.solve.instance import instance
from scheduler.solve.problem import Kind, Problem
from scheduler.solve.solution import SolveStatus
from scheduler.solve.solver import Budget
from scheduler.solve.spread import Spread, spread
from tests.solve.problems import hosts, problem, racks
from tests.solve.segmented import cut, layer, random_problem


def segmented(of: Problem, domain: Sequence[int], *kinds: Kind) -> Problem:
    return cut(of, layer(domain, *kinds))


def told(of: Problem) -> Spread:
    known = instance(of)
    found = spread(known, holdings(known))
    assert found is not None
    return found


def test_hosts_and_racks_are_counted_together() -> None:
    """Racks 0 and 1 hold one segment each on one host, rack 2 both on four: 100 for a rack more or 20 for two hosts more."""
    of = problem(nodes=[1, 1, 4], free=[2, 2, 1], count=[4], levels=(racks(0, 1, 2), hosts(3, weight=10)))
    of = segmented(of, [0, 1, 2], Kind(times=2, pods=(2,)))
    found = told(of)
    assert (found.bounds.tolist(), found.best()) == ([30], {2: 2})
    dearer = replace(of, levels=(racks(0, 1, 2, weight=15), hosts(3, weight=10)))
    assert (told(dearer).bounds.tolist(), told(dearer).best()) == ([25], {0: 1, 1: 1})


def test_domains_that_are_occupied_cost_nothing_more() -> None:
    of = problem(nodes=[1, 1], free=[2, 2], count=[2], levels=(racks(0, 1, occupied=[1]),))
    found = told(segmented(of, [0, 1], Kind(times=1, pods=(2,))))
    assert (found.bounds.tolist(), found.best()) == ([0], {1: 1})


def test_levels_above_the_places_are_paid_once_for_all_of_them() -> None:
    """Spine 0 has racks 0 and 1, spine 1 racks 2 and 3; three segments need two racks of one spine at the least."""
    levels = (racks(0, 0, 1, 1, weight=50), racks(0, 1, 2, 3, weight=5))
    of = segmented(problem(nodes=[1] * 4, free=[2, 2, 4, 2], count=[6], levels=levels), [0, 1, 2, 3], Kind(times=3, pods=(2,)))
    found = told(of)
    assert (found.bounds.tolist(), found.best()) == ([5], {2: 2, 3: 1})


def test_levels_that_neither_hold_places_nor_lie_within_are_counted_by_themselves() -> None:
    """Rack 0 has nodes of domains 0 and 1, rack 1 of 1 and 2: at least two of these domains are needed for six pods of four a domain."""
    levels = (racks(0, 1, 1, 2, weight=7),)
    of = segmented(problem(nodes=[1] * 4, free=[2] * 4, count=[6], levels=levels), [0, 0, 1, 1], Kind(times=3, pods=(2,)))
    assert told(of).bounds.tolist() == [7]


def test_a_cell_that_cannot_hold_all_segments_is_ruled_out() -> None:
    of = problem(nodes=[1] * 3, free=[3, 3, 4], count=[4], levels=(racks(0, 0, 1, required=True),))
    assert told(segmented(of, [0, 1, 2], Kind(times=2, pods=(2,)))).bounds.tolist() == [0, 0]
    none = told(segmented(replace(of, free=np.array([[3], [1], [3]], dtype=np.int64)), [0, 1, 2], Kind(times=2, pods=(2,))))
    assert (none.bounds.tolist(), none.best()) == ([NEVER, NEVER], {})


def test_tables_that_would_be_too_large_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    of = segmented(problem(nodes=[1, 1], free=[9, 9], count=[8]), [0, 1], Kind(times=4, pods=(2,)))
    monkeypatch.setattr("scheduler.solve.spread.MOST_WORK", 31)
    assert spread(instance(of), holdings(instance(of))) is None
    monkeypatch.setattr("scheduler.solve.spread.MOST_WORK", 32)
    assert spread(instance(of), holdings(instance(of))) is not None


@pytest.mark.parametrize("seed", range(100, 150))
def test_no_placement_costs_less_than_the_tables_say(seed: int) -> None:
    of = random_problem(seed)
    known = instance(of)
    if not len(known.play):
        return
    best = solve(known, bounds(known, of.count, of.core), None, Budget())
    least = int(told(of).bounds.min(initial=NEVER))
    if best.status is SolveStatus.OPTIMAL:
        assert least <= best.cost
        start = segments.spread_out(known, holdings(known), told(of))
        assert start is None or cost(of, start.loads) >= best.cost
