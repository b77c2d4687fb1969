"""What gangs cost that can never be placed: the scheduler's loop with all its parts but the server's, which tells it what happens.

Measured is the CPU time of the whole process for each second that passes: while nothing happens, and while a pod that no gang could make
use of comes and goes every second. What is written to the API server is left out; nothing is written while nothing changes. The moments at
which every gang is decided again in any case are rarer than the measurement is long, so their cost is added as a share.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from scheduler.bench.grids import RACK, Layout, filled, shape
from scheduler.bench.measure import Fact, Options, Row
from scheduler.config import BackoffConfig
from scheduler.kube.api import Api
from scheduler.kube.bindings.commit import Committer
from scheduler.kube.group import names
from scheduler.kube.group.grouping import Index
from scheduler.kube.publish.outbox import Outbox
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempts
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Decider
from scheduler.service.feed import Feed
from scheduler.service.loop import Loop
from scheduler.service.questions import SWEEP_SECONDS
from scheduler.service.reserving import Reservations
from scheduler.service.running import Alone
from scheduler.service.telling import Teller
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, Id, Put, Removed, Value
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Decision, Plan, Unplaced
from scheduler.state.resources import GPU, Resources
from scheduler.state.world import PodGroup

GANGS: Final = 500
NODES: Final = 1_000
MEMBERS: Final = 8
SECONDS: Final = 10.0
BOUND: Final = 5.0
"""Per cent of one CPU."""
_NAMESPACE: Final = "bench"


def idling(options: Options) -> Iterator[Row]:
    """Let the loop run with gangs that all ask for something else in vain, idle and beside a visitor."""
    gangs, nodes = options.size(GANGS), max(MEMBERS, options.size(NODES))
    seconds = max(0.5, SECONDS / options.shrink)
    for what, every in (("idle", None), ("while a pod of no use to them comes and goes each second", 1.0)):
        options.tell(f"{gangs} gangs on {nodes:,} full nodes, {what}")
        values: list[float] = []
        facts: dict[str, Fact] = {}
        for _ in range(options.runs):
            value, facts = asyncio.run(_measured(gangs, nodes, seconds, every))
            values.append(value)
        yield Row(what=f"{gangs} gangs in vain on {nodes:,} nodes, {what}", unit="% CPU", values=tuple(values), bound=BOUND, facts=facts)


async def _measured(gangs: int, nodes: int, seconds: float, every: float | None) -> tuple[float, dict[str, Fact]]:
    site = Site(gangs, nodes)
    tasks = [asyncio.create_task(work) for work in (site.feed.pump(), site.loop.run(), site.teller.run(site.loop.view))]
    await asyncio.sleep(0.1)
    lag, started = Lag(), time.process_time()
    await site.settled(gangs)
    deciding, late = time.process_time() - started, lag.stop()
    before, began, decided = time.process_time(), time.monotonic(), site.decided()
    while (left := began + seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(left, every or left))
        if every is not None:
            site.visit()
    passed, spent, again = time.monotonic() - began, time.process_time() - before, site.decided() - decided
    await site.loop.stop(1)
    for task in tasks:
        task.cancel()
    share = 100 * deciding / SWEEP_SECONDS
    facts: dict[str, Fact] = {
        "decided again": again,
        "of it for the first sweep": round(share, 2),
        "ms to decide each": round(1000 * deciding / gangs, 2),
        "ms that the event loop waited at most meanwhile": round(1000 * late, 1),
    }
    return 100 * spent / passed + share, facts


class Lag:
    """Looks in every few milliseconds, as renewals and watches do, and remembers how late it came at most."""

    def __init__(self) -> None:
        """Begin without delays."""
        self.most = 0.0
        self._due = asyncio.get_running_loop().time()
        self._look()

    def stop(self) -> float:
        """Return the longest delay, in seconds, and end."""
        self._handle.cancel()
        return self.most

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self.most = max(self.most, loop.time() - self._due)
        self._due = loop.time() + 0.005
        self._handle = loop.call_at(self._due, self._look)


class Site:
    """The loop on a full cluster, and gangs that each ask for a little more CPU than the one before."""

    def __init__(self, gangs: int, nodes: int) -> None:
        """Fill the cluster and let the gangs come."""
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._metrics = Metrics()
        self._attempts = Attempts(BackoffConfig(), seed=0)
        self._visitor: Pod | None = None
        cache = ClusterCache()
        self.feed = feed = Feed(cache, Index(), self._events, self._metrics)
        reservations = Reservations(cache=cache, attempts=self._attempts, metrics=self._metrics, after=60.0)
        decider = Decider(cache, engines.default, Budget(), drain=feed.drain, joint=engines.joint, reserved=reservations.pods)
        committer = Committer(cast("Api", None), Alone("bench"))  # nothing is ever committed
        carrier = Carrier(committer, cache, feed, _nobody, self._metrics)
        outbox = Outbox(cast("Api", None), instance="bench", quiet=carrier.quiet)  # it is told what holds, and never run
        self.teller = Teller(outbox, self._attempts, self._metrics, served=lambda _: True)
        self.loop = Loop(
            cache=cache,
            feed=feed,
            attempts=self._attempts,
            decider=decider,
            reservations=reservations,
            carrier=carrier,
            teller=self.teller,
            metrics=self._metrics,
            served=lambda _: True,
        )
        snapshot = filled([8] * nodes, Layout())
        self._somewhere = min(snapshot.nodes)
        for node in snapshot.nodes.values():
            self._put(node)
        for pod in snapshot.pods.values():
            self._put(pod)
        for number in range(gangs):
            self._ask(number)
        self.loop.lead()

    def decided(self) -> int:
        """Return how often gangs were answered so far."""
        view = self.loop.view()
        attempts = [] if view is None else [self._attempts.of(gang.key) for gang in view.grouping.gangs]
        return sum(attempt.decisions for attempt in attempts if attempt is not None)

    async def settled(self, gangs: int) -> None:
        """Wait until every gang has its answer, and the loop nothing to do."""
        for _ in range(3_000):
            if self.decided() >= gangs:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)

    def visit(self) -> None:
        """Let the visitor come where it is not there, and go where it is."""
        if self._visitor is None:
            uses = Resources({"cpu": 100, "pods": 1})
            self._visitor = Pod(
                namespace=_NAMESPACE, name="visitor", uid=PodUid("visitor"), used=uses, node=NodeName(self._somewhere), phase="Running"
            )
            self._put(self._visitor)
        else:
            self._events.put_nowait(Removed(id=_id(self._visitor)))
            self._visitor = None

    def _ask(self, number: int) -> None:
        name, form = f"gang-{number:03}", shape(8)
        wanted = replace(form, requests=Resources({**form.requests, "cpu": 1_000 + number, GPU: 8}))
        self._put(PodGroup(namespace=_NAMESPACE, name=name, uid=name, min_member=MEMBERS, required=RACK, api_version=f"{names.RUN_AI}/v1"))
        for rank in range(MEMBERS):
            self._put(
                Pod(
                    namespace=_NAMESPACE,
                    name=f"{name}-{rank}",
                    uid=PodUid(f"{name}-{rank}"),
                    labels={names.POD_GROUP: name},
                    scheduler_name=names.SCHEDULER_NAME,
                    shape=wanted,
                    used=wanted.requests,
                    created=time.time(),
                )
            )

    def _put(self, value: Value) -> None:
        self._events.put_nowait(Put(id=_id(value), value=value))


async def _nobody(gang: Gang) -> Plan:
    return Unplaced(gang=gang, status="UNKNOWN", reason="PlanRefused", message="", decision=Decision(engine="none"))


def _id(value: Value) -> Id:
    source = {"Node": "nodes", "Pod": "pods"}.get(type(value).__name__, "podgroups")
    return Id(source=source, namespace=getattr(value, "namespace", ""), name=value.name, uid=getattr(value, "uid", ""))
