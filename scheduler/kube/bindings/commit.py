"""Binds a whole gang: one commit record, then every member at once, then the record is settled. A gang of one needs no record.

The record's write is the commit point: before it nothing has happened, after it the group *will* be bound, by us or by the next leader
(`scheduler.kube.bindings.recover`). It is one conditional write: create by a name that another leader would choose too, or rewrite by
resourceVersion with a higher epoch. Judging the plan and assuming its seats in the cache come before and are the caller's.

What remains open: a process that is paused between its last look at the Lease and one write can bind a lone pod, or write the record of a
new gang, on room that was given away meanwhile. The next snapshot shows it: the kubelet refuses the lone pod, the record is superseded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from scheduler.kube.api import PLACEMENTS, Api
from scheduler.kube.bindings.bind import Binder, Seated
from scheduler.kube.bindings.records import MOST_SEATS, body, new_record, placement, record_name, rewrite, seats_of
from scheduler.kube.bindings.settle import Settler
from scheduler.kube.errors import ApiError, Conflict, Unreachable
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed
from scheduler.state.record import Record, RecordSeat

IN_FLIGHT: Final = 32
"""Binds that are on their way at one moment, over all gangs."""


class Leadership(Protocol):
    """What is asked of the Lease."""

    identity: str
    term: int

    def held(self) -> bool:
        """Whether we surely lead at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Every member is bound; ``record`` is None for a gang of one."""

    record: Record | None
    seats: tuple[Seated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Every member that exists is bound; the record holds the seats of those that their controller creates later."""

    record: Record
    seats: tuple[Seated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partly:
    """Some members could not be bound. With a record it stays open, and `scheduler.kube.bindings.recover` finishes or supersedes it."""

    record: Record | None
    seats: tuple[Seated, ...]

    @property
    def failed(self) -> tuple[Seated, ...]:
        """The seats that are in the way."""
        return tuple(s for s in self.seats if s.state not in ("bound", "absent"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was bound and nothing written. ``reason`` is one word: NotLeading, TooLarge, RecordOpen, Conflict, or the server's own."""

    reason: str
    message: str


Outcome: TypeAlias = Bound | Committed | Partly | Refused


class Committer:
    """Carries plans out."""

    def __init__(self, api: Api, leadership: Leadership, *, in_flight: int = IN_FLIGHT, clock: Callable[[], float] = time.time) -> None:
        """Write through this server, while this Lease is held; ``in_flight`` binds at one moment; ``clock`` is the calendar's (for deadlines)."""
        self.binder = Binder(api)
        self.settler = Settler(api)
        self._api = api
        self._leadership = leadership
        self._clock = clock
        self._slots = asyncio.Semaphore(in_flight)

    async def commit(self, plan: Placed, known: Record | None = None) -> Outcome:
        """Carry a plan out. ``known`` is the gang's record where the cache has one: it must be settled, and is written anew."""
        if not self._leadership.held():
            return _not_leading()
        if len(plan.seats) > MOST_SEATS:
            return Refused(reason="TooLarge", message=f"The gang has {len(plan.seats)} members; one record holds at most {MOST_SEATS}.")
        seats, pods = seats_of(plan), {s.member.pod.name: s.member.pod for s in plan.seats if not s.member.held}
        if len(plan.gang.members) == 1:
            return await self._lone(seats[0], pods[seats[0].pod])
        try:
            record = await self._write(plan, seats, known)
        except ApiError as error:
            return Refused(reason=error.reason or type(error).__name__, message=error.message)
        return record if isinstance(record, Refused) else await self.forward(record, pods)

    async def forward(self, record: Record, pods: Mapping[str, Pod]) -> Outcome:
        """Bind every member as the record says, and settle it. ``pods`` by name; a missing one is not created yet. Bound ones are left."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._seat(record, seat, pods.get(seat.pod))) for seat in record.seats]
        seats = tuple(task.result() for task in tasks)
        done = sum(s.state == "bound" for s in seats)
        record = await self.settler.report(record, bound=done)
        if done == len(seats):
            return Bound(record=record, seats=seats)
        if all(s.state in ("bound", "absent") for s in seats):
            return Committed(record=record, seats=seats)
        return Partly(record=record, seats=seats)

    async def raise_epoch(self, record: Record) -> Record | Refused:
        """Begin to supersede: from now on no bind for the old assignment is started. Members stay as they are."""
        return await self.rewrite(record, record.seats)

    async def rewrite(self, record: Record, seats: Sequence[RecordSeat]) -> Record | Refused:
        """Write another assignment with a higher epoch, if the record still is what we read."""
        if not self._leadership.held():
            return _not_leading()
        wanted = replace(record, epoch=record.epoch + 1, seats=tuple(seats), written_by=self._signature)
        path = PLACEMENTS.path(record.namespace, record.name)
        try:
            return placement(await self._api.patch(path, rewrite(wanted)))
        except Unreachable as lost:
            return await self._landed(wanted) or Refused(reason="Unreachable", message=lost.message)
        except ApiError as error:
            return Refused(reason=error.reason or type(error).__name__, message=error.message)

    @property
    def _signature(self) -> str:
        return f"{self._leadership.identity}/{self._leadership.term}"

    async def _lone(self, seat: RecordSeat, pod: Pod) -> Outcome:
        async with self._slots:
            if not self._leadership.held():
                return _not_leading()
            found = await self.binder.bind(pod, seat, None)
        return (Bound if found.state == "bound" else Partly)(record=None, seats=(found,))

    async def _write(self, plan: Placed, seats: tuple[RecordSeat, ...], known: Record | None) -> Record | Refused:
        deadline = self._clock() + plan.gang.timeout_seconds
        if known is None:
            wanted = new_record(plan.gang, seats, deadline=deadline, written_by=self._signature)
            try:
                return placement(await self._api.post(PLACEMENTS.path(wanted.namespace), body(wanted, plan.gang.owner)))
            except Unreachable as lost:
                return await self._landed(wanted) or Refused(reason="Unreachable", message=lost.message)
            except Conflict:
                known = placement(await self._api.get(PLACEMENTS.path(wanted.namespace, record_name(plan.gang))))
        if known.open:
            return Refused(reason="RecordOpen", message=f"The record {known.key} (epoch {known.epoch}) must be finished or superseded first.")
        if known.terminating:
            return Refused(reason="RecordTerminating", message=f"The record {known.key} of the gang's former owner is still being deleted.")
        return await self.rewrite(replace(known, deadline=deadline), seats)

    async def _landed(self, wanted: Record) -> Record | None:
        """Look whether a write whose answer was lost has happened."""
        try:
            found = placement(await self._api.get(PLACEMENTS.path(wanted.namespace, wanted.name)))
        except ApiError:
            return None
        ours = (found.epoch, found.seats, found.written_by) == (wanted.epoch, wanted.seats, wanted.written_by)
        return found if ours else None

    async def _seat(self, record: Record, seat: RecordSeat, pod: Pod | None) -> Seated:
        if pod is None and not seat.uid:
            return Seated(seat=seat, state="absent", message=f"the pod {seat.pod} is not created yet")
        if pod is None or (seat.uid and pod.uid != seat.uid):
            return Seated(seat=seat, state="gone" if pod is None else "replaced", message=f"the pod {seat.pod} with UID {seat.uid} is gone")
        if pod.node == seat.node:
            return Seated(seat=seat, state="bound")
        async with self._slots:
            return await self.binder.bind(pod, seat, record)


def _not_leading() -> Refused:
    return Refused(reason="NotLeading", message="The Lease is not held any more; the new leader decides.")
