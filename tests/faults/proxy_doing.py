"""Does to one call what its fault says. Watches are `proxy_streams`."""

import asyncio
import time

from tests.faults import proxy_faults as faults
from tests.faults.proxy_calls import Entry
from tests.faults.proxy_wire import Head, Reply, Upstream


async def done(entry: Entry, head: Head, upstream: Upstream) -> Reply | None:
    """Return what the client is to be answered; None: its connection is to be reset. Raises LostError when the server is lost."""
    call, fault = entry.call, entry.fault
    match fault:
        case faults.Answer():
            return _own(fault.status, fault.message, fault.retry_after)
        case faults.DropBefore():
            return None
        case faults.Act(when="before"):
            fault.do(call)
            return None
        case faults.Delay():
            await asyncio.sleep(fault.seconds)
        case faults.Hold(before=gate) if gate is not None:
            await gate.wait(call)
        case faults.Duplicate():
            await _forward(entry, head, upstream)
        case _:
            pass
    return await _after(entry, await _forward(entry, head, upstream))


async def _after(entry: Entry, reply: Reply) -> Reply | None:
    match entry.fault:
        case faults.DropAfter():
            return None
        case faults.Act() as act:
            act.do(entry.call)
            return None
        case faults.AnswerAfter() as told:
            return _own(told.status, told.message, None)
        case faults.Hold(after=gate) if gate is not None:
            await gate.wait(entry.call)
        case _:
            pass
    return reply


async def _forward(entry: Entry, head: Head, upstream: Upstream) -> Reply:
    reply = await upstream.whole(entry.call, head)
    entry.status, entry.done = reply.head.status, time.monotonic()
    return reply


def _own(code: int, message: str, retry_after: int | None) -> Reply:
    wait = (("retry-after", str(retry_after)),) if retry_after is not None else ()
    reason = faults.REASONS.get(code, "Error")
    return Reply(Head(f"HTTP/1.1 {code} {reason}", (("content-type", "application/json"), *wait)), faults.status_body(code, message))
