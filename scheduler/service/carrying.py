"""Carries plans out beside the deciding, and looks after commit records: which are due, and what became of them.

What a commit is, is `scheduler.kube.bindings.commit`; what is done with an open record, `scheduler.kube.bindings.recover`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from scheduler.kube.api import PLACEMENTS
from scheduler.kube.bindings.commit import Bound, Committed, Committer, Outcome, Partly, Refused
from scheduler.kube.bindings.judge import claim_key
from scheduler.kube.bindings.records import record_name
from scheduler.kube.bindings.recover import Closed, Recovered, Recovery, Replan, Stuck
from scheduler.kube.publish.said import EventSaid
from scheduler.metrics import Metrics
from scheduler.service.feed import Feed, Refusal
from scheduler.service.looks import Looks, OpenSeats, RecordKey
from scheduler.service.record_words import log, told
from scheduler.service.shunned import keeper
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Node
from scheduler.state.plan import Placed
from scheduler.state.record import Record

logger = logging.getLogger(__name__)

SOURCE: Final = f"{PLACEMENTS.plural}.{PLACEMENTS.group}"
TAKE_OVER_SECONDS: Final = 2.0
"""How long deciding waits for open records after a take-over. Their seats count from the first moment, so what is left may go on beside it."""
_MOST_NAMES: Final = 100_000


class Carrier:
    """Commits that are on their way, and records that are open."""

    def __init__(
        self, committer: Committer, cache: ClusterCache, feed: Feed, replan: Replan, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Act through the committer; ``replan`` plans a gang whose record must be superseded; ``clock`` is monotonic."""
        self.quiet = asyncio.Event()
        """Set while no commit is on its way."""
        self.quiet.set()
        self.busy: set[GangKey] = set()
        """Gangs whose commit is on its way."""
        self.tell: Callable[[Iterable[EventSaid]], None] = lambda _: None
        """Hears what people should know about records."""
        self.tended: Callable[[Gang | None, Recovered | None], None] = lambda _gang, _outcome: None
        """Hears what became of a gang whose record was looked after."""
        self._committer = committer
        self._recovery = Recovery(committer, cache, replan)
        self._cache = cache
        self._feed = feed
        self._metrics = metrics
        self._clock = clock
        self._looks = Looks()
        self._seats = OpenSeats()
        self._refused: dict[RecordKey, set[PodUid]] = {}
        """Records with pods that a kubelet refused, until something was done about them."""
        self._denied: dict[RecordKey, tuple[int, dict[str, str]]] = {}
        """Pods whose bind the API server refused for good, under which epoch of their record, and its words."""
        self._term = committer.term
        self._held: set[RecordKey] = set()
        """Records that a commit or a recovery is working on."""
        self._names: dict[tuple[str, str, str], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def record_key(self, gang: Gang) -> RecordKey:
        """Return namespace and name of a gang's record."""
        about = (gang.name, gang.owner.kind, gang.owner.uid)
        if about not in self._names:
            if len(self._names) > _MOST_NAMES:
                self._names.clear()
            self._names[about] = record_name(gang)
        return gang.namespace, self._names[about]

    def occupied(self, gang: Gang) -> bool:
        """Whether the gang must not be decided: a commit is on its way, an open record names it or a pod of it, or seats are not confirmed yet."""
        if gang.key in self.busy:
            return True
        self._seats.update(self._cache.unsettled)
        key = self.record_key(gang)
        record = self._cache.record(*key) if len(gang.members) > 1 else None
        if record is not None and (record.open or key in self._held or key in self._refused):
            return True
        return any(self._seats.names(member.pod) for member in gang.members) or any(not seat.held for seat in self._cache.assumed(gang.key))

    def commit(self, plan: Placed, done: Callable[[Placed, Outcome | None], None]) -> None:
        """Begin to carry a plan out whose seats are assumed already; ``done`` hears the outcome, None after a bug."""
        key = self.record_key(plan.gang)
        self.busy.add(plan.gang.key)
        self._held.add(key)
        self._start(self._carry(plan, key, done), f"commit {plan.gang.key}")

    def open_records(self) -> list[Record]:
        """Return the records that are still to be carried out, superseded or released."""
        return [record for record in self._cache.unsettled.values() if record.open]

    def due(self, gangs: Iterable[Gang], *, namespaces: Callable[[str], bool]) -> dict[RecordKey, Gang | None]:
        """Return the records that want a look now, with their gangs: something about them changed, or it is time again."""
        if self._committer.term != self._term:
            # Somebody else may have led meanwhile, and what we had assumed was forgotten: everything is looked at anew.
            self._looks, self._term = Looks(), self._committer.term
            for assumed in self._cache.assuming - self.busy:
                self._cache.forget(assumed)
        self._take_refused()
        refused = {key: record for key in self._refused if (record := self._cache.record(*key)) is not None}
        self._refused = {key: self._refused[key] for key in refused}
        wanting = {key: record for key, record in {**self._cache.unsettled, **refused}.items() if key not in self._held and namespaces(key[0])}
        for key, (record, gang) in self._looks.keep(wanting.keys() | self._held).items():
            if record.open and self._cache.record(*key) is None:
                self._cache.forget(claim_key(record, gang))  # somebody deleted it: nobody will judge it again
        if not wanting:
            return {}
        gang_of, now, nodes = {self.record_key(gang): gang for gang in gangs}, self._clock(), self._feed.nodes
        return {key: gang_of.get(key) for key, record in wanting.items() if self._looks.due(key, record, gang_of.get(key), nodes=nodes, now=now)}

    def next_look(self) -> float:
        """Return the monotonic moment at which a record wants a look although nothing happens."""
        return self._looks.next(self._held)

    async def tend(self, due: Mapping[RecordKey, Gang | None]) -> dict[str, Recovered]:
        """Do what these records need; seats that are not given up are counted as taken before this first yields."""
        records = {key: record for key in due if (record := self._cache.record(*key)) is not None}  # one may have gone since it was found due
        before = {key: self._bound(record) for key, record in records.items()}
        for key, record in records.items():
            self._looks.begin(key, record, due[key], nodes=self._feed.nodes, now=self._clock())
        away = frozenset(uid for key in records for uid in self._refused.get(key, ()))
        left = set(records)
        self._held |= left

        def heard(key: RecordKey, outcome: Recovered | None) -> None:
            left.discard(key)
            self._held.discard(key)
            self._heard(key, outcome, before.get(key, frozenset()))
            self.tended(due.get(key), outcome)

        try:
            gangs = [gang for gang in due.values() if gang is not None]
            return await self._recovery.tend(gangs, due=records, turned_away=away, denied=self._words(records.values()), heard=heard)
        finally:
            self._held -= left  # not those that were heard of: somebody else may be working on them by now
            self._feed.wake.set()

    def tend_beside(self, due: Mapping[RecordKey, Gang | None]) -> None:
        """Do the same beside the deciding."""

        async def work() -> None:
            try:
                await self.tend(due)
            except Exception:
                self._metrics.count("coterie_errors", "recover")
                logger.exception("looking after records failed: %s", sorted(due))

        self._start(work(), "tend records")

    async def take_over(self, due: Mapping[RecordKey, Gang | None]) -> None:
        """Do the same before anything is decided: return when all is done, or after two seconds, with every open seat counted as taken."""
        self.tend_beside(due)
        await asyncio.wait(set(self._tasks), timeout=TAKE_OVER_SECONDS)

    async def finish(self, seconds: float) -> None:
        """Wait for what is on its way, but not longer than this: what is not finished stands in its record."""
        if self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in left:
                task.cancel()

    def _start(self, work: Awaitable[None], name: str) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self.quiet.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self.quiet.set()

    async def _carry(self, plan: Placed, key: RecordKey, done: Callable[[Placed, Outcome | None], None]) -> None:
        outcome: Outcome | None = None
        known = self._cache.snapshot().nodes
        nodes = {seat.node: known.get(seat.node) for seat in plan.seats if not seat.bound}
        asked = {name for seat in plan.seats if not seat.bound for name, amount in seat.member.pod.used.items() if amount > 0}
        try:
            outcome = await self._committer.commit(plan, self._cache.record(*key), settle=False, still=lambda: self._still(nodes, asked))
        except Exception:
            self._metrics.count("coterie_errors", "commit")
            logger.exception("the commit of %s failed", plan.gang.key)
        finally:
            self.busy.discard(plan.gang.key)
            self._feed.wake.set()
        try:
            if outcome is not None:
                self._take(outcome)
                self._deny(key, outcome)
                self._give_back(plan.gang.key, key, outcome)
            done(plan, outcome)
            if isinstance(outcome, Bound | Committed):
                self._take_record(await self._committer.settle(outcome))
        except Exception:
            self._metrics.count("coterie_errors", "commit")
            logger.exception("the end of the commit of %s could not be taken in", plan.gang.key)
        finally:
            self._held.discard(key)
            self._feed.wake.set()

    def _still(self, nodes: Mapping[NodeName, Node | None], asked: Collection[str]) -> bool:
        """Whether the nodes of a plan are what they were when it was judged, and none has more on it than it can hold of what was asked."""
        self._feed.drain()
        now = self._cache.snapshot()
        for name, before in nodes.items():
            node = now.nodes.get(name)
            if node is None or (node is not before and node != before) or any(now.free(name).amount(what) < 0 for what in asked):
                return False
        return True

    def _heard(self, key: RecordKey, outcome: Recovered | None, already: frozenset[str]) -> None:
        """Take in what became of one record that was looked after."""
        record = getattr(outcome, "record", None)
        waits = isinstance(outcome, Stuck | Refused)
        self._looks.end(key, record if isinstance(record, Record) else None, stuck=waits)
        if not waits:
            self._refused.pop(key, None)
        if outcome is None:
            return
        if isinstance(outcome, Refused) and outcome.reason == "NotFound" and (ghost := self._cache.record(*key)) is not None:
            self._feed.drop_record(ghost, SOURCE)
        self._take(outcome, already)
        self._deny(key, outcome)
        self._shun(key[0], outcome)
        self.tell(told(outcome))
        log("/".join(key), outcome)
        self._feed.wake.set()

    def _deny(self, key: RecordKey, outcome: Recovered) -> None:
        """Remember binds that the API server will never take, so that the record is superseded."""
        refused = {seated.seat.pod: seated.message for seated in outcome.failed if seated.state == "refused"} if isinstance(outcome, Partly) else {}
        if isinstance(outcome, Partly) and outcome.record is not None and refused:
            self._denied[key] = (outcome.record.epoch, refused)
        else:
            self._denied.pop(key, None)

    def _give_back(self, gang: GangKey, key: RecordKey, outcome: Outcome) -> None:
        """Give seats back whose record somebody else has settled meanwhile: nobody would judge it again."""
        record = self._cache.record(*key)
        if isinstance(outcome, Partly) and outcome.record is not None and (record is None or not record.open):
            self._cache.forget(gang)

    def _shun(self, namespace: str, outcome: Recovered) -> None:
        """Tell of nodes to which the API server would not bind a member, so that they are not proposed again at once."""
        for seated in outcome.failed if isinstance(outcome, Partly) else ():
            pod = self._cache.pod_named(namespace, seated.seat.pod)
            group = self._feed.index.group(pod.uid) if pod is not None else None
            if seated.state == "refused" and pod is not None and group is not None:
                self._feed.refusals.append(Refusal(group=keeper(group, pod), node=seated.seat.node))

    def _words(self, records: Iterable[Record]) -> dict[RecordKey, Mapping[str, str]]:
        known = (((record.namespace, record.name), record.epoch) for record in records)
        found = {key: (epoch, *self._denied[key]) for key, epoch in known if key in self._denied}
        return {key: words for key, (epoch, of, words) in found.items() if of == epoch}

    def _take_refused(self) -> None:
        """Find the records of pods that kubelets refused; a pod that no record names is alone, and its controller's affair."""
        if not self._feed.turned_away:
            return
        uids = {pod.uid for pod in self._feed.turned_away}
        self._feed.turned_away.clear()
        for key, record in self._cache.records.items():
            found = {seat.uid for seat in record.seats} & uids
            if found:
                self._refused.setdefault(key, set()).update(found)

    def _take(self, outcome: Recovered, already: frozenset[str] = frozenset()) -> None:
        """Believe what was written without waiting for the watch, and count the binds; ``already``: pods that were bound before."""
        self._take_record(outcome)
        if isinstance(outcome, Bound | Committed | Partly):
            for seated in outcome.seats:
                if seated.state != "absent":
                    word = "already" if seated.seat.pod in already else "bound"
                    self._metrics.count("coterie_binds", word if seated.state == "bound" else "refused")

    def _take_record(self, outcome: Recovered) -> None:
        record = getattr(outcome, "record", None)
        if isinstance(record, Record) and not record.terminating and not isinstance(outcome, Closed):
            self._feed.put_record(record, SOURCE)

    def _bound(self, record: Record) -> frozenset[str]:
        pods = {seat.pod: self._cache.pod_named(record.namespace, seat.pod) for seat in record.seats}
        return frozenset(name for name, pod in pods.items() if pod is not None and pod.node is not None)
