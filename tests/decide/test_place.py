"""One gang on small worlds whose answer can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.decide import filters, verify
from scheduler.decide.cycle import RefereeError, decide
from scheduler.decide.place import Checks, place
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Member, Preference, Segment, Waiting
from scheduler.state.ids import GangKey
from scheduler.state.objects import HostPort, Node, Pod, Unsupported
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.resources import GPU, Resources
from scheduler.state.snapshot import Snapshot
from tests.builders import CLIQUE, RACK, SPINE, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
RACK_ONLY = Demand(required="rack")


def plan(world: Snapshot, who: Gang) -> Plan:
    found = place(world, who, engines.default, Budget(), CHECKS)
    assert verify.verify(world, found, filters.allowed) == ()
    return found


def placed(world: Snapshot, who: Gang) -> Placed:
    found = plan(world, who)
    assert isinstance(found, Placed), found
    return found


def refused(world: Snapshot, who: Gang) -> Unplaced:
    found = plan(world, who)
    assert isinstance(found, Unplaced), found
    return found


def on(found: Placed) -> list[str]:
    return [str(s.node) for s in found.seats]


def racks(*sizes: int, gpus: int = 8, spine: str = "s0") -> list[Node]:
    """Racks r0, r1, ... of so many nodes: the nodes of r1 are r1n0, r1n1, ..."""
    return [node(f"r{r}n{i}", rack=f"r{r}", spine=spine, gpus=gpus) for r, size in enumerate(sizes) for i in range(size)]


# Best fit ------------------------------------------------------------------------------------------------------------------


def test_a_gang_goes_to_the_rack_that_it_fills_although_an_emptier_one_sorts_first() -> None:
    assert on(placed(snapshot(racks(4, 2)), gang(pods=2, gpus=8))) == ["r1n0", "r1n1"]


def test_a_gang_that_fits_in_one_rack_alone_opens_no_other() -> None:
    world = snapshot(racks(2, 2), [pod("busy", on="r0n0", gpus=8)])
    found = placed(world, gang(pods=2, gpus=8, demand=RACK_ONLY))
    assert on(found) == ["r1n0", "r1n1"]


def test_eight_gpus_prefer_a_rack_with_exactly_that_room_to_an_empty_rack() -> None:
    world = snapshot(racks(2, 2), [pod("busy", on="r1n0", gpus=8)])
    assert on(placed(world, gang(pods=8, gpus=1))) == ["r1n1"] * 8


def test_a_single_pod_goes_to_the_fullest_node_that_has_room() -> None:
    busy = [pod("a", on="r0n1", gpus=5), pod("b", on="r0n2", gpus=7), pod("c", on="r0n3", gpus=8)]
    assert on(placed(snapshot(racks(4), busy), gang(pods=1, gpus=1))) == ["r0n2"]
    assert on(placed(snapshot(racks(4), busy), gang(pods=1, gpus=2))) == ["r0n1"]


def test_a_pod_without_gpus_leaves_the_free_gpus_alone() -> None:
    world = snapshot([node("a-gpu"), node("z-cpu", gpus=0)])
    assert on(placed(world, gang(pods=1, gpus=0))) == ["z-cpu"]


def test_nodes_that_are_alike_are_taken_by_name() -> None:
    assert on(placed(snapshot([node("n2"), node("n1"), node("n3")]), gang(pods=1, gpus=8))) == ["n1"]


# Levels --------------------------------------------------------------------------------------------------------------------


def test_the_cost_is_weight_times_domains_beyond_the_first() -> None:
    demand = Demand(preferred=(Preference(level="rack", weight=100), Preference(level="host", weight=7)))
    found = placed(snapshot(racks(2, 2)), gang(pods=3, gpus=8, demand=demand))
    assert (found.cost, found.bound, found.optimal) == (100 + 2 * 7, 114, True)
    assert [(v.name, v.weight, v.count, v.domains) for v in found.levels] == [
        ("rack", 100, 2, ("r0", "r1")),
        ("host", 7, 3, tuple(on(found))),
    ]


def test_without_explicit_weights_the_defaults_of_the_shown_levels_hold() -> None:
    found = placed(snapshot(racks(2, 2)), gang(pods=2, gpus=8))
    assert [v.key for v in found.levels] == [SPINE, RACK, "kubernetes.io/hostname"]
    assert found.cost == found.levels[-1].weight


def test_a_node_without_the_label_is_a_domain_of_its_own_and_is_shown_so() -> None:
    world = snapshot([node("a", rack="r0"), node("b"), node("c")])
    found = placed(world, gang(pods=3, gpus=8, demand=Demand(preferred=(Preference(level="rack", weight=5),))))
    assert (found.cost, found.levels[0].domains) == (10, ("node b", "node c", "r0"))


def test_a_required_level_holds_nobody_on_nodes_without_its_label() -> None:
    world = snapshot([node("a"), node("b"), node("c", rack="r0")])
    found = refused(world, gang(pods=2, gpus=8, demand=RACK_ONLY))
    assert (found.reason, found.fits) == ("NoDomainHoldsAll", 1)


def test_a_required_level_that_no_node_carries_is_refused_with_the_nearest() -> None:
    found = refused(snapshot(racks(2)), gang(demand=Demand(required="fabric.topograph.run/tier-00")))
    assert (found.status, found.reason) == ("INFEASIBLE", "UnknownLevel")
    assert RACK in found.message


def test_a_preferred_level_that_no_node_carries_costs_by_node_and_warns() -> None:
    demand = Demand(preferred=(Preference(level="example.com/row", weight=3),))
    found = placed(snapshot(racks(3)), gang(pods=3, gpus=8, demand=demand))
    assert found.cost == 6
    assert found.advice[0].level == "warning"
    assert "example.com/row" in found.advice[0].message


def test_two_names_of_one_level_are_one_level_with_both_weights() -> None:
    demand = Demand(preferred=(Preference(level="rack", weight=3), Preference(level=RACK, weight=4)))
    found = placed(snapshot(racks(1, 1)), gang(pods=2, gpus=8, demand=demand))
    assert [(v.key, v.weight) for v in found.levels] == [(RACK, 7)]
    assert found.cost == 7


# NVLink domains ------------------------------------------------------------------------------------------------------------


def cliques() -> Snapshot:
    """Two NVLink domains across two racks: c0 and c1 each have one node in r0 and one in r1."""
    return snapshot([node(f"{c}{r}", rack=r, clique=c) for c in ("c0", "c1") for r in ("r0", "r1")])


def test_explicit_weights_make_nvlink_a_tie_break_only() -> None:
    by_host = Demand(preferred=(Preference(level="host", weight=1),))
    found = placed(cliques(), gang(pods=2, gpus=8, demand=by_host))
    assert len({n[:2] for n in on(found)}) == 1
    assert [v.name for v in found.levels] == ["host"]
    by_rack = Demand(preferred=(Preference(level="rack", weight=1),))
    found = placed(cliques(), gang(pods=2, gpus=8, demand=by_rack))
    assert len({n[2:] for n in on(found)}) == 1


def test_nvlink_required_holds_all_in_one_domain_beside_the_required_level() -> None:
    found = placed(cliques(), gang(pods=2, gpus=8, demand=Demand(nvlink="required")))
    assert len({n[:2] for n in on(found)}) == 1
    both = refused(cliques(), gang(pods=2, gpus=8, demand=Demand(required="rack", nvlink="required")))
    assert (both.reason, both.fits) == ("NoDomainHoldsAll", 1)


def test_nvlink_preferred_weighs_a_hundred_beside_explicit_weights() -> None:
    demand = Demand(preferred=(Preference(level="rack", weight=99),), nvlink="preferred")
    assert placed(cliques(), gang(pods=2, gpus=8, demand=demand)).cost == 99


def test_nvlink_ignored_has_no_weight_among_the_defaults() -> None:
    found = placed(cliques(), gang(pods=2, gpus=8, demand=Demand(nvlink="ignore")))
    assert CLIQUE not in {v.key for v in found.levels}
    assert len({n[2:] for n in on(found)}) == 1


# Members that run ------------------------------------------------------------------------------------------------------------


def with_members(nodes: list[Node], who: Gang, *others: Pod) -> Snapshot:
    return snapshot(nodes, [*(m.pod for m in who.fixed), *others])


def test_running_members_pin_the_required_domain() -> None:
    who = gang(pods=3, gpus=8, demand=RACK_ONLY, on={1: "r1n0"})
    found = placed(with_members(racks(3, 3), who), who)
    assert (sorted(on(found)), on(found)[1]) == (["r1n0", "r1n1", "r1n2"], "r1n0")
    assert [s.bound for s in found.seats] == [False, True, False]


def test_a_pinned_domain_that_is_full_refuses_the_others() -> None:
    who = gang(pods=3, gpus=8, demand=RACK_ONLY, on={0: "r1n0"})
    found = refused(with_members(racks(3, 2), who), who)
    assert (found.reason, found.fits) == ("PinnedDomainFull", 2)
    assert [(r.domain, r.room, r.needed, dict(r.short)) for r in found.rooms] == [("r1", 2, 3, {GPU: 8})]


def test_running_members_in_two_domains_are_split() -> None:
    who = gang(pods=3, gpus=8, demand=RACK_ONLY, on={0: "r0n0", 1: "r1n0"})
    found = refused(with_members(racks(3, 3), who), who)
    assert found.reason == "MembersSplit"
    assert "1 in r0, 1 in r1" in found.message


def test_running_members_count_toward_minimum_and_cost() -> None:
    who = gang(pods=2, gpus=8, on={0: "r0n0"}, demand=Demand(preferred=(Preference(level="rack", weight=5),)))
    found = placed(with_members(racks(1, 3), who), who)
    assert (found.cost, found.bound) == (5, 5)


def test_a_gang_whose_members_all_run_is_placed_as_it_is() -> None:
    who = gang(pods=2, gpus=8, on={0: "r0n0", 1: "r1n0"}, demand=Demand(preferred=(Preference(level="rack", weight=5),)))
    found = placed(with_members(racks(1, 1), who), who)
    assert (found.cost, found.optimal, found.decision.engine) == (5, True, "none")


def test_a_seat_that_is_assumed_already_is_not_counted_twice() -> None:
    who = gang(pods=1, gpus=8)
    held = replace(who.members[0].pod, node=racks(1)[0].name)
    assert on(placed(replace(snapshot(racks(1)), pods={held.uid: held}), who)) == ["r0n0"]


# Elastic gangs ---------------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_beyond_the_minimum_is_left_out_and_the_oldest_are_kept() -> None:
    who = gang(pods=4, gpus=8, min_member=2, demand=RACK_ONLY)
    aged = [replace(m, pod=replace(m.pod, created=float(10 - m.rank))) for m in who.members]
    found = placed(snapshot(racks(3, 2)), replace(who, members=tuple(aged)))
    assert [s.member.rank for s in found.seats] == [1, 2, 3]
    assert [m.rank for m in found.left_out] == [0]
    assert found.optimal


def test_the_core_never_pays_for_more_members() -> None:
    demand = Demand(required="spine", preferred=(Preference(level="rack", weight=1),))
    nodes = [*racks(2), *(node(f"z{i}", rack=f"z{i}", spine="s1") for i in range(4))]
    found = placed(snapshot(nodes), gang(pods=4, gpus=8, min_member=2, demand=demand))
    assert on(found) == ["r0n0", "r0n1"]


def test_a_leader_is_never_left_out() -> None:
    who = gang(pods=3, gpus=8, min_member=1, leader=shape(gpus=4))
    found = placed(snapshot(racks(1)), who)
    assert [s.member.role for s in found.seats] == ["leader"]


# Checks, resources, ports ----------------------------------------------------------------------------------------------------


def test_two_members_with_one_host_port_never_share_a_node() -> None:
    who = gang(pods=2, worker=shape(gpus=1, ports=(HostPort(port=80),)))
    assert len(set(on(placed(snapshot(racks(2)), who)))) == 2
    assert refused(snapshot(racks(1)), who).fits == 1


def test_pods_are_counted_whatever_they_request() -> None:
    world = snapshot([node("n0", pods=2)], [pod("busy", on="n0", of=shape(gpus=0, requests=Resources()))])
    found = refused(world, gang(pods=2, worker=shape(requests=Resources())))
    assert (found.fits, dict(found.rooms[0].short)) == (1, {"pods": 1})


def test_an_over_committed_node_has_nothing_left_and_it_is_said() -> None:
    world = snapshot(racks(2), [pod("busy", on="r0n0", gpus=9)])
    found = placed(world, gang(pods=1, gpus=1))
    assert on(found) == ["r0n1"]
    assert any("1 node is over-committed (r0n0)" in a.message for a in found.advice)


def test_no_node_that_passes_the_checks_is_another_reason_than_no_room() -> None:
    found = refused(snapshot(racks(2)), gang(worker=shape(gpus=1, node_selector=(("pool", "x"),))))
    assert found.reason == "NoNodePasses"
    assert "NodeAffinity 2" in found.message


def test_a_full_cluster_says_how_many_fit_and_what_is_short() -> None:
    found = refused(snapshot(racks(2, 2)), gang(pods=6, gpus=8))
    assert (found.status, found.reason, found.fits) == ("INFEASIBLE", "NotEnoughRoom", 4)
    assert (found.rooms[0].room, found.rooms[0].needed, dict(found.rooms[0].short)) == (4, 6, {GPU: 16})
    assert found.decision.engine == "counting"


def test_rooms_of_a_required_level_are_listed_largest_first() -> None:
    found = refused(snapshot(racks(1, 3, 2)), gang(pods=4, gpus=8, demand=RACK_ONLY))
    assert found.reason == "NoDomainHoldsAll"
    assert [(r.domain, r.room) for r in found.rooms] == [("r1", 3), ("r2", 2), ("r0", 1)]


def test_roles_of_several_resources_that_only_sums_would_allow_are_refused() -> None:
    """Six GPUs are free and six are asked for, but 3 + 3 does not go into 4 + 2."""
    world = snapshot([node("n0", gpus=4), node("n1", gpus=2)])
    found = refused(world, gang(pods=2, leader=shape(gpus=3), gpus=3))
    assert (found.status, found.fits) == ("INFEASIBLE", 1)


# Gates -----------------------------------------------------------------------------------------------------------------------


def test_a_waiting_gang_is_not_decided() -> None:
    who = replace(gang(), waiting=Waiting(code="Gated", message="Pod ai/train-0 has scheduling gates: x."))
    found = refused(snapshot(racks(2)), who)
    assert (found.status, found.reason, found.message) == ("WAITING", "Gated", "Pod ai/train-0 has scheduling gates: x.")


def test_a_field_that_is_not_checked_yet_is_named() -> None:
    field = Unsupported(field="spec.topologySpreadConstraints[0]", check="PodTopologySpread", message="DoNotSchedule over zone")
    found = refused(snapshot(racks(2)), gang(worker=shape(unsupported=(field,))))
    assert (found.status, found.reason) == ("UNSUPPORTED", "NotChecked")
    assert all(text in found.message for text in ("ai/train-0", "spec.topologySpreadConstraints[0]", "PodTopologySpread"))


def test_each_segment_lies_in_one_rack() -> None:
    world = snapshot([node(f"n{i}", rack=rack) for i, rack in enumerate(("r0", "r0", "r0", "r1", "r1", "r1"))])
    plan = placed(world, gang(pods=4, demand=Demand(segments=(Segment(size=2, required="rack"),))))
    assert [world.topology.domains_of(s.node)[RACK] for s in plan.seats] in (["r0", "r0", "r1", "r1"], ["r1", "r1", "r0", "r0"])


def test_a_budget_that_ends_is_not_a_no() -> None:
    def tired(problem: Problem, budget: Budget) -> Solution:
        assert problem.total
        assert budget.deterministic_seconds
        return Solution(status=SolveStatus.UNKNOWN, bound=7, why="the wall budget was used up")

    found = place(snapshot(racks(2)), gang(), tired, Budget(wall_seconds=2.0), CHECKS)
    assert isinstance(found, Unplaced)
    assert (found.status, found.reason) == ("UNKNOWN", "BudgetExhausted")


def test_what_is_not_known_says_what_was_tried_how_far_it_got_which_budget_ended_it_and_what_to_do() -> None:
    def tired(problem: Problem, budget: Budget) -> Solution:
        assert problem.total
        assert budget.deterministic_seconds
        return Solution(status=SolveStatus.UNKNOWN, bound=7, why="the wall budget was used up")

    world = snapshot([node("n0", rack="r0"), node("n1", rack="r0"), node("n2", rack="r1")])
    found = place(world, gang(pods=3, demand=Demand(required="rack")), tired, Budget(wall_seconds=2.0), CHECKS)
    assert isinstance(found, Unplaced)
    assert (found.fits, [(r.domain, r.room) for r in found.rooms]) == (2, [("r0", 2), ("r1", 1)])
    assert found.message == (
        "It is not known whether 3 members fit: the wall budget was used up (5 deterministic seconds, 2 by the clock). "
        "Tried: sums of free room do not rule it out, best fit holds 2: rack r0 has room for 2 (short of 8 nvidia.com/gpu); "
        "the search met 2 node classes, 1 role, 2 levels. No placement costs less than 7. "
        "A larger budget may settle it: --budget of plan and explain, solver.deterministic_seconds and solver.wall_seconds "
        "in the configuration of the scheduler."
    )


def test_an_invalid_model_is_a_bug() -> None:
    def broken(problem: Problem, budget: Budget) -> Solution:
        assert problem.total
        assert budget.deterministic_seconds
        return Solution(status=SolveStatus.MODEL_INVALID)

    with pytest.raises(AssertionError, match="invalid"):
        place(snapshot(racks(2)), gang(), broken, Budget(), CHECKS)


# The round -------------------------------------------------------------------------------------------------------------------


def ranked(name: str, *, priority: int = 0, created: float = 0.0) -> Gang:
    return replace(gang(name, pods=2, gpus=8), key=GangKey(f"ai/{name}"), priority=priority, created=created)


def round_of(world: Snapshot, *gangs: Gang) -> tuple[Plan, ...]:
    return decide(world, gangs, solver=engines.default, budget=Budget(), checks=CHECKS, verify=lambda s, p: verify.verify(s, p, filters.allowed))


def test_gangs_are_decided_by_priority_then_age_then_key_and_see_each_other() -> None:
    plans = round_of(snapshot(racks(4)), ranked("c"), ranked("b"), ranked("old", created=-1.0), ranked("high", priority=5))
    assert [p.gang.name for p in plans] == ["high", "old", "b", "c"]
    assert [type(p) for p in plans] == [Placed, Placed, Unplaced, Unplaced]
    assert set(on(plans[0])) & set(on(plans[1])) == set()  # type: ignore[arg-type]  # both placed, asserted above


def test_a_round_does_not_depend_on_the_order_of_its_gangs() -> None:
    gangs = [ranked("a"), ranked("b"), ranked("c", priority=1)]
    assert round_of(snapshot(racks(4)), *gangs) == round_of(snapshot(racks(4)), *reversed(gangs))


def test_a_plan_that_the_referee_refuses_is_raised() -> None:
    with pytest.raises(RefereeError, match="wrong"):
        decide(snapshot(racks(4)), [gang()], solver=engines.default, budget=Budget(), checks=CHECKS, verify=lambda _s, _p: ("wrong",))


def test_explanations_are_asked_only_for_what_is_proved_impossible() -> None:
    asked: list[str] = []

    def explain(_world: Snapshot, who: Gang, found: Unplaced, again: object) -> Unplaced:
        assert callable(again)
        asked.append(who.name)
        return replace(found, message="explained")

    waiting = replace(ranked("w"), waiting=Waiting(code="Gated", message="x"))
    plans = decide(
        snapshot(racks(2)),
        [ranked("a"), ranked("b"), waiting],
        solver=engines.default,
        budget=Budget(),
        checks=CHECKS,
        verify=lambda _s, _p: (),
        explain=explain,
    )
    assert asked == ["b"]
    assert [getattr(p, "message", "") for p in plans] == ["", "explained", "x"]


def test_members_keep_their_rank_and_seats_are_in_rank_order() -> None:
    found = placed(snapshot(racks(2, 2)), gang(pods=4, gpus=8, leader=shape(gpus=8)))
    assert [s.member.rank for s in found.seats] == [0, 1, 2, 3]
    assert {type(s.member) for s in found.seats} == {Member}
