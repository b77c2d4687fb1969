"""Our turn behind the binds: what people read can wait, a gang cannot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Behind:
    """Lets somebody through when no bind is on its way; where that does not come, now and then all the same."""

    def __init__(self, quiet: asyncio.Event, *, patience: float, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``quiet`` is set while no bind is on its way. Under binds that never end: first after ``patience`` seconds, then ``every`` so many."""
        self._quiet = quiet
        self._patience = patience
        self._every = every
        self._clock = clock
        self._due: float | None = None
        """When the next one goes through although binds are on their way; None while none are."""

    async def turn(self) -> None:
        """Wait for the turn."""
        if not self._quiet.is_set():
            if self._due is None:
                self._due = self._clock() + self._patience
            try:
                async with asyncio.timeout(self._due - self._clock()):
                    await self._quiet.wait()
            except TimeoutError:
                self._due = self._clock() + self._every
                return
        self._due = None
