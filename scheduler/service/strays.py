"""Since when pods of a group are members of no gang: most are that for a moment, while their controller makes them anew.

Which pods these are, and why, is `scheduler.kube.group.grouping`; what is said to them, `scheduler.kube.publish.strays`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from scheduler.service.attempts import RIPE_SECONDS
from scheduler.state.ids import PodUid


class Strays:
    """The memory over all such pods."""

    def __init__(self) -> None:
        """Begin without memories."""
        self._why: Mapping[PodUid, str] = {}
        self._since: dict[PodUid, float] = {}
        """Monotonic seconds when each was seen first."""

    def keep(self, strays: Mapping[PodUid, str], now: float) -> None:
        """Take in who is a member of no gang now; whoever is not among these begins anew if he comes back."""
        if strays or self._why:
            self._why = strays
            self._since = {uid: self._since.get(uid, now) for uid in strays}

    def ripe(self, now: float) -> Mapping[PodUid, str]:
        """Return those that have been it long enough to be told, and why they are."""
        return {uid: self._why[uid] for uid, since in self._since.items() if now - since >= RIPE_SECONDS}

    def next(self, now: float) -> float:
        """Return the monotonic moment at which the next one is to be told; never, where none is to come."""
        return min((since + RIPE_SECONDS for since in self._since.values() if now - since < RIPE_SECONDS), default=inf)
