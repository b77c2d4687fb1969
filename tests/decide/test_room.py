"""What a table of rooms says of a gang that does not fit: what is short there, for whom, and which labels are missing."""

from __future__ import annotations

from scheduler.decide import filters
from scheduler.decide.arrays import Checks
from scheduler.decide.place import place
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.plan import Unplaced
from scheduler.state.resources import written
from scheduler.state.snapshot import Snapshot
from tests.builders import CLIQUE, gang, node, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
GPU = "nvidia.com/gpu"


def refused(world: Snapshot, who: Gang) -> Unplaced:
    found = place(world, who, engines.default, Budget(), CHECKS)
    assert isinstance(found, Unplaced), found
    return found


def test_what_is_short_is_what_the_members_up_to_min_member_ask_for() -> None:
    world = snapshot([node("n1", rack="r1", gpus=7), node("n2", rack="r2", gpus=2)])
    found = refused(world, gang(pods=6, gpus=2, min_member=5, demand=Demand(required="rack")))
    assert [(r.domain, r.room, dict(r.short)) for r in found.rooms] == [("r1", 3, {GPU: 4}), ("r2", 1, {GPU: 8})]
    assert "rack r1 has room for 3 (short of 4 nvidia.com/gpu)" in found.message


def test_of_several_roles_those_count_as_missing_that_ask_for_the_least_and_the_leader_always() -> None:
    world = snapshot([node("n1", rack="r1", gpus=2)])
    cheap = refused(world, gang(pods=4, gpus=4, leader=shape(gpus=1), min_member=3, demand=Demand(required="rack")))
    assert [(r.room, dict(r.short)) for r in cheap.rooms] == [(1, {GPU: 8})]
    dear = refused(world, gang(pods=4, gpus=1, leader=shape(gpus=4), min_member=3, demand=Demand(required="rack")))
    assert [dict(r.short) for r in dear.rooms] == [{GPU: 4}]


def test_where_the_label_of_a_required_level_is_missing_that_is_told_and_no_resource_is_blamed() -> None:
    world = snapshot([node("n1", rack="r1", clique="c1", gpus=1), *(node(f"n{i}", rack="r2", gpus=0) for i in (2, 3))])
    demand = Demand(required="rack", segments=(Segment(size=1, required="nvlink"),))
    found = refused(world, gang(pods=3, gpus=1, demand=demand))
    rows = [(r.domain, r.room, dict(r.short), dict(r.unlabelled)) for r in found.rooms]
    assert rows == [("r1", 1, {GPU: 2}, {}), ("r2", 0, {}, {CLIQUE: 2})]


def test_the_message_names_the_missing_label_where_no_domain_has_it() -> None:
    world = snapshot([node("n1", rack="r1"), node("n2", rack="r1"), node("n3", clique="c1")])
    found = refused(world, gang(pods=2, demand=Demand(required="rack", segments=(Segment(size=1, required="nvlink"),))))
    assert "1 node without fabric.topograph.run/tier-0" in found.message


def test_rooms_of_segments_tell_how_many_whole_ones_fit() -> None:
    world = snapshot([node("n1", rack="r1", gpus=9), node("n2", rack="r2", gpus=3)])
    demand = Demand(segments=(Segment(size=4, required="rack"),))
    found = refused(world, gang(pods=12, gpus=1, demand=demand))
    assert [(r.domain, r.room, r.needed, r.segments, r.segments_needed) for r in found.rooms] == [("r1", 9, 4, 2, 3), ("r2", 3, 4, 0, 3)]
    assert "r1 has the most room, for 9 members, 2 whole segments among them" in found.message


def test_a_whole_segment_is_counted_only_with_the_pods_of_each_role() -> None:
    """There is room for the leader alone and for one worker alone, which are no segment together."""
    world = snapshot([node("n1", rack="r1", gpus=4), node("n2", rack="r2", gpus=1)])
    found = refused(world, gang(pods=2, gpus=1, leader=shape(gpus=4), demand=Demand(segments=(Segment(size=2, required="rack"),))))
    assert (found.reason, [(r.domain, r.room, r.segments, r.segments_needed) for r in found.rooms]) == (
        "SegmentsDoNotFit",
        [("r1", 1, 0, 1), ("r2", 1, 0, 1)],
    )


def test_amounts_in_sentences_have_thousands_separators() -> None:
    assert [written(GPU, 12_000), written("cpu", 1_500), written("memory", 2**36)] == ["12,000", "1500m", "64Gi"]
