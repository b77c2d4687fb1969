"""Short calls over HTTP/1.1: one request, one whole answer, on connections that are kept open.

The binds of a cluster are thousands of calls of a kilobyte each; a general client spends four times as much CPU on one of them as this does
(docs/benchmarks.md). What TLS trusts, credentials and repeated calls are `scheduler.kube.api`'s, and so are streams and proxies, which go
through the general client.

The difficulty: an answer that ends early is no answer. A connection is given back only when its answer was read to the end and the server
keeps it open; every other end of a call closes it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

MOST_CONNECTIONS: Final = 1100
"""Open at one moment: as many binds in flight as can be configured, and some more for everything else."""
MOST_HEAD: Final = 2**16
"""Bytes after which the head of an answer is no answer of an API server."""
MOST_BODY: Final = 2**30
_PORTS: Final = {"http": 80, "https": 443}
_NO_BODY: Final = (204, 304)
_INTERIM: Final = range(100, 200)


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


@dataclass(slots=True)
class _Reading:
    """The answer that is being read."""

    done: asyncio.Future[Answer]
    buffer: bytearray = field(default_factory=bytearray)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    rest: int | None = None
    """How many bytes the buffer holds when the body is whole; None: not known, by chunks or up to the end."""
    chunked: bool = False
    chunks: list[bytes] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self, gone: Callable[[_Connection], None]) -> None:
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._reading: _Reading | None = None
        self._stays = True

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self._stays and self._reading is None

    async def ask(self, request: bytes, seconds: float) -> Answer:
        """Send a request and return the answer."""
        if self._transport is None:
            raise BrokenAnswerError("the server has closed the connection")
        loop = asyncio.get_running_loop()
        self._reading = _Reading(loop.create_future())
        late = loop.call_later(seconds, self._fail, TimeoutError())
        try:
            self._transport.write(request)
            return await self._reading.done
        finally:
            late.cancel()
            self._reading = None

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
        self._stays = False
        self._gone(self)
        reading = self._reading
        if reading is not None and exc is None and reading.status and reading.rest is None and not reading.chunked:
            self._finish(bytes(reading.buffer))
        else:
            self._fail(exc if isinstance(exc, OSError) else BrokenAnswerError("the server has closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Take the next bytes."""
        reading = self._reading
        if reading is None or reading.done.done():
            self.close()  # nobody has asked for this
            return
        reading.buffer += data
        try:
            if reading.status or self._head(reading):
                self._body(reading)
        except (ValueError, IndexError) as error:
            self._fail(BrokenAnswerError(f"the answer is not HTTP/1.1: {error}"))
            self.close()

    def _head(self, reading: _Reading) -> bool:
        """Read status and headers; return whether they are there."""
        end = reading.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(reading.buffer) > MOST_HEAD:
                raise ValueError(f"its head is longer than {MOST_HEAD} bytes")
            return False
        first, *lines = reading.buffer[:end].decode("latin-1").split("\r\n")
        del reading.buffer[: end + 4]
        protocol, status = first[:8], int(first[9:12])
        if not protocol.startswith("HTTP/1."):
            raise ValueError(f"it begins with {first[:40]!r}")
        if status in _INTERIM:
            return self._head(reading)
        pairs = (line.partition(":") for line in lines)
        reading.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        reading.status = status
        reading.chunked = "chunked" in reading.headers.get("transfer-encoding", "").lower()
        length = reading.headers.get("content-length")
        if status in _NO_BODY:
            reading.rest, reading.chunked = 0, False
        elif length is not None and not reading.chunked:
            reading.rest = _size(length, 10)
        stays = reading.headers.get("connection", "keep-alive" if protocol == "HTTP/1.1" else "close").lower()
        self._stays = "close" not in stays and (reading.rest is not None or reading.chunked)
        return True

    def _body(self, reading: _Reading) -> None:
        """Finish the answer when its body is whole."""
        if reading.chunked:
            self._chunks(reading)
        elif reading.rest is not None and len(reading.buffer) >= reading.rest:
            self._stays &= len(reading.buffer) == reading.rest
            self._finish(bytes(reading.buffer[: reading.rest]))
        elif len(reading.buffer) > MOST_BODY:
            raise ValueError(f"its body is longer than {MOST_BODY} bytes")

    def _chunks(self, reading: _Reading) -> None:
        """Take the chunks that are whole; what is behind a half one is looked at again when more has come."""
        buffer, at = reading.buffer, 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            size = _size(buffer[at:end].partition(b";")[0].decode("latin-1"), 16)
            if size == 0:
                self._trailers(reading, at, end)
                break
            if len(buffer) < end + 2 + size + 2:
                break
            reading.chunks.append(bytes(buffer[end + 2 : end + 2 + size]))
            at = end + 2 + size + 2
            if buffer[at - 2 : at] != b"\r\n":
                raise ValueError("a chunk is longer than it says")
        del buffer[:at]

    def _trailers(self, reading: _Reading, at: int, end: int) -> None:
        """Finish when the empty line behind the last chunk is there; what stands before it is nothing that we read."""
        over = end if reading.buffer[end : end + 4] == b"\r\n\r\n" else reading.buffer.find(b"\r\n\r\n", at)
        if over >= 0:
            self._stays &= len(reading.buffer) == over + 4
            self._finish(b"".join(reading.chunks))

    def _finish(self, body: bytes) -> None:
        reading = self._reading
        if reading is not None and not reading.done.done():
            reading.done.set_result(Answer(status=reading.status, headers=reading.headers, body=body))

    def _fail(self, why: BaseException) -> None:
        if self._reading is not None and not self._reading.done.done():
            self._reading.done.set_exception(why)


def _size(text: str, base: int) -> int:
    """Read a length; int() alone would take signs, spaces and underscores."""
    text = text.strip()
    if not text.isalnum() or not text.isascii():
        raise ValueError(f"a length is {text[:40]!r}")
    size = int(text, base)
    if size > MOST_BODY:
        raise ValueError(f"a length is {size}, more than {MOST_BODY}")
    return size
