"""Watches under faults: nothing that the server told is lost, whatever happens to the connection."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from scheduler.kube.api import Api
from scheduler.kube.errors import Unreachable
from scheduler.kube.follow.lines import LONGEST_LINE, Lines, event
from scheduler.kube.follow.listing import objects
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import WATCHED, Watched
from scheduler.state.events import Put, Removed, Synced, Unreadable
from tests.kube.faulty import Script, answer, bookmark, line, listed, named, refuse, reset, serving, silent, stream

PODS = "/api/v1/pods"
ROW = next(row for row in WATCHED if row.source == "pods")


@contextlib.asynccontextmanager
async def watching(api: Api, *rows: Watched, **settings: float) -> AsyncIterator[Watcher]:
    watcher = Watcher(api, rows or (ROW,), **settings)  # type: ignore[arg-type] # seconds only
    running = asyncio.create_task(watcher.run())
    try:
        yield watcher
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def told(watcher: Watcher, until: Callable[[list[str]], bool]) -> list[str]:
    """Return the events up to some point, as ``+name``, ``-name``, ``!name`` and ``=`` for synced."""
    found: list[str] = []
    async with asyncio.timeout(10):
        while not until(found):
            match await watcher.events.get():
                case Put(id=about):
                    found.append(f"+{about.name}")
                case Removed(id=about):
                    found.append(f"-{about.name}")
                case Unreadable(id=about):
                    found.append(f"!{about.name}")
                case Synced():
                    found.append("=")
    return found


def last(*wanted: str) -> Callable[[list[str]], bool]:
    return lambda found: found[-len(wanted) :] == list(wanted)


async def test_pages_are_followed_by_their_token_and_the_watch_begins_at_the_version_of_the_list() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(named("a", "1"), version="7", more="next")), answer(listed(named("b", "2"), version="7")))
    script.on(f"WATCH {PODS}", silent)
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, last("=")) == ["+a", "+b", "="]
        await script.until_asked(3)
    assert script.asked[:2] == [f"GET {PODS}?limit=500", f"GET {PODS}?limit=500&continue=next"]
    assert "resourceVersion=7" in script.asked[2]
    assert "allowWatchBookmarks=true" in script.asked[2]


async def test_after_410_the_new_list_tells_the_deletes_and_changes_that_were_missed_and_nothing_else() -> None:
    script = Script()
    script.on(
        f"GET {PODS}",
        answer(listed(named("gone", "1"), named("same", "2"), named("changed", "3"), named("anew", "4"), version="4")),
        answer(listed(named("same", "2"), named("changed", "8"), named("anew", "9", uid="other"), named("new", "10"), version="10")),
    )
    expired = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}
    script.on(f"WATCH {PODS}", stream(line("ERROR", expired)), silent)
    async with serving(script) as api, watching(api) as watcher:
        found = await told(watcher, lambda events: events.count("=") == 2)
    assert found == ["+gone", "+same", "+changed", "+anew", "=", "+changed", "-anew", "+anew", "+new", "-gone", "="]


async def test_410_as_the_answer_to_a_watch_or_to_a_page_also_lists_anew() -> None:
    script = Script()
    script.on(
        f"GET {PODS}",
        answer(listed(named("a", "1"), version="5", more="old")),
        refuse(410, "Expired"),
        answer(listed(named("a", "1"), version="6")),
        answer(listed(version="7")),
    )
    script.on(f"WATCH {PODS}", refuse(410, "Expired"), silent)
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, lambda events: events.count("=") == 2) == ["+a", "=", "-a", "="]


async def test_a_watch_that_breaks_in_the_middle_of_a_line_resumes_after_the_last_whole_one() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(version="1")))
    half = line("ADDED", named("b", "3"))
    script.on(
        f"WATCH {PODS}",
        stream(line("ADDED", named("a", "2")) + half[:30], then=reset),
        stream(half[:1], half[1:50], half[50:], line("DELETED", named("a", "4"))),
        silent,
    )
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, last("-a")) == ["=", "+a", "+b", "-a"]
        await script.until_asked(4)
    versions = [part for asked in script.asked[1:4] for part in asked.split("&") if part.startswith("resourceVersion=")]
    assert versions == ["resourceVersion=1", "resourceVersion=2", "resourceVersion=4"]
    assert len([asked for asked in script.asked if asked.startswith("GET")]) == 1, "a broken watch is no reason to list"


async def test_a_bookmark_moves_the_version_to_resume_at_and_is_no_event() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(version="1")))
    script.on(f"WATCH {PODS}", stream(bookmark("40")), stream(line("ADDED", named("a", "41"))), silent)
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, last("+a")) == ["=", "+a"]
    assert "resourceVersion=40" in script.asked[2]


async def test_a_watch_that_falls_silent_is_left_and_resumed() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(version="1")))
    script.on(f"WATCH {PODS}", silent, stream(line("ADDED", named("a", "2"))), silent)
    async with serving(script) as api, watching(api, idle=0.3) as watcher:
        assert await told(watcher, last("+a")) == ["=", "+a"]


async def test_an_error_in_a_watch_that_is_not_410_keeps_what_is_known() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(named("a", "1"), version="1")))
    broken = {"kind": "Status", "status": "Failure", "reason": "InternalError", "code": 500, "message": "etcd is gone"}
    script.on(f"WATCH {PODS}", stream(line("ERROR", broken)), stream(line("MODIFIED", named("a", "2"))), silent)
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, last("+a", "=", "+a")) == ["+a", "=", "+a"]
        assert watcher.health["pods"].phase == "live"


async def test_a_resource_that_is_not_served_is_absent_and_found_when_it_comes() -> None:
    script = Script()
    async with serving(script) as api, watching(api, recheck=0.1) as watcher:
        assert await told(watcher, last("=")) == ["="]
        await watcher.synced()
        assert watcher.health["pods"].phase == "absent"
        script.on(f"WATCH {PODS}", silent)
        script.on(f"GET {PODS}", answer(listed(named("a", "1"), version="1")))
        assert "+a" in await told(watcher, last("+a", "="))


async def test_a_resource_that_ceases_to_be_served_takes_its_objects_with_it() -> None:
    script = Script()
    script.on(f"GET {PODS}", answer(listed(named("a", "1"), version="1")), refuse(404, "NotFound"))
    script.on(f"WATCH {PODS}", refuse(404, "NotFound"))
    async with serving(script) as api, watching(api) as watcher:
        assert await told(watcher, lambda events: events.count("=") == 2) == ["+a", "=", "-a", "="]


async def test_the_first_version_that_is_served_is_followed() -> None:
    row = next(r for r in WATCHED if r.source == "podgroups.scheduling.k8s.io")
    group = {
        "metadata": {"name": "g", "namespace": "ai", "uid": "u", "resourceVersion": "1"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}},
    }
    script = Script()
    script.on("GET /apis/scheduling.k8s.io/v1alpha2/podgroups", answer(listed(group, version="1")))
    script.on("WATCH /apis/scheduling.k8s.io/v1alpha2/podgroups", silent)
    async with serving(script) as api, watching(api, row) as watcher:
        async with asyncio.timeout(5):
            put = await watcher.events.get()
        assert isinstance(put, Put)
        assert (put.id.name, getattr(put.value, "min_member", None)) == ("scheduling.k8s.io/g", 2)
        assert [o["metadata"]["name"] for o in await objects(api, row)] == ["g"]  # type: ignore[index] # plain JSON
        assert [o["apiVersion"] for o in await objects(api, row)] == ["scheduling.k8s.io/v1alpha2"]


async def test_what_is_forbidden_holds_the_start_up_back_only_where_it_is_needed() -> None:
    script = Script()
    optional = next(r for r in WATCHED if r.source == "jobs.batch")
    script.on(f"GET {PODS}", refuse(403, "Forbidden"))
    script.on("GET /apis/batch/v1/jobs", refuse(403, "Forbidden"))
    async with serving(script) as api:
        async with watching(api, optional) as watcher:
            await asyncio.wait_for(watcher.synced(), 5)
        async with watching(api) as watcher:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watcher.synced(), 0.5)
            assert (watcher.health["pods"].phase, "it is Forbidden" in str(watcher.health["pods"].error)) == ("failing", True)


async def test_a_kind_that_was_forbidden_for_a_while_is_asked_for_again_and_taken_in_when_it_is_allowed() -> None:
    script = Script()
    optional = next(r for r in WATCHED if r.source == "jobs.batch")
    jobs = "/apis/batch/v1/jobs"
    job = {"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": "late", "namespace": "ai", "uid": "j", "resourceVersion": "3"}}
    script.on(f"GET {jobs}", refuse(403, "Forbidden"), refuse(403, "Forbidden"), refuse(403, "Forbidden"), answer(listed(job, version="5")))
    script.on(f"WATCH {jobs}", silent)
    async with serving(script) as api, watching(api, optional, recheck=0.01) as watcher:
        await asyncio.wait_for(watcher.synced(), 5)
        assert (watcher.health["jobs.batch"].phase, watcher.health["jobs.batch"].error is not None) == ("failing", True)
        assert await told(watcher, last("=")) == ["+late", "="]
        assert (watcher.health["jobs.batch"].phase, watcher.health["jobs.batch"].error) == ("live", None)


async def test_a_needed_kind_that_was_forbidden_for_a_while_ends_the_start_up_when_it_is_allowed() -> None:
    script = Script()
    script.on(f"GET {PODS}", refuse(403, "Forbidden"), refuse(403, "Forbidden"), answer(listed(named("a", "1"), version="5")))
    script.on(f"WATCH {PODS}", silent)
    async with serving(script) as api, watching(api, recheck=0.01) as watcher:
        await asyncio.wait_for(watcher.synced(), 5)
        assert await told(watcher, last("=")) == ["+a", "="]


async def test_a_watch_on_which_bytes_come_but_never_an_event_or_a_bookmark_is_left_and_resumed() -> None:
    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\n")
            await asyncio.sleep(0.02)

    script = Script()
    script.on(f"GET {PODS}", answer(listed(named("a", "1"), version="5")))
    script.on(f"WATCH {PODS}", drips, stream(line("ADDED", named("b", "6"))), silent)
    async with serving(script) as api, watching(api, idle=0.3) as watcher:
        assert await told(watcher, last("+b")) == ["+a", "=", "+b"]
    assert "resourceVersion=5" in script.asked[2]


async def test_an_object_that_cannot_be_read_is_told_as_such_and_the_watch_goes_on() -> None:
    row = next(r for r in WATCHED if r.source == "priorityclasses.scheduling.k8s.io")
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    bad = {"metadata": {"name": "bad", "uid": "1", "resourceVersion": "1"}, "value": "high"}
    good = {"metadata": {"name": "good", "uid": "2", "resourceVersion": "2"}, "value": 5}
    script = Script()
    script.on(f"GET {path}", answer(listed(bad, good, version="2")))
    script.on(f"WATCH {path}", silent)
    async with serving(script) as api, watching(api, row) as watcher:
        assert await told(watcher, last("=")) == ["!bad", "+good", "="]


# --- lines


texts = st.binary(min_size=1, max_size=40).map(lambda text: text.replace(b"\n", b".") + b"x")


@given(st.lists(texts, max_size=8), st.lists(st.integers(0, 400), max_size=12))
def test_lines_come_out_whole_however_the_bytes_were_cut(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(text + b"\n" for text in lines)
    marks = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    splitter = Lines()
    assert [text for start, end in itertools.pairwise(marks) for text in splitter.feed(whole[start:end])] == lines


def test_a_half_line_is_no_event() -> None:
    assert Lines().feed(line("ADDED", named("a", "1"))[:-1]) == []


def test_a_line_without_end_is_given_up_instead_of_eating_the_memory() -> None:
    splitter = Lines()
    splitter.feed(b"x" * LONGEST_LINE)
    with pytest.raises(Unreachable, match="longer than"):
        splitter.feed(b"x")


def test_an_event_that_is_written_in_another_way_is_read_all_the_same() -> None:
    assert event(b' { "object": {"a": 1}, "type": "ADDED" }') == ("ADDED", b'{"a": 1}')
    assert event(line("ADDED", {"a": 1}))[0] == "ADDED"
    with pytest.raises(Unreachable, match="cannot be read"):
        event(b"<html>")
