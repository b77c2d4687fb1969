"""Questions that were answered with no: which of them may have another answer now, and gangs that ask the same get the same answer.

Whether a change can help is `scheduler.decide.hints`; it is asked once for each question and change, however many gangs wait for an answer.
Should a hint ever be wrong, every question is asked again after a while all the same; these moments are spread, and become rarer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from scheduler.decide.arrays import roles
from scheduler.decide.hints import Difference, Refusal, difference, need_of
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

SWEEP_SECONDS: Final = 300.0
"""When a question is asked again for the first time although nothing that can help was seen: a safety net. Doubled with every further no."""
LONGEST_SWEEP: Final = 2_400.0
_SPREAD: Final = (0.5, 1.5)

View: TypeAlias = Callable[[Gang], Snapshot]


@dataclass(slots=True, kw_only=True, eq=False)
class Question:
    """One question, its answer, and whether it is worth asking again."""

    key: Hashable
    plan: Plan
    refusal: Refusal
    sweep_at: float
    """Monotonic seconds when it is asked again in any case."""
    nos: int
    open: bool = False
    """Whether something has happened since that can change the answer."""


class Questions:
    """What was answered with no, as long as some gang waits for another answer."""

    def __init__(self, *, seed: int | None = None) -> None:
        """Begin without questions."""
        self._random = random.Random(seed)  # noqa: S311 - spreads moments, no secret
        self._known: dict[Hashable, Question] = {}

    def refused(self, plan: Plan, seen: Snapshot, now: float, *, without: Collection[NodeName] = (), held: Hashable = ()) -> Question:
        """Remember that a gang was refused (or got no further seat) on the cluster that it saw.

        ``without``: nodes that were not proposed; ``held``: what tells apart which room was held back from it.
        """
        key = key_of(plan.gang, seen, without=without, held=held)
        before = self._known.get(key)
        nos = 0 if before is None else before.nos + 1
        if before is not None:
            before.open = True  # whoever waits for it hears the newer answer
        pause = min(LONGEST_SWEEP, SWEEP_SECONDS * 2.0 ** min(nos, 10)) * self._random.uniform(*_SPREAD)
        refusal = Refusal(need=need_of(plan.gang), seen=seen)
        found = self._known[key] = Question(key=key, plan=plan, refusal=refusal, sweep_at=now + pause, nos=nos)
        return found

    def same(self, gang: Gang, seen: Snapshot, *, without: Collection[NodeName] = (), held: Hashable = ()) -> tuple[Question, Unplaced] | None:
        """Return the answer to a gang whose question was answered with a proved no that still holds."""
        found = self._known.get(key_of(gang, seen, without=without, held=held)) if self._known else None
        if found is None or found.open or not isinstance(found.plan, Unplaced) or found.plan.status != "INFEASIBLE":
            return None
        return found, _about(found.plan, gang)

    def update(self, view: View, now: float) -> None:
        """Look at what is different since the last look; ``view`` gives the cluster as a gang sees it."""
        compared: dict[tuple[int, int], Difference] = {}
        for question in self._known.values():
            if question.open:
                continue
            before, after = question.refusal.seen, view(question.plan.gang)
            if before is not after:
                pair = (id(before), id(after))
                if pair not in compared:
                    compared[pair] = difference(before, after)
                question.open = question.refusal.helped(compared[pair])
            if now >= question.sweep_at:
                question.open = True

    def keep(self, waited_for: Iterable[Question | None]) -> None:
        """Forget the questions that nobody waits for."""
        alive = {id(question) for question in waited_for}
        self._known = {key: question for key, question in self._known.items() if id(question) in alive}

    def next_sweep(self) -> float:
        """Return the monotonic moment at which a question is asked again in any case."""
        return min((question.sweep_at for question in self._known.values() if not question.open), default=float("inf"))


def key_of(gang: Gang, seen: Snapshot, *, without: Collection[NodeName] = (), held: Hashable = ()) -> Hashable:
    """Return what a gang asks for: with equal keys, on equal clusters, the answer to one gang is the answer to all."""
    wanted = tuple((members[0].role, members[0].pod.shape, len(members)) for members in roles(gang))
    fixed = tuple(sorted(str(member.pod.node) for member in gang.fixed))
    # In segments the place of each member counts; labels count where somebody keeps others away by them.
    places = tuple((m.rank, m.role, m.pod.shape, m.pod.node) for m in gang.members) if gang.demand.segments else ()
    labels = frozenset(tuple(sorted(m.pod.labels.items())) for m in gang.pending) if seen.repelling else frozenset()
    demand = replace(gang.demand, source="", segments_object="", segments_field="")
    kind = (gang.workload.kind, gang.namespace if seen.repelling else "")
    return (gang.priority, kind, demand, gang.min_member, wanted, fixed, places, labels, frozenset(without), held)


def _about(plan: Unplaced, gang: Gang) -> Unplaced:
    """Return another gang's answer with the names of this one."""
    theirs, ours = (f"{one.workload.kind}/{one.workload.name}" for one in (plan.gang, gang))
    advice = tuple(replace(each, object=ours) if each.object == theirs else each for each in plan.advice)
    message = plan.message.replace(plan.gang.demand.source, gang.demand.source)
    return replace(plan, gang=gang, message=message, advice=advice)


def gained(plan: Placed) -> bool:
    """Tell whether a plan gives anybody a seat who has none."""
    return any(not seat.bound for seat in plan.seats)
