"""Short calls over HTTP/1.1: one request, one whole answer, on connections that are kept open.

The binds of a cluster are thousands of calls of a kilobyte each; a general client spends a multiple of the CPU on one of them
(docs/decisions/0003-lean-connections.md). Answers are parsed by httptools. What TLS trusts, credentials and repeated calls are
`scheduler.kube.api`'s, and so are streams and proxies, which go through the general client.

The difficulty: an answer that ends early is no answer. A connection is given back only when its answer was read to the end and the server
keeps it open; every other end of a call closes it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MOST_CONNECTIONS: Final = 1100
"""Open at one moment: as many binds in flight as can be configured, and some more for everything else."""
MOST_BYTES: Final = 2**30
"""An answer that is longer is none of an API server."""
_PORTS: Final = {"http": 80, "https": 443}
_INTERIM: Final = range(100, 200)
_FRAMED: Final = {"content-length", "transfer-encoding"}
"""Headers that say where an answer ends; without them it ends with the connection."""


class BrokenAnswerError(OSError):
    """The server closed the connection before the whole answer was there, or what it sent is not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One whole answer."""

    status: int
    headers: dict[str, str]
    """By name in lower case; of several the last."""
    body: bytes


class Connections:
    """The open connections to one server. Not for use from two event loops."""

    def __init__(self, host: str, *, tls: ssl.SSLContext, server_name: str | None = None, connect_seconds: float) -> None:
        """Talk to ``https://host:port/prefix`` (or http); ``server_name`` is what its certificate must say where that is not the host."""
        parts = urlsplit(host)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"the server's address is {host}, expected https://<host>:<port>")
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._tls = tls if parts.scheme == "https" else None
        self._server_name = (server_name or parts.hostname) if self._tls is not None else None
        self._connect_seconds = connect_seconds
        self._prefix = parts.path.rstrip("/").encode()
        self._named = f" HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n".encode()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._slots = asyncio.Semaphore(MOST_CONNECTIONS)

    async def call(self, method: str, target: str, headers: bytes, body: bytes | None, *, seconds: float) -> Answer:
        """Send one request and return its answer, whatever its status.

        ``target`` is path and query, percent-encoded; ``headers`` are whole lines, ends included. Raises OSError (TimeoutError after
        ``seconds``, BrokenAnswerError) where there is no answer; then the request may have been carried out, or not.
        """
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        request = b"".join((method.encode(), b" ", self._prefix, target.encode(), self._named, headers, length, b"\r\n", body or b""))
        async with self._slots:
            connection = self._kept() or await self._new()
            try:
                answer = await connection.ask(request, seconds)
            except BaseException:
                connection.close()
                raise
            if connection.usable:
                self._idle.append(connection)
            return answer

    async def close(self) -> None:
        """Close every connection; calls on their way fail."""
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # sockets are closed one turn of the loop later

    def _kept(self) -> _Connection | None:
        # The one that was used last: those that a burst has opened grow old, and the server closes them.
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _new(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            _, made = await loop.create_connection(
                lambda: _Connection(self._open.discard), self._host, self._port, ssl=self._tls, server_hostname=self._server_name
            )
        self._open.add(made)
        return made


class _Connection(asyncio.Protocol):
    """One connection; one request at a time. The ``on_`` methods are called by the parser."""

    def __init__(self, gone: Callable[[_Connection], None]) -> None:
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._done: asyncio.Future[Answer] | None = None
        self._stays = True
        self._begin()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self._stays and self._done is None

    async def ask(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return the answer."""
        if self._transport is None:
            raise BrokenAnswerError("the server has closed the connection")
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        late = loop.call_later(seconds, self._fail, TimeoutError())
        try:
            self._transport.write(request)
            return await self._done
        finally:
            late.cancel()
            self._done = None

    def close(self) -> None:
        """Close without waiting for the server's polite end."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what can be written to."""
        if isinstance(transport, asyncio.Transport):  # always: a protocol is not made for anything else
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer that only the end of the connection ends; fail every other one."""
        self._transport = None
        self._gone(self)
        if exc is None and self._status and not _FRAMED & self._headers.keys():
            self._finish()
        self._fail(exc if isinstance(exc, OSError) else BrokenAnswerError("the server has closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Give the next bytes to the parser."""
        self._size += len(data)
        if self._done is None or self._size > MOST_BYTES:
            self._refuse(f"it is longer than {MOST_BYTES} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._refuse(str(error))

    def on_message_begin(self) -> None:
        """Begin an answer; a second one to one request costs the connection."""
        self._stays &= self._done is not None and not self._done.done()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Keep the status."""
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it only says that there will be one."""
        if self._status in _INTERIM:
            self._begin()
            return
        self._stays &= self._parser.should_keep_alive()
        self._finish()

    def _begin(self) -> None:
        self._status, self._size = 0, 0
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(Answer(status=self._status, headers=self._headers, body=b"".join(self._pieces)))
            self._begin()

    def _refuse(self, why: str) -> None:
        self._fail(BrokenAnswerError(f"the answer cannot be read as HTTP/1.1: {why}"))
        self._stays = False
        self.close()

    def _fail(self, why: BaseException) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(why)
