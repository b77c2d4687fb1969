"""Puts the scheduler together and keeps it running: watches, election, loop, publishing, HTTP; and ends it in order.

The order at the end: decide nothing more, let commits finish (what does not finish stands in its record), give the Lease back, then stop
watching. Followers watch too, so that a take-over starts warm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from scheduler.config import Config, Identity
from scheduler.kube.api import Api
from scheduler.kube.backoff import Backoff
from scheduler.kube.bindings.commit import Committer
from scheduler.kube.bindings.records import placement
from scheduler.kube.errors import ApiError
from scheduler.kube.follow.listing import objects
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import WATCHED
from scheduler.kube.group.grouping import Index
from scheduler.kube.lease import Lease, since_boot
from scheduler.kube.publish.outbox import Outbox
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts
from scheduler.service.carrying import SOURCE, Carrier
from scheduler.service.deciding import Decider
from scheduler.service.feed import Feed
from scheduler.service.http import Server
from scheduler.service.loop import Loop
from scheduler.service.reserving import Reservations
from scheduler.service.telling import Teller
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.plan import Plan
from scheduler.state.problems import BadInput

logger = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]

FINISH_SECONDS: Final = 15.0
"""How long commits may take to finish at a stop; the rest stands in records. Pods are given 30 s to end."""
FLUSH_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0


class Election(Protocol):
    """What is asked of the Lease, or of nothing where one replica is all there is."""

    identity: str
    term: int
    trouble: str
    """Why the Lease could not be asked for or renewed at the last try; empty: it could."""

    def held(self) -> bool:
        """Whether we surely lead at this moment."""

    async def acquire(self) -> None:
        """Wait until we lead."""

    async def keep(self) -> None:
        """Return when we lead no more."""

    async def release(self) -> None:
        """Let others lead."""


class Alone:
    """Leads always: for one replica without a Lease."""

    def __init__(self, identity: str) -> None:
        """Take a name for records."""
        self.identity = identity
        self.term = 0
        self.trouble = ""

    def held(self) -> bool:
        """Return True."""
        return True

    async def acquire(self) -> None:
        """Return at once."""

    async def keep(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A scheduler that is put together and does not run yet."""

    api: Api
    watcher: Watcher
    feed: Feed
    loop: Loop
    teller: Teller
    outbox: Outbox
    election: Election
    server: Server
    metrics: Metrics


def assemble(api: Api, config: Config, who: Identity, solver: Solver, joint: Joint | None = None, *, clock: Clock | None = None) -> Parts:
    """Put a scheduler together; nothing is asked or written yet. Without ``joint`` gangs that compete are decided one by one.

    ``clock`` gives seconds that only grow: monotonic time, and for the Lease a clock that suspends do not stop, when it is left out.
    """
    ticks = clock or time.monotonic
    metrics = Metrics()
    watcher = Watcher(api, idle=config.watch.idle_seconds, clock=ticks)
    cache = ClusterCache(levels=config.custom_levels)
    feed = Feed(cache, Index(scheduler_name=config.scheduler_name), watcher.events, metrics, clock=ticks)
    attempts = Attempts(config.backoff)
    budget = Budget(deterministic_seconds=config.solver.deterministic_seconds, wall_seconds=config.solver.wall_seconds)
    reservations = Reservations(cache=cache, attempts=attempts, metrics=metrics, after=config.queue.reserve_after_seconds)
    decider = Decider(cache, solver, budget, drain=feed.drain, joint=joint, reserved=reservations.pods)
    election = _election(api, config, who, clock or since_boot)

    async def replan(gang: Gang) -> Plan:
        async with decider.lock:
            return (await decider.decide(gang, without=loop.shunned(gang))).plan

    carrier = Carrier(Committer(api, election, in_flight=config.binds_in_flight), cache, feed, replan, metrics, clock=ticks)
    chosen = frozenset(config.namespaces)

    def served(namespace: str) -> bool:
        return not chosen or namespace in chosen

    outbox = Outbox(api, instance=who.name, quiet=carrier.quiet)
    carrier.tell = outbox.tell
    teller = Teller(outbox, attempts, metrics, served=served)
    loop = Loop(
        cache=cache,
        feed=feed,
        attempts=attempts,
        decider=decider,
        reservations=reservations,
        carrier=carrier,
        teller=teller,
        metrics=metrics,
        served=served,
        clock=ticks,
    )
    server = Server(api, watcher, metrics, turned=lambda: loop.turned, leaderless=lambda: "" if election.held() else election.trouble, clock=ticks)
    return Parts(api=api, watcher=watcher, feed=feed, loop=loop, teller=teller, outbox=outbox, election=election, server=server, metrics=metrics)


async def serve(
    api: Api, config: Config, who: Identity, solver: Solver, joint: Joint | None = None, *, stop: asyncio.Event, clock: Clock | None = None
) -> None:
    """Run until ``stop`` is set; ``clock`` as in `assemble`. Raises BadInput when the port cannot be had."""
    parts = assemble(api, config, who, solver, joint, clock=clock)
    await parts.server.start(config.http)
    parts.metrics.gauge("coterie_leader", 0)
    logger.info("starting as %s", who.name, extra={"fields": {"server": api.host, "namespaces": list(config.namespaces) or "all"}})
    tasks = [asyncio.create_task(work, name=name) for name, work in _works(parts)]
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        ended, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        await _finish(parts)
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        await parts.server.stop()
    for task in ended - {stopping}:
        task.result()  # raises what ended it


def _works(parts: Parts) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    return [
        ("watch", parts.watcher.run()),
        ("pump", parts.feed.pump()),
        ("loop", _loop(parts)),
        ("elect", _elect(parts)),
        ("tell", parts.teller.run(parts.loop.view)),
        ("write", parts.outbox.run()),
    ]


async def _loop(parts: Parts) -> None:
    await parts.watcher.synced()
    logger.info("synced", extra={"fields": {"rows": {source: health.phase for source, health in parts.watcher.health.items()}}})
    await parts.loop.run()


async def _elect(parts: Parts) -> None:
    """Lead whenever the Lease is ours."""
    await parts.watcher.synced()
    while True:
        await _acquired(parts)
        logger.info("leading", extra={"fields": {"identity": parts.election.identity, "term": parts.election.term}})
        keeping = asyncio.create_task(parts.election.keep(), name="keep the Lease")
        try:
            if await _fresh_records(parts, keeping):
                parts.metrics.gauge("coterie_leader", 1)
                parts.loop.lead()
                await keeping
        finally:
            keeping.cancel()
            parts.loop.follow()
            parts.metrics.gauge("coterie_leader", 0)
        logger.warning("the Lease is lost; following")


async def _acquired(parts: Parts) -> None:
    """Wait until we lead. An API server that has just started refuses everybody for a moment, so that no refusal is final."""
    pauses = Backoff(first=0.5, most=10.0)
    while True:
        try:
            await parts.election.acquire()
        except ApiError as error:
            parts.server.trouble = f"the Lease cannot be had: {error}"
            pause = pauses.next(error.retry_after)
            logger.error("the Lease cannot be had, trying again in %.1f s: %s", pause, error)  # noqa: TRY400 - the server's answer, not a bug
            await asyncio.sleep(pause)
        else:
            parts.server.trouble = ""
            return


async def _fresh_records(parts: Parts, keeping: asyncio.Task[None]) -> bool:
    """Read all records from the server: the last words of the former leader may not have come through the watch yet."""
    row = next(row for row in WATCHED if row.source == SOURCE)
    pauses = Backoff(first=RETRY_SECONDS, most=10.0)
    while not keeping.done():
        try:
            for raw in await objects(parts.api, row):
                try:
                    parts.feed.put_record(placement(raw), SOURCE)
                except BadInput as unusable:  # the watch tells of it as well; its gang is not bound beside it
                    logger.warning("a commit record cannot be used: %s", unusable)
        except ApiError as error:
            pause = pauses.next(error.retry_after)
            logger.warning("the commit records cannot be read, trying again in %.1f s: %s", pause, error)
            await asyncio.sleep(pause)
        else:
            return True
    return False


async def _finish(parts: Parts) -> None:
    logger.info("stopping")
    await parts.loop.stop(FINISH_SECONDS)
    await parts.outbox.flush(FLUSH_SECONDS)
    with contextlib.suppress(ApiError):
        await parts.election.release()
    logger.info("stopped")


def _election(api: Api, config: Config, who: Identity, clock: Clock) -> Election:
    chosen = config.leader_election
    if not chosen.enabled:
        return Alone(who.name)
    return Lease(
        api,
        identity=who.name,
        namespace=who.namespace,
        name=chosen.lease_name,
        duration=chosen.lease_seconds,
        renew=chosen.renew_seconds,
        clock=clock,
    )
