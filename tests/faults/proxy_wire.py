"""HTTP/1.1 over asyncio streams, as much of it as Kubernetes clients and the API server speak; and connections to the server, kept for reuse."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from tests.faults.proxy_calls import Call

_HEAD_LIMIT: Final = 2**17
# Hop by hop, or made anew: compressed answers could not be taken apart into events.
_OWN: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding", "expect"})


class LostError(Exception):
    """The other side of a connection is gone."""


@dataclass(frozen=True, slots=True)
class Head:
    """First line and headers; names are in small letters."""

    line: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return a header, empty where it is missing."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.get("transfer-encoding")

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.line.split(" ", 2)[1])


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    head: Head
    body: bytes


class Connection:
    """One TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both directions."""
        self.reader = reader
        self.writer = writer
        self.closed = False
        """Whether `close` was called."""

    @property
    def usable(self) -> bool:
        """Whether it seems to be open."""
        return not (self.reader.at_eof() or self.writer.is_closing())

    def reset(self) -> None:
        """Cut it off, without a polite end."""
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self.writer.transport.abort()

    def close(self) -> None:
        """Close it politely: what was written still arrives."""
        self.closed = True
        self.writer.close()

    async def read_head(self) -> Head | None:
        """Read the next head; None when the other side has ended."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError):
            return None
        first, *rest = raw[:-4].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in rest)
        return Head(first, tuple((name.lower(), value.strip()) for name, _, value in pairs))

    async def read_body(self, head: Head) -> bytes:
        """Read the whole body that belongs to a head; raises LostError."""
        try:
            if head.chunked:
                return b"".join([piece async for piece in self.chunks()])
            length = int(head.get("content-length") or 0)
            return await self.reader.readexactly(length) if length else b""
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError) as error:
            raise LostError(str(error)) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a body until its end; raises LostError."""
        try:
            while size := int((await self.reader.readline()).split(b";")[0] or b"-1", 16):
                if size < 0:
                    raise LostError("the stream ended in its middle")
                yield await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError) as error:
            raise LostError(str(error)) from error

    async def write(self, data: bytes) -> None:
        """Write; raises LostError."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (OSError, ssl.SSLError, RuntimeError) as error:
            raise LostError(str(error)) from error


class Upstream:
    """The real server: connections that are free are used again, the one used last first."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Open nothing yet."""
        self._host, self._port, self._tls = host, port, tls
        self._free: list[Connection] = []

    async def whole(self, call: Call, head: Head) -> Reply:
        """Forward a call and read the whole answer; raises LostError."""
        connection, answered = await self.open(call, head)
        body = b"" if call.method == "HEAD" else await connection.read_body(answered)
        if answered.get("connection").lower() != "close":
            self._free.append(connection)
        else:
            connection.reset()
        return Reply(answered, body)

    async def open(self, call: Call, head: Head) -> tuple[Connection, Head]:
        """Forward a call and read the head of the answer. A free connection that the server has closed meanwhile is not a lost call."""
        raw = self._request(call, head)
        while self._free:
            connection = self._free.pop()
            if not connection.usable:
                connection.reset()
                continue
            if (answered := await _exchange(connection, raw)) is not None:
                return connection, answered
            connection.reset()
            if call.writes:
                raise LostError("the server closed the connection; whether it did the write is not known")
        try:
            made = asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=_HEAD_LIMIT)
            connection = Connection(*await asyncio.wait_for(made, 10))
        except (OSError, TimeoutError, ssl.SSLError) as error:
            raise LostError(str(error)) from error
        if (answered := await _exchange(connection, raw)) is None:
            connection.reset()
            raise LostError("the server closed the connection")
        return connection, answered

    def close(self) -> None:
        """Cut all free connections off."""
        while self._free:
            self._free.pop().reset()

    def _request(self, call: Call, head: Head) -> bytes:
        kept = "".join(f"{name}: {value}\r\n" for name, value in head.headers if name not in _OWN and name != "host")
        length = f"content-length: {len(call.body)}\r\n" if call.body or call.writes else ""
        return f"{head.line}\r\nhost: {self._host}:{self._port}\r\n{kept}{length}\r\n".encode("latin-1") + call.body


async def _exchange(connection: Connection, raw: bytes) -> Head | None:
    try:
        await connection.write(raw)
    except LostError:
        return None
    return await connection.read_head()


def answer(head: Head, *, length: int | None) -> bytes:
    """Write the head of an answer anew; without a length the body comes in chunks, and the connection ends with it."""
    kept = "".join(f"{name}: {value}\r\n" for name, value in head.headers if name not in _OWN)
    how = "connection: close\r\ntransfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"{head.line}\r\n{kept}{how}\r\n\r\n".encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Frame one chunk; an empty one ends the body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
