"""What is remembered about each gang between two looks at it: the last answer, backoff, time-out, nodes that refused.

A gang whose answer was no is not decided again before something changes that can help it: its own objects, or the cluster
(`scheduler.service.questions`). Nodes that refused a pod are remembered by `scheduler.service.shunned`.
Pure but for the jitter; the clock is an argument everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from scheduler.config import BackoffConfig
from scheduler.service.questions import Question
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.plan import Plan, Unplaced

SPREAD: Final = (0.5, 1.5)
CHANGED_SECONDS: Final = 0.05
"""The first pause after a plan that no longer held when it was made."""
ERROR: Final = "SchedulerError"
"""The reason where nothing else explains a trouble: a bug."""
PASSING: Final = 3
"""Times that something which passes by itself may go wrong before it is told."""
RIPE_SECONDS: Final = 2.0
"""A wait that lasts longer is told to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One moment at which gangs are looked at."""

    now: float
    """Monotonic, in seconds."""
    calendar: float
    """Seconds since the epoch."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """What is remembered about one gang."""

    since: float
    """Monotonic seconds when its waiting reason was seen first."""
    waits: str = ""
    """The reason it waits for, as a code."""
    ready: float | None = None
    """Monotonic seconds when it was seen to wait no more; ``None``: it never did."""
    asked: Gang | None = None
    """The gang as it was decided last."""
    seen: Gang | None = None
    """The very value that was compared with ``asked`` last."""
    plan: Plan | None = None
    decisions: int = 0
    answered: bool = False
    """Whether the last answer holds until something changes; else the next look may decide."""
    question: Question | None = None
    """What was asked when the last no was said, where the cluster can change the answer."""
    no_since: float | None = None
    """Monotonic seconds of the first proved no since it was bound last."""
    failures: int = 0
    not_before: float = 0.0
    look_again: float = inf
    """When a no is to be asked again although nothing changed: a node that refused may be proposed again."""
    timed_out: bool = False
    late: str = ""
    """What was said last when the gang had waited too long."""
    trouble: str = ""
    trouble_code: str = ERROR
    """The reason of the trouble, a row of REASONS."""
    warned: str = ""
    """The last trouble that was new."""


class Attempts:
    """The memory over all gangs."""

    def __init__(self, backoff: BackoffConfig, *, seed: int | None = None) -> None:
        """Begin without memories."""
        self._backoff = backoff
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._of: dict[GangKey, Attempt] = {}

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
                attempt.ready = now if not code else None
                attempt.since, attempt.waits = now, code
            alive[gang.key] = attempt
        self._of = alive

    def due(self, gang: Gang, look: Look) -> bool:
        """Whether the gang is worth deciding now, as far as its own past tells."""
        attempt = self._of[gang.key]
        if look.now < attempt.not_before:
            return False
        if not attempt.answered or (attempt.question is not None and attempt.question.open):
            return True
        return look.now >= attempt.look_again or self._changed(attempt, gang)

    def questions(self) -> Iterable[Question | None]:
        """Return what gangs wait to hear another answer to."""
        return (attempt.question for attempt in self._of.values())

    def refused_since(self, gang: Gang) -> float | None:
        """Return the monotonic moment since which a gang is told a proved no; ``None``: it is not, or it has waited too long already."""
        attempt = self._of.get(gang.key)
        if attempt is None or attempt.timed_out or gang.waiting is not None or not isinstance(attempt.plan, Unplaced):
            return None
        return attempt.no_since if attempt.plan.status == "INFEASIBLE" else None

    def ripe(self, gang: Gang, now: float) -> bool:
        """Whether the gang has waited for its reason long enough to tell people."""
        attempt = self._of.get(gang.key)
        return attempt is not None and now - attempt.since >= RIPE_SECONDS

    def backing_off(self, gang: Gang, now: float) -> bool:
        """Whether the gang waits for the end of its backoff."""
        attempt = self._of.get(gang.key)
        return attempt is not None and now < attempt.not_before

    def answered(self, plan: Plan, look: Look, *, question: Question | None = None, final: bool = False, look_again: float = inf) -> None:
        """Remember a decision; ``look`` is the moment at which its question was put.

        ``final``: the answer holds until the gang's own objects change or ``question`` may be answered otherwise.
        """
        attempt = self._of.get(plan.gang.key)
        if attempt is None:
            return
        attempt.asked = attempt.seen = plan.gang
        attempt.plan, attempt.trouble = plan, ""
        attempt.decisions += 1
        refused = isinstance(plan, Unplaced)
        attempt.answered, attempt.question, attempt.look_again = refused or final, question, look_again
        if isinstance(plan, Unplaced) and plan.status == "INFEASIBLE" and attempt.no_since is None:
            attempt.no_since = look.now
        if isinstance(plan, Unplaced) and (plan.status == "UNKNOWN" or attempt.timed_out):
            # The cluster has changed under a decision: that is over soon. A budget that ended may do better on a quieter machine.
            self._back_off(attempt, look.now, first=CHANGED_SECONDS if plan.reason == "PlanRefused" else None)
            if plan.status == "UNKNOWN":
                attempt.look_again = attempt.not_before

    def explain(self, key: GangKey, plan: Plan) -> None:
        """Say the last answer in other words."""
        attempt = self._of.get(key)
        if attempt is not None:
            attempt.plan = plan

    def failed(self, key: GangKey, now: float, trouble: str, *, code: str = ERROR, passing: bool = False) -> bool:
        """Remember that a decision or a commit failed: the gang is tried again after a pause that doubles.

        ``passing``: it is no trouble before it has gone wrong several times. Return whether there is something new to say.
        """
        attempt = self._of.get(key)
        if attempt is None:
            return False
        said = "" if passing and attempt.failures < PASSING else trouble
        new = bool(said) and said != attempt.warned
        attempt.warned = said or attempt.warned
        attempt.trouble, attempt.trouble_code, attempt.answered, attempt.question = said, code, False, None
        self._back_off(attempt, now)
        return new

    def held_up(self, key: GangKey, trouble: str, *, code: str) -> None:
        """Note why a gang cannot be decided for now, although nothing of it failed; its next answer takes that back."""
        attempt = self._of.get(key)
        if attempt is not None:
            attempt.trouble, attempt.trouble_code, attempt.answered = trouble, code, False

    def succeeded(self, key: GangKey) -> None:
        """Forget failures: the gang is bound."""
        attempt = self._of.get(key)
        if attempt is not None:
            attempt.failures, attempt.not_before, attempt.timed_out, attempt.trouble, attempt.no_since = 0, 0.0, False, "", None
            attempt.warned = ""

    def late(self, gang: Gang, look: Look) -> bool:
        """Whether the gang has waited too long and nobody has noted it. A gang that was never answered is decided first."""
        attempt = self._of[gang.key]
        if attempt.timed_out or look.now < _deadline(attempt, gang, look):
            return False
        return isinstance(attempt.plan, Unplaced) or bool(attempt.trouble)

    def time_out(self, gang: Gang, look: Look) -> bool:
        """Note that the gang has waited too long; True only the first time."""
        if not self.late(gang, look):
            return False
        attempt = self._of[gang.key]
        attempt.timed_out = True
        attempt.late = attempt.plan.message if isinstance(attempt.plan, Unplaced) else attempt.trouble
        self._back_off(attempt, look.now)
        return True

    def deadline(self, gang: Gang, look: Look) -> float:
        """Return the monotonic moment at which the gang has waited too long; never, where that is noted."""
        attempt = self._of[gang.key]
        return inf if attempt.timed_out else _deadline(attempt, gang, look)

    def wake_at(self, gang: Gang, look: Look) -> float:
        """Return the monotonic moment at which the gang must be looked at although nothing happens."""
        attempt = self._of[gang.key]
        moments = [attempt.not_before, attempt.look_again]
        if gang.waiting is None and not attempt.timed_out:
            moments.append(_deadline(attempt, gang, look))
        if gang.waiting is not None:
            moments.append(attempt.since + RIPE_SECONDS)
        return min((moment for moment in moments if moment > look.now), default=inf)

    def _changed(self, attempt: Attempt, gang: Gang) -> bool:
        if attempt.seen is gang:
            return False
        changed = attempt.asked is None or _without_versions(attempt.asked) != _without_versions(gang)
        if not changed:
            attempt.seen = gang
        return changed

    def _back_off(self, attempt: Attempt, now: float, *, first: float | None = None) -> None:
        pause = min(self._backoff.longest_seconds, (first or self._backoff.first_seconds) * 2.0 ** min(attempt.failures, 30))
        attempt.failures += 1
        attempt.not_before = now + pause * self._random.uniform(*SPREAD)


def _deadline(attempt: Attempt, gang: Gang, look: Look) -> float:
    """Return the monotonic moment at which the gang has waited too long: while a gate or a missing object held it up, no time ran."""
    began = look.now + gang.created - look.calendar
    return gang.timeout_seconds + (began if attempt.ready is None else max(began, attempt.ready))


def _without_versions(gang: Gang) -> Gang:
    """Return the gang without what changes when somebody only writes a condition on a pod."""
    members = tuple(replace(m, pod=replace(m.pod, resource_version="", reason="")) for m in gang.members)
    return replace(gang, members=members)
