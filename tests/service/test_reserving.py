"""A large gang at the head of the queue, and a stream of small ones behind it: they pass where they do not delay it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from scheduler.service.attempts import Look
from scheduler.state.gang import Gang
from scheduler.state.objects import Node, Pod
from scheduler.state.plan import Unplaced
from scheduler.state.world import PodGroup
from tests.builders import node, pod, shape
from tests.service.loops import Solvers, World, ours

NODES = [node("a"), node("b"), node("c", gpus=4)]
"""The large gang needs a and b wholly; c is of no use to it."""


def large(name: str = "large", *, priority: int = 0, pods: int = 2) -> list[PodGroup | Pod]:
    group = PodGroup(namespace="default", name=name, uid=name, min_member=pods, api_version="scheduling.run.ai/v1")
    labels = {"coterie.dev/pod-group": name}
    return [group, *(replace(ours(f"{name}-{at}", 1, priority=priority), labels=labels) for at in range(pods))]


def small(at: int, gpus: int = 4) -> Pod:
    return replace(ours(f"small-{at:02}", 10 + at), shape=shape(gpus=gpus), used=shape(gpus=gpus).requests)


def made(reserve_after: float = 0.01) -> World:
    solvers = Solvers()
    return World(solvers.solver, solvers.joint, reserve_after=reserve_after)


class Stream:
    """Small pods end one after the other, and each that ends is followed by a new one."""

    def __init__(self, world: World) -> None:
        """Begin."""
        self.world = world
        self.running: list[Pod] = []
        self.count = 0

    def come(self, gpus: int = 4) -> None:
        made = small(self.count, gpus)
        self.count += 1
        self.world.put(made)

    def placed(self) -> list[str]:
        return [seat.member.pod.name for plan in self.world.commits.plans for seat in plan.seats]

    def end_oldest(self) -> None:
        """Let the pod that was placed first end."""
        snapshot = self.world.cache.snapshot()
        names = [name for name in self.placed() if name.startswith("small")]
        alive = [pod for name in names for pod in snapshot.pods.values() if pod.name == name]
        if alive:
            self.world.put(replace(alive[0], phase="Succeeded"))

    async def play(self, steps: int) -> None:
        """Let time pass."""
        for _ in range(steps):
            self.come()
            self.end_oldest()
            await self.world.quiet()


def crowded(world: World) -> Stream:
    """Fill both nodes with small pods that started one after the other, before the large gang comes."""
    stream = Stream(world)
    world.put(*NODES)
    for _ in range(4):
        stream.come()
    return stream


@pytest.mark.parametrize(("reserve_after", "expected"), [(0.01, True), (0.0, False)])
def test_a_stream_of_small_gangs_starves_a_large_one_only_without_a_reservation(reserve_after: float, expected: bool) -> None:
    world = made(reserve_after)
    stream = crowded(world)

    async def play() -> None:
        turning = asyncio.create_task(world.loop.run())
        await world.quiet()
        world.put(*large())
        stream.come()
        await world.quiet()
        await stream.play(14)
        await world.loop.stop(1)
        await turning

    asyncio.run(play())
    assert ("large-0" in stream.placed()) is expected
    assert sum(name.startswith("small") for name in stream.placed()) > 6


def sentence(world: World, name: str) -> str:
    plan = world.attempt(name).plan
    assert isinstance(plan, Unplaced)
    return plan.message


def run(world: World, *phases: Sequence[Node | Pod | PodGroup] | Callable[[], object]) -> None:
    """Let the loop take turns, phase after phase: objects come, or something else happens."""

    async def play() -> None:
        turning = asyncio.create_task(world.loop.run())
        for values in phases:
            if callable(values):
                values()
            else:
                world.put(*values)
            await world.quiet()
        await world.loop.stop(1)
        await turning

    asyncio.run(play())


def nodes_of(world: World) -> dict[str, str]:
    return {seat.member.pod.name: str(seat.node) for plan in world.commits.plans for seat in plan.seats}


HALF = pod("half", on="a", gpus=4)


def test_a_small_gang_gets_what_the_reservation_does_not_need_and_is_told_what_is_kept_from_it() -> None:
    world = made()
    run(world, [*NODES, HALF], large(), [small(1, gpus=4), small(2, gpus=4)])
    assert nodes_of(world) == {"small-01": "c"}
    assert b"coterie_reservations 1.0" in world.metrics.expose()
    assert "12 GPUs on a, b are reserved for gang default/large since 1970-01-01T00:00:00Z." in sentence(world, "small-02")
    assert "Room is reserved for it on a, b since 1970-01-01T00:00:00Z: when 1 pod there has ended it fits." in sentence(world, "large")


def test_a_gang_ahead_of_the_one_with_a_reservation_takes_no_notice_of_it() -> None:
    world = made()
    first = replace(small(1, gpus=4), priority=5)
    run(world, [*NODES, HALF], large(), [first])
    assert nodes_of(world)["small-01"] in ("a", "b")


def test_the_reservation_ends_when_its_gang_is_placed() -> None:
    world = made()
    run(world, [*NODES, HALF], large(), [replace(HALF, phase="Succeeded")])
    assert nodes_of(world) == {"large-0": "a", "large-1": "b"}
    assert b"coterie_reservations 0.0" in world.metrics.expose()


def test_the_reservation_ends_when_its_gang_has_timed_out_or_is_gone() -> None:
    def times_out(world: World) -> None:
        world.attempts.time_out(gang_of(world), Look(now=0.0, calendar=1e9))

    def goes(world: World) -> None:
        for at in range(2):
            world.remove(replace(ours(f"large-{at}", 1)))

    for end in (times_out, goes):
        world, kept = made(), list[bool]()
        told = partial(lambda world, kept: kept.append(b"coterie_reservations 1.0" in world.metrics.expose()), world, kept)
        run(world, [*NODES, HALF], large(), told, partial(end, world), [small(1, gpus=4), small(2, gpus=4)])
        assert kept == [True]
        assert nodes_of(world)["small-01"] in ("a", "b")
        assert b"coterie_reservations 0.0" in world.metrics.expose()


def gang_of(world: World) -> Gang:
    view = world.loop.view()
    assert view is not None
    return next(gang for gang in view.grouping.gangs if gang.name == "large")


def test_seats_that_have_become_impossible_are_given_back_and_others_are_found() -> None:
    world = made()
    run(world, [*NODES, node("d"), HALF, pod("most", on="d", gpus=6)], large(), [replace(NODES[1], unschedulable=True)])
    assert nodes_of(world) == {}
    assert "on a, d since" in sentence(world, "large")


def test_each_priority_has_its_own_reservation() -> None:
    world = made()
    fill = [pod(f"full-{name}", on=name, gpus=8) for name in "abde"]
    nodes = [*NODES, node("d"), node("e")]
    run(world, [*nodes, *fill], large("low"), large("high", priority=5))
    assert b"coterie_reservations 2.0" in world.metrics.expose()
    low, high = ({str(n) for n in one.reserved.needed} for one in sorted(world.reservations._of.values(), key=lambda o: o.reserved.gang.priority))  # noqa: SLF001
    assert low.isdisjoint(high)


def test_a_gang_that_no_end_of_pods_would_help_keeps_nothing_from_anybody() -> None:
    world = made()
    run(world, [*NODES, HALF], large(pods=5), [small(1, gpus=4)])
    assert nodes_of(world)["small-01"] in ("a", "b")
    assert b"coterie_reservations 0.0" in world.metrics.expose()


def test_pods_that_do_not_end_for_long_are_not_counted_on_any_more_and_other_seats_are_found() -> None:
    world, before = made(), list[str]()

    def long_after() -> None:
        before.append(sentence(world, "large"))
        world.reservations.review([gang_of(world)], Look(now=1e12, calendar=0.0))
        world.feed.wake.set()

    run(world, [*NODES, node("d"), HALF, pod("most", on="d", gpus=6)], large(), long_after, lambda: None)
    assert "on a, b since" in before[0]
    assert "on b, d since" in sentence(world, "large")
    assert "on a, b since" not in sentence(world, "large")
