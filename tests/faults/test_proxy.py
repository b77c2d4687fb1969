"""The proxy itself, before a tiny server: what each fault does to a call, and that it knows who called what."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.controlplane import certs
from tests.faults import proxy_faults as faults
from tests.faults.proxy import Proxy
from tests.faults.proxy_calls import Call, kind, target
from tests.faults.proxy_faults import Gate, Once

PODS = "/api/v1/namespaces/a/pods"
BIND = f"{PODS}/p-0/binding"


class Server:
    """Counts what reaches it; a watch sends the lines that are put on its queue."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seen: list[tuple[str, str, bytes, str]] = []
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, await request.read(), request.headers.get("Authorization", "")))
        if request.query.get("watch") != "true":
            return web.json_response({"calls": len(self.seen)}, status=201 if request.method == "POST" else 200)
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        while (line := await self.lines.get()) is not None:
            await answer.write(line)
        return answer


class World:
    """A server, a proxy before it, and a client that goes through it."""

    def __init__(self, server: Server, proxy: Proxy, client: aiohttp.ClientSession, direct: aiohttp.ClientSession) -> None:
        """Take the parts."""
        self.server, self.proxy, self.client, self.direct = server, proxy, client, direct

    async def call(self, method: str = "POST", path: str = BIND, body: object = None) -> tuple[int, dict[str, object]]:
        async with self.client.request(method, path, json=body, headers={"Authorization": "Bearer t"}) as answer:
            found: dict[str, object] = await answer.json()
            return answer.status, found

    def rule(self, fault: faults.Fault, *, nth: int = 0) -> None:
        self.proxy.rules.append(Once(lambda call: call.writes or call.kind == "watch", fault, nth))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    files = await asyncio.to_thread(certs.make, tmp_path / "certificates")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.serving, files.serving_key)
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    trust = ssl.create_default_context(cafile=str(files.ca))
    proxy = Proxy(url, files.ca, files)
    await asyncio.to_thread(proxy.__enter__)
    port = await asyncio.to_thread(proxy.listen, "one")
    async with contextlib.AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(ssl=trust)))
            for base in (f"https://127.0.0.1:{port}", url)
        ]
        yield World(server, proxy, *sessions)
    await asyncio.to_thread(proxy.__exit__)
    await runner.cleanup()


async def test_a_call_without_a_fault_goes_through_as_it_is_and_is_logged(world: World) -> None:
    assert await world.call(body={"a": 1}) == (201, {"calls": 1})
    assert world.server.seen == [("POST", BIND, b'{"a": 1}', "Bearer t")]
    [entry] = world.proxy.log
    assert (entry.call.kind, entry.call.client, entry.call.number, entry.status, entry.told) == ("bind", "one", 1, 201, 201)
    assert (entry.call.target.namespace, entry.call.target.name) == ("a", "p-0")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/apis/coterie.dev/v1alpha1/namespaces/a/placements", "record create"),
        ("PATCH", "/apis/coterie.dev/v1alpha1/namespaces/a/placements/x", "record rewrite"),
        ("PATCH", "/apis/coterie.dev/v1alpha1/namespaces/a/placements/x/status", "record status"),
        ("POST", BIND, "bind"),
        ("PATCH", f"{PODS}/p-0/status", "pod status"),
        ("POST", f"{PODS}/p-0/eviction", "evict"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/coterie", "lease write"),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/a/leases/coterie", "lease get"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/a/events", "event"),
        ("GET", "/api/v1/pods", "list"),
        ("GET", f"{PODS}/p-0", "get"),
        ("PATCH", "/apis/scheduling.run.ai/v1/namespaces/a/podgroups/g/status", "other write"),
    ],
)
def test_every_call_of_the_scheduler_has_a_kind(method: str, path: str, expected: str) -> None:
    assert kind(method, target(path), {}) == expected


def test_a_get_with_watch_is_a_watch() -> None:
    assert kind("GET", target("/api/v1/pods"), {"watch": "true"}) == "watch"


@pytest.mark.parametrize(
    ("fault", "arrives"), [(faults.DropBefore(), 0), (faults.DropAfter(), 1), (faults.Act(do=lambda _: None, when="before"), 0)], ids=repr
)
async def test_a_dropped_call_has_no_answer_and_is_done_or_not(world: World, fault: faults.Fault, arrives: int) -> None:
    world.rule(fault)
    with pytest.raises(aiohttp.ClientError):
        await world.call()
    assert len(world.server.seen) == arrives
    assert world.proxy.log[0].told is None
    assert (await world.call())[0] == 201, "only the call with the fault is lost"


async def test_a_duplicated_call_is_done_twice_and_the_second_answer_is_given(world: World) -> None:
    world.rule(faults.Duplicate())
    assert await world.call() == (201, {"calls": 2})


@pytest.mark.parametrize(("fault", "arrives"), [(faults.Answer(429, retry_after=3), 0), (faults.AnswerAfter(504), 1)], ids=repr)
async def test_an_answer_of_the_proxy_is_a_status_object(world: World, fault: faults.Answer | faults.AnswerAfter, arrives: int) -> None:
    world.rule(fault)
    async with world.client.post(BIND) as answer:
        body = await answer.json()
        assert (answer.status, body["kind"], body["code"]) == (fault.status, "Status", fault.status)
        assert answer.headers.get("Retry-After") == ("3" if fault.status == 429 else None)
    assert len(world.server.seen) == arrives


async def test_a_held_call_waits_until_its_gate_is_opened(world: World) -> None:
    before, after = Gate(), Gate()
    world.rule(faults.Hold(before=before, after=after))
    call = asyncio.create_task(world.call())
    assert (await asyncio.to_thread(before.await_call)).kind == "bind"
    assert world.server.seen == []
    before.open()
    await asyncio.to_thread(after.await_call)
    assert (len(world.server.seen), call.done()) == (1, False)
    after.open()
    assert (await call)[0] == 201


async def test_an_act_happens_before_the_call_or_after_it_and_hears_which_call_it_was(world: World) -> None:
    seen: list[tuple[str, int]] = []

    def do(call: Call) -> None:
        seen.append((call.kind, len(world.server.seen)))

    world.rule(faults.Act(do=do, when="after"), nth=1)
    assert (await world.call())[0] == 201
    with pytest.raises(aiohttp.ClientError):
        await world.call()
    assert seen == [("bind", 2)]


async def test_a_client_that_is_cut_off_reaches_nothing_until_it_is_healed_and_others_are_not_touched(world: World) -> None:
    await asyncio.to_thread(world.proxy.listen, "two")
    await asyncio.to_thread(world.proxy.cut, "two")
    assert (await world.call())[0] == 201
    await asyncio.to_thread(world.proxy.cut, "one")
    with pytest.raises(aiohttp.ClientError):
        await world.call()
    await asyncio.to_thread(world.proxy.heal, "one")
    assert (await world.call())[0] == 201


async def test_calls_of_a_silenced_client_arrive_late(world: World) -> None:
    await asyncio.to_thread(world.proxy.hush, "one")
    call = asyncio.create_task(world.call())
    await asyncio.sleep(0.1)
    assert (world.server.seen, call.done()) == ([], False)
    await asyncio.to_thread(world.proxy.heal, "one")
    assert (await call)[0] == 201


# --- watches

A, B, C = (b'{"type":"ADDED","object":{"n":"' + name + b'"}}\n' for name in (b"a", b"b", b"c"))


async def watch(world: World, *lines: bytes, fault: faults.StreamFault | None = None, seconds: float = 5.0) -> tuple[bytes, str]:
    """Return what comes of a watch, and how it ended."""
    if fault is not None:
        world.rule(fault)
    for line in lines:
        world.server.lines.put_nowait(line)
    world.server.lines.put_nowait(None)
    got = b""
    try:
        async with asyncio.timeout(seconds), world.client.get("/api/v1/pods", params={"watch": "true"}) as answer:
            async for piece in answer.content.iter_any():
                got += piece
    except TimeoutError:
        return got, "silent"
    except aiohttp.ClientError:
        return got, "reset"
    return got, "ended"


async def test_a_watch_goes_through_whole_also_when_pieces_are_no_lines(world: World) -> None:
    assert await watch(world, A + B[:5], B[5:], C) == (A + B + C, "ended")


async def test_each_fault_of_a_watch_does_what_it_says(world: World) -> None:
    assert await watch(world, A, B, C, fault=faults.Cut(1)) == (A + B[: len(B) // 2], "reset")
    world.server.lines = asyncio.Queue()
    assert await watch(world, A, B, fault=faults.DuplicateEvents()) == (A + A + B + B, "ended")
    assert await watch(world, A, B, fault=faults.Stall(1), seconds=0.3) == (A, "silent")
    world.server.lines = asyncio.Queue()
    got, how = await watch(world, A, B, fault=faults.Gone(1))
    assert (got.startswith(A), how) == (True, "ended")
    error = json.loads(got[len(A) :])
    assert (error["type"], error["object"]["code"]) == ("ERROR", 410)


async def test_late_events_come_later_but_a_burst_of_them_is_not_stretched(world: World) -> None:
    started = time.monotonic()
    assert await watch(world, *[A] * 50, fault=faults.Late(0.1)) == (A * 50, "ended")
    assert 0.1 <= time.monotonic() - started < 4.0, "50 events do not wait one after the other"


async def test_a_fault_can_be_put_upon_a_watch_that_is_open_and_silent(world: World) -> None:
    async with world.client.get("/api/v1/pods", params={"watch": "true"}) as answer:
        world.server.lines.put_nowait(A)
        assert await answer.content.readline() == A
        assert await asyncio.to_thread(world.proxy.disturb, "one", "pods", faults.Gone()) == 1
        assert json.loads(await answer.content.readline())["object"]["code"] == 410
        assert await answer.content.read() == b""
    world.server.lines.put_nowait(None)


async def test_hundreds_of_calls_at_once_all_come_through(world: World) -> None:
    answers = await asyncio.gather(*(world.call(path=f"{PODS}/p-{number}/binding") for number in range(300)))
    assert {status for status, _ in answers} == {201}
    assert sorted(entry.call.nth for entry in world.proxy.log) == list(range(300))
