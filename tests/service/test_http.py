"""What is answered over HTTP, and to whom."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from scheduler.kube.api import Api
from scheduler.kube.errors import Denied
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import WATCHED
from scheduler.metrics import Metrics
from scheduler.service.http import OLDEST_SECONDS, STUCK_SECONDS, Server
from tests.kube.faulty import Script, answer, named, refuse, reset, serving

TOKENS = "POST /apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews"
BEARER = {"Authorization": "Bearer secret"}


class Moment:
    """Clock of everything, and the moment when the loop last turned."""

    now = 1000.0
    turned = 1000.0


async def ask(api: Api, path: str, *, moment: Moment | None = None, synced: bool = True, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Ask a server over a watcher that has told everything, or nothing."""
    at = moment or Moment()
    watcher = Watcher(api, clock=lambda: Moment.now)
    if synced:
        for row in WATCHED:
            watcher.mark(row, "live")
    server = Server(api, watcher, Metrics(), turned=lambda: at.turned, clock=lambda: at.now)
    watcher._clock = lambda: at.now  # noqa: SLF001 - time goes on after everything was told
    async with TestClient(TestServer(server.app())) as client:
        reply = await client.get(path, headers=headers)
        return reply.status, await reply.text()


def pages(script: Script) -> None:
    """Answer every list with nothing, but for pods and nodes."""
    for row in WATCHED:
        for version in row.versions:
            script.on(f"GET {row.resource(version).path()}", answer({"metadata": {}, "items": []}))
    script.on("GET /api/v1/nodes", answer({"metadata": {}, "items": [{"metadata": {"name": "n1", "managedFields": [1]}}]}))
    script.on("GET /api/v1/pods", answer({"metadata": {}, "items": [named("a", "1"), named("b", "1")]}))


def review(script: Script, *, known: bool = True, allowed: bool = True) -> None:
    script.on(TOKENS, answer({"status": {"authenticated": known, "user": {"username": "jo", "groups": ["g"], "uid": "1"}}}))
    script.on(ACCESS, answer({"status": {"allowed": allowed}}))


async def test_health_is_whether_the_loop_still_turns() -> None:
    async with serving(Script()) as api:
        assert await ask(api, "/healthz") == (200, "ok\n")
        late = Moment()
        late.now += STUCK_SECONDS + 1
        status, text = await ask(api, "/healthz", moment=late)
        assert status == 503
        assert "301 s" in text


async def test_ready_is_who_has_heard_of_everything_and_hears_still() -> None:
    async with serving(Script()) as api:
        assert await ask(api, "/readyz") == (200, "ok\n")
        status, text = await ask(api, "/readyz", synced=False)
        assert status == 503
        assert "nodes: not listed yet" in text
        late = Moment()
        late.now += OLDEST_SECONDS + 1
        assert (await ask(api, "/readyz", moment=late))[0] == 503


async def test_a_forbidden_watch_is_named_when_it_is_needed() -> None:
    async with serving(Script()) as api:
        watcher = Watcher(api)
        for row in WATCHED:
            watcher.mark(row, "failing", error=Denied(f"{row.plural} is forbidden", status=403))
        server = Server(api, watcher, Metrics(), turned=lambda: 0.0, clock=lambda: 0.0)
        async with TestClient(TestServer(server.app())) as client:
            text = await (await client.get("/readyz")).text()
    assert "pods: pods is forbidden" in text
    assert "jobs" not in text


async def test_metrics_are_prometheus_text() -> None:
    async with serving(Script()) as api:
        status, text = await ask(api, "/metrics")
    assert status == 200
    assert "# TYPE coterie_decisions_total counter" in text
    assert 'coterie_watch_age_seconds{kind="pods"} 0.0' in text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer  "}])
async def test_without_a_token_nothing_is_asked_or_given(headers: dict[str, str]) -> None:
    script = Script()
    async with serving(script) as api:
        status, text = await ask(api, "/snapshot", headers=headers)
    assert status == 401
    assert "Bearer TOKEN" in text
    assert script.asked == []


async def test_an_unknown_token_and_a_user_without_the_right_are_told_apart() -> None:
    script = Script()
    async with serving(script) as api:
        review(script, known=False)
        assert (await ask(api, "/snapshot", headers=BEARER))[0] == 401
        review(script, allowed=False)
        status, text = await ask(api, "/snapshot", headers=BEARER)
    assert status == 403
    assert "jo may not get /snapshot" in text
    assert script.bodies[-1]["spec"] == {
        "user": "jo",
        "groups": ["g"],
        "uid": "1",
        "extra": {},
        "nonResourceAttributes": {"path": "/snapshot", "verb": "get"},
    }


async def test_who_may_gets_one_list_of_everything_that_a_plan_reads() -> None:
    script = Script()
    async with serving(script) as api:
        review(script)
        pages(script)
        status, text = await ask(api, "/snapshot", headers=BEARER)
    assert status == 200
    assert names(text) == [("Node", "n1"), ("Pod", "a"), ("Pod", "b")]


def names(text: str) -> Sequence[tuple[str, str]]:
    whole: dict[str, Any] = json.loads(text)
    assert (whole["apiVersion"], whole["kind"]) == ("v1", "List")
    assert all("managedFields" not in item["metadata"] for item in whole["items"])
    return [(item["kind"], item["metadata"]["name"]) for item in whole["items"]]


async def test_an_api_server_that_is_away_is_said_before_the_answer_and_breaks_it_off_later() -> None:
    script = Script()
    async with serving(script) as api:
        review(script)
        pages(script)
        script.on("GET /api/v1/nodes", refuse(500, "InternalError"))
        status, text = await ask(api, "/snapshot", headers=BEARER)
        assert status == 503
        assert "does not answer" in text
        pages(script)
        script.on("GET /api/v1/pods", reset)
        with pytest.raises(Exception, match=r"payload|disconnected|reset"):
            await ask(api, "/snapshot", headers=BEARER)


async def test_what_no_decision_needs_may_be_forbidden_and_is_left_out_of_a_snapshot() -> None:
    script = Script()
    async with serving(script) as api:
        review(script)
        pages(script)
        script.on("GET /apis/policy/v1/poddisruptionbudgets", refuse(403, "Forbidden"))
        status, text = await ask(api, "/snapshot", headers=BEARER)
        assert status == 200
        assert names(text) == [("Node", "n1"), ("Pod", "a"), ("Pod", "b")]
        script.on("GET /apis/policy/v1/poddisruptionbudgets", answer({"metadata": {}, "items": [{"metadata": {"name": "web"}}]}))
        _, text = await ask(api, "/snapshot", headers=BEARER)
        assert names(text)[-1] == ("PodDisruptionBudget", "web")
