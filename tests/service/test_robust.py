"""Errors in the scheduler itself: each costs as little as can be, and no gang is lost."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from scheduler.kube.group import assemble, grouping
from scheduler.service import loop as loops
from scheduler.service.carrying import Carrier
from scheduler.state.objects import Node, Pod
from scheduler.state.plan import Placed
from scheduler.state.world import PodGroup
from tests.builders import node
from tests.service.loops import Solvers, World, carried, ours


def played(*phases: list[Node | Pod | PodGroup] | Callable[[], object], world: World | None = None) -> World:
    """Let the loop take turns, phase after phase, with what it is made of as a test has left it."""
    solvers = Solvers()
    found = world or World(solvers.solver, solvers.joint)

    async def play() -> None:
        turning = asyncio.create_task(found.loop.run())
        for values in phases:
            if callable(values):
                values()
            else:
                found.put(*values)
            await found.quiet()
        await found.loop.stop(1)
        await turning

    asyncio.run(play())
    return found


def once(monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    """Let a function fail the first time."""
    real, calls = getattr(where, name), list[int]()

    def fails(*args: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(*args, **named)

    monkeypatch.setattr(where, name, fails)


def test_a_bug_about_one_group_is_told_as_its_reason_to_wait_and_others_are_placed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = assemble.make

    def make(ref: object, pods: object, setting: object) -> object:
        if getattr(ref, "name", "") == "bad":
            raise ZeroDivisionError
        return real(ref, pods, setting)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(grouping, "make", make)
    world = played([node("a"), node("b"), ours("bad", 1), ours("good", 2)])
    assert carried(world) == [("good", "a")]
    view = world.loop.view()
    assert view is not None
    (bad,) = [gang for gang in view.grouping.gangs if gang.name == "bad"]
    assert bad.waiting is not None
    assert bad.waiting.code == "SchedulerError"
    assert "ZeroDivisionError" in bad.waiting.message
    assert "cannot be made" in caplog.text


def test_what_was_told_before_an_error_in_a_turn_is_decided_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "ERROR_SECONDS", 0.01)
    once(monkeypatch, loops, "gangs")
    world = played([node("a"), ours("only", 1)])
    assert carried(world) == [("only", "a")]
    assert b'coterie_errors_total{where="loop"} 1.0' in world.metrics.expose()


def test_a_commit_that_cannot_be_begun_gives_its_seats_back_and_the_gang_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    once(monkeypatch, Carrier, "commit")
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)
    tried: list[Placed] = []

    def wait() -> None:
        assert world.commits.plans == tried
        assert not world.cache.assuming
        world.attempt("only").not_before = 0.0
        world.feed.wake.set()

    played([node("a"), ours("only", 1)], wait, world=world)
    assert carried(world) == [("only", "a")]
    assert b'coterie_errors_total{where="commit"} 1.0' in world.metrics.expose()


def test_an_elastic_member_without_room_is_asked_about_once_and_gets_the_room_that_comes() -> None:
    labels = {"coterie.dev/pod-group": "elastic"}
    pods = [replace(ours(f"e-{at}", 1), labels=labels) for at in range(2)]
    group = PodGroup(namespace="default", name="elastic", uid="elastic", min_member=1, api_version="scheduling.run.ai/v1")
    world = played([node("a"), group, *pods], [node("c", gpus=4)], [node("b")])
    assert carried(world) == [("e-0", "a"), ("e-0", "a"), ("e-1", "b")], "the second plan names the member that runs, too"
    assert len(world.told.answers) == 3


def test_gangs_that_ask_the_same_in_vain_are_answered_once() -> None:
    solvers = Solvers()
    world = played([node("a", gpus=4), *(ours(f"pod-{at:02}", at) for at in range(20))], world=World(solvers.solver, solvers.joint))
    assert solvers.asked <= 2 * 8, "not even a window of them is asked about twice"
    assert {world.attempt(f"pod-{at:02}").plan.reason for at in range(20)} == {"NotEnoughRoom"}  # type: ignore[union-attr]  # none is placed
    assert world.attempt("pod-19").decisions == 1


def test_room_that_comes_is_given_to_as_many_as_it_holds_and_in_their_order() -> None:
    world = played([node("a", gpus=4), *(ours(f"pod-{at:02}", at) for at in range(6))], [node("b"), node("c")])
    assert carried(world) == [("pod-00", "b"), ("pod-01", "c")]
