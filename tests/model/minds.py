"""The local states of leaders, and what each of them asks next: found by running the real code on the answers so far, and remembered.

A mind is a belief at the start of a turn and the answers that the turn has got. Answers to calls of different tasks are kept without their
order as long as the leader could not tell the difference, so that schedules which differ only in that meet. The real code runs once for each
mind, however many schedules lead there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from tests.model.beliefs import WATCH, Belief, Told, Words
from tests.model.leader import Leader
from tests.model.server import Answer, Call
from tests.model.stepping import CallId

View: TypeAlias = tuple[bool, int, bool]
"""What a leader can see without asking: whether it leads, its term, whether the deadline has passed."""
Given: TypeAlias = tuple[CallId, Answer | Told]


@dataclass(frozen=True, slots=True)
class Mind:
    """A leader's local state; ``log`` is None while it has nothing to do."""

    number: int
    belief: Belief
    fresh: bool = False
    """Whether it has just taken over: then it reads the records, however far its watch lags."""
    log: tuple[tuple[View, tuple[Given, ...]], ...] | None = None

    def started(self, *, fresh: bool) -> Mind:
        """Begin a turn."""
        return replace(self, fresh=fresh, log=())

    def told(self, view: View, about: CallId, answer: Answer | Told) -> Mind:
        """Take an answer."""
        assert self.log is not None
        if self.log and self.log[-1][0] == view:
            return replace(self, log=(*self.log[:-1], (view, tuple(sorted((*self.log[-1][1], (about, answer)), key=lambda given: given[0])))))
        return replace(self, log=(*self.log, (view, ((about, answer),))))


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a mind stands: at calls that wait for their answers, or at the end of its turn."""

    waiting: tuple[tuple[CallId, Call], ...] = ()
    belief: Belief | None = None
    trouble: str = ""
    """What the scheduler's code raised, which it must not."""


_MOST_LIVE: Final = 1000
_FIRST: Final = Stop(waiting=((CallId((0,), 0), WATCH),))


@dataclass(slots=True)
class Minds:
    """All minds by number, and where each stands."""

    known: dict[Mind, int] = field(default_factory=dict)
    all: list[Mind] = field(default_factory=list)
    stops: dict[int, Stop] = field(default_factory=dict)
    next: dict[tuple[int, View, CallId, Answer | Told], int] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    live: dict[int, Leader] = field(default_factory=dict)
    """Leaders that wait at a mind: the first schedule that goes on from there takes its leader along."""

    def number(self, mind: Mind) -> int:
        """Return the number of a mind."""
        found = self.known.get(mind)
        if found is None:
            found = self.known[mind] = len(self.all)
            self.all.append(mind)
        return found

    def stop(self, number: int) -> Stop:
        """Return where a mind stands."""
        if number not in self.stops:
            self.stops[number] = self._run(number)
        return self.stops[number]

    def told(self, number: int, view: View, about: CallId, answer: Answer | Told) -> int:
        """Return the mind after an answer."""
        key = (number, view, about, answer)
        if key not in self.next:
            after = self.next[key] = self.number(self.all[number].told(view, about, answer))
            if after not in self.stops:
                self.stops[after] = self._gone_on(key, after)
        return self.next[key]

    def _gone_on(self, came: tuple[int, View, CallId, Answer | Told], after: int) -> Stop:
        """Find where a new mind stands: go on with the leader that stands at the mind before, if it is still there, else run from the start."""
        leader = self.live.pop(came[0], None)
        if leader is None:
            return self.stop(after)
        _, view, about, answer = came
        leader.answer(about, answer, leads=view[0], term=view[1], late=view[2])
        return self._stands(after, leader)

    def _run(self, number: int) -> Stop:
        mind = self.all[number]
        if mind.log is None:
            return Stop()
        if not mind.log:
            return _FIRST
        leader = Leader(number=mind.number, belief=mind.belief, words=self.words)
        for (leads, term, late), given in mind.log:
            left = dict(given)
            while left:
                about = min(left.keys() & leader.door.waiting.keys())
                leader.answer(about, left.pop(about), leads=leads, term=term, late=late)
        return self._stands(number, leader)

    def _stands(self, number: int, leader: Leader) -> Stop:
        if not leader.turn.done():
            if len(self.live) >= _MOST_LIVE:
                self.live.pop(next(iter(self.live))).loop.close()
            self.live[number] = leader
            return Stop(waiting=tuple(sorted(leader.waiting().items())))
        error = leader.turn.exception()
        return Stop(belief=leader.belief(), trouble="" if error is None else f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End every leader that still waits."""
        while self.live:
            self.live.popitem()[1].loop.close()
