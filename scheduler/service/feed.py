"""Takes events in: into the cache, and from there into the index of groups."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scheduler.kube.api import PLACEMENTS
from scheduler.kube.bindings.judge import kubelet_refused
from scheduler.kube.group.grouping import Index
from scheduler.kube.group.groups import GroupRef
from scheduler.metrics import Metrics
from scheduler.service.shunned import keeper
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, Id, Put, Removed, Synced, Unreadable
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.record import Record

logger = logging.getLogger(__name__)

_RECORDS: Final = f"{PLACEMENTS.plural}.{PLACEMENTS.group}"
_MOST_GONE: Final = 256
_MOST_TURNED_AWAY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A kubelet did not take a pod that was bound to its node: somebody else was faster."""

    group: GroupRef
    """Under whom it is remembered, see `scheduler.service.shunned`."""
    node: NodeName


class Feed:
    """The way from the watches into what we believe. Not for use from two threads."""

    def __init__(
        self, cache: ClusterCache, index: Index, events: asyncio.Queue[Event], metrics: Metrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take events from this queue; ``clock`` is monotonic."""
        self.index = index
        """The groups of all pods; another object after a bug."""
        index.on_bug = self._bug
        self.nodes = 0
        """Rises with every change of a node that a decision can see."""
        self.objects = False
        """Whether an object other than a pod changed, or could not be read, since the flag was taken back."""
        self.news = False
        """Whether something that a decision can see was taken in since the index was brought up to date."""
        self.wake = asyncio.Event()
        """Set when there is something to take in, and by whoever wants a turn of the loop."""
        self.first_seen: dict[PodUid, float] = {}
        """Monotonic seconds when pods of ours that wait for a node were seen first."""
        self.refusals: list[Refusal] = []
        """What kubelets refused since the list was cleared last."""
        self.turned_away: deque[Pod] = deque(maxlen=_MOST_TURNED_AWAY)
        """The pods themselves, also those of the first list, until whoever looks after records took them."""
        self._gone: deque[str] = deque(maxlen=_MOST_GONE)
        """UIDs of the records that went last."""
        self._cache = cache
        self._metrics = metrics
        self._events = events
        self._backlog: deque[Event] = deque()
        self._clock = clock

    async def pump(self) -> None:
        """Move events from the queue to where `drain` takes them, until cancelled."""
        while True:
            self._backlog.append(await self._events.get())
            self._collect()
            self.wake.set()

    def drain(self) -> bool:
        """Take in everything that was told so far; return whether a decision can see a difference. `news` keeps that until `reindex`."""
        self._collect()
        visible = False
        while self._backlog:
            event = self._backlog.popleft()
            try:
                visible |= self._take(event)
            except Exception:
                self._metrics.count("coterie_errors", "feed")
                logger.exception("an event about %s could not be taken in", getattr(event, "id", event))
        self.news |= visible
        return visible

    def reindex(self) -> None:
        """Bring the index up to what the cache holds. A bug about one object costs that object's groups, not the others."""
        self.news = False
        changes = self._cache.changes()
        if not changes.pods and not changes.objects:
            return
        world = self._cache.world()
        try:
            for uid in changes.pods:
                pod = self._cache.pod(uid)  # as it was told: a seat that is only assumed does not make a member bound
                if pod is None:
                    self.index.remove(uid)
                else:
                    self.index.apply(pod, world)
            for kind, namespace, name in sorted(changes.objects):
                self.index.changed(kind, namespace, name, world)
        except Exception:
            self._metrics.count("coterie_errors", "group")
            logger.exception("the index of groups failed; it is made anew")
            self._rebuild()

    def _rebuild(self) -> None:
        world = self._cache.world()
        self.index = Index(scheduler_name=self.index.scheduler_name)
        self.index.on_bug = self._bug
        for uid in world.pods:
            pod = self._cache.pod(uid)
            if pod is not None:
                try:
                    self.index.apply(pod, world)
                except Exception:
                    logger.exception("the group of pod %s cannot be found; it is left out", pod.key)

    def _bug(self, group: GroupRef, bug: Exception) -> None:
        self._metrics.count("coterie_errors", "group")
        logger.error("the gang of %s %s/%s cannot be made", group.kind, group.namespace, group.name, exc_info=bug)

    def put_record(self, record: Record, source: str) -> None:
        """Take in a record that we have just written, so that nothing is decided on its former self."""
        about = Id(source=source, namespace=record.namespace, name=record.name, uid=record.uid)
        self._take(Put(id=about, value=record))

    def drop_record(self, record: Record, source: str) -> None:
        """Take in that a record is gone, as the server said to a write; the watch may never tell, if it never told that there was one."""
        self._take(Removed(id=Id(source=source, namespace=record.namespace, name=record.name, uid=record.uid)))

    def _collect(self) -> None:
        while not self._events.empty():
            self._backlog.append(self._events.get_nowait())

    def _take(self, event: Event) -> bool:
        if isinstance(event, Synced):
            return True
        value = event.value if isinstance(event, Put) else None
        if isinstance(value, Record) and self._stale(value):
            return False
        if isinstance(event, Removed) and event.id.source == _RECORDS:
            self._gone.append(event.id.uid)
        before = self._cache.pod(event.id.uid) if event.id.source == "pods" else None
        visible = self._cache.apply(event)
        if event.id.source == "pods":
            self._pod(event, before, value if isinstance(value, Pod) else None)
        elif visible and event.id.source == "nodes":
            self.nodes += 1
        self.objects |= isinstance(event, Unreadable) or (visible and event.id.source != "pods")
        return visible

    def _pod(self, event: Put | Removed | Unreadable, before: Pod | None, after: Pod | None) -> None:
        if after is None:
            self.first_seen.pop(PodUid(event.id.uid), None)
            return
        if after.scheduler_name == self.index.scheduler_name and after.node is None and not after.finished:
            self.first_seen.setdefault(after.uid, self._clock())
        if after.node is not None and kubelet_refused(after) and (before is None or before.phase != "Failed"):
            self.turned_away.append(after)
            group = self.index.group(after.uid)
            if group is not None:
                self.refusals.append(Refusal(group=keeper(group, after), node=after.node))

    def _stale(self, record: Record) -> bool:
        if record.uid in self._gone:
            return True  # the answer to a write that was on its way when the record went: nobody would ever say again that it is gone
        known = self._cache.record(record.namespace, record.name)
        return known is not None and known.uid == record.uid and newer(known.resource_version, record.resource_version)


def newer(one: str, other: str) -> bool:
    """Whether one resourceVersion of an object is surely newer than the other (they are whole numbers on every server in use)."""
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)
