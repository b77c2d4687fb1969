"""What is remembered about each gang between two looks at it: the last answer, backoff, time-out, nodes that refused.

A gang whose answer was no is not decided again before something changes that can help it: its own objects, or the cluster (`Look.help`).
Pure but for the jitter; the clock is an argument everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from scheduler.config import BackoffConfig
from scheduler.kube.group.groups import GroupRef
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.plan import Placed, Plan, Unplaced

REFUSED_SECONDS: Final = 60.0
"""How long a node that refused a group's pod is not proposed to that group again."""
SPREAD: Final = (0.5, 1.5)
CHANGED_SECONDS: Final = 0.05
"""The first pause after a plan that no longer held when it was made."""
RIPE_SECONDS: Final = 2.0
"""A wait that lasts longer is told to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One moment at which gangs are looked at."""

    now: float
    """Monotonic, in seconds."""
    calendar: float
    """Seconds since the epoch."""
    help: int
    """Rises with every change of the cluster that can make room or open a node."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """What is remembered about one gang."""

    since: float
    """Monotonic seconds when its waiting reason was seen first."""
    waits: str = ""
    """The reason it waits for, as a code."""
    asked: Gang | None = None
    """The gang as it was decided last, without versions."""
    seen: Gang | None = None
    """The very value that was compared with ``asked`` last."""
    plan: Plan | None = None
    decisions: int = 0
    help: int = -1
    """`Look.help` when the last no was said; -1: the next look may decide."""
    failures: int = 0
    not_before: float = 0.0
    look_again: float = inf
    """When a no is to be asked again although nothing changed: a node that refused may be proposed again."""
    timed_out: bool = False
    trouble: str = ""


class Attempts:
    """The memory over all gangs."""

    def __init__(self, backoff: BackoffConfig, *, seed: int | None = None) -> None:
        """Begin without memories."""
        self._backoff = backoff
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._of: dict[GangKey, Attempt] = {}
        self._refused: dict[GroupRef, dict[NodeName, float]] = {}

    def of(self, key: GangKey) -> Attempt | None:
        """Return what is remembered about a gang."""
        return self._of.get(key)

    def keep(self, gangs: Iterable[Gang], now: float) -> None:
        """Forget gangs that are not among these, begin to remember new ones, and note which reason each waits for."""
        alive: dict[GangKey, Attempt] = {}
        for gang in gangs:
            attempt = self._of.get(gang.key) or Attempt(since=now)
            code = gang.waiting.code if gang.waiting is not None else ""
            if code != attempt.waits:
                attempt.since, attempt.waits = now, code
            alive[gang.key] = attempt
        self._of = alive

    def due(self, gang: Gang, look: Look) -> bool:
        """Whether the gang is worth deciding now, as far as its own past tells."""
        attempt = self._of[gang.key]
        if look.now < attempt.not_before:
            return False
        if not isinstance(attempt.plan, Unplaced) or attempt.help < 0:
            return True
        return attempt.help != look.help or look.now >= attempt.look_again or self._changed(attempt, gang)

    def ripe(self, gang: Gang, now: float) -> bool:
        """Whether the gang has waited for its reason long enough to tell people."""
        attempt = self._of.get(gang.key)
        return attempt is not None and now - attempt.since >= RIPE_SECONDS

    def backing_off(self, gang: Gang, now: float) -> bool:
        """Whether the gang waits for the end of its backoff."""
        attempt = self._of.get(gang.key)
        return attempt is not None and now < attempt.not_before

    def answered(self, plan: Plan, look: Look, *, look_again: float = inf) -> None:
        """Remember a decision; ``look`` is the moment at which its question was put."""
        attempt = self._of.get(plan.gang.key)
        if attempt is None:
            return
        attempt.asked = _without_versions(plan.gang)
        attempt.seen = plan.gang
        attempt.plan, attempt.trouble = plan, ""
        attempt.decisions += 1
        attempt.help, attempt.look_again = (-1, inf) if isinstance(plan, Placed) else (look.help, look_again)
        if isinstance(plan, Unplaced) and (plan.status == "UNKNOWN" or attempt.timed_out):
            # The cluster has changed under a decision: that is over soon. A budget that ended may do better on a quieter machine.
            self._back_off(attempt, look.now, first=CHANGED_SECONDS if plan.reason == "PlanRefused" else None)
            if plan.status == "UNKNOWN":
                attempt.look_again = attempt.not_before

    def failed(self, key: GangKey, now: float, trouble: str) -> None:
        """Remember that a decision or a commit failed: the gang is tried again after a pause that doubles."""
        attempt = self._of.get(key)
        if attempt is not None:
            attempt.trouble, attempt.help = trouble, -1
            self._back_off(attempt, now)

    def succeeded(self, key: GangKey) -> None:
        """Forget failures: the gang is bound."""
        attempt = self._of.get(key)
        if attempt is not None:
            attempt.failures, attempt.not_before, attempt.timed_out, attempt.trouble = 0, 0.0, False, ""

    def time_out(self, gang: Gang, look: Look) -> bool:
        """Note that the gang has waited too long; True only the first time. A gang that was never answered is decided first."""
        attempt = self._of[gang.key]
        if attempt.timed_out or look.calendar < gang.created + gang.timeout_seconds:
            return False
        if not isinstance(attempt.plan, Unplaced) and not attempt.trouble:
            return False
        attempt.timed_out = True
        self._back_off(attempt, look.now)
        return True

    def refuse(self, group: GroupRef, node: NodeName, now: float) -> None:
        """Remember that a node refused a pod of a group."""
        self._refused.setdefault(group, {})[node] = now + REFUSED_SECONDS

    def refused(self, group: GroupRef | None, now: float) -> Mapping[NodeName, float]:
        """Return the nodes that are not to be proposed to a group, and until when."""
        if group is None or group not in self._refused:
            return {}
        left = {node: until for node, until in self._refused[group].items() if until > now}
        if left:
            self._refused[group] = left
        else:
            del self._refused[group]
        return left

    def wake_at(self, gang: Gang, look: Look) -> float:
        """Return the monotonic moment at which the gang must be looked at although nothing happens."""
        attempt = self._of[gang.key]
        moments = [attempt.not_before, attempt.look_again]
        if gang.waiting is None and not attempt.timed_out:
            moments.append(look.now + gang.created + gang.timeout_seconds - look.calendar)
        if gang.waiting is not None:
            moments.append(attempt.since + RIPE_SECONDS)
        return min((moment for moment in moments if moment > look.now), default=inf)

    def _changed(self, attempt: Attempt, gang: Gang) -> bool:
        if attempt.seen is gang:
            return False
        changed = attempt.asked != _without_versions(gang)
        if not changed:
            attempt.seen = gang
        return changed

    def _back_off(self, attempt: Attempt, now: float, *, first: float | None = None) -> None:
        pause = min(self._backoff.longest_seconds, (first or self._backoff.first_seconds) * 2.0 ** min(attempt.failures, 30))
        attempt.failures += 1
        attempt.not_before = now + pause * self._random.uniform(*SPREAD)


def _without_versions(gang: Gang) -> Gang:
    """Return the gang without what changes when somebody only writes a condition on a pod."""
    members = tuple(replace(m, pod=replace(m.pod, resource_version="", reason="")) for m in gang.members)
    return replace(gang, members=members)
