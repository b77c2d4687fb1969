"""Finishes open records: after a crash or a take-over before anything else is decided, and whenever a commit could not bind everyone.

Order: first every record counts its seats as taken and those that are still possible are rolled forward; only then the others are
superseded, so that a new plan never takes room that a record promised. Superseding: raise the epoch, touch the members not bound, read
them again, plan the missing ones with the bound ones fixed, rewrite the record, bind. If no plan exists the group is released
(`scheduler.kube.bindings.release`). What is done when, is `scheduler.kube.bindings.table`. Planning is the caller's, through `replan`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from scheduler.kube.bindings.commit import Committer
from scheduler.kube.bindings.judge import Verdict, claim_key, judge
from scheduler.kube.bindings.outcomes import Closed, Recovered, Refused, Released, Stuck
from scheduler.kube.bindings.records import record_name, seats_of
from scheduler.kube.bindings.release import bound_as_recorded, drop, fence, give_up, resume
from scheduler.kube.errors import ApiError
from scheduler.state.assumed import Seating
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import EMPTY, Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.record import Record
from scheduler.state.snapshot import Snapshot

__all__ = ["Closed", "Recovered", "Recovery", "Released", "Replan", "Stuck"]

_OF_THE_MOMENT: Final = ("UNKNOWN", "WAITING")
"""A no of the moment is no reason to give a group up before its deadline."""
Key: TypeAlias = tuple[str, str]
Replan: TypeAlias = Callable[[Gang], Awaitable[Plan]]
"""Plans one gang on the cache's newest snapshot, with the bound members fixed."""
Heard: TypeAlias = Callable[[Key, Recovered | None], None]
_NOBODY: Final[Mapping[Key, Mapping[str, str]]] = {}


class Recovery:
    """Looks after records."""

    def __init__(self, committer: Committer, cache: ClusterCache, replan: Replan, *, clock: Callable[[], float] = time.time) -> None:
        """Act through the committer; ``clock`` is the calendar's."""
        self._committer = committer
        self._cache = cache
        self._replan = replan
        self._clock = clock

    async def tend(
        self,
        gangs: Iterable[Gang],
        *,
        due: Collection[Key] | None = None,
        turned_away: Collection[str] = (),
        denied: Mapping[Key, Mapping[str, str]] = _NOBODY,
        heard: Heard | None = None,
    ) -> dict[str, Recovered]:
        """Do what these records need, all without ``due``; ``gangs`` are those that they belong to.

        ``turned_away``: UIDs of pods that a kubelet refused; ``denied``: pods of records whose bind the API server refused for good, and its words.
        Return what was done, by ``namespace/name`` of the record; ``heard`` is told of each record as soon as it is done with, None where nothing was
        to be done. Records that wait for pods to come are held and left out. The seats of all are counted as taken before this first yields.
        """
        term = self._committer.term
        by_record = {(gang.namespace, record_name(gang)): gang for gang in gangs}
        verdicts = self._judged(by_record, due, turned_away, denied)
        tell = heard or (lambda _, __: None)
        done: dict[str, Recovered] = {}

        async def work(verdict: Verdict) -> None:
            key = (verdict.record.namespace, verdict.record.name)
            outcome: Recovered | None = None
            try:
                outcome = done[verdict.record.key] = await self._do(verdict, by_record.get(key), term)
            finally:
                tell(key, outcome)

        for verdict in verdicts:
            if verdict.action in ("nothing", "wait"):
                tell((verdict.record.namespace, verdict.record.name), None)
        first = (work(verdict) for verdict in verdicts if verdict.action in ("forward", "close", "release", "drop"))
        # One bug costs one record: the others are finished before it is raised.
        bugs = [bug for bug in await asyncio.gather(*first, return_exceptions=True) if bug is not None]
        for verdict in verdicts:
            if verdict.action == "supersede":
                bugs += [bug for bug in await asyncio.gather(work(verdict), return_exceptions=True) if bug is not None]
        if bugs:
            raise bugs[0]
        return done

    def _judged(
        self, gangs: Mapping[Key, Gang], due: Collection[Key] | None, turned_away: Collection[str], denied: Mapping[Key, Mapping[str, str]]
    ) -> list[Verdict]:
        """Judge each record on what the records before it left over, oldest first, and count its seats as taken until it is given up."""
        known = self._cache.records if due is None else {key: record for key in due if (record := self._cache.record(*key)) is not None}
        mine = sorted(known.items(), key=_age)
        rivals = _rivals(record for _, record in sorted(self._cache.unsettled.items(), key=_age))
        for key, record in mine:
            if record.open:
                self._cache.forget(claim_key(record, gangs.get(key)))
        view, now, verdicts = self._cache.snapshot(), self._clock(), []
        for key, record in mine:
            rival, words = rivals.get(record.key, ""), denied.get(key, EMPTY)
            verdict = judge(record, gangs.get(key), self._cache.pod_named, view, now=now, turned_away=turned_away, denied=words, rival=rival)
            verdicts.append(verdict)
            view = _with_claims(view, verdict)
        for verdict in verdicts:
            if verdict.claims:
                key = (verdict.record.namespace, verdict.record.name)
                self._cache.hold(claim_key(verdict.record, gangs.get(key)), verdict.claims)
        return verdicts

    async def _do(self, verdict: Verdict, gang: Gang | None, term: int) -> Recovered:
        record = verdict.record
        match verdict.action:
            case "forward":
                return await self._forward(record, verdict.pods, term)
            case "supersede" if gang is not None:
                return await self._supersede(record, gang, term)
            case "release" if record.phase == "Releasing" and record.open:
                return await self._resume(record, gang)
            case "release" | "drop":
                return await self._release(record, gang, verdict.why, evict=verdict.action == "release")
            case _:
                closed = await self._committer.settler.close(record)
                return Closed(record=record) if closed else Stuck(record=record, why="its finalizer could not be taken off")

    async def _forward(self, record: Record, pods: Mapping[str, Pod], term: int) -> Recovered:
        """Bind who waits, under an epoch of our own.

        A former leader that was paused may still write what it had in mind: raising the epoch makes that fail before we bind. Pods that came for
        held seats are named in the same write: what supersedes the record later must know whom to fence.
        """
        came = tuple(s if s.uid or s.pod not in pods else replace(s, uid=pods[s.pod].uid) for s in record.seats)
        waits = any(pod.node is None for pod in pods.values())
        if came != record.seats or (waits and record.written_by != self._committer.signature):
            written = await self._committer.rewrite(record, came)
            if isinstance(written, Refused):
                return written
            record = written
        return await self._committer.forward(record, pods, term=term)

    async def _fenced(self, record: Record, gang: Gang | None) -> tuple[Record, dict[str, Pod]] | Refused | Stuck:
        raised = await self._committer.raise_epoch(record)
        if isinstance(raised, Refused):
            return raised
        members = [m.pod for m in gang.members if not m.held] if gang is not None else []
        try:
            fresh = await fence(self._committer, raised, [*self._named(record).values(), *members])
        except ApiError as error:
            return Stuck(record=raised, why=f"its members could not be read again: {error.words}")
        return raised, fresh

    async def _supersede(self, record: Record, gang: Gang, term: int) -> Recovered:
        fenced = await self._fenced(record, gang)
        if not isinstance(fenced, tuple):
            return fenced
        raised, fresh = fenced
        self._hold_landed(gang.key, fresh)
        plan = await self._replan(_with_pods(gang, fresh))
        if isinstance(plan, Unplaced) and plan.status in _OF_THE_MOMENT and self._clock() <= record.deadline:
            return Stuck(record=raised, why=plan.message)
        if not isinstance(plan, Placed):
            return await give_up(self._committer, raised, fresh, plan.message)
        self._cache.assume(plan)
        written = await self._committer.rewrite(raised, seats_of(plan))
        if isinstance(written, Refused):
            self._hold_landed(gang.key, fresh)
            return written
        pods = {s.member.pod.name: s.member.pod for s in plan.seats if not s.member.held}
        # Where somebody could not be bound the record stays open and its seats stay taken: it is judged anew.
        return await self._committer.forward(written, pods, term=term)

    async def _release(self, record: Record, gang: Gang | None, why: str, *, evict: bool) -> Recovered:
        fenced = await self._fenced(record, gang)
        if not isinstance(fenced, tuple):
            return fenced
        raised, fresh = fenced
        self._hold_landed(claim_key(record, gang), fresh)
        if evict and all(bound_as_recorded(seat, fresh) for seat in raised.seats):
            return await self._committer.forward(raised, fresh)  # what looked impossible has happened meanwhile
        return await (give_up(self._committer, raised, fresh, why) if evict else drop(self._committer, raised, why))

    async def _resume(self, record: Record, gang: Gang | None) -> Recovered:
        """Go on with giving up, under an epoch of our own as well."""
        if record.written_by != self._committer.signature:
            raised = await self._committer.raise_epoch(record)
            if isinstance(raised, Refused):
                return raised
            record = raised
        self._cache.forget(claim_key(record, gang))
        return await resume(self._committer, record, self._named(record))

    def _hold_landed(self, key: GangKey, fresh: Mapping[str, Pod]) -> None:
        """Count binds that landed as taken, and nothing else of the gang: the watch may lag behind what was just read."""
        self._cache.hold(key, [Seating(pod=replace(pod, node=None), node=pod.node) for pod in fresh.values() if pod.node is not None])

    def _named(self, record: Record) -> dict[str, Pod]:
        """Return the pods that the record names and that the cache knows, by name."""
        found = ((seat, self._cache.pod_named(record.namespace, seat.pod)) for seat in record.seats)
        return {seat.pod: pod for seat, pod in found if pod is not None and seat.uid in ("", pod.uid)}


def _age(item: tuple[Key, Record]) -> tuple[float, Key]:
    """Put older records first."""
    key, record = item
    return record.created, key


def _rivals(records: Iterable[Record]) -> dict[str, str]:
    """Return, for each open record that names a pod of an older open one, that older one; ``records`` come oldest first."""
    holders: dict[tuple[str, str], str] = {}
    found: dict[str, str] = {}
    for record in records:
        if not record.open:
            continue
        names = [(record.namespace, seat.pod) for seat in record.seats]
        rival = next((holders[name] for name in names if name in holders), None)
        if rival is not None:
            found[record.key] = rival
            continue
        holders.update(dict.fromkeys(names, record.key))
    return found


def _with_claims(view: Snapshot, verdict: Verdict) -> Snapshot:
    if not verdict.claims:
        return view
    return view.changed({claim.pod.uid: replace(claim.pod, node=claim.node) for claim in verdict.claims})


def _with_pods(gang: Gang, fresh: Mapping[str, Pod]) -> Gang:
    members = tuple(m if m.held else replace(m, pod=fresh[m.pod.name]) for m in gang.members if m.held or m.pod.name in fresh)
    return replace(gang, members=members)
