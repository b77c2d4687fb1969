"""Segments in the solver: each rule of the model alone, what places hold, best fit for whole segments, parts of an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ortools.sat.python import cp_model

from scheduler.solve import door, engines, segments
from scheduler.solve.bounds import NEVER, bounds
from scheduler.solve.cost import cost, placed
from scheduler.solve.cpsat import constraints as rules
from scheduler.solve.cpsat.hints import hint
from scheduler.solve.cpsat.solver import solve
from scheduler.solve.cpsat.variables import Variables
from scheduler.solve.holding import holdings, sharpen
from scheduler.solve.instance import instance
from scheduler.solve.problem import Ints, Kind, Problem
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.solver import Budget
from tests.solve.models import model_of, possible
from tests.solve.problems import hosts, ints, problem, racks
from tests.solve.segmented import cut, layer, random_problem, two_racks


def pods(v: Variables, block: int, role: int = 0) -> cp_model.IntVar:
    found = v.all.blocks[block].pods[role]
    assert found is not None
    return found


def cpsat(of: Problem) -> Solution:
    known = instance(of)
    return solve(known, bounds(known, of.count, of.core), None, Budget())


@pytest.mark.parametrize(("need", "placed_segments", "fits"), [(4, 2, True), (4, 1, False), (2, 1, True), (2, 3, False)])
def test_every_segment_is_placed_unless_pods_may_be_left_out(need: int, placed_segments: int, *, fits: bool) -> None:
    model, v = model_of(two_racks(4, 4, times=2, size=2, need=need), rules.segments_placed)
    model.add(sum(v.places[0].segments[0].values()) == placed_segments)
    assert possible(model) is fits


@pytest.mark.parametrize(("need", "n", "fits"), [(4, 2, True), (4, 1, False), (1, 1, True), (1, 3, False)])
def test_a_place_has_the_pods_of_its_segments(need: int, n: int, *, fits: bool) -> None:
    model, v = model_of(two_racks(4, 4, times=2, size=2, need=need), rules.pods_in_segments)
    model.add(v.places[0].segments[0][0] == 1)
    model.add(pods(v, 0) == n)
    assert possible(model) is fits


@pytest.mark.parametrize(("first", "second", "fits"), [(1, 0, True), (0, 1, True), (1, 1, False)])
def test_no_more_pods_lie_outside_of_segments_than_belong_to_none(first: int, second: int, *, fits: bool) -> None:
    of = problem(nodes=[1, 1], free=[4, 4], count=[3], levels=(racks(0, 1),))
    model, v = model_of(cut(of, layer([0, 1], Kind(times=1, pods=(2,)), loose=(1,))), rules.loose_counted)
    model.add(v.places[0].loose[0][0] == first)
    model.add(v.places[0].loose[0][1] == second)
    assert possible(model) is fits


@pytest.mark.parametrize(("need", "inner", "fits"), [(4, 2, True), (4, 1, False), (1, 1, True), (1, 3, False)])
def test_an_outer_segment_holds_its_inner_ones(need: int, inner: int, *, fits: bool) -> None:
    of = problem(nodes=[1, 1], free=[4, 4], count=[4], need=need, levels=(racks(0, 1),))
    outer = layer([0, 0], Kind(times=1, pods=(4,), inside=(2,)))
    model, v = model_of(cut(of, outer, layer([0, 1], Kind(times=3, pods=(2,)))), rules.segments_nest)
    model.add(v.places[0].segments[0][0] == 1)
    model.add(sum(v.places[1].segments[0].values()) == inner)
    assert possible(model) is fits


@pytest.mark.parametrize(("place", "fits"), [(1, True), (0, False)])
def test_a_segment_with_running_members_stays_where_they_are(place: int, *, fits: bool) -> None:
    of = problem(nodes=[1, 1], free=[4, 4], count=[2], levels=(racks(0, 1),))
    model, v = model_of(cut(of, layer([0, 1], Kind(times=1, pods=(2,), pinned=1))), rules.pinned_stay)
    model.add(v.places[0].segments[0][place] == 1)
    assert possible(model) is fits


@pytest.mark.parametrize(("segments_there", "fits"), [(2, True), (3, False)])
def test_a_place_takes_no_more_segments_than_its_sums_allow(segments_there: int, *, fits: bool) -> None:
    model, v = model_of(two_racks(5, 9, times=4, size=2), rules.places_hold)
    model.add(v.places[0].segments[0][0] == segments_there)
    assert possible(model) is fits


def test_pods_of_a_segment_never_lie_where_its_level_has_no_label() -> None:
    of = problem(nodes=[1, 1], free=[2, 1], count=[3], levels=(racks(-1, 0),))
    with_loose = cut(of, layer([-1, 0], Kind(times=1, pods=(2,)), loose=(1,)))
    assert cpsat(with_loose).status is SolveStatus.INFEASIBLE
    roomier = replace(with_loose, free=np.array([[1], [2]], dtype=np.int64))
    assert cpsat(roomier).loads == (Load(node_class=0, pods=(1,), nodes=1), Load(node_class=1, pods=(2,), nodes=1))


def test_a_pinned_domain_that_holds_nothing_is_a_no() -> None:
    of = problem(nodes=[1, 1], free=[4, 4], count=[2], levels=(racks(0, 1),))
    assert cpsat(cut(of, layer([0, 1], Kind(times=1, pods=(2,), pinned=7)))).status is SolveStatus.INFEASIBLE


def test_parts_tell_where_the_segments_of_all_layers_lie() -> None:
    of = problem(nodes=[1, 1, 1], free=[2, 2, 3], count=[4], levels=(racks(0, 1, 2),))
    nested = cut(of, layer([0, 0, 1], Kind(times=1, pods=(4,), inside=(2,))), layer([0, 1, 2], Kind(times=2, pods=(2,))))
    for answer in (cpsat(nested), engines.default(nested, Budget())):
        inner = {(p.node_class, p.times) for p in answer.parts if p.layer == 1}
        outer = [(nested.layers[0].domain[p.node_class], p.times) for p in answer.parts if p.layer == 0]
        assert (answer.status, inner, outer) == (SolveStatus.OPTIMAL, {(0, 1), (1, 1)}, [(0, 1)])


def test_whole_segments_are_counted_where_single_pods_would_fit() -> None:
    """Three racks of 5 hold 15 pods, but six segments of two and not seven."""
    of = two_racks(5, 5, 5, times=7, size=2)
    known = instance(of)
    found = bounds(known, of.count, of.core)
    assert not found.refused
    assert sharpen(known, found, holdings(known)).refused
    fits = two_racks(5, 5, 5, times=6, size=2)
    assert not sharpen(instance(fits), bounds(instance(fits), fits.count, fits.core), holdings(instance(fits))).refused


def test_heavy_segments_are_counted_apart_from_light_ones() -> None:
    """Racks of 4 and 3: two segments of 3 and one of 1 fill them; two of 3 and two of 1 do not fit, whatever single kinds say."""
    of = problem(nodes=[1, 1], free=[4, 3], count=[7], levels=(racks(0, 1),))
    held = holdings(instance(cut(of, layer([0, 1], Kind(times=2, pods=(3,)), Kind(times=1, pods=(1,))))))
    assert held[0].most.tolist() == [[1, 1], [1, 1]]
    tight = cut(replace(of, free=np.array([[4], [2]], dtype=np.int64)), layer([0, 1], Kind(times=2, pods=(3,)), Kind(times=1, pods=(1,))))
    known = instance(tight)
    assert sharpen(known, bounds(known, tight.count, tight.core), holdings(known)).cells.tolist() == [NEVER]


def test_the_bound_counts_the_racks_that_whole_segments_need() -> None:
    """Ten pods fit two racks of 5, but segments of two need three."""
    of = two_racks(5, 5, 5, times=5, size=2)
    known = instance(of)
    weak = bounds(known, of.count, of.core).cost
    assert (weak, sharpen(known, bounds(known, of.count, of.core), holdings(known)).cost) == (100, 200)


def test_an_outer_place_holds_no_more_than_its_inner_places() -> None:
    of = problem(nodes=[1, 1], free=[3, 1], count=[4], levels=(racks(0, 1),))
    nested = cut(of, layer([0, 0], Kind(times=1, pods=(4,), inside=(2,))), layer([0, 1], Kind(times=2, pods=(2,))))
    outer, inner = holdings(instance(nested))
    assert (outer.most.tolist(), inner.most.tolist()) == ([[0]], [[1, 0]])


def test_where_pods_may_be_left_out_sums_of_whole_segments_prove_nothing() -> None:
    of = two_racks(3, 3, times=2, size=4, need=6)
    known = instance(of)
    assert not sharpen(known, bounds(known, of.count, of.core), holdings(known)).refused
    assert placed(cpsat(of).loads) == 6


def test_large_amounts_are_counted_without_overflow() -> None:
    of = problem(nodes=[1, 1], free=[[2**50], [2**49]], count=[2, 1], request=[2**49, 2**49], levels=(racks(0, 1),))
    known = instance(cut(of, layer([0, 1], Kind(times=1, pods=(2, 0)), Kind(times=1, pods=(0, 1)))))
    assert holdings(known)[0].most.tolist() == [[1, 0], [1, 1]]


def test_best_fit_fills_racks_with_whole_segments() -> None:
    of = two_racks(5, 5, 4, times=4, size=2)
    known = instance(of)
    start = segments.start(known)
    assert start is not None
    assert (placed(start.loads), cost(of, start.loads)) == (8, 100)
    assert sum(p.times for p in start.parts) == 4
    assert all(sum(p.times for p in start.parts if p.node_class == load.node_class) * 2 == sum(load.pods) for load in start.loads)


def test_best_fit_tries_again_where_a_place_holds_less_than_its_sums() -> None:
    """Rack 0 has 4 units on two nodes of 2 for pods of 3 and 1: by sums it holds the segment, on its nodes it does not."""
    of = problem(nodes=[2, 1], free=[2, 4], count=[1, 1], request=[3, 1], levels=(racks(0, 1),))
    of = replace(of, worth=replace(of.worth, flat=ints(1, 1, 9)))
    known = instance(cut(of, layer([0, 1], Kind(times=1, pods=(1, 1)))))
    start = segments.start(known)
    assert start is not None
    assert [load.node_class for load in start.loads] == [1]


def test_a_start_makes_a_hint_for_every_variable() -> None:
    of = problem(nodes=[2, 2, 1], free=[3, 3, 1], count=[1, 8], request=[1, 1], levels=(racks(0, 1, -1), hosts(3)))
    of = cut(of, layer([0, 1, -1], Kind(times=4, pods=(0, 2)), loose=(1, 0)))
    start = segments.start(instance(of))
    assert start is not None
    model, v = model_of(of, *rules.CONSTRAINTS)
    hint(model, v, start)
    hinted = model.proto.solution_hint
    assert sorted(hinted.vars) == list(range(len(model.proto.variables)))
    for index, value in zip(hinted.vars, hinted.values, strict=True):
        model.add(model.get_int_var_from_proto_index(index) == value)
    assert possible(model)


def test_the_door_says_that_whole_segments_do_not_fit_without_a_search() -> None:
    def never(*_: object, **__: object) -> Solution:
        raise AssertionError

    of = two_racks(5, 5, 5, times=7, size=2)
    answer = door.solve(of, Budget(), never)
    assert (answer.status, answer.engine, answer.why) == (SolveStatus.INFEASIBLE, "counting", door.SEGMENTS)


def test_best_fit_that_meets_the_bound_needs_no_search() -> None:
    def never(*_: object, **__: object) -> Solution:
        raise AssertionError

    answer = door.solve(two_racks(5, 5, 5, times=5, size=2), Budget(), never)
    assert (answer.status, answer.engine, answer.cost, sum(p.times for p in answer.parts)) == (SolveStatus.OPTIMAL, "bound", 200, 5)


def test_a_part_that_is_proved_says_where_its_segments_lie() -> None:
    """Two of three segments of one pod fit on one node, and nobody can add a third."""
    of = problem(nodes=[1], free=[2], count=[3], need=1, levels=(racks(0),))
    answer = door.solve(cut(of, layer([0], Kind(times=3, pods=(1,)))), Budget(), engines.cpsat)
    assert (answer.status, placed(answer.loads), sum(p.times for p in answer.parts)) == (SolveStatus.OPTIMAL, 2, 2)


@pytest.mark.parametrize("seed", range(60))
def test_the_door_and_cpsat_alone_agree(seed: int) -> None:
    of = random_problem(seed)
    alone = cpsat(of)
    answer = door.solve(of, Budget(), engines.cpsat)
    assert (answer.status, answer.cost) == (alone.status, alone.cost)
    if answer.loads:
        check(of, answer)


def check(of: Problem, answer: Solution) -> None:
    """Count the pods of each place again."""
    known = instance(of)
    there: Ints = np.zeros((len(of.nodes), len(of.count)), dtype=np.int64)
    for load in answer.loads:
        there[load.node_class] += np.array(load.pods) * load.nodes
    for at, one in enumerate(of.layers):
        spare = np.array(one.loose or [0] * len(of.count))
        for place in np.unique(known.places[at]).tolist():
            held = there[known.places[at] == place].sum(axis=0)
            parts = [p for p in answer.parts if p.layer == at and known.places[at][p.node_class] == place and place >= 0]
            meant = sum((p.times * np.array(one.kinds[p.kind].pods) for p in parts), np.zeros(len(of.count), dtype=np.int64))
            assert (held >= meant).all()
            spare = spare - (held - meant)
        assert (spare == 0).all()
        assert [sum(p.times for p in answer.parts if (p.layer, p.kind) == (at, k)) for k in range(len(one.kinds))] == [k.times for k in one.kinds]


def test_best_fit_gives_no_start_without_a_segment_that_is_pinned_where_it_does_not_fit() -> None:
    """The pods that best fit adds at the end are those of no segment, never those of a segment that it could not place."""
    of = problem(
        nodes=[1, 1, 1, 1],
        free=[[2, 1], [3, 4], [4, 4], [4, 4]],
        count=[1, 3],
        request=[[1, 1], [2, 1]],
        levels=(replace(racks(0, 1, 0, 1, weight=1, occupied=(1,)), required=True), racks(2, 1, 0, 3, weight=9, occupied=(1,))),
    )
    kinds = (Kind(times=1, pods=(1, 1)), Kind(times=1, pods=(0, 1), pinned=1), Kind(times=1, pods=(0, 1)))
    of = cut(of, layer((2, 1, 0, 3), *kinds))
    found = door.solve(of, Budget(), engines.cpsat)
    assert (found.status, engines.solver("cpsat")(of, Budget()).status) == (SolveStatus.INFEASIBLE, SolveStatus.INFEASIBLE)
    assert door.solve(replace(of, free=ints(2, 1, 5, 4, 4, 4, 4, 4).reshape(4, 2)), Budget(), engines.cpsat).status is SolveStatus.OPTIMAL
