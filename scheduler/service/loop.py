"""The turn of the loop: take in what was told, look after records, decide what comes next in the queue, hand it on to be carried out.

Nothing happens at fixed times: a turn is taken when something was told, when a commit has ended, or when a gang or record asked for it.
The difficulty: while a gang is decided in the worker thread the world goes on. So after each decision everything is taken in again, and
what comes next is chosen anew (`scheduler.service.window`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Final

from scheduler.kube.bindings.commit import Bound, Committed, Outcome, Partly, Refused
from scheduler.kube.group.grouping import gangs
from scheduler.kube.group.groups import Grouping
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts, Look
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Answer, Decider
from scheduler.service.feed import Feed
from scheduler.service.telling import Teller, View
from scheduler.service.window import Windows
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.plan import Decision, Placed, Plan, Unplaced

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0
"""How often gangs that were refused are decided again although nothing that helps was seen: a safety net."""
DEBOUNCE_SECONDS: Final = 0.005
"""How long a turn waits for more members while some gang is incomplete: its pods come one by one."""
ERROR_SECONDS: Final = 1.0


class Loop:
    """Turns. One task runs it; everything that it is made of lives in one event loop."""

    def __init__(
        self,
        *,
        cache: ClusterCache,
        feed: Feed,
        attempts: Attempts,
        decider: Decider,
        carrier: Carrier,
        teller: Teller,
        metrics: Metrics,
        served: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        """Take the parts; ``served`` tells whether a namespace is ours to decide."""
        self.leading = False
        self._cache = cache
        self._feed = feed
        self._attempts = attempts
        self._decider = decider
        self._carrier = carrier
        self._teller = teller
        self._metrics = metrics
        self._served = served
        self._windows = Windows(decider, attempts, carrier, feed, metrics, served=served)
        self._clock = clock
        self._calendar = calendar
        self._grouping = Grouping()
        self._grouped = False
        self._recovered = False
        self._stopping = False
        self._swept = clock()
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
        return View(
            world=self._cache.world(), grouping=self._grouping, nodes=self._cache.snapshot().nodes, unreadable=self._cache.problems, now=self._clock()
        )

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
                await self._carrier.tend(due)
            self._recovered = True
            return True
        if due:
            self._carrier.tend_beside(due)
            await asyncio.sleep(0)  # seats of records that are still possible are counted before anything is decided
        look = self._look()
        self._time_out(look)
        gangs = self._windows.next(self._grouping, look)
        self._teller.gauge(self._grouping.gangs, look.now, records=len(self._carrier.open_records()))
        if not gangs or self._stopping:
            return False
        await self._decide(gangs)
        return True

    def _regroup(self) -> None:
        """Take in everything that was told, and work out the gangs."""
        self._feed.drain()
        if self._grouped and not self._feed.news:
            return
        self._feed.reindex()
        for refusal in self._feed.refusals:
            self._attempts.refuse(refusal.group, refusal.node, self._clock())
        self._feed.refusals.clear()
        self._grouping = gangs(self._cache.world(), index=self._feed.index)
        self._grouped = True
        self._attempts.keep(self._gangs(), self._clock())
        self._teller.wanted.set()

    def _gangs(self) -> Iterable[Gang]:
        return (*self._grouping.gangs, *self._grouping.settled)

    def _look(self) -> Look:
        now = self._clock()
        if now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            self._feed.help += 1
        return Look(now=now, calendar=self._calendar(), help=self._feed.help)

    async def _decide(self, gangs: Sequence[Gang]) -> None:
        """Decide one gang or a window; what is placed gets its seats assumed and its commit begun, in the order of the queue."""
        async with self._decider.lock:
            look = self._look()
            if len(gangs) == 1:
                await self._decide_alone(gangs[0], look)
                return
            for answer in await self._windows.decide(gangs):
                self._take(answer, look)

    async def _decide_alone(self, gang: Gang, look: Look) -> None:
        without = self._windows.refused(gang, look.now)
        try:
            answer = await self._decider.decide(gang, without=without)
        except Exception as bug:
            self._metrics.count("coterie_errors", "decide")
            logger.exception("deciding %s failed", gang.key, extra={"fields": {"gang": gang.key}})
            self._attempts.failed(gang.key, self._clock(), f"The gang could not be decided because of an error in the scheduler: {bug!r:.200}")
            self._teller.wanted.set()
        else:
            self._take(answer, look, without)

    def _take(self, answer: Answer, look: Look, without: Mapping[NodeName, float] | None = None) -> None:
        """Remember an answer to a question of that moment; begin to carry it out. ``without``: nodes that were not proposed, and until when."""
        plan = answer.plan
        later = min((without or {}).values(), default=inf)
        self._attempts.answered(plan, look, look_again=later if isinstance(plan, Unplaced) else inf)
        if not plan.gang.pending:
            return
        if isinstance(plan, Placed):
            self._cache.assume(plan)
            self._carrier.commit(plan, self._carried)
        self._teller.decided(answer)
        self._teller.wanted.set()

    def _carried(self, plan: Placed, outcome: Outcome | None) -> None:
        """Take in how a commit ended."""
        gang, now = plan.gang, self._clock()
        match outcome:
            case Bound() | Committed():
                self._attempts.succeeded(gang.key)
                self._teller.bound(plan, self._cache.world(), bound=sum(seat.state == "bound" for seat in outcome.seats))
                self._measure(plan, now)
            case Partly():
                failed = "; ".join(f"{seat.seat.pod}: {seat.message or seat.state}" for seat in outcome.failed)
                self._attempts.failed(gang.key, now, f"{len(outcome.failed)} of {len(outcome.seats)} members could not be bound: {failed}")
                if outcome.record is None:
                    self._give_back(gang.key)
                self._refused_by_nodes(gang, outcome, now)
            case Refused(reason="TooLarge", message=message):
                self._give_back(gang.key)
                self._attempts.answered(_unsupported(gang, message), self._look())
            case Refused(message=message):
                self._give_back(gang.key)
                self._attempts.failed(gang.key, now, f"The commit was refused: {message}")
            case None:
                self._give_back(gang.key)
                self._attempts.failed(gang.key, now, "The commit failed because of an error in the scheduler; its log has the details.")
        self._teller.wanted.set()

    def _refused_by_nodes(self, gang: Gang, outcome: Partly, now: float) -> None:
        group = self._windows.group(gang)
        for seated in outcome.failed:
            if seated.state == "refused" and group is not None:
                self._attempts.refuse(group, seated.seat.node, now)

    def _give_back(self, key: GangKey) -> None:
        if self._cache.assumed(key):
            self._cache.forget(key)
            self._feed.help += 1

    def _measure(self, plan: Placed, now: float) -> None:
        """Observe how long it took from the moment when the last member was seen."""
        seen = [self._feed.first_seen[m.pod.uid] for m in plan.gang.pending if m.pod.uid in self._feed.first_seen]
        if seen:
            self._metrics.observe("coterie_gang_seconds", now - max(seen))

    def _time_out(self, look: Look) -> None:
        for gang in self._grouping.gangs:
            if gang.waiting is None and self._served(gang.namespace) and not self._carrier.occupied(gang) and self._attempts.time_out(gang, look):
                self._give_back(gang.key)
                self._metrics.count("coterie_timeouts")
                self._teller.wanted.set()
                logger.info(
                    "%s/%s has waited longer than %d s", gang.namespace, gang.name, gang.timeout_seconds, extra={"fields": {"gang": gang.key}}
                )

    def _forget_gone(self) -> None:
        """Give back seats of gangs that are gone, and of records that are settled; open records claim their seats anew."""
        alive = {gang.key for gang in self._gangs()} | self._carrier.busy
        alive |= {GangKey(f"record:{record.key}") for record in self._carrier.open_records()}
        for key in self._cache.assuming - alive:
            self._give_back(key)

    def _let_go(self) -> None:
        if self._carrier.quiet.is_set():
            for key in self._cache.assuming:
                self._cache.forget(key)

    async def _wait(self) -> None:
        """Wait until something happens or somebody asked to be looked at."""
        pause = max(0.0, self._next() - self._clock())
        try:
            async with asyncio.timeout(None if pause == inf else pause):
                await self._feed.wake.wait()
        except TimeoutError:
            self._teller.wanted.set()  # a wait may have become long enough to be told
        self._feed.wake.clear()
        if any(gang.waiting is not None and gang.waiting.code == "MembersMissing" for gang in self._grouping.gangs):
            await asyncio.sleep(DEBOUNCE_SECONDS)

    def _next(self) -> float:
        if not self.leading:
            return inf
        look = Look(now=self._clock(), calendar=self._calendar(), help=self._feed.help)
        moments = [self._attempts.wake_at(gang, look) for gang in self._grouping.gangs]
        return min([self._swept + SWEEP_SECONDS, self._carrier.next_look(), *moments])


def _unsupported(gang: Gang, message: str) -> Plan:
    return Unplaced(gang=gang, status="UNSUPPORTED", reason="NotImplemented", message=message, decision=Decision(engine="none"))
