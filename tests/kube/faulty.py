"""A small HTTP server that answers what a test tells it to: for faults that the real API server cannot be made to show on demand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from scheduler.kube.api import Api

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Object = dict[str, Any]


class Script:
    """Answers to requests: the next one of the list for method and path, the last one again and again."""

    def __init__(self) -> None:
        """Answer nothing yet."""
        self.answers: dict[str, list[Handler]] = {}
        self.asked: list[str] = []
        self.bodies: list[Object] = []
        self._news = asyncio.Event()

    async def until_asked(self, times: int) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(10):
            while len(self.asked) < times:
                self._news.clear()
                await self._news.wait()

    def on(self, what: str, *handlers: Handler) -> None:
        """Answer ``GET /path`` (or ``WATCH /path``) with these, in this order."""
        self.answers[what] = list(handlers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = "WATCH" if request.query.get("watch") else request.method
        what = f"{method} {request.path}"
        self.asked.append(f"{what}?{request.query_string}" if request.query_string else what)
        self._news.set()
        if request.can_read_body:
            self.bodies.append(await request.json())
        handlers = self.answers.get(what)
        if not handlers:
            return status(404, "NotFound", f"{what} is not in the script")
        return await (handlers.pop(0) if len(handlers) > 1 else handlers[0])(request)


def answer(body: object, *, code: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """Answer with JSON."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers=headers)

    return handler


def refuse(code: int, reason: str, *, headers: dict[str, str] | None = None) -> Handler:
    """Answer with a Status."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return status(code, reason, f"it is {reason}", headers=headers)

    return handler


def status(code: int, reason: str, message: str, *, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return web.json_response(body, status=code, headers=headers)


async def reset(request: web.Request) -> web.StreamResponse:
    """Cut the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def stream(*pieces: bytes, then: Handler | None = None) -> Handler:
    """Answer with these pieces, each sent on its own, and end; ``then=reset`` cuts the connection instead."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response if then is None else await then(request)

    return handler


async def silent(request: web.Request) -> web.StreamResponse:
    """Begin to answer and say nothing more until the client hangs up."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()  # the server cancels the handler when the client has gone
    return response


@contextlib.asynccontextmanager
async def serving(
    script: Script, *, reload: Callable[[], Awaitable[None]] | None = None, token: Callable[[], str] | None = None
) -> AsyncIterator[Api]:
    """Serve a script and return a client of it; ``token`` is asked for the credentials as a pod's token file would be read."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", script.handle)
    async with TestServer(application) as server:
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        if token is not None:
            configuration.api_key = {"authorization": ""}
            hook: Any = lambda found: found.api_key.update(authorization=token())  # noqa: E731 - the library gives its fields the type of their default
            configuration.refresh_api_key_hook = hook
        async with Api(configuration, reload=reload) as api:
            yield api


def named(name: str, version: str, *, uid: str = "", namespace: str = "ai", **spec: Any) -> Object:
    """Return a pod as the API server would send it."""
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": version}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"schedulerName": "coterie", "containers": [], **spec}}


def listed(*items: Object, version: str, more: str = "") -> Object:
    """Return one page of a list."""
    bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": "PodList", "metadata": {"resourceVersion": version, "continue": more}, "items": bare}


def line(kind: str, item: Object) -> bytes:
    """Return one line of a watch, as the API server writes it."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), json.dumps(item, separators=(",", ":")).encode())


def bookmark(version: str) -> bytes:
    return line("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": version, "creationTimestamp": None}})
