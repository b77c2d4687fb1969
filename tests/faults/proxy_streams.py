"""Watches through the proxy: forwarded chunk by chunk, and, when a fault is upon one, event by event."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests.faults.proxy_calls import Call
from tests.faults.proxy_faults import Cut, DuplicateEvents, Gone, Late, Stall, StreamFault, status_body
from tests.faults.proxy_wire import Connection, Head, LostError, answer, chunk

END: Final = b"END"


class Way(Protocol):
    """The way to a client: it can be blocked by a partition."""

    async def clear(self) -> None:
        """Wait while nothing gets through."""


@dataclass(slots=True, eq=False)
class Stream:
    """One watch that is open."""

    call: Call
    fault: StreamFault | None = None
    events: int = 0
    """Whole events that went through."""
    waiting: asyncio.Queue[tuple[float, bytes | None]] = field(default_factory=asyncio.Queue)
    """Events with the moment when they came; empty: a nudge; END; None: the server is lost."""

    async def run(self, client: Connection, server: Connection, head: Head, way: Way) -> bool:
        """Carry events until the server ends, the client hangs up, or a fault ends it; return whether it ended in order."""
        await client.write(answer(head, length=None))
        hung_up = asyncio.ensure_future(_hung_up(client))
        forward = asyncio.ensure_future(self._forward(client, server, way))
        try:
            await asyncio.wait([hung_up, forward], return_when=asyncio.FIRST_COMPLETED)
            return forward.done() and forward.result()
        except LostError:
            return False
        finally:
            await _end(hung_up, forward)
            server.reset()

    def set(self, fault: StreamFault | None) -> None:
        """Put a fault upon it from now on; its ``after`` counts from now. In the proxy's thread only."""
        self.fault, self.events = fault, 0
        self.waiting.put_nowait((time.monotonic(), b""))  # it must not wait for an event

    async def _forward(self, client: Connection, server: Connection, way: Way) -> bool:
        pump = asyncio.ensure_future(self._pump(server))
        try:
            while True:
                came, line = await self.waiting.get()
                if isinstance(self.fault, Late):
                    await asyncio.sleep(came + self.fault.seconds - time.monotonic())
                await way.clear()
                if (ended := await self._through(client, line)) is not None:
                    return ended
        finally:
            await _end(pump)

    async def _pump(self, server: Connection) -> None:
        with contextlib.suppress(LostError):
            async for line in _lines(server):
                self.waiting.put_nowait((time.monotonic(), line))
            self.waiting.put_nowait((time.monotonic(), END))
            return
        self.waiting.put_nowait((time.monotonic(), None))

    async def _through(self, client: Connection, line: bytes | None) -> bool | None:
        """Let one event through, as the fault wants it; return how the stream ended, None while it goes on."""
        fault, data = self.fault, line or b""
        match fault:
            case Stall() if self.events >= fault.after:
                await asyncio.Event().wait()
            case Gone() if self.events >= fault.after:
                await client.write(chunk(b'{"type":"ERROR","object":' + status_body(410, "too old resource version: 1 (2)") + b"}\n") + chunk(b""))
                return True
            case _ if not data:  # a new fault, or the server is lost
                return None if line is not None else False
            case _ if line is END:
                await client.write(chunk(b""))
                return True
            case Cut() if self.events >= fault.after:
                await client.write(chunk(data[: len(data) // 2]))
                return False
            case DuplicateEvents():
                await client.write(chunk(data))
            case _:
                pass
        await client.write(chunk(data))
        self.events += 1
        return None


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _lines(server: Connection) -> AsyncIterator[bytes]:
    """Yield whole events, each with its end of line; usually one chunk is one event."""
    half = b""
    async for piece in server.chunks():
        if not half and piece.endswith(b"\n") and piece.count(b"\n") == 1:
            yield piece
            continue
        *whole, half = (half + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if half:
        yield half


async def _hung_up(client: Connection) -> None:
    with contextlib.suppress(OSError):
        while await client.reader.read(4096):
            pass
