"""What is decided next: one gang, or the window that it begins, the gangs of its priority that are due behind it in the same turn.

The gangs of a window are decided before any of them gives its seats away, so that they can be placed jointly where one would leave no room
for another (`scheduler.decide.competition`). A gang that nobody waits behind never pays for that. What does not hold any more when a window is
decided is decided once more, gang by gang.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Final

from scheduler.kube.group.groups import Grouping, GroupRef
from scheduler.metrics import Metrics
from scheduler.service.attempts import Look
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Answer, Decider
from scheduler.service.feed import Feed
from scheduler.service.memory import Memory
from scheduler.service.questions import Question
from scheduler.service.shunned import keeper
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.plan import Unplaced

logger = logging.getLogger(__name__)

GANGS: Final = 8
"""Gangs of a window at most: the first of them waits until the last one is decided."""


class Windows:
    """Chooses what is decided next, and decides windows."""

    def __init__(
        self,
        decider: Decider,
        memory: Memory,
        carrier: Carrier,
        feed: Feed,
        metrics: Metrics,
        *,
        served: Callable[[str], bool],
    ) -> None:
        """Choose among gangs of namespaces that are ``served``."""
        self._decider = decider
        self._memory = memory
        self._carrier = carrier
        self._feed = feed
        self._metrics = metrics
        self._served = served
        self._singly: frozenset[GangKey] = frozenset()
        """Gangs whose window did not hold: each is decided alone next time."""

    def due(self, queue: Iterable[Gang], look: Look) -> tuple[Gang, ...]:
        """Return the first gangs of the queue that are worth deciding now, as many as a window holds."""
        due = (gang for gang in queue if self._memory.attempts.due(gang, look) and not self._carrier.occupied(gang))
        return tuple(islice(due, GANGS))

    def alike(self, due: Sequence[Gang], look: Look) -> list[tuple[Question, Unplaced]]:
        """Return the answers to the first gangs that are due, as far as others that ask the same have them already."""
        found = (self._same(gang, look) for gang in due)
        return [answer for answer in takewhile(lambda answer: answer is not None, found) if answer is not None]

    def next(self, due: Sequence[Gang], grouping: Grouping, look: Look) -> tuple[Gang, ...]:
        """Return the gangs to decide now, in the order of the queue; empty: none is due."""
        if not due:
            return tuple(self._unreviewed(grouping, look))[:1]
        first = due[0]
        joining = takewhile(lambda gang: self._joins(gang, first, look), due)
        window = tuple(gang for gang in joining if gang is first or self._same(gang, look) is None)
        if self._decider.jointly and len(window) > 1:
            return window
        self._singly -= {first.key}
        return (first,)

    async def decide(self, window: Sequence[Gang]) -> tuple[Answer, ...]:
        """Return the answers that hold, from the first gang on; the others are decided alone in turns to come. Hold the decider's lock."""
        answers: tuple[Answer, ...] = ()
        try:
            answers = await self._decider.together(window)
        except Exception:
            self._metrics.count("coterie_errors", "decide")
            logger.exception("deciding %d gangs together failed; they are decided one by one", len(window))
        self._singly = frozenset(gang.key for gang in window[len(answers) :])
        return answers

    def group(self, gang: Gang) -> GroupRef | None:
        """Return under whom refusals of the gang's pods are remembered."""
        found = ((ref, m.pod) for m in gang.members if not m.held and (ref := self._feed.index.group(m.pod.uid)) is not None)
        return next((keeper(ref, pod) for ref, pod in found), None)

    def refused(self, gang: Gang, now: float) -> Mapping[NodeName, float]:
        """Return the nodes that are not to be proposed to the gang, and until when."""
        return self._memory.shunned.of(self.group(gang), now)

    def _joins(self, gang: Gang, first: Gang, look: Look) -> bool:
        """Whether a gang may be decided together with the first one: it sees the same cluster."""
        if gang.key in self._singly or gang.priority != first.priority or self.refused(gang, look.now):
            return False
        return gang is first or self._memory.reservations.lane(gang) == self._memory.reservations.lane(first)

    def _same(self, gang: Gang, look: Look) -> tuple[Question, Unplaced] | None:
        without, lane = self.refused(gang, look.now), self._memory.reservations.lane(gang)
        return self._memory.questions.same(gang, self._decider.view(gang), without=without, held=lane)

    def _ready(self, gang: Gang, look: Look) -> bool:
        return gang.waiting is None and self._served(gang.namespace) and self._memory.attempts.due(gang, look)

    def _unreviewed(self, grouping: Grouping, look: Look) -> Iterator[Gang]:
        """Yield gangs that were bound before we came and whose PodGroup wants its cost."""
        for gang in grouping.settled:
            attempt = self._memory.attempts.of(gang.key)
            if gang.pod_group is not None and attempt is not None and attempt.plan is None and self._ready(gang, look):
                yield gang
