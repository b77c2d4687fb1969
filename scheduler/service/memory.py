"""What the loop remembers between two turns, in one bundle: attempts, questions, reservations, nodes that refused, pods without a gang."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.kube.group.groups import Grouping
from scheduler.service.attempts import Attempts
from scheduler.service.feed import Refusal
from scheduler.service.questions import Questions
from scheduler.service.reserving import Reservations
from scheduler.service.shunned import Shunned
from scheduler.service.strays import Strays


@dataclass(kw_only=True, eq=False)
class Memory:
    """The memories; each is its own module."""

    attempts: Attempts
    reservations: Reservations
    questions: Questions = field(default_factory=Questions)
    shunned: Shunned = field(default_factory=Shunned)
    strays: Strays = field(default_factory=Strays)

    def keep(self, grouping: Grouping, now: float) -> None:
        """Forget what is gone, and begin to remember what is new."""
        self.attempts.keep((*grouping.gangs, *grouping.settled), now)
        self.questions.keep(self.attempts.questions())
        self.reservations.keep(grouping.gangs)

    def refused(self, refusals: Iterable[Refusal], now: float) -> None:
        """Take in which nodes refused pods."""
        for refusal in refusals:
            self.shunned.refuse(refusal.group, refusal.node, now)
