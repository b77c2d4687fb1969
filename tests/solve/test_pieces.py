"""Capacities, bounds, best fit and cost on arrays small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler.solve import coupled, greedy
from scheduler.solve.bounds import NEVER, bounds, cover
from scheduler.solve.cost import cost, domains, harm
from scheduler.solve.grouping import codes
from scheduler.solve.patterns import rooms
from tests.solve.problems import RACK_WEIGHT, hosts, ints, known, least, loads, problem, racks


def test_equal_rows_get_equal_codes_and_only_they() -> None:
    found, first = codes((ints(5, 7, 5, 7), ints(-1, 2**60, -1, 3)), 4)
    assert found[0] == found[2]
    assert len({int(c) for c in found}) == 3
    assert [int(found[i]) for i in first] == [0, 1, 2]


# Capacities ----------------------------------------------------------------------------------------------------------------


def test_a_node_holds_as_many_pods_as_its_scarcest_resource_allows() -> None:
    found = rooms(problem(nodes=[1, 1], free=[[8, 100], [8, 20]], count=[9], request=[[2, 10]]))
    assert found.single.tolist() == [[4, 2]]


def test_the_maximal_loads_of_two_roles_are_listed_and_no_smaller_ones() -> None:
    found = rooms(problem(nodes=[1], free=[8], count=[2, 9], request=[3, 2]))
    assert set(found.of(0) or ()) == {(0, 4), (1, 2), (2, 1)}


def test_roles_that_conflict_never_share_a_load() -> None:
    conflict = np.array([[True, True], [True, False]])
    found = rooms(problem(nodes=[1], free=[8], count=[2, 3], request=[1, 1], conflict=conflict))
    assert set(found.of(0) or ()) == {(1, 0), (0, 3)}


def test_loads_that_are_too_many_to_list_are_not_listed() -> None:
    found = rooms(problem(nodes=[1], free=[200], count=[90, 90, 90], request=[1, 1, 1]))
    assert found.of(0) is None
    assert found.most.tolist() == [270]


# Bounds --------------------------------------------------------------------------------------------------------------------


def test_the_fewest_items_cover_an_amount_largest_first() -> None:
    assert cover(ints(10), ints(4, 3, 2), ints(2, 5, 1), ints(0, 0, 0)).tolist() == [3]
    assert cover(ints(-3), ints(4), ints(2), ints(0)).tolist() == [0]


def test_sums_of_floors_refuse_what_fragments_cannot_hold() -> None:
    """Four nodes with three free each hold four pods of two, not six."""
    assert least(problem(nodes=[4], free=[3], count=[5], request=[2])) >= NEVER
    assert least(problem(nodes=[4], free=[3], count=[4], request=[2])) == 30


def test_the_bound_counts_the_fewest_domains_of_each_level() -> None:
    levels = (racks(0, 1, 2), hosts(3))
    assert least(problem(nodes=[2, 2, 2], free=[1, 1, 1], count=[3], levels=levels)) == RACK_WEIGHT + 20
    assert least(problem(nodes=[2, 3, 2], free=[1, 1, 1], count=[3], levels=levels)) == 20


def test_domains_of_running_members_are_counted_and_their_room_is_free() -> None:
    levels = (racks(0, 1, occupied=[1]), hosts(2, occupied=1))
    inside = problem(nodes=[4, 1], free=[1, 2], count=[2], levels=levels, occupied_host=[False, True])
    assert least(inside) == 0
    outside = problem(nodes=[4, 1], free=[1, 2], count=[3], levels=levels, occupied_host=[False, True])
    assert least(outside) == RACK_WEIGHT + 10


def test_no_class_that_only_a_dearer_placement_uses_is_bounded_below_it() -> None:
    levels = (racks(0, 1, 1), hosts(3))
    found = bounds(known(problem(nodes=[4, 1, 1], free=[1, 1, 1], count=[3], levels=levels)), ints(3), 3)
    assert found.cost == 20
    assert found.classes.tolist() == [20, RACK_WEIGHT + 20, RACK_WEIGHT + 20]


def test_hosts_and_racks_counted_together_bound_more_than_each_alone() -> None:
    """Four roomy nodes lie in four racks; the two racks that hold all need eight nodes."""
    levels = (racks(0, 1, 2, 3, 4, 5, weight=5), hosts(6, weight=10))
    of = problem(nodes=[1, 1, 1, 1, 4, 4], free=[2, 2, 2, 2, 1, 1], count=[8], levels=levels)
    assert least(of) == 30 + 5
    assert coupled.sharpen(known(of), of.count, of.core, 75).cost == 30 + 15


# Best fit ------------------------------------------------------------------------------------------------------------------


def test_best_fit_takes_the_rack_that_is_worth_least() -> None:
    of = problem(nodes=[2, 2], free=[1, 1], count=[2], levels=(racks(1, 0), hosts(2)))
    assert greedy.search(known(of), of.count) == loads((1, (1,), 2))


def test_best_fit_ends_on_the_smallest_node_that_holds_the_rest() -> None:
    of = problem(nodes=[3, 1, 1], free=[4, 2, 1], count=[6])
    assert greedy.search(known(of), of.count) == loads((0, (4,), 1), (1, (2,), 1))


def test_best_fit_fills_the_nodes_of_running_members_first() -> None:
    of = problem(nodes=[1, 1], free=[4, 4], count=[4], levels=(hosts(2, occupied=1),), occupied_host=[False, True])
    assert greedy.search(known(of), of.count) == loads((1, (4,), 1))


def test_a_leader_is_set_beside_its_workers() -> None:
    of = problem(nodes=[2, 4], free=[8, 4], count=[1, 3], request=[1, 4], must=[1, 0])
    found = greedy.search(known(of), of.count)
    assert found is not None
    assert cost(of, found) == 10


def test_what_does_not_fit_is_not_placed() -> None:
    of = problem(nodes=[2], free=[1], count=[3])
    assert greedy.search(known(of), of.count) is None
    assert greedy.fill(known(of), ints(0), of.count) == loads((0, (1,), 2))


# Cost ----------------------------------------------------------------------------------------------------------------------


def test_nodes_without_the_label_are_domains_of_their_own() -> None:
    of = problem(nodes=[3, 2], free=[1, 1], count=[4], levels=(racks(-1, 0),))
    placed = loads((0, (1,), 2), (1, (1,), 2))
    assert domains(of, of.levels[0], placed) == 3
    assert cost(of, placed) == 2 * RACK_WEIGHT


def test_harm_is_the_worth_of_the_domains_and_hosts_that_are_newly_used() -> None:
    of = problem(nodes=[3, 2], free=[1, 7], count=[4], levels=(racks(0, 1, occupied=[1]), hosts(2)))
    assert harm(of, loads((0, (1,), 2), (1, (1,), 1))) == 10 + 2 * 1 + 7


def test_weights_that_no_exact_sum_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="weights: found sums"):
        problem(nodes=[1], free=[1], count=[1000], levels=(hosts(1, weight=2**50),))
