"""What can be done to one call: a rule looks at a call and answers with one of these, or with None.

They are plain values, so that a log of them can be printed and played again. The proxy carries them out (`proxy`, `proxy_streams`).
"""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from tests.faults.proxy_calls import Call

REASONS: Final[Mapping[int, str]] = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Gate:
    """Holds a call until it is opened; a test waits until a call stands before it."""

    def __init__(self) -> None:
        """Begin closed."""
        self.reached = threading.Event()
        """Set as soon as a call stands before the gate."""
        self.calls: list[Call] = []
        """The calls that came to the gate, in order."""
        self._open: Future[None] = Future()

    def open(self) -> None:
        """Let everything through, now and later. Any thread may call this, and more than once."""
        if not self._open.done():
            self._open.set_result(None)

    def await_call(self, seconds: float = 20.0) -> Call:
        """Wait until a call stands before the gate, and return it."""
        if not self.reached.wait(seconds):
            raise TimeoutError(f"no call came to the gate in {seconds:.0f} s")
        return self.calls[0]

    async def wait(self, call: Call) -> None:
        """Stand before the gate; for the proxy."""
        self.calls.append(call)
        self.reached.set()
        await asyncio.shield(asyncio.wrap_future(self._open))

    def __repr__(self) -> str:
        """Return a short word for logs."""
        return "Gate()"


@dataclass(frozen=True, slots=True)
class Delay:
    """The call is forwarded later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DropBefore:
    """The connection is reset; the server never hears of the call."""


@dataclass(frozen=True, slots=True)
class DropAfter:
    """The server does it; the connection is reset before the answer."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The server gets the call twice, one after the other; the client gets the second answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The server never hears of the call; the client gets this answer, a Status object."""

    status: int
    retry_after: int | None = None
    """Seconds, as the header says them."""
    message: str = "injected by the proxy"


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """The server does it; the client is told that it failed."""

    status: int
    message: str = "injected by the proxy after the server had done it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The call waits at a gate before it is forwarded, its answer at another one before it is given."""

    before: Gate | None = None
    after: Gate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something is done in the proxy's thread when the call arrives, or when the server has done it; the call, or its answer, is then dropped."""

    do: Callable[[Call], None]
    when: Literal["before", "after"]


# --- for watches: ``after`` counts whole events that go through first


@dataclass(frozen=True, slots=True)
class Stall:
    """No byte comes any more; the connection stays open."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Half of the next event comes, then the connection is reset."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """An ERROR event with code 410 comes, and the stream ends in order."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class DuplicateEvents:
    """Every event comes twice."""


@dataclass(frozen=True, slots=True)
class Late:
    """Every event comes so many seconds later, in order: events of one kind then come after younger ones of another."""

    seconds: float


CallFault: TypeAlias = Delay | DropBefore | DropAfter | Duplicate | Answer | AnswerAfter | Hold | Act
StreamFault: TypeAlias = Stall | Cut | Gone | DuplicateEvents | Late
Fault: TypeAlias = CallFault | StreamFault
Rule: TypeAlias = Callable[[Call], Fault | None]


@dataclass(slots=True)
class Once:
    """A rule that gives its fault to the n-th call (from 0) that fits, and to no other."""

    fits: Callable[[Call], bool]
    fault: Fault
    nth: int = 0
    seen: int = field(default=0, init=False)
    fired: threading.Event = field(default_factory=threading.Event, init=False)

    def __call__(self, call: Call) -> Fault | None:
        """Count the calls that fit."""
        if not self.fits(call):
            return None
        self.seen += 1
        if self.seen - 1 != self.nth:
            return None
        self.fired.set()
        return self.fault


def status_body(code: int, message: str) -> bytes:
    """Return the Status object that goes with an answer of the proxy's own."""
    reason = REASONS.get(code, "Unknown")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    return json.dumps(status).encode()
