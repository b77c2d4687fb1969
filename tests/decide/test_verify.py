"""The referee accepts a valid plan and names every single thing that is made wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from scheduler.decide import filters
from scheduler.decide.verify import cost, verify
from scheduler.state.gang import Demand, Gang, Preference, Segment
from scheduler.state.ids import NodeName
from scheduler.state.objects import HostPort, PodTerm, Taint
from scheduler.state.plan import Decision, LevelCount, Placed, Seat, SegmentCount, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, SPINE, gang, node, pod, shape, snapshot

HOST = "kubernetes.io/hostname"
WEIGHTS = Demand(required="rack", preferred=(Preference(level="host", weight=7),))


def _world(**pods_on: int) -> Snapshot:
    """Two racks of two nodes and one node without a rack; ``n1=3`` puts a pod with three GPUs there."""
    nodes = [node(f"n{i}", rack=f"r{i // 2}", spine="s0") for i in range(4)] + [node("n4", spine="s0")]
    return snapshot(nodes, [pod(f"busy-{name}", on=name, gpus=gpus) for name, gpus in pods_on.items()])


def _placed(world: Snapshot, who: Gang, nodes: list[str | None], **changes: object) -> Placed:
    """Write a plan down by hand: a node for each member, counted correctly unless ``changes`` say otherwise."""
    keys = [RACK, HOST]
    seats = []
    for member, name in zip(who.members, nodes, strict=True):
        if name is not None:
            known = world.topology.domains_of(name) if name in world.topology.position else {}
            domains = {k: v for k, v in known.items() if k in keys}
            seats.append(Seat(member=member, node=NodeName(name), bound=member.pod.node is not None, domains=domains))
    taken = sorted({str(s.node) for s in seats})
    racks = sorted({s.domains.get(RACK, f"node {s.node}") for s in seats})
    paid = 7 * max(0, len(taken) - 1)
    plan = Placed(
        gang=who,
        seats=tuple(seats),
        left_out=tuple(m for m, name in zip(who.members, nodes, strict=True) if name is None),
        cost=paid,
        bound=paid,
        levels=(
            LevelCount(key=RACK, name="rack", required=True, weight=0, count=len(racks), domains=tuple(racks)),
            LevelCount(key=HOST, name="host", required=False, weight=7, count=len(taken), domains=tuple(taken)),
        ),
        decision=Decision(engine="hand"),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]  # fields of Placed by name


def _complaints(world: Snapshot, plan: Placed | Unplaced) -> list[str]:
    return list(verify(world, plan, filters.allowed))


def test_a_valid_plan_has_no_complaint() -> None:
    world, who = _world(n0=4), gang(pods=3, gpus=4, demand=WEIGHTS)
    assert _complaints(world, _placed(world, who, ["n0", "n1", "n1"])) == []


def test_running_members_count_in_cost_domains_and_room() -> None:
    world = _world()
    who = gang(pods=3, gpus=4, demand=WEIGHTS, on={0: "n0"})
    world = replace(world, pods={m.pod.uid: m.pod for m in who.fixed})
    assert _complaints(world, _placed(world, who, ["n0", "n0", "n1"])) == []
    assert any("nvidia.com/gpu" in c for c in _complaints(world, _placed(world, who, ["n0", "n0", "n0"])))
    assert any("one domain" in c for c in _complaints(world, _placed(world, who, ["n0", "n2", "n2"])))


def _swapped(plan: Placed) -> Placed:
    return replace(plan, seats=(plan.seats[1], plan.seats[0], *plan.seats[2:]))


def _other_levels(plan: Placed) -> Placed:
    return replace(plan, levels=(replace(plan.levels[0], count=2), plan.levels[1]))


def _twice(plan: Placed) -> Placed:
    return replace(plan, left_out=(plan.seats[0].member,))


def _other_role(plan: Placed) -> Placed:
    seat = plan.seats[0]
    return replace(plan, seats=(replace(seat, member=replace(seat.member, role="leader")), *plan.seats[1:]))


def _other_rank(plan: Placed) -> Placed:
    seat = plan.seats[2]
    return replace(plan, seats=(*plan.seats[:2], replace(seat, member=replace(seat.member, rank=9))))


def _said_bound(plan: Placed) -> Placed:
    return replace(plan, seats=(replace(plan.seats[0], bound=True), *plan.seats[1:]))


def _other_domain(plan: Placed) -> Placed:
    return replace(plan, seats=(replace(plan.seats[0], domains={RACK: "r1", HOST: "n0"}), *plan.seats[1:]))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda plan: replace(plan, cost=plan.cost + 1), "counting gives 7"),
        (lambda plan: replace(plan, bound=plan.cost + 1), "exceeds the cost"),
        (lambda plan: replace(plan, bound=-1), "is negative"),
        (lambda plan: replace(plan, seats=plan.seats[1:]), "stands 0 times"),
        (lambda plan: replace(plan, levels=plan.levels[:1]), "levels listed"),
        (_twice, "stands 2 times"),
        (_swapped, "not in rank order"),
        (_other_levels, "counting gives"),
        (_other_role, "another role or shape"),
        (_other_rank, "no permutation"),
        (_said_bound, "said to be bound"),
        (_other_domain, "lies in"),
    ],
)
def test_each_thing_that_is_made_wrong_is_named(spoil: Callable[[Placed], Placed], complaint: str) -> None:
    world, who = _world(), gang(pods=3, gpus=4, demand=WEIGHTS)
    found = _complaints(world, spoil(_placed(world, who, ["n0", "n1", "n1"])))
    assert any(complaint in one for one in found), found


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        (["n0", "n0", "n0"], "exceed 8"),
        (["n0", "n1", "n2"], "it lies in r0, r1"),
        (["n0", "n1", "n4"], "these nodes lie in none: n4"),
        (["n0", "n1", "n9"], "node n9 does not exist"),
        (["n0", "n1", None], "minMember is 3"),
    ],
)
def test_seats_that_cannot_be_are_refused(nodes: list[str | None], complaint: str) -> None:
    world, who = _world(), gang(pods=3, gpus=4, demand=WEIGHTS)
    found = _complaints(world, _placed(world, who, nodes))
    assert any(complaint in one for one in found), found


def test_a_node_that_fails_a_check_is_refused() -> None:
    world = snapshot([node("n0", rack="r0", taints=[Taint(key="gpu")])])
    assert any("does not pass" in c for c in _complaints(world, _placed(world, gang(pods=1, demand=WEIGHTS), ["n0"])))


def test_room_for_pods_is_counted_and_a_resource_that_nobody_asks_for_is_not() -> None:
    tight = snapshot([node("n0", rack="r0", pods=2, gpus=0)], [pod("busy", on="n0", gpus=3)])
    who = gang(pods=1, gpus=0, demand=WEIGHTS)
    assert _complaints(tight, _placed(tight, who, ["n0"])) == []
    two = gang(pods=2, gpus=0, demand=WEIGHTS)
    assert any("1 pods and 2 added exceed 2" in c for c in _complaints(tight, _placed(tight, two, ["n0", "n0"])))


@pytest.mark.parametrize(("ip", "meets"), [("0.0.0.0", True), ("10.0.0.1", True), ("10.0.0.2", False), ("::", False)])  # noqa: S104 - an address in a test
def test_two_members_never_take_one_host_port_of_a_node(ip: str, meets: bool) -> None:
    world = _world()
    leader = shape(ports=(HostPort(port=80, ip="10.0.0.1"),))
    who = gang(pods=2, demand=WEIGHTS, leader=leader, worker=shape(ports=(HostPort(port=80, ip=ip),)))
    assert any("80/TCP" in c for c in _complaints(world, _placed(world, who, ["n0", "n0"]))) is meets
    assert _complaints(world, _placed(world, who, ["n0", "n1"])) == []


def test_anti_affinity_of_a_running_pod_holds_against_members() -> None:
    term = PodTerm(topology_key=RACK, selector=(), namespaces=("ai",))
    holder = replace(pod("web", on="n0"), repels=(term,))
    world = replace(_world(), pods={holder.uid: holder})
    who = gang(pods=1, demand=WEIGHTS)
    assert any("anti-affinity" in c for c in _complaints(world, _placed(world, who, ["n1"])))
    assert _complaints(world, _placed(world, who, ["n2"])) == []


def test_a_running_member_stays_and_the_leader_is_never_left_out() -> None:
    who = gang(pods=3, gpus=1, min_member=1, demand=WEIGHTS, leader=shape(), worker=shape(), on={1: "n0"})
    world = replace(_world(), pods={m.pod.uid: m.pod for m in who.fixed})
    moved = _placed(world, who, ["n1", "n1", None])
    assert any("must stay there" in c for c in _complaints(world, moved))
    assert any("is the leader" in c for c in _complaints(world, _placed(world, who, [None, "n0", "n0"])))


def test_members_left_out_although_there_is_room_are_named_only_where_that_was_said_to_be_proved() -> None:
    world, who = _world(), gang(pods=2, min_member=1, demand=WEIGHTS)
    plan = _placed(world, who, ["n0", None])
    assert _complaints(world, plan) == []
    proved = replace(plan, decision=Decision(engine="hand", proved=("core", "extras", "cost")))
    assert any("node n1 could take it" in c for c in _complaints(world, proved))
    full = _world(n1=1)
    assert _complaints(full, _placed(full, who, ["n0", None], decision=proved.decision)) == []


def test_consecutive_members_of_a_segment_share_a_domain_and_the_plan_says_which() -> None:
    demand = Demand(preferred=(Preference(level="host", weight=7),), segments=(Segment(size=2, required="rack"),), required="spine")
    world, who = _world(), gang(pods=4, gpus=4, demand=demand)

    def plan(nodes: list[str | None]) -> Placed:
        found = _placed(world, who, nodes)
        seats = tuple(replace(s, domains={SPINE: "s0", **s.domains}) for s in found.seats)
        spine = LevelCount(key=SPINE, name="spine", required=True, weight=0, count=1, domains=("s0",))
        layer = SegmentCount(layer=0, key=RACK, name="rack", size=2, count=2, domains=("r0", "r1"))
        return replace(found, seats=seats, levels=(spine, found.levels[1]), segments=(layer,))

    good = plan(["n0", "n1", "n2", "n3"])
    assert _complaints(world, good) == []
    for wrong in ({"count": 1}, {"size": 4}, {"layer": 1}, {"domains": ("r0",)}, {"domains": ("r1", "r0")}):
        spoilt = replace(good, segments=(replace(good.segments[0], **wrong),))
        assert [c for c in _complaints(world, spoilt) if "the plan says segments" in c] == _complaints(world, spoilt) != []
    assert any("the plan says segments []" in c for c in _complaints(world, replace(good, segments=())))
    first = replace(good.seats[0], domains={SPINE: "s0", HOST: "n0"})
    assert any("node n0 lies in" in c for c in _complaints(world, replace(good, seats=(first, *good.seats[1:]))))
    assert any("segment 0 of 2" in c for c in _complaints(world, plan(["n0", "n2", "n1", "n3"])))


def test_cost_counts_a_node_without_the_label_as_a_domain_and_a_level_that_nobody_carries_as_one_each() -> None:
    world = _world()
    demand = Demand(preferred=(Preference(level="rack", weight=5), Preference(level="nowhere", weight=2)))
    who = gang(demand=demand)
    nodes = [NodeName(n) for n in ("n0", "n1", "n4")]
    assert cost(world, who, nodes) == 5 * 1 + 2 * 2
    assert cost(world, who, nodes[:1]) == 0
    assert cost(world, who, []) == 0


def test_nvlink_weighs_a_hundred_when_preferred_beside_explicit_weights_and_nothing_when_unasked() -> None:
    world = snapshot([node("n0", clique="c0"), node("n1", clique="c1")])
    nodes = [NodeName("n0"), NodeName("n1")]
    explicit = Demand(preferred=(Preference(level="host", weight=7),))
    assert cost(world, gang(demand=explicit), nodes) == 7
    assert cost(world, gang(demand=replace(explicit, nvlink="preferred")), nodes) == 107
    built_in = cost(world, gang(demand=Demand()), nodes)
    assert cost(world, gang(demand=Demand(nvlink="ignore")), nodes) < built_in


def test_a_reason_that_belongs_to_another_status_is_refused() -> None:
    def said(status: str, reason: str) -> Unplaced:
        return Unplaced(gang=gang(), status=status, reason=reason, message="", decision=Decision(engine="none"))  # type: ignore[arg-type]  # a wrong status too

    world = _world()
    assert _complaints(world, said("INFEASIBLE", "NotEnoughRoom")) == []
    assert _complaints(world, said("UNKNOWN", "NotEnoughRoom")) != []
    assert _complaints(world, said("INFEASIBLE", "Because")) != []
