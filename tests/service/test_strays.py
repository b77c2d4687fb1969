"""Pods of a group that are members of no gang: after a moment they are told so, once, and no longer than it holds."""

import asyncio
from dataclasses import replace

import pytest

from scheduler.kube.group.grouping import gangs
from scheduler.kube.publish.said import EventSaid, PodSaid
from scheduler.kube.publish.strays import of_strays
from scheduler.service import strays as module
from scheduler.service.strays import Strays
from scheduler.state.ids import PodUid
from tests.kube.worlds import lws_pod, lws_sets, world
from tests.service.loops import Solvers, World

WORKER = lws_pod(1, created=1.0)
WHY = "its group r1-0 has no living leader"


def test_a_worker_without_a_leader_is_told_by_condition_and_event_that_no_gang_has_it() -> None:
    cluster = world([WORKER], workloads=lws_sets())
    condition, event = of_strays(cluster, gangs(cluster).strays, lambda _: True)
    assert isinstance(condition, PodSaid)
    assert (condition.name, condition.reason, condition.message) == ("r1-0-1", "NotAMember", f"The pod is a member of no gang: {WHY}.")
    assert isinstance(event, EventSaid)
    assert (event.regarding.name, event.reason, event.note) == ("r1-0-1", "FailedScheduling", f"NotAMember: {condition.message}")


@pytest.mark.parametrize("fields", [{"node": "n1"}, {"terminating": True}])
def test_who_was_bound_or_goes_away_meanwhile_is_told_nothing(fields: dict[str, object]) -> None:
    cluster = world([replace(WORKER, **fields)], workloads=lws_sets())  # type: ignore[arg-type]  # fields of Pod
    assert not list(of_strays(cluster, {WORKER.uid: WHY}, lambda _: True))


def test_nothing_is_said_in_namespaces_that_are_not_served() -> None:
    assert not list(of_strays(world([WORKER]), {WORKER.uid: WHY}, lambda _: False))


def test_it_is_told_after_two_seconds_and_these_begin_anew_when_it_was_a_member_in_between() -> None:
    memory, uid = Strays(), PodUid("a")
    memory.keep({uid: "first"}, 10.0)
    assert (memory.ripe(11.9), memory.next(11.0)) == ({}, 12.0)
    memory.keep({uid: "second"}, 11.0)
    assert memory.ripe(12.0) == {uid: "second"}
    assert memory.next(12.0) == float("inf")
    memory.keep({}, 13.0)
    memory.keep({uid: "third"}, 14.0)
    assert (memory.ripe(15.0), memory.ripe(16.0)) == ({}, {uid: "third"})


def test_the_loop_asks_for_a_look_when_the_moment_has_come_though_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RIPE_SECONDS", 0.2)
    solvers = Solvers()
    alone = World(solvers.solver, solvers.joint)

    async def play() -> None:
        turning = asyncio.create_task(alone.loop.run())
        alone.put(WORKER)
        async with asyncio.timeout(20):
            while not (view := alone.loop.view()) or not view.strays:
                alone.told.wanted.clear()
                await alone.told.wanted.wait()
        assert list(view.strays) == [WORKER.uid]
        await alone.loop.stop(1)
        await turning

    asyncio.run(play())
