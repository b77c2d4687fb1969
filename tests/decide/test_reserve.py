"""Where a gang that does not fit will fit first, and what is kept for it until then."""

from dataclasses import replace

from scheduler.decide import filters
from scheduler.decide.place import Checks, place
from scheduler.decide.reserve import Reserved, held, possible, reserve
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.objects import HostPort, Pod, Ref
from scheduler.state.plan import Placed
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
LARGE = gang("large", pods=2, gpus=8)


def chosen(world: Snapshot, wanted: Gang = LARGE, running: tuple[Gang, ...] = ()) -> Reserved | None:
    return reserve(world, wanted, running, may_end=world.pods.keys(), solver=engines.default, budget=Budget(), checks=CHECKS)


def found(world: Snapshot, wanted: Gang = LARGE, running: tuple[Gang, ...] = ()) -> Reserved:
    reserved = chosen(world, wanted, running)
    assert reserved is not None
    return reserved


def names(world: Snapshot, reserved: Reserved) -> set[str]:
    return {world.pods[uid].name for uid in reserved.ending}


def beside(world: Snapshot, reserved: Reserved) -> Snapshot:
    """Return the cluster as a gang behind sees it."""
    return world.beside(held(world, reserved), 0)


def gpus(world: Snapshot) -> dict[str, int]:
    return {str(name): world.free(name).amount(GPU) for name in world.nodes}


THREE = [node("a"), node("b"), node("c")]


def test_the_seats_are_where_the_fewest_gpus_must_come_free() -> None:
    world = snapshot(THREE, [pod("a6", on="a", gpus=6), pod("b2", on="b", gpus=2), pod("c1", on="c", gpus=1), pod("c2", on="c", gpus=1)])
    reserved = found(world)
    assert set(reserved.needed) == {"b", "c"}
    assert names(world, reserved) == {"b2", "c1", "c2"}


def test_a_pod_that_is_being_deleted_counts_as_gone_already() -> None:
    world = snapshot(THREE, [replace(pod("a8", on="a", gpus=8), terminating=True), pod("b2", on="b", gpus=2), pod("c4", on="c", gpus=4)])
    assert names(world, found(world)) == {"a8", "b2"}


def test_a_daemon_and_a_pod_that_may_not_end_are_not_waited_for() -> None:
    daemon = replace(pod("daemon", on="a", gpus=1), owner=Ref(kind="DaemonSet", name="d"))
    world = snapshot(THREE[:2], [daemon])
    assert chosen(world) is None
    stays = snapshot(THREE, [pod("a", on="a"), pod("b", on="b"), pod("c", on="c")])
    kept = reserve(stays, LARGE, (), may_end=frozenset(), solver=engines.default, budget=Budget(), checks=CHECKS)
    assert kept is None


def test_a_gang_that_no_end_of_any_pod_would_help_gets_nothing() -> None:
    assert chosen(snapshot(THREE, [pod("a", on="a")]), gang("huge", pods=4, gpus=8)) is None


def test_only_what_is_free_now_and_needed_is_kept_and_more_as_pods_end() -> None:
    small = gang("large", pods=1, gpus=6)
    pods = [pod("a5", on="a", gpus=5), pod("a1", on="a", gpus=1)]
    world = snapshot([node("a")], pods)
    reserved = found(world, small)
    assert names(world, reserved) == {"a5"}
    assert gpus(beside(world, reserved)) == {"a": 1}, "when a5 ends there are 7 free, of which 6 are needed"
    later = world.without([pods[0].uid])
    assert gpus(beside(later, reserved)) == {"a": 1}
    assert gpus(later) == {"a": 7}


def test_what_is_kept_never_leaves_a_node_over_committed() -> None:
    world = snapshot(THREE, [pod("a6", on="a", gpus=6), pod("b2", on="b", gpus=2), pod("c2", on="c", gpus=2)])
    reserved = found(world)
    assert gpus(beside(world, reserved)) == {"a": 2, "b": 0, "c": 0}
    assert all(amount >= 0 for amount in gpus(beside(world, reserved)).values())


def test_a_backfilled_pod_does_not_make_the_seats_impossible_but_another_pod_there_does() -> None:
    world = snapshot(THREE, [pod("a6", on="a", gpus=6), pod("b2", on="b", gpus=2), pod("c2", on="c", gpus=2)])
    reserved = found(world)
    small = gang("small", pods=1, gpus=2)
    plan = place(beside(world, reserved), small, engines.default, Budget(), CHECKS)
    assert isinstance(plan, Placed)
    assert [seat.node for seat in plan.seats] == ["a"]
    assert possible(world.with_plan(plan), reserved)
    thief = pod("thief", on="b", gpus=1)
    assert not possible(world.changed({thief.uid: thief}), reserved)


def test_seats_on_a_node_that_is_cordoned_or_gone_are_impossible() -> None:
    pods = [pod("a6", on="a", gpus=6), pod("b2", on="b", gpus=2), pod("c2", on="c", gpus=2)]
    reserved = found(snapshot(THREE, pods))
    assert possible(snapshot(THREE, pods), reserved)
    assert not possible(snapshot([THREE[0], node("b", unschedulable=True), THREE[2]], pods), reserved)
    assert not possible(snapshot(THREE[:2], pods[:2]), reserved)


def test_seats_lie_in_one_domain_where_one_is_required_and_hold_segments() -> None:
    nodes = [node(f"{rack}{at}", rack=rack) for rack in "rs" for at in range(2)]
    pods = [pod("r", on="r0", gpus=1), pod("s0", on="s0", gpus=1), pod("s1", on="s1", gpus=1)]
    world = snapshot(nodes, pods)
    together = found(world, gang("large", pods=2, gpus=8, demand=Demand(required=RACK)))
    assert set(together.needed) == {"r0", "r1"}
    cut = found(world, gang("large", pods=4, gpus=8, demand=Demand(segments=(Segment(size=2, required=RACK),))))
    assert names(world, cut) == {"r", "s0", "s1"}


def test_a_gang_that_runs_ends_as_a_whole() -> None:
    other = gang("other", pods=2, gpus=2, on={0: "a", 1: "b"})
    world = snapshot(THREE, [*(m.pod for m in other.members), pod("c3", on="c", gpus=3)])
    assert names(world, found(world, gang("large", pods=1, gpus=8), (other,))) == {"c3"}


def test_a_host_port_that_a_member_wants_is_kept_too() -> None:
    wants = gang("large", pods=1, worker=shape(gpus=8, ports=(HostPort(port=80),)))
    world = snapshot([node("a")], [pod("a8", on="a", gpus=8)])
    reserved = found(world, wants)
    other: list[Pod] = list(held(world, reserved))
    assert [p.shape.ports for p in other] == [(HostPort(port=80),)]
    assert other[0].used.amount(GPU) == 0
