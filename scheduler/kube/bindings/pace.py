"""How many binds are on their way at one moment: found by measuring, within a bound.

The API server takes binds at some rate; more in flight than it works on only wait there, and fewer leave it idle. So the limit climbs as long as
the rate climbs with it, then comes down as long as the rate stays, and is kept for a while where it would fall. It halves when the server says
that it is too much (429) or does not answer in time.

The difficulty: a rate says nothing about a limit that nobody used. Only rounds in which calls had to wait for a slot are judged.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from scheduler.kube.errors import TooMany, Unreachable

FIRST: Final = 16
LEAST: Final = 4
STEPS: Final = (1.5, 1.2)
"""By how much the limit changes from one round to the next: at first, and once the rate has stopped to climb with it."""
NOISE: Final = 0.08
"""Rates that differ by no more are the same rate."""
ROUNDS: Final = 8
"""A round is so many calls for each slot, long enough to see a rate."""
HOLD: Final = 10
"""Rounds that a limit is kept that was found to be the least with the full rate, before it is tried again."""


class Pace:
    """Slots for calls; use as ``async with pace.slot():``. For one event loop."""

    def __init__(self, *, most: int, first: int = FIRST, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with ``first`` slots, never have more than ``most``."""
        self._most = most
        self._limit = min(first, most)
        self._clock = clock
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last = 0.0
        """Calls a second in the round before."""
        self._up = True
        self._step = STEPS[0]
        self._hold = 0
        self._slowed = False
        self._begin()

    @property
    def limit(self) -> int:
        """How many calls may be on their way now."""
        return self._limit

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot; waits for one in the order of asking. Errors that pass through tell about the server."""
        await self._take()
        try:
            yield
        except (TooMany, Unreachable):
            self.slow_down()
            raise
        else:
            self._answered()
        finally:
            self._taken -= 1
            self._hand_on()

    def slow_down(self) -> None:
        """Halve the limit: the server said that it is too much, or gave no answer. At most once a round."""
        if self._done >= self._limit or not self._slowed:
            self._set(self._limit // 2)
            self._last, self._up, self._hold = 0.0, True, 0
            self._begin()
            self._slowed = True

    async def _take(self) -> None:
        if self._taken < self._limit and not self._waiting:
            self._taken += 1
            return
        self._full = True
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waits)
        try:
            await waits
        except asyncio.CancelledError:
            if waits.done() and not waits.cancelled():  # the slot came at the same moment: it is the next one's
                self._taken -= 1
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        while self._waiting and self._taken < self._limit:
            waits = self._waiting.popleft()
            if not waits.done():
                self._taken += 1
                waits.set_result(None)

    def _answered(self) -> None:
        self._done += 1
        if self._done < ROUNDS * self._limit:
            return
        if self._full and self._waiting:
            self._judge(self._done / max(self._clock() - self._since, 1e-6))
        self._begin()

    def _judge(self, rate: float) -> None:
        """Climb while that pays, come down while that costs nothing, and stay where it would."""
        last, self._last = self._last, rate
        if self._hold:
            self._hold -= 1
            self._up = False  # the next try is downwards; where the server can do more now, the climb follows from there
            self._hold *= not last or abs(rate - last) <= 0.25 * last  # else it is another server than before
            return
        if self._up and rate < last * (1 + NOISE):
            self._up, self._step = False, STEPS[1]
        elif not self._up and rate < last * (1 - NOISE):
            self._up, self._hold, self._last = True, HOLD, 0.0
        self._set(math.ceil(self._limit * self._step) if self._up else int(self._limit / self._step))

    def _set(self, limit: int) -> None:
        self._limit = max(min(LEAST, self._most), min(limit, self._most))
        self._hand_on()

    def _begin(self) -> None:
        self._since, self._done, self._full, self._slowed = self._clock(), 0, False, False
