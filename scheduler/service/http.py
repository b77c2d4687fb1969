"""What the scheduler answers over HTTP: /healthz, /readyz, /metrics, and to those who may, /snapshot.

A snapshot is listed afresh from the API server with the scheduler's rights. So whoever asks is asked for a token, and the API server says
who that is (TokenReview) and whether they may ``get`` the path /snapshot (SubjectAccessReview).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from pydantic_core import from_json

from scheduler.config import HttpConfig
from scheduler.kube.api import Api, Resource
from scheduler.kube.errors import ApiError, Denied
from scheduler.kube.follow.listing import objects
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import LISTED, Listed
from scheduler.metrics import Metrics
from scheduler.state.problems import BadInput, InputProblem

logger = logging.getLogger(__name__)

TOKEN_REVIEWS: Final = Resource(group="authentication.k8s.io", version="v1", plural="tokenreviews")
ACCESS_REVIEWS: Final = Resource(group="authorization.k8s.io", version="v1", plural="subjectaccessreviews")
SNAPSHOT: Final = "/snapshot"
OLDEST_SECONDS: Final = 120.0
"""Silence of a needed watch after which we are not ready: the server sends a bookmark about every minute."""
STUCK_SECONDS: Final = 300.0
"""A turn of the loop that takes longer than this means that the process should be started anew."""
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = 503
_BEARER: Final = "bearer "


class Refused(Exception):  # noqa: N818 - an answer, not a bug
    """The caller may not have what they ask for."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the HTTP status and a sentence."""
        super().__init__(message)
        self.status = status
        self.message = message


class Server:
    """The HTTP server."""

    def __init__(
        self,
        api: Api,
        watcher: Watcher,
        metrics: Metrics,
        *,
        turned: Callable[[], float],
        leaderless: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer from these; ``turned`` tells when the loop last took a turn or waits for one, in monotonic seconds.

        ``leaderless`` says why the Lease cannot be had although it is asked for; empty: nothing keeps us from it.
        """
        self._api = api
        self._watcher = watcher
        self._metrics = metrics
        self._turned = turned
        self._leaderless = leaderless
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The port that is served."""
        self.trouble = ""
        """What keeps us from leading although nobody else does; told by /readyz."""

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
                web.get(SNAPSHOT, self.snapshot),
            ]
        )
        return app

    async def start(self, config: HttpConfig) -> None:
        """Begin to serve; raises BadInput when the port cannot be had."""
        self._runner = web.AppRunner(self.app(), access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, config.host, config.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            found = f"{config.host}:{config.port} ({error.strerror or error})"
            raise BadInput(
                InputProblem(object="Configuration", field="http.port", found=found, expected="an address and port that are free")
            ) from error
        self.port = int(self._runner.addresses[0][1])
        logger.info("serving on port %d", self.port, extra={"fields": {"host": config.host, "port": self.port}})

    async def stop(self) -> None:
        """Stop to serve."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def healthz(self, _: web.Request) -> web.Response:
        """Whether the process is worth keeping."""
        age = self._clock() - self._turned()
        if age > STUCK_SECONDS:
            return web.Response(status=_UNAVAILABLE, text=f"the loop has been in one turn for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Whether we know the cluster as it is; a follower that keeps warm is ready too."""
        missing = [f"{source}: {health.error or 'not listed yet'}" for source, health in self._watcher.health.items() if not health.synced]
        if missing:
            return web.Response(status=_UNAVAILABLE, text="not synced: " + "; ".join(missing) + "\n")
        if self._watcher.age > OLDEST_SECONDS:
            return web.Response(status=_UNAVAILABLE, text=f"the API server has not been heard for {self._watcher.age:.0f} s\n")
        if trouble := self.trouble or self._leaderless():
            return web.Response(status=_UNAVAILABLE, text=f"{trouble}\n")
        return web.Response(text="ok\n")

    async def metrics(self, _: web.Request) -> web.Response:
        """Return the metrics in Prometheus' text format."""
        now = self._clock()
        for source, health in self._watcher.health.items():
            if health.heard:
                self._metrics.gauge("coterie_watch_age_seconds", now - health.heard, source)
        return web.Response(body=self._metrics.expose(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """Stream what `plan` reads, as one List."""
        try:
            who = await self._authorised(request)
            first = await objects(self._api, LISTED[0])  # before the answer begins, so that an error can still be its status
        except Refused as refused:
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == _UNAUTHORIZED else {}
            return web.json_response({"message": refused.message}, status=refused.status, headers=headers)
        except ApiError as error:
            return web.json_response({"message": f"The API server does not answer: {error}"}, status=_UNAVAILABLE)
        logger.info("snapshot for %s", who, extra={"fields": {"user": who}})
        return await self._stream(request, first)

    async def _stream(self, request: web.Request, first: list[dict[str, object]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"apiVersion":"v1","kind":"List","items":[')
        comma = b"\n"
        try:
            for row in LISTED:
                for item in first if row is LISTED[0] else await self._listed(row):
                    await response.write(comma + json.dumps(item, separators=(",", ":")).encode())
                    comma = b",\n"
        except ApiError as error:
            # Half a list must not look like a whole one: the connection breaks in the middle of the chunk that is owed.
            logger.warning("a snapshot was broken off: %s", error)
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write(b"\n]}\n")
        await response.write_eof()
        return response

    async def _listed(self, row: Listed) -> list[dict[str, object]]:
        """Return the objects of a row; none where the scheduler may not list what no decision needs."""
        try:
            return await objects(self._api, row)
        except Denied as error:
            if row.needed:
                raise
            logger.warning("a snapshot is without %s: %s", row.source, error)
            return []

    async def _authorised(self, request: web.Request) -> str:
        """Return the name of the user who asks, who may have it; raises Refused."""
        header = request.headers.get("Authorization", "")
        if not header.lower().startswith(_BEARER) or not header[len(_BEARER) :].strip():
            raise Refused(_UNAUTHORIZED, "A snapshot needs a token: send the header `Authorization: Bearer TOKEN`.")
        review = await self._ask(TOKEN_REVIEWS, "TokenReview", {"token": header[len(_BEARER) :].strip()})
        if not review.get("authenticated"):
            raise Refused(_UNAUTHORIZED, "The API server does not know this token.")
        user = review["user"]
        spec = {
            "user": user.get("username", ""),
            "groups": user.get("groups") or [],
            "uid": user.get("uid", ""),
            "extra": user.get("extra") or {},
            "nonResourceAttributes": {"path": SNAPSHOT, "verb": "get"},
        }
        access = await self._ask(ACCESS_REVIEWS, "SubjectAccessReview", spec)
        if not access.get("allowed"):
            raise Refused(
                _FORBIDDEN, f"User {spec['user']} may not get {SNAPSHOT}: a ClusterRole with nonResourceURLs [{SNAPSHOT}] and verbs [get] allows it."
            )
        return str(spec["user"])

    async def _ask(self, resource: Resource, kind: str, spec: dict[str, object]) -> dict[str, Any]:
        answer = await self._api.post(resource.path(), {"apiVersion": resource.api_version, "kind": kind, "spec": spec})
        status: dict[str, Any] = from_json(answer).get("status") or {}
        return status
