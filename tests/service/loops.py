"""A loop with all its parts but the server's: gangs are decided by the real solvers, and bound in the cache alone."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from scheduler.config import BackoffConfig
from scheduler.kube.bindings.commit import Bound, Committer, Outcome
from scheduler.kube.group.grouping import Index
from scheduler.metrics import Metrics
from scheduler.service.attempts import Attempt, Attempts
from scheduler.service.carrying import Carrier
from scheduler.service.deciding import Answer, Decider
from scheduler.service.feed import Feed
from scheduler.service.loop import Loop
from scheduler.service.reserving import Reservations
from scheduler.service.telling import Teller
from scheduler.solve import engines
from scheduler.solve.joint.window import Answer as JointAnswer
from scheduler.solve.joint.window import Joint, Window
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget, Solver
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, Id, Put, Removed
from scheduler.state.gang import Gang
from scheduler.state.objects import Node, Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.record import Record
from scheduler.state.world import PodGroup
from tests.builders import pod, shape


class Told:
    """A teller that only listens."""

    def __init__(self) -> None:
        """Listen."""
        self.wanted = asyncio.Event()
        self.heard = asyncio.Event()
        self.answers: list[Answer] = []

    def decided(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.heard.set()

    def gauge(self, gangs: Sequence[Gang], now: float, *, records: int) -> None:
        pass

    def bound(self, plan: Placed, world: object, *, bound: int) -> None:
        pass


class Commits:
    """A committer that binds everything, in the cache alone."""

    term = 0

    def __init__(self, put: Callable[[Pod], None]) -> None:
        """Bind by putting pods that have a node."""
        self.plans: list[Placed] = []
        self._put = put

    async def settle(self, outcome: Outcome) -> Outcome:
        return outcome

    async def commit(self, plan: Placed, known: Record | None = None, **_: object) -> Bound:
        self.plans.append(plan)
        await asyncio.sleep(0)
        for seat in plan.seats:
            self._put(replace(seat.member.pod, node=seat.node, phase="Running"))
        return Bound(record=known, seats=())


@dataclass(kw_only=True)
class Solvers:
    """The real solvers, counted; something may happen before they answer."""

    joint_asked: int = 0
    asked: int = 0
    before: Callable[[Problem], None] = lambda _: None
    before_joint: Callable[[Window], None] = lambda _: None

    def solver(self, problem: Problem, budget: Budget) -> Solution:
        self.asked += 1
        self.before(problem)
        return engines.default(problem, budget)

    def joint(self, window: Window, budget: Budget) -> JointAnswer:
        self.joint_asked += 1
        self.before_joint(window)
        return engines.joint(window, budget)


class World:
    """A loop with all its parts but the server's."""

    def __init__(self, solver: Solver, joint: Joint | None, budget: Budget | None = None, *, reserve_after: float = 0.0) -> None:
        """Lead an empty cluster."""
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.told, self.metrics = Told(), Metrics()
        self.commits = Commits(self.put)
        self.cache = cache = ClusterCache()
        attempts = Attempts(BackoffConfig(), seed=1)
        self.attempts = attempts
        self.feed = feed = Feed(cache, Index(), self.queue, self.metrics)
        self.reservations = reservations = Reservations(
            cache=cache, attempts=attempts, metrics=self.metrics, after=reserve_after, rest=0, patience=1e9
        )
        decider = Decider(cache, solver, budget or Budget(), drain=feed.drain, joint=joint, reserved=reservations.pods)

        async def replan(gang: Gang) -> Plan:
            return (await decider.decide(gang)).plan

        carrier = Carrier(cast("Committer", self.commits), cache, feed, replan, self.metrics)
        teller = cast("Teller", self.told)
        self.loop = Loop(
            cache=cache,
            feed=feed,
            attempts=attempts,
            decider=decider,
            reservations=reservations,
            carrier=carrier,
            teller=teller,
            metrics=self.metrics,
            served=lambda _: True,
            calendar=lambda: 0.0,
        )
        self.loop.lead()

    def put(self, *values: Node | Pod | PodGroup) -> None:
        for value in values:
            source = {Node: "nodes", Pod: "pods", PodGroup: "podgroups"}[type(value)]
            namespace = "" if isinstance(value, Node) else value.namespace
            self.queue.put_nowait(Put(id=Id(source=source, namespace=namespace, name=value.name, uid=value.uid), value=value))
        self.feed.wake.set()

    def attempt(self, name: str) -> Attempt:
        """Return what is remembered about a gang."""
        view = self.loop.view()
        assert view is not None
        found = self.attempts.of(next(gang.key for gang in view.grouping.gangs if gang.name == name))
        assert found is not None
        return found

    def remove(self, value: Pod) -> None:
        self.queue.put_nowait(Removed(id=Id(source="pods", namespace=value.namespace, name=value.name, uid=value.uid)))
        self.feed.wake.set()

    async def quiet(self) -> None:
        """Wait until no turn is taken for a while; somebody else runs the loop."""
        calm = 0
        async with asyncio.timeout(20):
            while calm < 7:
                await asyncio.sleep(0.02)
                idle = self.loop._turned is None and self.queue.empty()  # noqa: SLF001 - there is no other way to know
                calm = calm + 1 if idle and not self.feed.wake.is_set() else 0

    async def until(self, decisions: int) -> None:
        """Take turns until so many decisions were told, and a moment longer."""
        turning = asyncio.create_task(self.loop.run())
        async with asyncio.timeout(20):
            while len(self.told.answers) < decisions:
                await self.told.heard.wait()
                self.told.heard.clear()
        await asyncio.sleep(0.05)
        await self.loop.stop(1)
        await turning


def ours(name: str, at: int, *, picky: bool = False, priority: int = 0) -> Pod:
    """Return a pod of eight GPUs for our scheduler, a gang of its own, made at that second; a picky one goes to new nodes alone."""
    looks = shape(gpus=8, node_selector=(("kind", "new"),)) if picky else shape(gpus=8)
    return replace(pod(name, of=looks, priority=priority), scheduler_name="coterie", created=float(at))


def played(solvers: Solvers, *values: Node | Pod | PodGroup, decisions: int, joint: bool = True, world: World | None = None) -> World:
    """Let the loop decide what is there."""
    found = world or World(solvers.solver, solvers.joint if joint else None)

    async def play() -> None:
        found.put(*values)
        await found.until(decisions)

    asyncio.run(play())
    return found


def carried(world: World) -> list[tuple[str, str]]:
    """Return pods and their nodes in the order in which their commits began."""
    return [(seat.member.pod.name, str(seat.node)) for plan in world.commits.plans for seat in plan.seats]


def said(world: World) -> list[tuple[str, str, int]]:
    """Return who was answered, what, and how many gangs were decided together."""
    return [
        (answer.plan.gang.name, answer.plan.status if isinstance(answer.plan, Unplaced) else "placed", answer.window) for answer in world.told.answers
    ]
