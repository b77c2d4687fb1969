"""The Lease under faults: a leader that cannot renew stops in time, and one lost answer does not cost the Lease."""

from typing import Any

import pytest
from aiohttp import web

from scheduler.kube.errors import Denied, NotFound
from scheduler.kube.lease import Lease
from tests.kube.faulty import Object, Script, answer, refuse, reset, serving

PATH = "/apis/coordination.k8s.io/v1/namespaces/coterie-system/leases"
ONE = f"{PATH}/coterie"


class Clock:
    """A monotonic clock that goes when it is told to."""

    def __init__(self) -> None:
        """Begin at 100 seconds."""
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lease(holder: str | None, *, version: str = "1", term: int = 1, seconds: int = 15) -> Object:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": term}
    return {"metadata": {"name": "coterie", "resourceVersion": version}, "spec": spec}


def ours(api: Any, clock: Clock) -> Lease:
    return Lease(api, identity="me", clock=clock, renew=0.01)


async def test_a_lease_is_ours_from_the_moment_of_asking_until_shortly_before_it_runs_out() -> None:
    script, clock = Script(), Clock()
    script.on(f"GET {ONE}", refuse(404, "NotFound"))
    script.on(f"POST {PATH}", answer(lease("me")))
    async with serving(script) as api:
        mine = ours(api, clock)
        assert not mine.held()
        await mine.acquire()
    found = []
    for now in (100.0, 113.9, 114.1):
        clock.now = now
        found.append(mine.held())
    assert (found, mine.term) == ([True, True, False], 1)


async def test_somebody_elses_lease_is_taken_only_after_it_stood_still_for_its_duration_on_our_clock() -> None:
    script, clock = Script(), Clock()
    tries: list[float] = []

    async def look(_: web.Request) -> web.StreamResponse:
        tries.append(clock.now)
        clock.now += 5.0
        version = "1" if len(tries) == 1 else "2"  # it is renewed once, then never again
        return web.json_response(lease("other", version=version, term=7))

    script.on(f"GET {ONE}", look)
    script.on(f"PUT {ONE}", answer(lease("me", version="3", term=8)))
    async with serving(script) as api:
        mine = ours(api, clock)
        await mine.acquire()
    assert (tries, mine.term) == ([100.0, 105.0, 110.0, 115.0, 120.0, 125.0], 8)
    assert script.bodies[0]["metadata"]["resourceVersion"] == "2"


async def test_a_holder_that_is_silent_for_very_long_and_still_holds_the_lease_is_warned_of_at_growing_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script, clock = Script(), Clock()
    began, warned = clock.now, list[float]()

    async def look(_: web.Request) -> web.StreamResponse:
        warned.extend([clock.now - began] * ("nobody schedules: other holds the Lease" in caplog.text))
        caplog.clear()
        clock.now += 10.0
        return web.json_response(lease("other" if clock.now - began < 600 else None, seconds=100_000))

    script.on(f"GET {ONE}", look)
    script.on(f"PUT {ONE}", answer(lease("me", version="2")))
    async with serving(script) as api:
        await ours(api, clock).acquire()
    assert warned == [70.0, 130.0, 250.0, 490.0]  # noticed ten seconds after 60, 120, 240 and 480 of silence


async def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    script = Script()
    script.on(f"GET {ONE}", answer(lease(None, term=4)))
    script.on(f"PUT {ONE}", answer(lease("me", version="2", term=5)))
    async with serving(script) as api:
        mine = ours(api, Clock())
        await mine.acquire()
    assert (mine.held(), mine.term, len(script.asked)) == (True, 5, 2)


async def test_losing_the_race_for_a_free_lease_means_waiting_on() -> None:
    script = Script()
    script.on(f"GET {ONE}", answer(lease(None)), answer(lease("me", version="9")))
    script.on(f"PUT {ONE}", refuse(409, "Conflict"), answer(lease("me", version="10", term=2)))
    async with serving(script) as api:
        mine = ours(api, Clock())
        await mine.acquire()
    assert (mine.held(), len(script.asked)) == (True, 4)


@pytest.mark.parametrize(("refusal", "kind"), [(refuse(403, "Forbidden"), Denied), (refuse(404, "NotFound"), NotFound)])
async def test_what_will_not_change_by_waiting_is_raised(refusal: Any, kind: type[Exception]) -> None:
    script = Script()
    script.on(f"GET {ONE}", refuse(404, "NotFound"))
    script.on(f"POST {PATH}", refusal)
    async with serving(script) as api:
        with pytest.raises(kind):
            await ours(api, Clock()).acquire()


async def acquired(script: Script, api: Any, clock: Clock) -> Lease:
    script.on(f"GET {ONE}", answer(lease(None, term=0)))
    script.on(f"PUT {ONE}", answer(lease("me", version="2", term=1)))
    mine = ours(api, clock)
    await mine.acquire()
    return mine


async def test_one_lost_answer_does_not_cost_the_lease() -> None:
    script, clock = Script(), Clock()
    async with serving(script) as api:
        mine = await acquired(script, api, clock)
        # The renewal landed, its answer did not come; the next one meets its own version and then somebody else's.
        script.on(f"PUT {ONE}", reset, refuse(409, "Conflict"), answer(lease("me", version="4", term=1)), refuse(409, "Conflict"))
        script.on(f"GET {ONE}", answer(lease("me", version="3", term=1)), answer(lease("other", version="5", term=2)))
        await mine.keep()
    assert [b["metadata"]["resourceVersion"] for b in script.bodies][-2:] == ["3", "4"]
    assert not mine.held()


async def test_a_server_that_is_gone_costs_the_lease_when_it_runs_out() -> None:
    script, clock = Script(), Clock()
    async with serving(script) as api:
        mine = await acquired(script, api, clock)

        async def later(_: web.Request) -> web.StreamResponse:
            clock.now += 6.0
            return web.json_response({"message": "no"}, status=503)

        script.on(f"PUT {ONE}", later)
        await mine.keep()
    assert (mine.held(), clock.now) == (False, 118.0)


async def test_a_second_process_with_our_name_has_a_higher_term_and_wins() -> None:
    script, clock = Script(), Clock()
    async with serving(script) as api:
        mine = await acquired(script, api, clock)
        script.on(f"PUT {ONE}", refuse(409, "Conflict"))
        script.on(f"GET {ONE}", answer(lease("me", version="8", term=2)))
        await mine.keep()
    assert not mine.held()


async def test_giving_back_clears_the_holder_and_a_lost_lease_is_not_touched() -> None:
    script, clock = Script(), Clock()
    async with serving(script) as api:
        mine = await acquired(script, api, clock)
        await mine.release()
        await mine.release()
    assert (script.bodies[-1]["spec"]["holderIdentity"], len(script.bodies), mine.held()) == (None, 2, False)


async def test_a_clock_that_goes_back_ends_a_lease_instead_of_stretching_it() -> None:
    script, clock = Script(), Clock()
    script.on(f"GET {ONE}", refuse(404, "NotFound"))
    script.on(f"POST {PATH}", answer(lease("me")))
    async with serving(script) as api:
        mine = ours(api, clock)
        await mine.acquire()
    assert mine.held()
    clock.now = 95.0
    assert not mine.held()
    clock.now = 101.0
    assert not mine.held(), "only a renewal brings it back"


async def test_others_are_told_a_duration_that_is_no_shorter_than_what_we_believe_in() -> None:
    script, clock = Script(), Clock()
    script.on(f"GET {ONE}", refuse(404, "NotFound"))
    script.on(f"POST {PATH}", answer(lease("me")))
    async with serving(script) as api:
        mine = Lease(api, identity="me", clock=clock, duration=1.4)
        await mine.acquire()
    told = script.bodies[0]["spec"]["leaseDurationSeconds"]
    clock.now = 100.0 + told
    assert (told, mine.held()) == (2, False)


async def test_why_the_lease_cannot_be_had_is_known_until_it_is_had() -> None:
    script, clock = Script(), Clock()
    full = refuse(500, "InternalError")
    script.on(f"PUT {ONE}", full, full, answer(lease("me")))
    told: list[str] = []

    async def look(request: web.Request) -> web.StreamResponse:
        told.append(mine.trouble)
        return await answer(lease(None))(request)

    script.on(f"GET {ONE}", look)
    async with serving(script) as api:
        mine = ours(api, clock)
        await mine.acquire()
    assert told[0] == ""
    assert all("cannot be asked for" in each and "InternalError" in each for each in told[1:])
    assert (len(told), mine.trouble) == (3, "")


async def test_a_server_that_cannot_be_asked_is_logged_when_that_begins_and_not_with_every_try(caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    script.on(f"GET {ONE}", refuse(404, "NotFound"))
    script.on(f"POST {PATH}", *(refuse(503, "ServiceUnavailable") for _ in range(5)), answer(lease("me")))
    async with serving(script) as api:
        mine = ours(api, Clock())
        await mine.acquire()
    assert (script.asked.count(f"POST {PATH}"), len(caplog.records), mine.trouble) == (6, 1, "")
