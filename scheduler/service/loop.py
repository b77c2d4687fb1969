"""The turn of the loop: take in what was told, look after records, decide what comes next in the queue, hand it on to be carried out.

Nothing happens at fixed times: a turn is taken when something was told, when a commit has ended, or when a gang or record asked for it.
The difficulty: while a gang is decided in the worker thread the world goes on. So after each decision everything is taken in again, and
what comes next is chosen anew (`scheduler.service.window`). What becomes of an answer is `scheduler.service.outcomes`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from math import inf
from typing import Final

from scheduler.decide.queue import ordered
from scheduler.kube.bindings.judge import claim_key
from scheduler.kube.group.grouping import gangs
from scheduler.kube.group.groups import Grouping
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts, Look
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Decider
from scheduler.service.feed import Feed
from scheduler.service.memory import Memory
from scheduler.service.outcomes import Outcomes
from scheduler.service.reserving import Reservations
from scheduler.service.telling import Teller, View
from scheduler.service.window import Windows
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName

logger = logging.getLogger(__name__)

DEBOUNCE_SECONDS: Final = 0.005
"""How long a turn waits for more members while some gang is incomplete: its pods come one by one."""
ERROR_SECONDS: Final = 1.0
GAUGE_SECONDS: Final = 0.25
"""How often gangs are counted while they are being decided."""


class Loop:
    """Turns. One task runs it; everything that it is made of lives in one event loop."""

    def __init__(
        self,
        *,
        cache: ClusterCache,
        feed: Feed,
        attempts: Attempts,
        decider: Decider,
        reservations: Reservations,
        carrier: Carrier,
        teller: Teller,
        metrics: Metrics,
        served: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        """Take the parts; ``served`` tells whether a namespace is ours to decide."""
        self.leading = False
        reservations.nodes, reservations.changed = lambda: feed.nodes, teller.wanted.set
        self._cache = cache
        self._feed = feed
        self._memory = memory = Memory(attempts=attempts, reservations=reservations)
        self._decider = decider
        self._carrier = carrier
        self._teller = teller
        self._metrics = metrics
        self._served = served
        self._windows = windows = Windows(decider, memory, carrier, feed, metrics, served=served)
        self._outcomes = Outcomes(
            cache=cache, feed=feed, memory=memory, windows=windows, carrier=carrier, teller=teller, metrics=metrics, clock=clock
        )
        self._clock = clock
        self._calendar = calendar
        self._grouping = Grouping()
        self._grouped = False
        self._queue: tuple[Gang, ...] = ()
        """Gangs of namespaces that are served and that do not wait for anything but a decision, in the order of the queue."""
        self._keys: frozenset[GangKey] = frozenset()
        self._time_out_at = 0.0
        """Monotonic seconds before which no gang has waited too long."""
        self._gauged, self._say_at = -inf, inf
        self._recovered = False
        self._stopping = False
        self._turned: float | None = None

    @property
    def turned(self) -> float:
        """Monotonic seconds when the turn that is under way began; now, where none is."""
        return self._clock() if self._turned is None else self._turned

    def lead(self) -> None:
        """Begin to decide; the open records are rolled forward first."""
        self.leading, self._recovered = True, False
        self._feed.wake.set()

    def follow(self) -> None:
        """Stop to decide; what is assumed is forgotten when the commits on their way have ended."""
        self.leading = False
        self._teller.wanted.set()
        self._feed.wake.set()

    async def run(self) -> None:
        """Turn until `stop`; an error in one turn is logged and does not end it."""
        while not self._stopping:
            self._turned = self._clock()
            try:
                more = await self._turn()
                self._turned = None
                if not more:
                    await self._wait()
            except Exception:
                self._metrics.count("coterie_errors", "loop")
                logger.exception("a turn of the loop failed")
                self._turned = None
                await asyncio.sleep(ERROR_SECONDS)

    async def stop(self, seconds: float) -> None:
        """Decide nothing more, and wait for what is on its way."""
        self._stopping = True
        self._feed.wake.set()
        async with self._decider.lock:  # a decision in the worker thread ends first
            pass
        await self._carrier.finish(seconds)

    def view(self) -> View | None:
        """Return what others are to see, while it is ours to say."""
        if not self.leading or not self._recovered:
            return None
        world, nodes, now = self._cache.world(), self._cache.snapshot().nodes, self._clock()
        strays = self._memory.strays.ripe(now)
        return View(world=world, grouping=self._grouping, nodes=nodes, unreadable=self._cache.problems, now=now, strays=strays)

    def shunned(self, gang: Gang) -> Collection[NodeName]:
        """Return the nodes that are not to be proposed to a gang, because they refused it a moment ago."""
        return self._windows.refused(gang, self._clock())

    async def _turn(self) -> bool:
        """Take one turn; return whether another one is worth taking at once."""
        self._regroup()
        if not self.leading:
            self._let_go()
            return False
        self._forget_gone()
        due = self._carrier.due(self._gangs(), namespaces=self._served)
        if not self._recovered:
            if due:
                logger.info("rolling %d open records forward", len(due))
                await self._carrier.take_over(due)
            self._recovered = True
            return True
        if due:
            self._carrier.tend_beside(due)
            await asyncio.sleep(0)  # seats of records that are still possible are counted before anything is decided
        return await self._next_in_queue()

    async def _next_in_queue(self) -> bool:
        """Decide what comes next, or find seats to reserve; return whether another turn is worth taking at once."""
        look = self._look()
        self._time_out(look)
        self._memory.reservations.review(self._grouping.gangs, look)
        self._memory.questions.update(self._decider.view, look.now)
        head = self._memory.reservations.candidate(self._queue, look)
        if head is not None and not self._carrier.occupied(head):
            await self._reserve(head)
            return True
        due = self._windows.due(self._queue, look)
        known = self._windows.alike(due, look)
        for question, plan in known:
            self._outcomes.alike(question, plan, look)
        chosen = () if known else self._windows.next(due, self._grouping, look)
        self._gauge(look.now, at_once=not due)
        if self._stopping or not (known or chosen):
            return False
        if chosen:
            await self._decide(chosen)
        return True

    def _gauge(self, now: float, *, at_once: bool) -> None:
        if at_once or now - self._gauged >= GAUGE_SECONDS:
            self._gauged = now
            self._teller.gauge(self._grouping.gangs, now, records=len(self._carrier.open_records()))

    def _regroup(self) -> None:
        """Take in everything that was told, and work out the gangs; after an error in that it is all to be done again."""
        self._feed.drain()
        busy = self._carrier.busy
        if self._grouped and not self._feed.news and not self._feed.index.stale(busy):
            return
        same, self._grouped = self._grouped, False
        self._feed.reindex()
        before, self._grouping = self._grouping, gangs(self._cache.world(), index=self._feed.index, busy=busy)
        same = same and self._grouping.gangs is before.gangs and self._grouping.settled is before.settled
        if not same:
            self._queue = ordered(gang for gang in self._grouping.gangs if gang.waiting is None and self._served(gang.namespace))
            self._keys = frozenset(gang.key for gang in self._gangs())
            self._time_out_at = 0.0
            self._memory.keep(self._grouping, self._clock())
        self._memory.strays.keep(self._grouping.strays, self._clock())
        self._memory.refused(self._feed.refusals, self._clock())
        self._feed.refusals.clear()
        self._grouped = True
        if not same or self._feed.objects or (self._grouping.groups, self._grouping.strays) != (before.groups, before.strays):
            self._feed.objects = False
            self._teller.wanted.set()

    def _gangs(self) -> Iterable[Gang]:
        return (*self._grouping.gangs, *self._grouping.settled)

    def _look(self) -> Look:
        return Look(now=self._clock(), calendar=self._calendar())

    async def _reserve(self, gang: Gang) -> None:
        """Look for seats to reserve; an error in that is as good as none found."""
        async with self._decider.lock:
            look, began, found = self._look(), time.perf_counter(), None
            try:
                kept = self._memory.reservations
                found = await self._decider.reserve(
                    gang, tuple(self._gangs()), beside=partial(kept.beside, gang), may_end=partial(kept.may_end, gang)
                )
            except Exception:
                self._metrics.count("coterie_errors", "decide")
                logger.exception("looking for seats to reserve for %s failed", gang.key)
            self._memory.reservations.put(gang, found, look, time.perf_counter() - began)

    async def _decide(self, chosen: Sequence[Gang]) -> None:
        """Decide one gang or a window; what is placed gets its seats assumed and its commit begun, in the order of the queue."""
        async with self._decider.lock:
            look = self._look()
            if len(chosen) > 1:
                for answer in await self._windows.decide(chosen):
                    self._outcomes.take(answer, look)
                return
            (gang,) = chosen
            without = self._windows.refused(gang, look.now)
            try:
                answer = await self._decider.decide(gang, without=without)
            except Exception as bug:  # noqa: BLE001 - it is logged there, and costs this gang alone
                self._outcomes.bug(gang, bug)
            else:
                self._outcomes.take(answer, look, without)

    def _time_out(self, look: Look) -> None:
        """Note who has waited too long. Gangs are looked at only when the first of them may have."""
        if look.now < self._time_out_at:
            return
        for gang in self._queue:
            if self._memory.attempts.late(gang, look) and not self._carrier.occupied(gang):
                self._memory.attempts.time_out(gang, look)
                self._outcomes.give_back(gang.key)
                self._metrics.count("coterie_timeouts")
                self._teller.wanted.set()
                logger.info(
                    "%s/%s has waited longer than %d s", gang.namespace, gang.name, gang.timeout_seconds, extra={"fields": {"gang": gang.key}}
                )
        self._time_out_at = min((self._memory.attempts.deadline(gang, look) for gang in self._queue), default=inf)

    def _forget_gone(self) -> None:
        """Give back seats of gangs that are gone, and of records that are settled; open records claim their seats anew."""
        gone = self._cache.assuming - self._keys - self._carrier.busy if self._cache.assuming else frozenset()
        if gone:
            gone -= {claim_key(record, None) for record in self._carrier.open_records()}
        for key in gone:
            self._outcomes.give_back(key)

    def _let_go(self) -> None:
        self._memory.reservations.clear()
        if self._carrier.quiet.is_set():
            for key in self._cache.assuming:
                self._cache.forget(key)

    async def _wait(self) -> None:
        """Wait until something happens or somebody asked to be looked at."""
        if self._clock() >= self._say_at:
            self._teller.wanted.set()  # a wait has become long enough to be told
        self._say_at = self._next()
        pause = max(0.0, self._say_at - self._clock())
        try:
            async with asyncio.timeout(None if pause == inf else pause):
                await self._feed.wake.wait()
        except TimeoutError:
            self._teller.wanted.set()
            self._say_at = inf
        self._feed.wake.clear()
        if any(gang.waiting is not None and gang.waiting.code == "MembersMissing" for gang in self._grouping.gangs):
            await asyncio.sleep(DEBOUNCE_SECONDS)

    def _next(self) -> float:
        if not self.leading:
            return inf
        look = self._look()
        moments = [self._memory.attempts.wake_at(gang, look) for gang in self._grouping.gangs]
        reserve = self._memory.reservations.next_look(self._queue, look)
        return min([self._memory.questions.next_sweep(), reserve, self._carrier.next_look(), self._memory.strays.next(look.now), *moments])
