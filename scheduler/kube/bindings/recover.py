"""Finishes open records: after a crash or a take-over before anything else is decided, and whenever a commit could not bind everyone.

Order: first every record whose seats are still possible counts them as taken and is rolled forward; only then the others are superseded,
so that a new plan never takes room that an older record promised. Superseding: raise the epoch, touch the members not bound, read
them again, plan the missing ones with the bound ones fixed, rewrite the record, bind. If no plan exists the group is released.

Releasing means eviction for a LeaderWorkerSet alone, of its leader pod, once: that makes the whole group anew. Pods that no controller would
make anew are never evicted; the record says that it is incomplete. Planning is the caller's, through `replan`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from scheduler.kube.bindings.commit import Committer, Outcome, Partly, Refused
from scheduler.kube.bindings.judge import FindPod, Verdict, bound_uids, claim_key, judge
from scheduler.kube.bindings.records import record_name, seats_of
from scheduler.kube.errors import ApiError, Conflict, NotFound
from scheduler.state.assumed import Seating
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.record import Record

LEADER_WORKER_SET = "LeaderWorkerSet"
_OF_THE_MOMENT = ("UNKNOWN", "WAITING")
"""A no of the moment is no reason to give a group up before its deadline."""
Replan: TypeAlias = Callable[[Gang], Awaitable[Plan]]
"""Plans one gang on the cache's newest snapshot, with the bound members fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The record was given up. ``stay`` members remain bound where they are because nothing would make them anew."""

    record: Record
    why: str
    stay: int = 0
    evicted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Nothing more can be done now; the record stays open and is looked at again later."""

    record: Record
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The finalizer is off a finished record whose owner is gone."""

    record: Record


Recovered: TypeAlias = Outcome | Released | Stuck | Closed


class Recovery:
    """Looks after records."""

    def __init__(self, committer: Committer, cache: ClusterCache, replan: Replan, *, clock: Callable[[], float] = time.time) -> None:
        """Act through the committer; ``clock`` is the calendar's."""
        self._committer = committer
        self._cache = cache
        self._replan = replan
        self._clock = clock

    async def tend(self, gangs: Iterable[Gang], *, busy: Iterable[tuple[str, str]] = ()) -> dict[str, Recovered]:
        """Do what every record needs; ``gangs`` are all gangs of the cache's world, ``busy`` records that a commit is working on.

        Return what was done, by ``namespace/name`` of the record. Records that wait for pods to come are held and left out.
        """
        by_record = {(gang.namespace, record_name(gang)): gang for gang in gangs}
        passed = set(busy)
        verdicts = [self._judged(record, by_record.get(key)) for key, record in sorted(self._cache.records.items()) if key not in passed]
        first = [v for v in verdicts if v.action in ("forward", "close", "release")]
        done = dict(zip((v.record.key for v in first), await self._all(first, by_record), strict=True))
        for verdict in verdicts:
            if verdict.action == "supersede":
                done[verdict.record.key] = await self._do(verdict, by_record)
        return done

    def _judged(self, record: Record, gang: Gang | None) -> Verdict:
        """Judge a record on what the records before it left over, and count its seats as taken when they are possible."""
        key = claim_key(record, gang)
        mine = self._cache.assumed(key)
        self._cache.forget(key)
        verdict = judge(record, gang, self._cache.pod_named, self._cache.snapshot(), now=self._clock())
        if verdict.action in ("forward", "wait"):
            self._cache.hold(key, verdict.claims)
        elif not record.open:
            self._cache.hold(key, mine)  # a settled record says nothing about seats that are assumed for another reason
        return verdict

    async def _all(self, verdicts: list[Verdict], gangs: Mapping[tuple[str, str], Gang]) -> list[Recovered]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._do(verdict, gangs)) for verdict in verdicts]
        return [task.result() for task in tasks]

    async def _do(self, verdict: Verdict, gangs: Mapping[tuple[str, str], Gang]) -> Recovered:
        record = verdict.record
        gang = gangs.get((record.namespace, record.name))
        match verdict.action:
            case "forward":
                return await self._committer.forward(record, verdict.pods)
            case "supersede" if gang is not None:
                return await self._supersede(record, gang)
            case "release":
                return await self._release(record, gang, verdict.why)
            case _:
                closed = await self._committer.settler.close(record)
                return Closed(record=record) if closed else Stuck(record=record, why="its finalizer could not be taken off")

    async def _supersede(self, record: Record, gang: Gang) -> Recovered:
        raised = await self._committer.raise_epoch(record)
        if isinstance(raised, Refused):
            return raised
        try:
            fresh = await self._touched(raised, gang)
        except ApiError as error:
            return Stuck(record=raised, why=f"its members could not be read again: {error.message}")
        # The watch may lag behind what was just read: binds that landed count as taken before anything is planned.
        self._cache.hold(gang.key, [Seating(pod=replace(pod, node=None), node=pod.node) for pod in fresh.values() if pod.node is not None])
        plan = await self._replan(_with_pods(gang, fresh))
        if isinstance(plan, Unplaced) and plan.status in _OF_THE_MOMENT and self._clock() <= record.deadline:
            return Stuck(record=raised, why=plan.message)
        if not isinstance(plan, Placed):
            return await self._release(raised, gang, plan.message, find=lambda _, name: fresh.get(name))
        self._cache.assume(plan)
        written = await self._committer.rewrite(raised, seats_of(plan))
        if isinstance(written, Refused):
            self._cache.forget(gang.key)
            return written
        pods = {s.member.pod.name: s.member.pod for s in plan.seats if not s.member.held}
        outcome = await self._committer.forward(written, pods)
        if isinstance(outcome, Partly):
            self._cache.forget(gang.key)
        return outcome

    async def _touched(self, record: Record, gang: Gang) -> dict[str, Pod]:
        """Make stale binds fail, then read every member afresh; members that are gone are left out."""
        members = [m.pod for m in gang.members if not m.held]

        async def one(pod: Pod) -> Pod | None:
            try:
                if pod.node is None:
                    await self._committer.settler.touch(pod, record)
            except (Conflict, NotFound):
                return None
            found = await self._committer.binder.read(pod.namespace, pod.name)
            return found if found is not None and found.uid == pod.uid else None

        found = await asyncio.gather(*(one(pod) for pod in members))
        return {pod.name: pod for pod in found if pod is not None}

    async def _release(self, record: Record, gang: Gang | None, why: str, *, find: FindPod | None = None) -> Recovered:
        """Give the group up: evict its leader where that makes it anew, else leave bound members and say so."""
        self._cache.forget(claim_key(record, gang))
        bound = len(bound_uids(record, find or self._cache.pod_named))
        evicts = bool(bound) and gang is not None and gang.workload.kind == LEADER_WORKER_SET
        if evicts and gang is not None:
            refused = await self._committer.settler.evict(gang.namespace, gang.owner)
            if refused is not None:
                return Stuck(record=record, why=f"{why}; its leader could not be evicted: {refused}")
        message = _told(why, bound, len(record.seats), evicted=evicts)
        released = await self._committer.settler.released(record, bound=bound, message=message)
        if released.terminating:
            await self._committer.settler.close(released)
        return Released(record=released, why=message, stay=0 if evicts else bound, evicted=evicts)


def _with_pods(gang: Gang, fresh: Mapping[str, Pod]) -> Gang:
    members = tuple(m if m.held else replace(m, pod=fresh[m.pod.name]) for m in gang.members if m.held or m.pod.name in fresh)
    return replace(gang, members=members)


def _told(why: str, bound: int, total: int, *, evicted: bool) -> str:
    if evicted:
        return f"Given up: {why}. The leader was evicted, so that the whole group is made anew."
    if bound:
        return f"Given up: {why}. {bound} of {total} members are bound and stay: no controller would make the group anew as a whole."
    return f"Given up: {why}. No member is bound."


def has_open_record(gang: Gang, records: Mapping[tuple[str, str], Record]) -> bool:
    """Whether a gang must not be decided, because its record is still to be carried out or superseded."""
    record = records.get((gang.namespace, record_name(gang)))
    return record is not None and record.open
