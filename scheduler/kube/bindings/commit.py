"""Binds a whole gang: one commit record, then every member at once, then the record is settled. A gang of one needs no record.

The record's write is the commit point: before it nothing has happened, after it the group *will* be bound, by us or by the next leader
(`scheduler.kube.bindings.recover`). It is one conditional write: create by a name that another leader would choose too, or rewrite by
resourceVersion with a higher epoch. Judging the plan and assuming its seats in the cache come before and are the caller's.

What remains open: a process that is paused between its last look at the Lease and one write can bind a lone pod, or write the record of a
new gang, on room that was given away meanwhile. The next snapshot shows it: the kubelet refuses the lone pod, the record is superseded.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from scheduler.kube.api import PLACEMENTS, Api
from scheduler.kube.bindings.bind import Binder, Seated
from scheduler.kube.bindings.outcomes import Bound, Committed, Outcome, Partly, Refused
from scheduler.kube.bindings.pace import Pace
from scheduler.kube.bindings.records import MOST_SEATS, answered, body, new_record, placement, record_name, rewrite, seats_of
from scheduler.kube.bindings.settle import Settler
from scheduler.kube.bindings.unusable import CORRECT, UNREADABLE, cannot_be_used
from scheduler.kube.errors import ApiError, Conflict, Unreachable
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed
from scheduler.state.problems import BadInput
from scheduler.state.record import Record, RecordSeat

__all__ = ["Bound", "Committed", "Committer", "Leadership", "Outcome", "Partly", "Refused"]

IN_FLIGHT: Final = 128
"""Binds that are on their way at one moment at most, over all gangs; how many are is found by `scheduler.kube.bindings.pace`."""
SETTLING: Final = 8
"""Records that are settled at one moment: what is written behind the binds must not crowd them out when they begin again."""
_CHANGED: Final = "A node of the plan has changed while the record was written; its seats are judged anew."
BEHIND_SECONDS: Final = 2.0
"""How long a bound gang's record may stay open because other gangs are being bound."""


class Leadership(Protocol):
    """What is asked of the Lease."""

    identity: str
    term: int

    def held(self) -> bool:
        """Whether we surely lead at this moment."""


class Committer:
    """Carries plans out."""

    def __init__(self, api: Api, leadership: Leadership, *, in_flight: int = IN_FLIGHT, clock: Callable[[], float] = time.time) -> None:
        """Write through this server, while this Lease is held; ``in_flight`` binds at one moment; ``clock`` is the calendar's (for deadlines)."""
        self.binder = Binder(api)
        self.settler = Settler(api)
        self._api = api
        self._leadership = leadership
        self._clock = clock
        self._pace = Pace(most=in_flight)
        self._behind = asyncio.Semaphore(SETTLING)
        self._binding = 0
        self._calm = asyncio.Event()
        self._calm.set()

    @property
    def term(self) -> int:
        """The Lease's term when we took it last: a later one means that somebody else may have led in between."""
        return self._leadership.term

    def leading(self) -> bool:
        """Whether we surely lead at this moment: asked right before a write that nothing else guards."""
        return self._leadership.held()

    async def commit(self, plan: Placed, known: Record | None = None, *, settle: bool = True, still: Callable[[], bool] = lambda: True) -> Outcome:
        """Carry a plan out. ``known`` is the gang's record where the cache has one: it must be settled, and is written anew.

        Without ``settle`` the answer comes when the members are bound, and `settle` is still to be called with it. ``still`` is asked between the
        record's write and the first bind: where it is False nobody is bound, and the record is left open, to be judged anew.
        """
        term = self.term
        if not self.leading():
            return not_leading()
        if len(plan.seats) > MOST_SEATS:
            return Refused(reason="TooLarge", message=f"The gang has {len(plan.seats)} members; one record holds at most {MOST_SEATS}.")
        seats, pods = seats_of(plan), {s.member.pod.name: s.member.pod for s in plan.seats if not s.member.held}
        if len(plan.gang.members) == 1:
            return await self._lone(seats[0], pods[seats[0].pod])
        try:
            record = await self._write(plan, seats, known)
        except ApiError as error:
            return _refused(error)
        except BadInput as unusable:
            place = f"{plan.gang.namespace}/{record_name(plan.gang)}"
            return Refused(reason=UNREADABLE, message=f"{cannot_be_used(place, unusable)} {CORRECT}")
        if isinstance(record, Refused):
            return record
        if not still():
            return Partly(record=record, seats=tuple(Seated(seat=seat, state="unreachable", message=_CHANGED) for seat in record.seats))
        return await self.forward(record, pods, settle=settle, term=term)

    async def forward(self, record: Record, pods: Mapping[str, Pod], *, settle: bool = True, term: int | None = None) -> Outcome:
        """Bind every member as the record says, and settle it. ``pods`` by name; a missing one is not created yet. Bound ones are left.

        ``term``: that of the Lease when the assignment was decided; under a later one it is judged anew before anybody is bound.
        """
        asked = self.term if term is None else term
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._seat(record, seat, pods.get(seat.pod), asked)) for seat in record.seats]
        seats = tuple(task.result() for task in tasks)
        outcome = _outcome(record, seats)
        return await self.settle(outcome) if settle else outcome

    async def settle(self, outcome: Outcome) -> Outcome:
        """Write how far the record is carried out. That waits for the binds of other gangs, but not for long."""
        if isinstance(outcome, Refused) or outcome.record is None:
            return outcome
        if not isinstance(outcome, Bound) and not self.leading():
            return outcome  # who leads now knows better how far it is
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEHIND_SECONDS):
                await self._calm.wait()
        async with self._behind:
            record = await self.settler.report(outcome.record, bound=sum(seat.state == "bound" for seat in outcome.seats))
        return replace(outcome, record=record)

    async def raise_epoch(self, record: Record) -> Record | Refused:
        """Begin to supersede: from now on no bind for the old assignment is started. Members stay as they are."""
        return await self.rewrite(record, record.seats)

    async def rewrite(self, record: Record, seats: Sequence[RecordSeat]) -> Record | Refused:
        """Write another assignment with a higher epoch, if the record still is what we read."""
        if not self.leading():
            return not_leading()
        # What its status says is about the former epoch; a group that is being given up is never rewritten.
        wanted = replace(record, epoch=record.epoch + 1, seats=tuple(seats), written_by=self.signature)
        path = PLACEMENTS.path(record.namespace, record.name)
        try:
            return answered(wanted, await self._api.patch(path, rewrite(wanted)))
        except (Unreachable, Conflict) as lost:
            return await self._landed(wanted) or _refused(lost)
        except ApiError as error:
            return _refused(error)

    @property
    def signature(self) -> str:
        """What a record says that was written by us in this term."""
        return f"{self._leadership.identity}/{self._leadership.term}"

    async def _lone(self, seat: RecordSeat, pod: Pod) -> Outcome:
        async with self._bind_slot():
            if not self.leading():
                return not_leading()
            found = await self._bound(pod, seat, None)
        return (Bound if found.state == "bound" else Partly)(record=None, seats=(found,))

    async def _write(self, plan: Placed, seats: tuple[RecordSeat, ...], known: Record | None) -> Record | Refused:
        deadline = self._clock() + plan.gang.timeout_seconds
        if known is None:
            wanted = new_record(plan.gang, seats, deadline=deadline, written_by=self.signature)
            try:
                return answered(wanted, await self._api.post(PLACEMENTS.path(wanted.namespace), body(wanted, plan.gang.owner)))
            except Unreachable as lost:
                return await self._landed(wanted) or _refused(lost)
            except Conflict:
                known = placement(await self._api.get(PLACEMENTS.path(wanted.namespace, record_name(plan.gang))))
                if known.open and _same(known, wanted):
                    return known  # the server got our request twice, and this is the answer to the second
        if known.open:
            return Refused(reason="RecordOpen", message=f"The record {known.key} (epoch {known.epoch}) must be finished or superseded first.")
        if known.terminating:
            return Refused(reason="RecordTerminating", message=f"The record {known.key} of the gang's former owner is still being deleted.")
        return await self.rewrite(replace(known, deadline=deadline), seats)

    async def _landed(self, wanted: Record) -> Record | None:
        """Look whether a write whose answer was lost has happened."""
        try:
            found = placement(await self._api.get(PLACEMENTS.path(wanted.namespace, wanted.name)))
        except (ApiError, BadInput):
            return None
        return found if _same(found, wanted) else None

    async def _seat(self, record: Record, seat: RecordSeat, pod: Pod | None, term: int) -> Seated:
        if pod is None and not seat.uid:
            return Seated(seat=seat, state="absent", message=f"the pod {seat.pod} is not created yet")
        if pod is None or (seat.uid and pod.uid != seat.uid):
            return Seated(seat=seat, state="gone" if pod is None else "replaced", message=f"the pod {seat.pod} with UID {seat.uid} is gone")
        if pod.node == seat.node:
            return Seated(seat=seat, state="bound")
        async with self._bind_slot():
            if not self.leading() or self.term != term:
                # The record of a leader that was paused may claim room that was given away: who leads now judges it before its first bind.
                return Seated(seat=seat, state="unreachable", message=not_leading().message)
            return await self._bound(pod, seat, record)

    async def _bound(self, pod: Pod, seat: RecordSeat, record: Record | None) -> Seated:
        found = await self.binder.bind(pod, seat, record)
        if found.state == "unreachable":
            self._pace.slow_down()
        return found

    @contextlib.asynccontextmanager
    async def _bind_slot(self) -> AsyncIterator[None]:
        """Wait for a bind's turn; while any bind is under way or waits for its turn, nothing is settled."""
        self._binding += 1
        self._calm.clear()
        try:
            async with self._pace.slot():
                yield
        finally:
            self._binding -= 1
            if not self._binding:
                self._calm.set()


def not_leading() -> Refused:
    """Say that somebody else writes now."""
    return Refused(reason="NotLeading", message="The Lease is not held any more; the new leader decides.")


def _outcome(record: Record, seats: tuple[Seated, ...]) -> Bound | Committed | Partly:
    if all(s.state == "bound" for s in seats):
        return Bound(record=record, seats=seats)
    if all(s.state in ("bound", "absent") for s in seats):
        return Committed(record=record, seats=seats)
    return Partly(record=record, seats=seats)


def _same(found: Record, wanted: Record) -> bool:
    """Whether a record is what we meant to write; identity and term are ours alone."""
    return (found.epoch, found.seats, found.written_by) == (wanted.epoch, wanted.seats, wanted.written_by)


def _refused(error: ApiError) -> Refused:
    """Say that nothing was written: by the server's word for it, but a write whose answer is not known is Unreachable, whatever the server said."""
    reason = "Unreachable" if isinstance(error, Unreachable) else error.reason or type(error).__name__
    return Refused(reason=reason, message=error.words)
