"""Pauses between tries: doubling, bounded, and spread by chance so that many clients do not come back at one moment."""

from __future__ import annotations

import random
from typing import Final

SPREAD: Final = (0.5, 1.5)


class Backoff:
    """The pauses of one series of tries, in seconds."""

    def __init__(self, *, first: float = 0.2, most: float = 30.0, seed: int | None = None) -> None:
        """Begin with about ``first``, double each time, stay at about ``most``."""
        self._first = first
        self._most = most
        self._failures = 0
        self._seed = seed
        self._chance: random.Random | None = None

    def reset(self) -> None:
        """Begin anew after a success."""
        self._failures = 0

    def next(self, asked: float | None = None) -> float:
        """Return the next pause; never shorter than what the server asked for (Retry-After)."""
        pause = min(self._most, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(asked or 0.0, pause * self.between(*SPREAD))

    def between(self, least: float, most: float) -> float:
        """Return a moment by chance between two."""
        if self._chance is None:  # made when it is needed: seeding costs as much as half a bind, and most calls succeed at once
            self._chance = random.Random(self._seed)  # noqa: S311 - jitter, not a secret
        return self._chance.uniform(least, most)
