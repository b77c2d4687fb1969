"""The door: what is repeated, what is not, and what a person reads when there is no way in."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from scheduler.kube import credentials
from scheduler.kube.api import Api, connect
from scheduler.kube.errors import ApiError, Conflict, Denied, Gone, Invalid, NotConfigured, NotFound, TooMany, Unreachable
from tests.kube.faulty import Script, answer, refuse, reset, serving, stream

PATH = "/api/v1/things"


STATUSES: list[tuple[int, type[ApiError]]] = [
    (400, Invalid),
    (401, Denied),
    (403, Denied),
    (404, NotFound),
    (409, Conflict),
    (410, Gone),
    (422, Invalid),
    (500, Unreachable),
    (503, Unreachable),
]


@pytest.mark.parametrize(("code", "kind"), STATUSES)
async def test_each_status_has_its_own_error_with_the_servers_words(code: int, kind: type[ApiError]) -> None:
    script = Script()
    script.on(f"POST {PATH}", refuse(code, "SomeReason"))
    async with serving(script) as api:
        with pytest.raises(kind) as refusal:
            await api.post(PATH, {})
    assert (refusal.value.status, refusal.value.reason, str(refusal.value)) == (code, "SomeReason", f"POST {PATH}: it is SomeReason")


async def test_a_read_whose_answer_is_lost_is_repeated() -> None:
    script = Script()
    script.on(f"GET {PATH}", reset, refuse(503, "ServiceUnavailable"), answer({"kind": "Thing"}))
    async with serving(script) as api:
        assert b"Thing" in await api.get(PATH)
    assert len(script.asked) == 3


async def test_a_read_is_given_up_after_four_tries() -> None:
    script = Script()
    script.on(f"GET {PATH}", refuse(503, "ServiceUnavailable"))
    async with serving(script) as api:
        with pytest.raises(Unreachable, match="it is ServiceUnavailable"):
            await api.get(PATH)
    assert len(script.asked) == 4


async def test_a_write_whose_answer_is_lost_is_not_repeated() -> None:
    script = Script()
    script.on(f"POST {PATH}", reset, answer({}))
    async with serving(script) as api:
        with pytest.raises(Unreachable):
            await api.post(PATH, {})
    assert len(script.asked) == 1


async def test_a_refusal_for_now_is_waited_out_as_long_as_the_server_says_also_for_writes() -> None:
    script = Script()
    script.on(f"POST {PATH}", refuse(429, "TooManyRequests", headers={"Retry-After": "1"}), answer({}))
    began = time.monotonic()
    async with serving(script) as api:
        await api.post(PATH, {})
    assert (len(script.asked), 1.0 <= time.monotonic() - began < 5.0) == (2, True)


@pytest.mark.parametrize(("wait", "seconds"), [(False, "1"), (True, "3600")])
async def test_a_refusal_for_now_is_the_callers_when_he_asks_for_it_or_the_wait_is_too_long(wait: bool, seconds: str) -> None:
    script = Script()
    script.on(f"POST {PATH}", refuse(429, "TooManyRequests", headers={"Retry-After": seconds}))
    async with serving(script) as api:
        with pytest.raises(TooMany) as refusal:
            await api.post(PATH, {}, wait=wait)
    assert (refusal.value.retry_after, len(script.asked)) == (float(seconds), 1)


async def test_an_answer_that_is_no_status_is_shown_as_it_stands() -> None:
    script = Script()
    script.on(f"GET {PATH}", answer("<html>proxy", code=400))
    async with serving(script) as api:
        with pytest.raises(Invalid, match="<html>proxy"):
            await api.get(PATH)


async def test_credentials_that_ran_out_are_fetched_again_once() -> None:
    script = Script()
    script.on(f"GET {PATH}", refuse(401, "Unauthorized"), answer({"ok": True}))
    fetched: list[int] = []

    async def reload() -> None:
        fetched.append(1)

    async with serving(script, reload=reload) as api:
        assert await api.get(PATH)
    assert (len(fetched), len(script.asked)) == (1, 2)


async def test_a_token_that_was_changed_meanwhile_is_sent_soon_and_after_a_refusal_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    tokens = iter("abcdefgh")

    async def look(request: web.Request) -> web.StreamResponse:
        sent.append(request.headers["Authorization"])
        return web.json_response({}, status=401 if sent[-1] == "Bearer b" else 200)

    async def reload() -> None:
        pass

    script = Script()
    script.on(f"POST {PATH}", look)
    async with serving(script, reload=reload, token=lambda: f"Bearer {next(tokens)}\n") as api:
        await api.post(PATH, {})
        await api.post(PATH, {})
        monkeypatch.setattr(credentials, "FRESH_SECONDS", 0.0)
        await api.post(PATH, {})
    assert sent == ["Bearer a", "Bearer a", "Bearer b", "Bearer c"]


async def test_bodies_may_be_bytes_already_and_go_out_as_they_are() -> None:
    script = Script()
    script.on(f"POST {PATH}", answer({}))
    async with serving(script) as api:
        await api.post(PATH, b'{"a": [1, 2]}')
        await api.post(PATH, {"b": "\u00fc"})
    assert script.bodies == [{"a": [1, 2]}, {"b": "\u00fc"}]


async def test_a_proxy_of_the_environment_is_used_for_calls_and_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    script.on(f"POST {PATH}", answer({"a": 1}), refuse(409, "AlreadyExists"))
    script.on(f"WATCH {PATH}", stream(b"line\n"))
    async with serving(script) as direct:
        monkeypatch.setenv("http_proxy", direct.host)
        async with Api(Configuration(host="http://nowhere.invalid")) as api:
            assert b"1" in await api.post(PATH, {"sent": True})
            with pytest.raises(Conflict, match="it is AlreadyExists"):
                await api.post(PATH, {})
            async with contextlib.aclosing(api.stream(PATH, {"watch": "true"}, idle=5)) as pieces:
                assert [piece async for piece in pieces] == [b"line\n"]
    assert script.bodies == [{"sent": True}, {}]


# --- finding the cluster


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


async def test_without_a_kubeconfig_the_message_says_what_was_looked_for_and_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"There is no kubeconfig: .*config does not exist, .*--kubeconfig") as refusal:
        await connect()
    assert str(tmp_path / ".kube" / "config") in str(refusal.value)


DANGLING = "apiVersion: v1\nkind: Config\ncurrent-context: gone\nclusters: []\ncontexts: []\nusers: []"


@pytest.mark.parametrize("content", ["", "[]", "clusters: 7", "{", DANGLING])
async def test_a_kubeconfig_that_cannot_be_used_is_named_in_the_message(tmp_path: Path, content: str) -> None:
    file = tmp_path / "broken"
    file.write_text(content)
    with pytest.raises(NotConfigured, match="broken cannot be used"):
        await connect(str(file))


async def test_the_first_kubeconfig_of_the_variable_that_exists_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "good"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: a, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{file}")
    async with await connect() as api:
        assert api.host == "http://127.0.0.1:1"
        with pytest.raises(Unreachable, match=r"http://127.0.0.1:1 cannot be reached"):
            await asyncio.wait_for(api.post(PATH, {}), 10)
