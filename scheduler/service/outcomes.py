"""What becomes of answers: a no is remembered, a plan's seats are assumed and carried out, and how that ended is taken in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from scheduler.kube.bindings.commit import Bound, Committed, Outcome, Partly, Refused
from scheduler.kube.bindings.outcomes import Recovered
from scheduler.kube.bindings.unusable import UNREADABLE
from scheduler.metrics import Metrics
from scheduler.service.attempts import Look
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Answer
from scheduler.service.feed import Feed
from scheduler.service.memory import Memory
from scheduler.service.questions import Question, gained
from scheduler.service.record_words import waits_for_eviction
from scheduler.service.telling import Teller
from scheduler.service.window import Windows
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.plan import Decision, Placed, Plan, Unplaced

logger = logging.getLogger(__name__)

_COMMIT_FAILED: Final = "CommitFailed"
_PASSING: Final = ("AlreadyExists", "Conflict", "NotLeading", "RecordOpen")
"""Refusals that say that somebody else, or our own watch, is at another point: the next try sees what they saw."""
_NO_QUESTION = ("UNSUPPORTED", "WAITING")
"""What the cluster cannot change: only the gang's own objects can."""


@dataclass(kw_only=True, eq=False)
class Outcomes:
    """Takes answers and outcomes in."""

    cache: ClusterCache
    feed: Feed
    memory: Memory
    windows: Windows
    carrier: Carrier
    teller: Teller
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Hear of gangs whose records are looked after."""
        self.carrier.tended = self.tended

    def tended(self, gang: Gang | None, outcome: Recovered | None) -> None:
        """Tell the members without a node that their group cannot be given up yet."""
        if gang is not None and waits_for_eviction(outcome):
            self.memory.attempts.held_up(gang.key, outcome.why, code="EvictionRefused")
            self.teller.wanted.set()

    def take(self, answer: Answer, look: Look, without: Mapping[NodeName, float] | None = None) -> None:
        """Remember an answer to a question of that moment; begin to carry it out. ``without``: nodes that were not proposed, and until when."""
        plan = answer.plan
        if isinstance(plan, Placed) and (gained(plan) or not plan.gang.pending):
            self.memory.attempts.answered(plan, look)
            if plan.gang.pending:
                self._carry(plan)
        else:
            self._remember(answer, look, without or {})
        if plan.gang.pending:
            self.teller.decided(answer)
            self.teller.wanted.set()

    def alike(self, question: Question, plan: Unplaced, look: Look) -> None:
        """Remember the answer to a gang that another one was given already."""
        self.memory.attempts.answered(self.memory.reservations.told(plan), look, question=question)
        self.teller.wanted.set()

    def bug(self, gang: Gang, bug: Exception) -> None:
        """Take in that a gang could not be decided."""
        self.metrics.count("coterie_errors", "decide")
        logger.error("deciding %s failed", gang.key, exc_info=bug, extra={"fields": {"gang": gang.key}})
        self.memory.attempts.failed(gang.key, self.clock(), f"The gang could not be decided because of an error in the scheduler: {bug!r:.200}")
        self.teller.wanted.set()

    def give_back(self, key: GangKey) -> None:
        """Give back the seats that are assumed for a gang."""
        if self.cache.assumed(key):
            self.cache.forget(key)
            self.feed.wake.set()

    def _remember(self, answer: Answer, look: Look, without: Mapping[NodeName, float]) -> None:
        plan, question = answer.plan, None
        if isinstance(plan, Placed) or plan.status not in _NO_QUESTION:
            lane = self.memory.reservations.lane(plan.gang)
            question = self.memory.questions.refused(plan, answer.seen, look.now, without=without, held=lane)
        told = self.memory.reservations.told(plan) if isinstance(plan, Unplaced) and plan.status == "INFEASIBLE" else plan
        self.memory.attempts.answered(told, look, question=question, final=True, look_again=min(without.values(), default=inf))

    def _carry(self, plan: Placed) -> None:
        """Count the seats as taken and begin the commit; an error in that costs this gang a pause and nobody a seat."""
        try:
            self.cache.assume(plan)
            self.carrier.commit(plan, self.ended)
        except Exception:
            self.metrics.count("coterie_errors", "commit")
            logger.exception("the commit of %s could not be begun", plan.gang.key)
            self.ended(plan, None)

    def ended(self, plan: Placed, outcome: Outcome | None) -> None:
        """Take in how a commit ended."""
        gang, now = plan.gang, self.clock()
        match outcome:
            case Bound() | Committed():
                self.memory.attempts.succeeded(gang.key)
                self.teller.bound(plan, self.cache.world(), bound=sum(seat.state == "bound" for seat in outcome.seats))
                self._measure(plan, now)
            case Partly():
                failed = "; ".join(f"{seat.seat.pod}: {seat.message or seat.state}" for seat in outcome.failed)
                told = f"{len(outcome.failed)} of {len(outcome.seats)} members could not be bound: {failed}"
                self._failed(gang, now, told, code=_COMMIT_FAILED)
                if outcome.record is None:
                    self.give_back(gang.key)
                self._refused_by_nodes(gang, outcome, now)
            case Refused(reason="TooLarge", message=message):
                self.give_back(gang.key)
                self.memory.attempts.answered(_unsupported(gang, message), Look(now=now, calendar=0.0), final=True)
            case Refused(reason=reason, message=message):
                self.give_back(gang.key)
                unreadable = reason == UNREADABLE
                told = message if unreadable else f"The commit was refused: {message}"
                self._failed(gang, now, told, code=UNREADABLE if unreadable else _COMMIT_FAILED, passing=reason in _PASSING)
            case None:
                self.give_back(gang.key)
                self.memory.attempts.failed(gang.key, now, "The commit failed because of an error in the scheduler; its log has the details.")
        self.teller.wanted.set()

    def _failed(self, gang: Gang, now: float, told: str, *, code: str, passing: bool = False) -> None:
        """Remember a commit that failed, and warn once about each new reason."""
        if self.memory.attempts.failed(gang.key, now, told, code=code, passing=passing):
            logger.warning("%s is not bound: %s", gang.key, told, extra={"fields": {"gang": gang.key, "reason": code}})

    def _refused_by_nodes(self, gang: Gang, outcome: Partly, now: float) -> None:
        group = self.windows.group(gang)
        for seated in outcome.failed:
            if seated.state == "refused" and group is not None:
                self.memory.shunned.refuse(group, seated.seat.node, now)

    def _measure(self, plan: Placed, now: float) -> None:
        """Observe how long it took from the moment when the last member was seen."""
        seen = [self.feed.first_seen[m.pod.uid] for m in plan.gang.pending if m.pod.uid in self.feed.first_seen]
        if seen:
            self.metrics.observe("coterie_gang_seconds", now - max(seen))


def _unsupported(gang: Gang, message: str) -> Plan:
    return Unplaced(gang=gang, status="UNSUPPORTED", reason="NotImplemented", message=message, decision=Decision(engine="none"))
