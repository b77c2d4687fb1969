"""The door to the API server: the only module that imports `kubernetes`.

It takes configuration, credentials and TLS from ``kubernetes.aio`` and moves raw bytes: generated models cost thirty times as much as the
fields that a decision reads. Short calls go over connections of our own (`scheduler.kube.connection`), watches, and everything that has to
pass a proxy, through the session of ``kubernetes.aio``. Answers that are not a success are raised as `scheduler.kube.errors`. What the bytes
mean is `scheduler.kube.parse.wire`.

The difficulty: a write whose answer was lost may have happened. So only reads are repeated here after a lost answer, and writes only when
the server said that it did nothing (429, 401).
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from pydantic_core import from_json, to_json

from scheduler.kube.connection import MOST_CONNECTIONS, Answer, Connections
from scheduler.kube.credentials import JSON, Credentials
from scheduler.kube.errors import Denied, NotConfigured, TooMany, Unreachable, from_answer

LIST_SECONDS: Final = 60.0
"""How long a page of a list may take."""
CALL_SECONDS: Final = 15.0
"""How long anything else may take: a commit must not wait a minute for one lost answer."""
CONNECT_SECONDS: Final = 5.0
TRIES: Final = 4
LONGEST_WAIT: Final = 30.0
"""Seconds that a call waits by itself when the server says Retry-After; asked for longer, the caller gets TooMany."""
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
_ERRORS: Final = 400
_UNAUTHORIZED: Final = 401
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Query = Mapping[str, str | int]
Body = Mapping[str, object] | bytes
"""One JSON object, or its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of the API: what is needed to write its URL."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """Return the path of the collection, of one object, or of its subresource."""
        parts = ["apis" if self.group else "api", self.api_version]
        parts += ["namespaces", quote(namespace, safe="")] if namespace else []
        parts += [self.plural]
        parts += [quote(part, safe="") for part in (name, sub) if part]
        return "/" + "/".join(parts)


NODES: Final = Resource(group="", version="v1", plural="nodes")
PODS: Final = Resource(group="", version="v1", plural="pods")
PLACEMENTS: Final = Resource(group="coterie.dev", version="v1alpha1", plural="placements")
LEASES: Final = Resource(group="coordination.k8s.io", version="v1", plural="leases")


class _Transport(Protocol):
    """What is used of ``kubernetes.aio.client.rest.RESTClientObject``."""

    ssl_context: ssl.SSLContext

    async def request(self, method: str, url: str, *, headers: dict[str, str], body: object, _request_timeout: aiohttp.ClientTimeout) -> Any: ...  # noqa: ANN401 - the library's own untyped answer; only .response is touched

    async def close(self) -> None: ...


class Api:
    """Calls to one API server. Use as ``async with``, or close it."""

    def __init__(self, configuration: Any, *, reload: Callable[[], Awaitable[None]] | None = None) -> None:  # noqa: ANN401 - a kubernetes.aio Configuration
        """Take a ``kubernetes.aio.client.Configuration``; ``reload`` fetches fresh credentials into it after a 401."""
        from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415 - costs 0.7 s, only who talks to a cluster pays

        self._configuration = configuration
        self._reload = reload
        configuration.connection_pool_maxsize = MOST_CONNECTIONS
        self._transport: _Transport = RESTClientObject(configuration)
        self._connections: Connections | None = None
        if not _proxied(configuration):
            tls, name = self._transport.ssl_context, configuration.tls_server_name or None
            self._connections = Connections(self.host, tls=tls, server_name=name, connect_seconds=CONNECT_SECONDS)
        self._credentials = Credentials(configuration)
        self._random = random.Random()  # noqa: S311 - jitter, not a secret

    @property
    def host(self) -> str:
        """The server's address."""
        return str(self._configuration.host)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            await self._connections.close()
        await self._transport.close()
        await asyncio.sleep(0)  # sockets are closed one turn of the loop later

    async def get(self, path: str, query: Query | None = None) -> bytes:
        """Read; repeated with backoff after a lost answer, 5xx or 429."""
        return await self._repeat("GET", path, query, reads=True)

    async def post(self, path: str, body: Body, query: Query | None = None, *, wait: bool = True) -> bytes:
        """Create, bind or evict. With ``wait`` a 429 is waited out (an eviction that a budget forbids is not: pass False)."""
        return await self._repeat("POST", path, query, body=body, waits=wait)

    async def put(self, path: str, body: Body) -> bytes:
        """Replace; conditional when ``metadata.resourceVersion`` is in the body."""
        return await self._repeat("PUT", path, None, body=body)

    async def patch(self, path: str, body: Body, *, kind: str = MERGE_PATCH, query: Query | None = None) -> bytes:
        """Patch."""
        return await self._repeat("PATCH", path, query, body=body, content=kind)

    async def delete(self, path: str, body: Body | None = None) -> bytes:
        """Delete; preconditions go into the body."""
        return await self._repeat("DELETE", path, None, body=body or {})

    async def stream(self, path: str, query: Query, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of a long answer as they come, of any size. Raise Unreachable after ``idle`` seconds of silence.

        Close the iterator (``contextlib.aclosing``) to hang up.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle)
        try:
            response = await self._open("GET", path, query, None, limits=limits)
            try:
                if response.status >= _ERRORS:
                    raise from_answer(response.status, await response.read(), retry_after=response.headers.get("Retry-After"), what=f"GET {path}")
                while piece := await response.content.readany():
                    yield piece
            finally:
                _hang_up(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise self._unreachable(lost, "GET", path) from lost

    async def _repeat(
        self, method: str, path: str, query: Query | None, *, body: Body | None = None, content: str = JSON, reads: bool = False, waits: bool = True
    ) -> bytes:
        sent = body if body is None or isinstance(body, bytes) else to_json(body)
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                return await self._once(method, path, query, sent, content)
            except TooMany as refused:
                pause = refused.retry_after or self._backoff(attempt)
                if last or not waits or pause > LONGEST_WAIT:
                    raise
                await asyncio.sleep(pause)
            except Denied as denied:
                if last or attempt or denied.status != _UNAUTHORIZED or self._reload is None:
                    raise
                await self._reload()
                self._credentials.expired()
            except Unreachable as lost:
                if last or not reads:
                    raise
                await asyncio.sleep(min(lost.retry_after or self._backoff(attempt), LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def _backoff(self, attempt: int) -> float:
        return 0.1 * 2.0**attempt * self._random.uniform(0.5, 1.5)

    async def _once(self, method: str, path: str, query: Query | None, body: bytes | None, content: str) -> bytes:
        seconds = LIST_SECONDS if method == "GET" and query else CALL_SECONDS
        try:
            if self._connections is None:
                answer = await self._through_session(method, path, query, body, content, seconds=seconds)
            else:
                target = f"{path}?{urlencode(query)}" if query else path
                answer = await self._connections.call(method, target, await self._credentials.lines(content), body, seconds=seconds)
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise self._unreachable(lost, method, path) from lost
        if answer.status >= _ERRORS:
            raise from_answer(answer.status, answer.body, retry_after=answer.headers.get("retry-after"), what=f"{method} {path}")
        return answer.body

    async def _through_session(self, method: str, path: str, query: Query | None, body: bytes | None, content: str, *, seconds: float) -> Answer:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        async with await self._open(method, path, query, None if body is None else from_json(body), limits=limits, content=content) as response:
            whole = await response.read()
            return Answer(status=response.status, headers={name.lower(): value for name, value in response.headers.items()}, body=whole)

    async def _open(
        self, method: str, path: str, query: Query | None, body: object, *, limits: aiohttp.ClientTimeout, content: str = JSON
    ) -> aiohttp.ClientResponse:
        headers = dict(await self._credentials.headers(content))
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        answer = await self._transport.request(method, url, headers=headers, body=body, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        return response

    def _unreachable(self, lost: Exception, method: str, path: str) -> Unreachable:
        why = "it did not answer in time" if isinstance(lost, TimeoutError) else str(lost) or type(lost).__name__
        return Unreachable(f"{method} {path}: the API server {self.host} cannot be reached: {why}", words=f"the API server cannot be reached: {why}")


def _proxied(configuration: Any) -> bool:  # noqa: ANN401 - a kubernetes.aio Configuration
    """Whether the way to the server leads through a proxy, of the configuration or of the environment."""
    host = urlsplit(str(configuration.host))
    return bool(configuration.proxy) or (host.scheme in getproxies() and not proxy_bypass(host.hostname or ""))


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Cut a stream off: in its middle a polite end of TLS would wait for the server, and outlive the session."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


async def connect(kubeconfig: str | None = None, *, context: str | None = None) -> Api:
    """Find the cluster: the given file; else, in a pod, the ServiceAccount; else KUBECONFIG; else ``~/.kube/config``.

    No call is made yet. Raise NotConfigured with a sentence that says what was looked for.
    """
    from kubernetes.aio.client import Configuration  # noqa: PLC0415 - costs 0.7 s, only who talks to a cluster pays

    configuration = Configuration()
    # A file that the user names comes first; then the pod's own account, because images may carry a stray kubeconfig.
    in_pod = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _SERVICE_ACCOUNT.is_file()
    if kubeconfig is None and in_pod:
        _load_service_account(configuration)

        async def reread() -> None:
            _load_service_account(configuration)

        return _made(configuration, reread)
    files = _existing(kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config"))
    await _load_files(configuration, files, context)

    async def reload() -> None:
        await _load_files(configuration, files, context)

    return _made(configuration, reload)


def _made(configuration: object, reload: Callable[[], Awaitable[None]] | None) -> Api:
    try:
        return Api(configuration, reload=reload)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise NotConfigured(f"The certificates of the kubeconfig or ServiceAccount cannot be used: {error}") from error


def _existing(paths: str) -> str:
    found = [p for p in paths.split(os.pathsep) if p and Path(p).expanduser().is_file()]
    if not found:
        raise NotConfigured(
            f"There is no kubeconfig: {paths} does not exist, and this is not a pod with a ServiceAccount. "
            "Name a file with --kubeconfig or in the variable KUBECONFIG."
        )
    return os.pathsep.join(found)


def _load_service_account(configuration: object) -> None:
    from kubernetes.aio import config  # noqa: PLC0415 - costs 0.7 s, only who talks to a cluster pays

    load: Callable[..., None] = config.load_incluster_config
    try:
        load(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        raise NotConfigured(f"The pod's ServiceAccount cannot be used: {error}") from error


async def _load_files(configuration: object, files: str, context: str | None) -> None:
    from kubernetes.aio import config  # noqa: PLC0415 - costs 0.7 s, only who talks to a cluster pays

    load: Callable[..., Awaitable[object]] = config.load_kube_config
    try:
        await load(config_file=files, context=context, client_configuration=configuration, persist_config=False)
    except Exception as error:
        # The loader raises whatever the file makes it stumble over: a missing key, a YAML error, a word where a list is due.
        raise NotConfigured(f"The kubeconfig {files} cannot be used: {str(error) or type(error).__name__}") from error
