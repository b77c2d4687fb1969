"""Carries plans out beside the deciding, and looks after commit records: which are due, and what became of them.

What a commit is, is `scheduler.kube.bindings.commit`; what is done with an open record, `scheduler.kube.bindings.recover`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.kube.api import PLACEMENTS
from scheduler.kube.backoff import Backoff
from scheduler.kube.bindings.commit import Bound, Committed, Committer, Outcome, Partly, Refused
from scheduler.kube.bindings.records import record_name
from scheduler.kube.bindings.recover import Closed, Recovered, Recovery, Replan
from scheduler.metrics import Metrics
from scheduler.service.feed import Feed
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.plan import Placed
from scheduler.state.record import Record

logger = logging.getLogger(__name__)

SOURCE: Final = f"{PLACEMENTS.plural}.{PLACEMENTS.group}"
RecordKey = tuple[str, str]
_MOST_NAMES: Final = 100_000


@dataclass(slots=True, kw_only=True)
class _Look:
    """What a record and its gang were when they were looked at last."""

    record: Record
    gang: Gang | None
    nodes: int
    next: float
    pauses: Backoff = field(default_factory=lambda: Backoff(first=0.5, most=30.0))


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
        self._committer = committer
        self._recovery = Recovery(committer, cache, replan)
        self._cache = cache
        self._feed = feed
        self._metrics = metrics
        self._clock = clock
        self._looks: dict[RecordKey, _Look] = {}
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
        """Whether the gang must not be decided: a commit is on its way, its record is open, or seats are not confirmed yet."""
        if gang.key in self.busy:
            return True
        record = self._cache.records.get(self.record_key(gang)) if len(gang.members) > 1 else None
        if record is not None and record.open:
            return True
        return any(not seat.held for seat in self._cache.assumed(gang.key))

    def commit(self, plan: Placed, done: Callable[[Placed, Outcome | None], None]) -> None:
        """Begin to carry a plan out whose seats are assumed already; ``done`` hears the outcome, None after a bug."""
        key = self.record_key(plan.gang)
        self.busy.add(plan.gang.key)
        self._held.add(key)
        self._start(self._carry(plan, key, done), f"commit {plan.gang.key}")

    def open_records(self) -> list[Record]:
        """Return the records that are still to be carried out, superseded or released."""
        return [record for record in self._cache.records.values() if record.open]

    def due(self, gangs: Iterable[Gang], *, namespaces: Callable[[str], bool]) -> dict[RecordKey, Gang | None]:
        """Return the records that want a look now, with their gangs: something about them changed, or it is time again."""
        wanting = {
            key: record
            for key, record in self._cache.records.items()
            if key not in self._held and namespaces(key[0]) and (record.open or (record.terminating and record.guarded))
        }
        self._looks = {key: look for key, look in self._looks.items() if key in wanting}
        if not wanting:
            return {}
        by_record = {self.record_key(gang): gang for gang in gangs}
        now = self._clock()
        found: dict[RecordKey, Gang | None] = {}
        for key, record in wanting.items():
            gang, look = by_record.get(key), self._looks.get(key)
            if look is None or now >= look.next or look.gang is not gang or look.nodes != self._feed.nodes or look.record != _content(record):
                found[key] = gang
        return found

    def next_look(self) -> float:
        """Return the monotonic moment at which a record wants a look although nothing happens."""
        return min((look.next for look in self._looks.values()), default=float("inf"))

    async def tend(self, due: Mapping[RecordKey, Gang | None]) -> dict[str, Recovered]:
        """Do what these records need; seats of those that are still possible are counted as taken before this first yields."""
        self._held |= due.keys()
        before = {self._cache.records[key].key: self._bound(self._cache.records[key]) for key in due}
        for key, gang in due.items():
            look = self._looks.get(key)
            record = self._cache.records[key]
            pauses = look.pauses if look is not None and look.record == _content(record) else Backoff(first=0.5, most=30.0)
            self._looks[key] = _Look(record=_content(record), gang=gang, nodes=self._feed.nodes, next=self._clock() + pauses.next(), pauses=pauses)
        try:
            others = self._cache.records.keys() - due.keys()
            done = await self._recovery.tend([gang for gang in due.values() if gang is not None], busy=others)
        finally:
            self._held -= due.keys()
            self._feed.wake.set()
        for name, outcome in done.items():
            self._take(outcome, before.get(name, frozenset()))
            _log(name, outcome)
        return done

    def tend_beside(self, due: Mapping[RecordKey, Gang | None]) -> None:
        """Do the same beside the deciding."""

        async def work() -> None:
            try:
                await self.tend(due)
            except Exception:
                self._metrics.count("coterie_errors", "recover")
                logger.exception("looking after records failed: %s", sorted(due))

        self._start(work(), "tend records")

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
        try:
            outcome = await self._committer.commit(plan, self._cache.records.get(key))
        except Exception:
            self._metrics.count("coterie_errors", "commit")
            logger.exception("the commit of %s failed", plan.gang.key)
        finally:
            self.busy.discard(plan.gang.key)
            self._held.discard(key)
            if outcome is not None:
                self._take(outcome)
            done(plan, outcome)
            self._feed.wake.set()

    def _take(self, outcome: Recovered, already: frozenset[str] = frozenset()) -> None:
        """Believe what was written without waiting for the watch, and count the binds; ``already``: pods that were bound before."""
        record = getattr(outcome, "record", None)
        if isinstance(record, Record) and not record.terminating and not isinstance(outcome, Closed):
            self._feed.put_record(record, SOURCE)
        if isinstance(outcome, Bound | Committed | Partly):
            for seated in outcome.seats:
                if seated.state != "absent":
                    word = "already" if seated.seat.pod in already else "bound"
                    self._metrics.count("coterie_binds", word if seated.state == "bound" else "refused")

    def _bound(self, record: Record) -> frozenset[str]:
        pods = {seat.pod: self._cache.pod_named(record.namespace, seat.pod) for seat in record.seats}
        return frozenset(name for name, pod in pods.items() if pod is not None and pod.node is not None)


def _content(record: Record) -> Record:
    """Return the record without its version: writing the same status again is no change."""
    return replace(record, resource_version="")


def _log(name: str, outcome: Recovered) -> None:
    """Write one line on what became of a record that was looked after."""
    fields: dict[str, object] = {"record": name, "outcome": type(outcome).__name__}
    if isinstance(outcome, Refused):
        fields |= {"reason": outcome.reason, "why": outcome.message}
    elif isinstance(outcome, Bound | Committed | Partly):
        fields |= {"bound": sum(seat.state == "bound" for seat in outcome.seats), "members": len(outcome.seats)}
    else:
        fields |= {"why": getattr(outcome, "why", "")}
    logger.info("record %s: %s", name, type(outcome).__name__, extra={"fields": fields})
