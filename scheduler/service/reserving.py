"""Keeps room for the gang at the head of the queue that is refused again and again, so that smaller ones behind it do not starve it.

After a while its seats are chosen on the cluster as it will be when some pods have ended (`scheduler.decide.reserve`), and what of that is
free counts as taken for everybody behind it in the queue. They may have all other room (backfill). Gangs ahead of it take no notice, and
itself it may have any seats that it gets. One gang of each priority has a reservation; the queue's order decides which.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.decide.queue import ahead, position
from scheduler.decide.reserve import Reserved, held, possible
from scheduler.kube.bindings.records import timestamp
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts, Look
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Unplaced
from scheduler.state.resources import GPU, written
from scheduler.state.snapshot import Snapshot

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 900.0
"""When seats are looked for again for a gang that no end of pods would help."""
REST: Final = 20.0
"""After a search that took so long, no other one is begun for this many times as long: searches never cost more than a twentieth."""
PATIENCE: Final = 600.0
"""Seconds after which pods that must end, of which none has ended, are taken for pods that stay; other seats are found then."""
_SHOWN: Final = 3


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One reservation."""

    reserved: Reserved
    since: float
    """Seconds since the epoch."""
    moved: float
    """Monotonic seconds when a pod that must end has ended last."""
    left: int
    """Pods that must still end."""
    checked: Snapshot | None = None
    """The cluster on which it was found possible last."""
    seen: Snapshot | None = None
    pods: tuple[Pod, ...] = ()
    """What stands for the room that is kept on the cluster ``seen``."""


@dataclass(slots=True, kw_only=True)
class _Vain:
    """A search that found nothing."""

    key: Hashable
    nodes: int
    until: float


@dataclass(kw_only=True, eq=False)
class Reservations:
    """Who has seats reserved, and what that keeps from whom."""

    cache: ClusterCache
    attempts: Attempts
    metrics: Metrics
    after: float
    """Seconds that a gang is refused before seats are reserved for it; 0: never."""
    rest: float = REST
    patience: float = PATIENCE
    nodes: Callable[[], int] = lambda: 0
    """Rises with every change of a node; set by the loop, as is the next one."""
    changed: Callable[[], None] = lambda: None
    """Called when something about reservations is to be told."""
    _of: dict[GangKey, _Kept] = field(default_factory=dict)
    _vain: dict[GangKey, _Vain] = field(default_factory=dict)
    _staying: dict[GangKey, frozenset[PodUid]] = field(default_factory=dict)
    """Pods on whose end a gang waited too long."""
    _rest_until: float = 0.0

    def pods(self, gang: Gang) -> tuple[Pod, ...]:
        """Return pods that stand for room which is kept from a gang. A gang that runs in part is not kept from its missing members' seats."""
        return tuple(pod for one in self._before(gang) for pod in self._pods(one))

    def lane(self, gang: Gang) -> tuple[GangKey, ...]:
        """Return the gangs whose reservations are kept from a gang."""
        return tuple(one.reserved.gang.key for one in self._before(gang))

    def beside(self, gang: Gang, snapshot: Snapshot) -> Snapshot:
        """Return the cluster as it will be when the gangs before this one have the seats that are reserved for them."""
        for one in self._before(gang):
            snapshot = snapshot.without(one.reserved.ending & snapshot.pods.keys()).with_plan(one.reserved.plan)
        return snapshot

    def may_end(self, gang: Gang, pods: AbstractSet[PodUid]) -> AbstractSet[PodUid]:
        """Return those of the pods that run whose end a gang may wait for."""
        return pods - self._staying.get(gang.key, frozenset())

    def review(self, gangs: Iterable[Gang], look: Look) -> None:
        """Give back what is not needed or not possible any more; ``gangs`` are those that wait for a decision."""
        snapshot, waiting = self.cache.snapshot(), {gang.key: gang for gang in gangs} if self._of else {}
        for key, one in list(self._of.items()):
            why = self._over(one, waiting.get(key), snapshot) or self._stuck(one, snapshot, look)
            if why:
                self._drop(key, why)
        self.metrics.gauge("coterie_reservations", len(self._of))

    def candidate(self, queue: Sequence[Gang], look: Look) -> Gang | None:
        """Return the gang for which seats are to be looked for now; ``queue`` are those that may be decided, in order."""
        if not self.after or look.now < self._rest_until:
            return None
        taken = {one.reserved.gang.priority for one in self._of.values()}
        for gang in queue:
            if gang.priority not in taken and (began := self.attempts.refused_since(gang)) is not None and look.now - began >= self.after:
                vain = self._vain.get(gang.key)
                if vain is None or vain.key != self._question(gang) or look.now >= vain.until or self._other_nodes(vain, look):
                    return gang
        return None

    def _patience_ends(self) -> list[float]:
        return [one.moved + self.patience for one in self._of.values()]

    def next_look(self, queue: Iterable[Gang], look: Look) -> float:
        """Return the monotonic moment at which a gang may become a candidate although nothing happens."""
        if not self.after:
            return float("inf")
        taken = {one.reserved.gang.priority for one in self._of.values()}
        moments = [began + self.after for gang in queue if gang.priority not in taken and (began := self.attempts.refused_since(gang)) is not None]
        moments += [*(vain.until for vain in self._vain.values()), *self._patience_ends()]
        waiting = [max(moment, self._rest_until) for moment in moments if max(moment, self._rest_until) > look.now]
        return min(waiting, default=float("inf"))

    def put(self, gang: Gang, found: Reserved | None, look: Look, seconds: float) -> None:
        """Take in what a search found that took so long."""
        self._rest_until = look.now + self.rest * seconds
        if found is None and self._staying.pop(gang.key, frozenset()):
            return  # they may end after all: the next search counts on them
        if found is None:
            self._vain[gang.key] = _Vain(key=self._question(gang), nodes=self.nodes(), until=look.now + AGAIN_SECONDS)
            return
        self._vain.pop(gang.key, None)
        for key, other in list(self._of.items()):
            if ahead(gang, other.reserved.gang) and not other.reserved.needed.keys().isdisjoint(found.needed):
                self._drop(key, f"{_name(gang)} comes before it and has seats reserved on the same nodes")
        self._of[gang.key] = _Kept(reserved=found, since=look.calendar, moved=look.now, left=len(found.ending))
        self._tell(gang.key, found, look.calendar)
        self.metrics.gauge("coterie_reservations", len(self._of))
        fields = {"gang": gang.key, "nodes": list(found.needed), "ending": sorted(found.ending)}
        logger.info("room is reserved for %s", _name(gang), extra={"fields": fields})
        self.changed()

    def told(self, plan: Unplaced) -> Unplaced:
        """Say in a refusal what is kept from the gang, or for it."""
        parts = [_against(one, self._pods(one)) for one in self._before(plan.gang)]
        own = self._of.get(plan.gang.key)
        said = " ".join([*filter(None, parts), *([_own(own.reserved, own.since)] if own is not None else [])])
        return replace(plan, message=f"{plan.message} {said}") if said and said not in plan.message else plan

    def keep(self, gangs: Iterable[Gang]) -> None:
        """Forget searches for gangs that are not among these."""
        alive = {gang.key for gang in gangs} if self._vain or self._staying else set()
        self._vain = {key: vain for key, vain in self._vain.items() if key in alive}
        self._staying = {key: pods for key, pods in self._staying.items() if key in alive}

    def clear(self) -> None:
        """Give everything back: another replica leads."""
        self._of.clear()
        self._vain.clear()
        self._staying.clear()

    def _before(self, gang: Gang) -> list[_Kept]:
        if not self._of or 0 < len(gang.fixed) < gang.min_member:
            return []
        return [one for key, one in self._of.items() if key != gang.key and ahead(one.reserved.gang, gang)]

    def _question(self, gang: Gang) -> Hashable:
        attempt = self.attempts.of(gang.key)
        return None if attempt is None or attempt.question is None else attempt.question.key

    def _other_nodes(self, vain: _Vain, look: Look) -> bool:
        return vain.nodes != self.nodes() and look.now >= vain.until - AGAIN_SECONDS + self.after

    def _over(self, one: _Kept, gang: Gang | None, snapshot: Snapshot) -> str:
        """Say why a reservation is over; empty: it is not."""
        reserved = one.reserved
        attempt = None if gang is None else self.attempts.of(gang.key)
        if gang is None or attempt is None or not isinstance(attempt.plan, Unplaced):
            return "the gang is placed or gone"
        if attempt.timed_out:
            return f"the gang has waited longer than {gang.timeout_seconds} seconds"
        if _asks(gang) != _asks(reserved.gang):
            return "the gang has changed"
        if one.checked is not snapshot and not possible(snapshot, reserved):
            return "the seats cannot become free any more"
        one.checked = snapshot
        return ""

    def _stuck(self, one: _Kept, snapshot: Snapshot, look: Look) -> str:
        """Say that nothing has ended for long; the pods that did not are not counted on again."""
        left = one.reserved.ending & snapshot.pods.keys()
        if len(left) < one.left:
            one.left, one.moved = len(left), look.now
        if not left or look.now - one.moved < self.patience:
            return ""
        key = one.reserved.gang.key
        self._staying[key] = self._staying.get(key, frozenset()) | left
        return f"none of {len(left)} pods has ended for {self.patience:.0f} seconds"

    def _pods(self, one: _Kept) -> tuple[Pod, ...]:
        snapshot = self.cache.snapshot()
        if one.seen is not snapshot:
            made = held(snapshot, one.reserved)
            one.pods = one.pods if made == one.pods else made
            one.seen = snapshot
        return one.pods

    def _drop(self, key: GangKey, why: str) -> None:
        one = self._of.pop(key)
        logger.info("the room that was reserved for %s is given back: %s", _name(one.reserved.gang), why, extra={"fields": {"gang": key}})
        attempt = self.attempts.of(key)
        if attempt is not None and isinstance(attempt.plan, Unplaced):
            message = attempt.plan.message.replace(_own(one.reserved, one.since), "").strip()
            self.attempts.explain(key, replace(attempt.plan, message=message))
        self.changed()

    def _tell(self, key: GangKey, found: Reserved, since: float) -> None:
        attempt = self.attempts.of(key)
        if attempt is not None and isinstance(attempt.plan, Unplaced):
            self.attempts.explain(key, replace(attempt.plan, message=f"{attempt.plan.message} {_own(found, since)}"))


def _asks(gang: Gang) -> object:
    return (gang.demand, gang.min_member, position(gang), [(m.pod.uid, m.pod.node, m.pod.shape) for m in gang.members])


def _name(gang: Gang) -> str:
    return f"{gang.namespace}/{gang.name}"


def _own(reserved: Reserved, since: float) -> str:
    count = len(reserved.ending)
    ends = f"when {count:,} pod{'' if count == 1 else 's'} there {'has' if count == 1 else 'have'} ended it fits"
    return f"Room is reserved for it on {_nodes(reserved)} since {timestamp(since)}: {ends}."


def _against(one: _Kept, pods: Sequence[Pod]) -> str:
    """Say what is kept for a gang that comes first, in GPUs where it wants any."""
    if not pods:
        return ""
    gpus = sum(pod.used.amount(GPU) for pod in pods)
    amount = f"{written(GPU, gpus)} GPU{'' if gpus == 1 else 's'}" if gpus else "Room"
    verb = "is" if gpus == 1 or not gpus else "are"
    return f"{amount} on {_nodes(one.reserved)} {verb} reserved for gang {_name(one.reserved.gang)} since {timestamp(one.since)}."


def _nodes(reserved: Reserved) -> str:
    names = [str(name) for name in reserved.needed]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
