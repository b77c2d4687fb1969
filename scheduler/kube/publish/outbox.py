"""Writes what is said, when it has changed, at a bounded rate and behind the binds.

`Outbox.say` is told everything that holds now; what was said before and holds no more is forgotten, what is already written is not written
again. What is said, and when, is the caller's; how each thing is written is `scheduler.kube.publish.writing`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from scheduler.kube.api import Api
from scheduler.kube.backoff import Backoff
from scheduler.kube.errors import ApiError, Conflict, NotFound, TooMany, Unreachable
from scheduler.kube.publish.behind import Behind
from scheduler.kube.publish.said import EventSaid, PodSaid, Said
from scheduler.kube.publish.writing import Writer

logger = logging.getLogger(__name__)

RATE: Final = 50.0
"""Writes a second."""
BURST: Final = 50
PATIENCE_SECONDS: Final = 5.0
"""How long writes wait for binds that are on their way."""
PRESSED_SECONDS: Final = 0.2
"""Between two writes when they have waited so long and binds are still on their way."""
_REPEAT_SECONDS: Final = 60.0
"""How often the repetition of an event is counted, and how soon one about what lasts may say something else."""
_REMEMBERED: Final = 10_000
"""Events that are remembered; beyond it the oldest are forgotten and may be told once more."""

Key: TypeAlias = tuple[str, ...]


def key_of(said: Said) -> Key:
    """Return what there is one statement for: a pod's condition, an object's status, an object's events of one reason."""
    if isinstance(said, PodSaid):
        return ("pod", said.uid)
    if isinstance(said, EventSaid):
        about = said.regarding
        return ("event", said.namespace, about.kind, about.name, about.uid, said.reason)
    return ("status", said.resource.plural, said.namespace, said.name, said.uid)


class Outbox:
    """Everything that is to be written and is not a bind or a record."""

    def __init__(
        self,
        api: Api,
        *,
        instance: str,
        quiet: asyncio.Event,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write through this server; ``instance`` names this replica in events; ``quiet`` is set while no bind is on its way."""
        self.quiet = quiet
        self.again = asyncio.Event()
        """Set when something could not be written because its object had changed: say what holds now once more."""
        self._writer = Writer(api, instance=instance)
        self._behind = Behind(quiet, patience=patience, every=PRESSED_SECONDS)
        self._clock = clock
        self._wanted: dict[Key, Said] = {}
        self._written: dict[Key, Said] = {}
        self._counted: dict[Key, float] = {}
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._reminder: asyncio.TimerHandle | None = None
        self._tokens = float(BURST)
        self._at = clock()
        self._backoff = Backoff(first=0.2, most=30.0)

    def say(self, everything: Iterable[Said]) -> None:
        """Take everything that holds now; conditions and statuses that are not among it are not written any more."""
        now = {key_of(said): said for said in everything}
        for table in (self._wanted, self._written):
            for key in [key for key in table if key not in now and key[0] != "event"]:
                del table[key]
        for key, said in now.items():
            self._take(key, said, hold=True)

    def tell(self, events: Iterable[EventSaid]) -> None:
        """Take events about something that has just happened."""
        for event in events:
            self._take(key_of(event), event)

    def reset(self) -> None:
        """Forget what was said and written: somebody else speaks now, and when it is our turn again everything is compared anew."""
        self._wanted.clear()
        self._written.clear()
        self._writer.reset()

    async def run(self) -> None:
        """Write until cancelled; no answer of the server ends it."""
        while True:
            await self._filled.wait()
            key = next(iter(self._wanted), None)
            if key is None:
                self._filled.clear()
                self._idle.set()
                continue
            self._idle.clear()
            await self._turn()
            said = self._wanted.pop(key, None)  # it may have been taken back meanwhile
            if said is not None:
                await self._write(key, said)

    async def flush(self, seconds: float) -> None:
        """Wait until everything is written, but not longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            logger.info("%d statements were not written before the stop", len(self._wanted))

    def _take(self, key: Key, said: Said, *, hold: bool = False) -> None:
        """Take one statement; ``hold``: it is an event about what lasts, and other numbers within the minute wait."""
        if not self._news(key, said, hold=hold):
            self._wanted.pop(key, None)
            return
        self._wanted[key] = said
        self._idle.clear()
        self._filled.set()

    def _news(self, key: Key, said: Said, *, hold: bool) -> bool:
        before = self._written.get(key)
        if not isinstance(said, EventSaid) or not isinstance(before, EventSaid):
            return before != said
        if before.note == said.note and said.times <= before.times:
            return False
        left = _REPEAT_SECONDS - (self._clock() - self._counted.get(key, 0.0))
        if left <= 0 or (before.note != said.note and not hold):
            return True
        if before.note != said.note:  # the numbers of a busy cluster change all the time: conditions follow at once, events in time
            self._later(left)
        return False

    def _later(self, seconds: float) -> None:
        """Ask for a look when the first of the events that are held back may be written."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._reminder is None or self._reminder.cancelled() or not loop.time() < self._reminder.when() <= due:
            if self._reminder is not None:
                self._reminder.cancel()
            self._reminder = loop.call_later(seconds, self.again.set)

    async def _turn(self) -> None:
        """Wait for our turn: the rate, then the binds."""
        while True:
            now = self._clock()
            self._tokens = min(float(BURST), self._tokens + (now - self._at) * RATE)
            self._at = now
            if self._tokens >= 1:
                break
            await asyncio.sleep((1 - self._tokens) / RATE)
        self._tokens -= 1
        await self._behind.turn()

    async def _write(self, key: Key, said: Said) -> None:
        try:
            await self._writer.write(said)
        except NotFound:
            self._remember(key, said)  # the object is gone: there is nobody to tell
        except Conflict:
            self.again.set()
        except (TooMany, Unreachable) as error:
            self._wanted.setdefault(key, said)
            await asyncio.sleep(self._backoff.next(error.retry_after))
        except ApiError as error:
            logger.warning("what is said of %s cannot be written: %s", " ".join(key), error)
            self._remember(key, said)
        else:
            self._backoff.reset()
            self._remember(key, said)

    def _remember(self, key: Key, said: Said) -> None:
        self._written.pop(key, None)
        self._written[key] = said
        if isinstance(said, EventSaid):
            self._counted[key] = self._clock()
            if len(self._counted) > _REMEMBERED:
                oldest = next(iter(self._counted))
                del self._counted[oldest]
                self._written.pop(oldest, None)
