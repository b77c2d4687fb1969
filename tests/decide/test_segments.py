"""Segments from the gang to its seats: layers of the problem, seats in places, refusals, and the referee beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from scheduler.decide import filters
from scheduler.decide.arrays import Arrays, Checks, arrays
from scheduler.decide.demand import wishes
from scheduler.decide.place import place
from scheduler.decide.verify import verify
from scheduler.solve import engines
from scheduler.solve.problem import Kind
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, LeaderIn, Preference, Segment
from scheduler.state.objects import Node
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.segments import cut
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, SPINE, gang, node, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


def plan(world: Snapshot, who: Gang) -> Plan:
    """Decide, and let the referee judge."""
    found = place(world, who, engines.default, Budget(), CHECKS)
    assert verify(world, found, filters.allowed) == ()
    return found


def placed(world: Snapshot, who: Gang) -> Placed:
    found = plan(world, who)
    assert isinstance(found, Placed), found
    return found


def refused(world: Snapshot, who: Gang) -> Unplaced:
    found = plan(world, who)
    assert isinstance(found, Unplaced), found
    return found


def demand(*segments: tuple[int, str], leader: LeaderIn = "member", required: str | None = None) -> Demand:
    return Demand(required=required, segments=tuple(Segment(size=n, required=level, leader=leader) for n, level in segments))


def racks(*gpus: int, per_spine: int = 2) -> list[Node]:
    """Give racks of one node each: n0 in r0 and so on."""
    return [node(f"n{i}", rack=f"r{i}", spine=f"s{i // per_spine}", gpus=n) for i, n in enumerate(gpus)]


def made(nodes: Iterable[Node], who: Gang) -> Arrays:
    world = snapshot(nodes, [m.pod for m in who.fixed])
    asked = wishes(world, who)
    return arrays(world, who, asked.levels, CHECKS, asked.segments)


def homes(world: Snapshot, found: Placed, key: str = RACK) -> list[str]:
    return [world.topology.domains_of(s.node).get(key, "") for s in found.seats]


def test_equal_segments_are_one_kind_and_the_short_one_is_another() -> None:
    found = made(racks(8, 8, 8), gang(pods=7, gpus=1, demand=demand((3, "rack"))))
    assert [layer.kinds for layer in found.problem.layers] == [(Kind(times=2, pods=(3,)), Kind(times=1, pods=(1,)))]
    assert [[p.index for p in pieces] for pieces in found.cuts[0].pieces] == [[0, 1], [2]]


def test_a_leader_makes_its_segment_a_kind_of_its_own() -> None:
    found = made(racks(8, 8), gang(pods=4, demand=demand((2, "rack")), leader=shape(gpus=1)))
    assert found.problem.layers[0].kinds == (Kind(times=1, pods=(1, 1)), Kind(times=1, pods=(0, 2)))


def test_outer_segments_say_which_inner_ones_they_hold() -> None:
    found = made(racks(8, 8), gang(pods=6, gpus=1, demand=demand((4, "spine"), (2, "rack"))))
    outer, inner = found.problem.layers
    assert inner.kinds == (Kind(times=3, pods=(2,)),)
    assert outer.kinds == (Kind(times=1, pods=(4,), inside=(2,)), Kind(times=1, pods=(2,), inside=(1,)))


def test_segments_that_run_already_are_left_out_and_running_members_pin_the_others() -> None:
    who = gang(pods=6, gpus=1, demand=demand((2, "rack")), on={0: "n0", 1: "n0", 2: "n1"})
    found = made(racks(8, 8), who)
    assert found.problem.layers[0].kinds == (Kind(times=1, pods=(1,), pinned=1), Kind(times=1, pods=(2,)))
    assert found.cuts[0].running == {0: "n0", 1: "n1"}


def test_an_excluded_leader_is_loose_and_may_lie_where_there_is_no_label() -> None:
    nodes = [node("bare", gpus=1), *racks(4)]
    found = made(nodes, gang(pods=3, gpus=1, demand=demand((2, "rack"), leader="excluded"), leader=shape(gpus=1)))
    assert found.problem.layers[0].loose == (1, 0)
    bare = next(c for c in range(len(found.classes)) if found.classes[c][0] == 0)
    assert found.problem.allowed[:, bare].tolist() == [True, False]


def test_nodes_without_the_label_hold_no_member_of_a_segment() -> None:
    found = made([node("bare"), *racks(8)], gang(pods=2, gpus=1, demand=demand((2, "rack"))))
    assert [found.classes[c].tolist() for c in range(len(found.classes))] == [[1]]


def test_hosts_as_places_are_single_nodes_and_no_more_of_them_than_pods() -> None:
    nodes = [node(f"n{i}", rack="r0") for i in range(9)]
    found = made(nodes, gang(pods=4, gpus=1, demand=demand((2, "host"))))
    assert found.problem.nodes.tolist() == [1, 1, 1, 1]
    pinned = made(nodes, gang(pods=4, gpus=1, demand=demand((2, "host")), on={0: "n8"}))
    assert sum(int(found.problem.occupied_host[c]) for c in range(4)) == 0
    home = [c for c in range(len(pinned.classes)) if pinned.problem.occupied_host[c]]
    assert [pinned.classes[c].tolist() for c in home] == [[8]]


def test_a_gang_without_segments_has_no_layers() -> None:
    found = made(racks(8, 8), gang(pods=4, gpus=1))
    assert (found.problem.layers, found.cuts) == ((), ())


@pytest.mark.parametrize("leader", ["member", "subgroup", "excluded"])
def test_every_segment_lies_in_one_rack(leader: LeaderIn) -> None:
    world = snapshot([node(f"n{i}", rack=f"r{i // 2}", gpus=3) for i in range(6)])
    who = gang(pods=9, gpus=1, demand=demand((4, "rack"), leader=leader), leader=shape(gpus=2))
    found = placed(world, who)
    at = {s.member.pod.key: home for s, home in zip(found.seats, homes(world, found), strict=True)}
    parts = cut(who.members, who.demand.segments[0])
    assert [len({at[m.pod.key] for m in part}) for part in parts] == [1] * len(parts)


def test_consecutive_segments_and_ranks_lie_close_together() -> None:
    world = snapshot([node(f"n{i}", rack=f"r{i // 2}", spine=f"s{i // 2 % 2}", gpus=2) for i in range(8)])
    found = placed(world, gang(pods=16, gpus=1, demand=demand((4, "rack"))))
    assert crossed(homes(world, found, SPINE)) == 1
    assert crossed(homes(world, found)) == 3
    assert crossed([str(s.node) for s in found.seats]) == 7


def crossed(places: Sequence[str]) -> int:
    return sum(a != b for a, b in pairwise(places))


def test_segments_are_drawn_to_the_running_ones_before_them() -> None:
    world = [node(f"n{i}", rack=f"r{i}", spine=f"s{i % 2}", gpus=2) for i in range(4)]
    who = gang(pods=4, gpus=1, demand=demand((2, "rack")), on={0: "n1", 1: "n1"})
    with_running = snapshot(world, [m.pod for m in who.fixed])
    assert homes(with_running, placed(with_running, who), SPINE) == ["s1"] * 4


def test_the_oldest_segments_are_placed_where_not_all_have_room() -> None:
    who = gang(pods=6, gpus=1, min_member=1, demand=demand((2, "rack")))
    young = {0: 3.0, 1: 3.0, 2: 1.0, 3: 1.0, 4: 2.0, 5: 2.0}
    who = replace(who, members=tuple(replace(m, pod=replace(m.pod, created=young[m.rank])) for m in who.members))
    found = placed(snapshot(racks(2, 2)), who)
    assert [s.member.rank for s in found.seats] == [2, 3, 4, 5]
    assert [m.rank for m in found.left_out] == [0, 1]


def test_a_segment_is_placed_in_part_where_members_may_be_left_out() -> None:
    found = placed(snapshot(racks(2, 1)), gang(pods=4, gpus=1, min_member=3, demand=demand((2, "rack"))))
    assert [str(s.node) for s in found.seats] == ["n0", "n0", "n1"]


def test_segments_lie_within_the_required_domain_of_the_gang() -> None:
    world = snapshot(racks(3, 1, 2, 2))
    found = placed(world, gang(pods=4, gpus=1, demand=demand((2, "rack"), required="spine")))
    assert homes(world, found) == ["r2", "r2", "r3", "r3"]


def test_running_members_of_one_segment_in_two_racks_are_a_no_that_names_the_segment() -> None:
    who = gang(pods=4, gpus=1, demand=demand((2, "rack")), on={2: "n0", 3: "n1"})
    found = refused(snapshot(racks(8, 8), [m.pod for m in who.fixed]), who)
    assert (found.reason, found.status) == ("MembersSplit", "INFEASIBLE")
    assert all(text in found.message for text in ("Segment 1 (2 members", "one rack", "1 in r0, 1 in r1"))


def test_a_running_member_outside_of_every_domain_is_named_with_its_node() -> None:
    who = gang(pods=2, gpus=1, demand=demand((2, "rack")), on={0: "bare"})
    found = refused(snapshot([node("bare"), *racks(8)], [m.pod for m in who.fixed]), who)
    assert (found.reason, "node bare (without the label)" in found.message) == ("MembersSplit", True)


def test_a_level_that_no_node_carries_refuses_the_gang() -> None:
    found = refused(snapshot(racks(8, 8)), gang(pods=2, gpus=1, demand=demand((2, "nvlink"))))
    assert (found.reason, found.fits) == ("UnknownLevel", 0)


def test_the_refusal_counts_under_the_segments_and_lists_rooms_of_their_level() -> None:
    found = refused(snapshot(racks(4, 2)), gang(pods=6, gpus=1, demand=demand((3, "rack"))))
    assert (found.reason, found.fits) == ("SegmentsDoNotFit", 5)
    assert [(r.domain, r.room, r.needed, dict(r.short)) for r in found.rooms] == [("r0", 4, 3, {}), ("r1", 2, 3, {"nvidia.com/gpu": 1})]


def test_the_layer_that_keeps_the_gang_out_is_the_one_that_is_named() -> None:
    world = snapshot(racks(3, 1))
    outer = refused(world, gang(pods=4, gpus=1, demand=demand((4, "spine"), (2, "rack"))))
    assert "each of the 2 segments of 2 members in one rack" in outer.message
    narrow = snapshot([*racks(2, 0), node("n9", rack="r9", spine="s9", gpus=2)])
    inner = refused(narrow, gang(pods=4, gpus=1, demand=demand((4, "spine"), (2, "rack"))))
    assert "the one segment of 4 members in one spine" in inner.message


def test_a_gang_that_does_not_fit_without_segments_either_gets_the_plain_reason() -> None:
    assert refused(snapshot(racks(2, 2)), gang(pods=6, gpus=1, demand=demand((3, "rack")))).reason == "NotEnoughRoom"


def test_segments_without_a_level_ask_for_nothing_and_it_is_said() -> None:
    found = placed(snapshot(racks(1, 1)), gang(pods=2, gpus=1, demand=Demand(segments=(Segment(size=2),))))
    assert ["name no level" in a.message for a in found.advice] == [True]


@pytest.mark.parametrize(
    ("leader", "nodes", "wrong"),
    [
        ("member", ["n0", "n0", "n1", "n1", "n1"], []),
        ("member", ["n0", "n0", "n0", "n1", "n1"], ["segment 1 of 2"]),
        ("subgroup", ["n0", "n0", "n0", "n1", "n1"], []),
        ("subgroup", ["n1", "n0", "n0", "n1", "n1"], ["segment 0 of 2"]),
        ("excluded", ["n1", "n0", "n0", "n1", "n1"], []),
        ("excluded", ["n0", "n0", "n1", "n1", "n1"], ["segment 0 of 2"]),
    ],
)
def test_the_referee_knows_how_leaders_count(leader: LeaderIn, nodes: list[str], wrong: list[str]) -> None:
    world = snapshot(racks(8, 8))
    prices = (Preference(level="host", weight=1),)
    who = gang(pods=5, gpus=1, demand=Demand(preferred=prices, segments=(Segment(size=2, required="rack", leader=leader),)), leader=shape(gpus=1))
    good = placed(world, who)
    host = {n.name: n.labels["kubernetes.io/hostname"] for n in world.nodes.values()}
    seats = tuple(
        replace(s, node=type(s.node)(n), domains={"kubernetes.io/hostname": host[type(s.node)(n)]}) for s, n in zip(good.seats, nodes, strict=True)
    )
    count = replace(good.levels[0], count=2, domains=("n0", "n1"))
    found = verify(world, replace(good, seats=seats, cost=1, bound=0, levels=(count,)), filters.allowed)
    assert [text for text in ("segment 0 of 2", "segment 1 of 2") if any(text in c for c in found)] == wrong
