"""What is said is written once, when it has changed, behind the binds, and never on an object that has changed meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scheduler.kube.api import Api
from scheduler.kube.group.podgroups import Condition
from scheduler.kube.publish import outbox as outboxes
from scheduler.kube.publish.behind import Behind
from scheduler.kube.publish.groups import POD_GROUPS
from scheduler.kube.publish.outbox import Outbox
from scheduler.kube.publish.said import EventSaid, PodSaid, StatusSaid
from scheduler.state.objects import Ref
from tests.kube.faulty import Object, Script, answer, refuse, serving

LATER = 4e9
"""A moment long after the tests: a pod that is made then has no condition of a former process."""
POD = PodSaid(namespace="ai", name="a", uid="u", reason="Unschedulable", message="no room", created=LATER, version="7")
GROUP = StatusSaid(
    resource=POD_GROUPS,
    namespace="ai",
    name="pg",
    uid="g",
    generation=2,
    conditions=(Condition(type="Scheduled", status=False, reason="NotEnoughRoom", message="no room"),),
    fields={"phase": "Unschedulable", "cost": None},
)
EVENT = EventSaid(namespace="ai", regarding=Ref(kind="Pod", name="a", uid="u", api_version="v1"), reason="FailedScheduling", note="no room")
STATUS = "/api/v1/namespaces/ai/pods/a/status"
EVENTS = "/apis/events.k8s.io/v1/namespaces/ai/events"
PATH = "/apis/scheduling.run.ai/v1/namespaces/ai/podgroups/pg"


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def writing(api: Api, *, quiet: bool = True, clock: Clock | None = None, patience: float = 5.0) -> AsyncIterator[Outbox]:
    """Run an outbox."""
    silence = asyncio.Event()
    if quiet:
        silence.set()
    outbox = Outbox(api, instance="tests", quiet=silence, patience=patience, clock=clock or Clock())
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()


def group(status: Object | None) -> Object:
    return {"metadata": {"name": "pg", "uid": "g", "resourceVersion": "1"}, **({"status": status} if status is not None else {})}


async def test_a_condition_is_written_once_and_again_when_it_says_something_else() -> None:
    script = Script()
    script.on(f"PATCH {STATUS}", answer({}))
    async with serving(script) as api, writing(api) as outbox:
        for said in (POD, POD, replace(POD, version="8"), replace(POD, message="still no room", version="9")):
            outbox.say([said])
            await outbox.flush(5)
    assert [body["status"]["conditions"][0]["message"] for body in script.bodies] == ["no room", "still no room"]
    assert [body["metadata"] for body in script.bodies] == [{"uid": "u", "resourceVersion": "7"}, {"uid": "u", "resourceVersion": "9"}]
    assert "lastTransitionTime" in script.bodies[0]["status"]["conditions"][0]
    assert "lastTransitionTime" not in script.bodies[1]["status"]["conditions"][0]


async def test_what_holds_no_more_before_its_turn_is_not_written() -> None:
    script = Script()
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([POD])
        outbox.say([])
        await outbox.flush(5)
    assert script.asked == []


async def test_a_condition_that_a_former_process_wrote_is_left() -> None:
    script = Script()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    script.on("GET /api/v1/namespaces/ai/pods/a", answer({"metadata": {"uid": "u"}, "status": {"conditions": [condition]}}))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([replace(POD, created=1.0)])
        await outbox.flush(5)
    assert script.asked == ["GET /api/v1/namespaces/ai/pods/a"]


async def test_a_pod_that_has_changed_is_looked_at_again_and_not_overwritten() -> None:
    script = Script()
    script.on(f"PATCH {STATUS}", refuse(409, "Conflict"), answer({}))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([POD])
        await outbox.flush(5)
        assert outbox.again.is_set()
        assert len(script.asked) == 1
        outbox.say([replace(POD, version="8")])
        await outbox.flush(5)
    assert script.bodies[-1]["metadata"]["resourceVersion"] == "8"


async def test_a_status_is_read_once_and_written_only_when_it_differs() -> None:
    script = Script()
    script.on(f"GET {PATH}", answer(group({"phase": "Pending", "cost": 3, "conditions": [{"type": "Theirs", "status": "True"}]})))
    written = {"phase": "Unschedulable", "observedGeneration": 2}
    script.on(f"PATCH {PATH}/status", answer(group(written)))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([GROUP])
        await outbox.flush(5)
        outbox.say([GROUP])
        await outbox.flush(5)
    assert script.asked == [f"GET {PATH}", f"PATCH {PATH}/status"]
    (body,) = script.bodies
    assert body["metadata"] == {"uid": "g"}
    assert (body["status"]["phase"], body["status"]["cost"], body["status"]["observedGeneration"]) == ("Unschedulable", None, 2)
    assert [each["type"] for each in body["status"]["conditions"]] == ["Scheduled", "Theirs"]


async def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    script = Script()
    since = "2026-01-01T00:00:00Z"
    script.on(f"GET {PATH}", answer(group({"conditions": [{"type": "Scheduled", "status": "False", "lastTransitionTime": since}]})))
    script.on(f"PATCH {PATH}/status", answer(group({})))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([GROUP])
        await outbox.flush(5)
    assert script.bodies[0]["status"]["conditions"][0]["lastTransitionTime"] == since


async def test_the_same_event_is_counted_at_most_once_a_minute_and_other_words_are_a_new_one() -> None:
    script, clock = Script(), Clock()
    script.on(f"POST {EVENTS}", answer({}))
    async with serving(script) as api, writing(api, clock=clock) as outbox:
        for now, said in ((0, EVENT), (1, replace(EVENT, times=2)), (70, replace(EVENT, times=3)), (131, replace(EVENT, note="less room"))):
            clock.now = now
            if now == 70:
                script.on(script_event(script), answer({}))
            outbox.say([said])
            await outbox.flush(5)
    assert [what.split(" ")[0] for what in script.asked] == ["POST", "PATCH", "POST"]
    assert script.bodies[1]["series"]["count"] == 3
    assert script.bodies[0]["regarding"] == {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u", "namespace": "ai"}
    assert script.bodies[2]["note"] == "less room"


async def test_other_numbers_within_the_minute_are_a_new_condition_at_once_and_one_event_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "_REPEAT_SECONDS", 0.3)
    script, clock = Script(), Clock()
    script.on(f"POST {EVENTS}", answer({}))
    script.on(f"PATCH {STATUS}", answer({}))
    async with serving(script) as api, writing(api, clock=clock) as outbox:
        for fits in range(1, 5):
            outbox.say([replace(POD, message=f"{fits} fit"), replace(EVENT, note=f"{fits} fit", times=fits)])
            await outbox.flush(5)
        assert not outbox.again.is_set()
        async with asyncio.timeout(20):
            await outbox.again.wait()
        clock.now = 0.4
        outbox.say([replace(EVENT, note="4 fit", times=4)])
        await outbox.flush(5)
    assert [body["note"] for body in script.bodies if "note" in body] == ["1 fit", "4 fit"]
    assert [body["status"]["conditions"][0]["message"] for body in script.bodies if "status" in body] == [f"{fits} fit" for fits in range(1, 5)]


async def test_what_has_just_happened_is_told_at_once_however_often() -> None:
    script = Script()
    script.on(f"POST {EVENTS}", answer({}))
    async with serving(script) as api, writing(api) as outbox:
        for number in range(3):
            outbox.tell([replace(EVENT, note=f"happened {number}")])
            await outbox.flush(5)
    assert [body["note"] for body in script.bodies] == [f"happened {number}" for number in range(3)]


def script_event(script: Script) -> str:
    """Name the patch of the event that was written first."""
    return f"PATCH {EVENTS}/{script.bodies[0]['metadata']['name']}"


async def test_a_server_that_is_away_is_asked_again_and_an_object_that_is_gone_is_let_go() -> None:
    script = Script()
    script.on(f"PATCH {STATUS}", refuse(503, "ServiceUnavailable"), answer({}))
    script.on(f"GET {PATH}", refuse(404, "NotFound"))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([POD, GROUP])
        await outbox.flush(10)
        outbox.say([POD, GROUP])
        await outbox.flush(5)
    assert script.asked.count(f"PATCH {STATUS}") == 2
    assert script.asked.count(f"GET {PATH}") == 1


async def test_binds_on_their_way_are_waited_for_but_not_for_ever() -> None:
    script = Script()
    script.on(f"PATCH {STATUS}", answer({}))
    async with serving(script) as api, writing(api, quiet=False, patience=0.2) as outbox:
        outbox.say([POD])
        await asyncio.sleep(0.05)
        assert script.asked == []
        await outbox.flush(5)
    assert len(script.asked) == 1


async def test_what_is_said_while_binds_are_on_their_way_is_written_once_they_are_over_as_it_was_said_last() -> None:
    script = Script()
    script.on(f"PATCH {STATUS}", answer({}))
    async with serving(script) as api, writing(api, quiet=False) as outbox:
        for number in range(5):
            outbox.say([replace(POD, message=f"{number} nodes are short")])
            await asyncio.sleep(0)
        outbox.quiet.set()
        await outbox.flush(5)
    assert [body["status"]["conditions"][0]["message"] for body in script.bodies] == ["4 nodes are short"]


async def test_behind_binds_that_never_end_one_goes_through_after_the_patience_and_then_one_each_time() -> None:
    quiet, clock = asyncio.Event(), Clock()
    behind = Behind(quiet, patience=0.02, every=0.01, clock=clock)
    for moment in (0.0, 0.03, 0.04):
        clock.now = moment
        async with asyncio.timeout(5):
            await behind.turn()
    waiting = asyncio.create_task(Behind(quiet, patience=60, every=60, clock=clock).turn())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    quiet.set()
    async with asyncio.timeout(5):
        await waiting
        await behind.turn()


async def test_after_a_reset_everything_is_compared_with_the_server_again() -> None:
    script = Script()
    script.on(f"GET {PATH}", answer(group({})))
    script.on(f"PATCH {PATH}/status", answer(group({})))
    async with serving(script) as api, writing(api) as outbox:
        outbox.say([GROUP])
        await outbox.flush(5)
        outbox.reset()
        outbox.say([GROUP])
        await outbox.flush(5)
    assert script.asked == [f"GET {PATH}", f"PATCH {PATH}/status"] * 2
