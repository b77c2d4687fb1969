"""One leader of the model check: the scheduler's real Committer and Recovery, in turns like those of `scheduler.service.loop`.

A turn takes in what the watch tells, looks after every open record, decides the gangs that wait and carries the plans out. The planner is a
first fit inside one rack; the two leaders walk the nodes in opposite order, so that they never agree by chance. What a leader believes
between two turns is a value (`Belief`): a turn is a function of it and of the answers to its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from scheduler.kube.api import PLACEMENTS
from scheduler.kube.bindings.commit import Bound, Committed, Committer, Partly
from scheduler.kube.bindings.judge import kubelet_refused
from scheduler.kube.bindings.outcomes import Refused, Stuck
from scheduler.kube.bindings.records import record_name
from scheduler.kube.bindings.recover import Closed, Recovered, Recovery
from scheduler.kube.group.grouping import Index
from scheduler.kube.group.grouping import gangs as group
from scheduler.service.feed import newer
from scheduler.service.looks import OpenSeats
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Removed, Value
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.record import Record
from scheduler.state.world import PodGroup, Workload
from tests.model.beliefs import WATCH, Belief, Told, Words
from tests.model.cluster import GROUPED, LWS, NS, ModelNode, ModelPod, readable, record
from tests.model.planner import first_fit
from tests.model.server import Call
from tests.model.stepping import CallId, Door, StepLoop

LATE: Final = 1e9
"""The calendar after the deadline."""
RECORDS: Final = f"{PLACEMENTS.plural}.{PLACEMENTS.group}"


class Leadership:
    """The Lease as the leader sees it."""

    def __init__(self, identity: str) -> None:
        """Lead."""
        self.identity = identity
        self.leads, self.term = True, 1

    def held(self) -> bool:
        return self.leads


class Leader:
    """A leader at work on one turn."""

    def __init__(self, *, number: int, belief: Belief, words: Words) -> None:
        """Begin with a belief."""
        self.loop = StepLoop()
        self.door = Door(self.loop)
        self._late = False
        self._number = number
        self._words = words
        self._cache = ClusterCache()
        self._waits: set[tuple[str, str]] = set()
        """Records that could not be planned anew for the moment: asking again makes no difference before something changes."""
        self._leadership = Leadership(f"leader-{number}")
        self._committer = Committer(self.door.api, self._leadership, clock=self._calendar)
        self._recovery = Recovery(self._committer, self._cache, self._replan, clock=self._calendar)
        self._nodes, self._pods, self._looked = belief.nodes, belief.pods, dict.fromkeys(belief.looked)
        self._away = set(belief.away)
        self._seats = OpenSeats()
        for made_by in _made_by(belief.pods).values():
            self._put("groups", made_by)
        for each in belief.nodes:
            self._put("nodes", each.value)
        for pod in belief.pods:
            self._put("pods", pod.value)
        for text in belief.records:
            self._put(RECORDS, words.records[text])
        for text in belief.assumed:
            self._cache.hold(*words.assumed[text])
        self.turn = self.loop.create_task(self._turn())
        self.loop.run_ready()

    def answer(self, about: CallId, answer: object, *, leads: bool, term: int, late: bool) -> None:
        """Answer a call at a moment, and run until nothing can go on."""
        self._leadership.leads, self._leadership.term, self._late = leads, term, late
        self.door.answer(about, answer)

    def belief(self) -> Belief:
        """Return what the leader holds now."""
        records = {repr(value): value for value in self._cache.records.values()}
        assumed = {repr((key, seats)): (key, seats) for key in self._cache.assuming for seats in (self._cache.assumed(key),)}
        self._words.records.update(records)
        self._words.assumed.update(assumed)
        return Belief(self._nodes, self._pods, tuple(sorted(records)), tuple(sorted(assumed)), tuple(sorted(self._away)), tuple(sorted(self._looked)))

    def waiting(self) -> dict[CallId, Call]:
        """Return the calls that wait for an answer."""
        return {about: call for about, (call, _) in self.door.waiting.items()}

    def _calendar(self) -> float:
        return LATE if self._late else 0.0

    async def _turn(self) -> None:
        await self._sync()
        if not self._leadership.leads:
            self._forget(self._cache.assuming)
            return
        await self._tend()
        await self._decide()

    async def _sync(self) -> None:
        """Take in what the watches tell."""
        told = await self.door.ask(WATCH)
        assert isinstance(told, Told)
        if told.nodes is not None:
            self._replace("nodes", {n.name: n.value for n in self._nodes}, {n.name: n.value for n in told.nodes})
            self._nodes = told.nodes
        if told.pods is not None:
            self._away |= {p.uid for p in set(told.pods) - set(self._pods) if kubelet_refused(p.value)}
            self._replace("groups", _made_by(self._pods), _made_by(told.pods))
            self._replace("pods", {p.name: p.value for p in self._pods}, {p.name: p.value for p in told.pods})
            self._pods = told.pods
        if told.records is not None:
            known = {key[1]: value for key, value in self._cache.records.items()}
            self._replace(RECORDS, known, {record(text).name: record(text) for text in told.records if readable(text)})

    async def _tend(self) -> None:
        """Look after records, as `scheduler.service.carrying` does."""
        gangs = self._gangs()
        self._forget(
            self._cache.assuming - {gang.key for gang in gangs} - {GangKey(f"record:{r.key}") for r in self._cache.records.values() if r.open}
        )
        self._away &= {seat.uid for r in self._cache.records.values() for seat in r.seats}
        wanting = {key: r for key, r in self._cache.records.items() if r.open or (r.terminating and r.guarded) or self._refused(r)}
        due = {key for key, r in wanting.items() if self._look(r) not in self._looked}
        self._waits.clear()
        before = {key: (self._nodes, self._seen_pods()) for key in due}
        done = await self._recovery.tend(gangs, due=due, turned_away=frozenset(self._away), heard=self._heard)
        assert len(done) <= len(due)
        now = {self._look(r) for r in self._cache.records.values()}
        stuck = {_look(r, *before[key], late=self._late) for key, r in self._cache.records.items() if key in due & self._waits and r.open}
        self._looked = dict.fromkeys((set(self._looked) | stuck) & now)

    def _heard(self, key: tuple[str, str], outcome: Recovered | None) -> None:
        known = self._cache.records.get(key)
        if known is not None and not isinstance(outcome, Stuck | Refused):
            self._away -= self._refused(known)
        if known is not None and isinstance(outcome, Refused) and outcome.reason == "NotFound":
            self._cache.apply(Removed(id=_about(RECORDS, known)))
        self._take(outcome)

    def _refused(self, about: Record) -> set[PodUid]:
        """Return the record's pods that a kubelet refused, while nothing was done about it."""
        return {seat.uid for seat in about.seats} & self._away

    def _look(self, about: Record) -> str:
        return _look(about, self._nodes, self._seen_pods(), late=self._late)

    def _seen_pods(self) -> tuple[ModelPod, ...]:
        return tuple(replace(pod, version=0, touched="") for pod in self._pods)

    async def _decide(self) -> None:
        """Decide what waits, and carry it out."""
        plans = []
        for gang in self._gangs():
            if gang.waiting is None and gang.pending and not self._occupied(gang):
                plan = self._plan(gang)
                if isinstance(plan, Placed):
                    self._cache.assume(plan)
                    plans.append(plan)
        await asyncio.gather(*(self._carry(plan) for plan in plans))

    async def _carry(self, plan: Placed) -> None:
        known = self._cache.records.get((plan.gang.namespace, record_name(plan.gang)))
        outcome = await self._committer.commit(plan, known, settle=False)
        self._take(outcome)
        if isinstance(outcome, Bound | Committed):
            self._take(await self._committer.settle(outcome))
        now = self._cache.records.get((plan.gang.namespace, record_name(plan.gang)))
        if not isinstance(outcome, Bound | Committed) and not (
            isinstance(outcome, Partly) and outcome.record is not None and now is not None and now.open
        ):
            self._cache.forget(plan.gang.key)

    def _occupied(self, gang: Gang) -> bool:
        known = self._cache.records.get((gang.namespace, record_name(gang))) if len(gang.members) > 1 else None
        self._seats.update(self._cache.unsettled)
        if known is not None and (known.open or self._refused(known)):
            return True
        return any(self._seats.names(member.pod) for member in gang.members) or any(not seat.held for seat in self._cache.assumed(gang.key))

    def _take(self, outcome: Recovered | None) -> None:
        """Believe what was written, unless the watch told something newer."""
        written = getattr(outcome, "record", None)
        if isinstance(written, Record) and not written.terminating and not isinstance(outcome, Closed):
            known = self._cache.records.get((written.namespace, written.name))
            if known is None or known.uid != written.uid or not newer(known.resource_version, written.resource_version):
                self._put(RECORDS, written)

    async def _replan(self, gang: Gang) -> Plan:
        await self._sync()
        plan = self._plan(gang)
        if isinstance(plan, Unplaced) and plan.status == "WAITING":
            self._waits.add((gang.namespace, record_name(gang)))
        return plan

    def _plan(self, gang: Gang) -> Plan:
        return first_fit(self._cache.snapshot(), gang, backwards=bool(self._number))

    def _gangs(self) -> tuple[Gang, ...]:
        """Return all gangs of the pods that were told; remembered, because many minds believe in the same pods."""
        if self._pods not in self._words.gangs:
            world, index = self._cache.world(), Index()
            for uid in world.pods:
                told = self._cache.pod(uid)  # as it was told: a seat that is only assumed does not make a member bound
                if told is not None:
                    index.apply(told, world)
            found = group(world, index=index)
            self._words.gangs[self._pods] = (*found.gangs, *found.settled)
        return self._words.gangs[self._pods]

    def _forget(self, keys: Iterable[GangKey]) -> None:
        for key in keys:
            self._cache.forget(key)

    def _replace(self, source: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> None:
        for name, value in before.items():
            if name not in after or getattr(after[name], "uid", "") != getattr(value, "uid", ""):
                self._cache.apply(Removed(id=_about(source, value)))
        for name, value in after.items():
            if before.get(name) != value:
                self._put(source, value)

    def _put(self, source: str, value: Value) -> None:
        self._cache.apply(Put(id=_about(source, value), value=value))


def _made_by(pods: Iterable[ModelPod]) -> dict[str, PodGroup | Workload]:
    """Return what makes gangs of these pods."""
    found: dict[str, PodGroup | Workload] = {}
    for pod in pods:
        if pod.kind in GROUPED and pod.grouped:
            found[pod.gang] = PodGroup(namespace=NS, name=pod.gang, uid=f"uid-{pod.gang}", min_member=pod.size)
        elif pod.kind == LWS and pod.first:
            worker = replace(pod, index=1, node="", record="", failed=False, terminating=False).value
            found[pod.gang] = Workload(
                kind=LWS,
                namespace=NS,
                name=pod.gang,
                uid=f"uid-{pod.gang}",
                size=pod.size,
                startup_policy="LeaderReady",
                templates={"worker": worker},
            )
    return found


def _look(about: Record, nodes: tuple[ModelNode, ...], pods: tuple[ModelPod, ...], *, late: bool) -> str:
    """Say in one text what a record's fate is judged on."""
    return repr((replace(about, resource_version=""), nodes, pods, late))


def _about(source: str, value: Value) -> Id:
    return Id(source=source, namespace=getattr(value, "namespace", ""), name=value.name, uid=getattr(value, "uid", ""))
