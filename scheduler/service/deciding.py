"""Calls the core for a gang or a window: on an immutable snapshot, in a worker thread, judged once more on the newest snapshot.

One decision at a time: the next snapshot is taken when the seats of the one before are assumed. `Decider.lock` holds that together; whoever
takes seats from a decision assumes them before the lock's next owner runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide, steps
from scheduler.decide.filters import Bools
from scheduler.decide.place import Checks
from scheduler.decide.reserve import Reserved, reserve
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Pod, Shape
from scheduler.state.plan import Decision, Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

TRIES: Final = 3
"""Decisions for one question when the cluster changes under each of them."""
REFUSED_BEFORE: Final = "RefusedBefore"
"""Name of the check that keeps a group off nodes which refused it a moment ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A decision, and how long it took from the snapshot to the verified plan."""

    plan: Plan
    seconds: float
    seen: Snapshot
    """The cluster as the gang saw it, the seats of gangs before it taken."""
    window: int = 1
    """Gangs that were decided together with it, itself among them; the time is that of all of them."""


def _nothing(_: Gang) -> tuple[Pod, ...]:
    return ()


class Decider:
    """Decides gangs on the cache's newest snapshot."""

    def __init__(
        self,
        cache: ClusterCache,
        solver: Solver,
        budget: Budget,
        *,
        drain: Callable[[], bool],
        joint: Joint | None = None,
        reserved: Callable[[Gang], tuple[Pod, ...]] = _nothing,
    ) -> None:
        """Decide with these solvers; ``drain`` takes in what was told meanwhile. Without ``joint`` every gang is decided alone.

        ``reserved`` gives pods that stand for room which is kept for others against a gang.
        """
        self.lock = asyncio.Lock()
        self._cache = cache
        self._solver = solver
        self._joint = joint
        self._budget = budget
        self._drain = drain
        self._reserved = reserved
        self._views: dict[Hashable, tuple[tuple[Pod, ...], Snapshot]] = {}
        self._of: Snapshot | None = None

    @property
    def jointly(self) -> bool:
        """Whether gangs may be decided together."""
        return self._joint is not None

    async def decide(self, gang: Gang, *, without: Collection[NodeName] = ()) -> Answer:
        """Decide one gang; ``without``: nodes that are not to be proposed. Hold the lock. Raises what a bug in the core raises.

        A plan that comes back is valid on the newest snapshot, and its members are still there.
        """
        started, complaint = time.perf_counter(), ""
        for _ in range(TRIES):
            snapshot = self.view(gang)
            plan = await asyncio.to_thread(_decided, snapshot, gang, self._solver, self._budget, frozenset(without))
            self._drain()
            complaint = self._complaint(plan, snapshot)
            if not complaint:
                return Answer(plan=plan, seconds=time.perf_counter() - started, seen=snapshot)
            if not self._alive(gang):
                break
        refused = Unplaced(gang=gang, status="UNKNOWN", reason="PlanRefused", message=complaint, decision=Decision(engine="none"))
        return Answer(plan=refused, seconds=time.perf_counter() - started, seen=snapshot)

    async def together(self, gangs: Sequence[Gang]) -> tuple[Answer, ...]:
        """Decide gangs in the order of the queue, each beside those before it; return the answers of the first ones, as far as they hold.

        Hold the lock. Raises what a bug in the core raises. Plans that come back are valid on the newest snapshot, all of them together. Where a
        gang was moved for another one, all hold or none. When the budget's wall seconds are over no other gang is begun.
        """
        started = time.perf_counter()
        snapshot, coming = self._cache.snapshot(), self.coming(gangs[0])
        plans, seen, moved = await asyncio.to_thread(self._walked, snapshot, gangs, coming)
        self._drain()
        held = self._holding(plans, changed=self._cache.snapshot() is not snapshot or self.coming(gangs[0]) != coming)
        if moved and held < len(plans):
            held = 0
        seconds = time.perf_counter() - started
        return tuple(Answer(plan=plan, seconds=seconds, seen=seen[plan.gang.key], window=len(plans)) for plan in plans[:held])

    async def reserve(
        self,
        gang: Gang,
        running: Sequence[Gang],
        *,
        beside: Callable[[Snapshot], Snapshot],
        may_end: Callable[[AbstractSet[PodUid]], AbstractSet[PodUid]],
    ) -> Reserved | None:
        """Choose the seats that the gang gets when pods have ended, see `scheduler.decide.reserve`. Hold the lock.

        ``beside`` gives the cluster as it will be when gangs that come first have the seats that are reserved for them,
        ``may_end`` those of the running pods that are counted on to end.
        """
        snapshot = self._cache.snapshot().beside(self._cache.nominated, gang.priority)
        return await asyncio.to_thread(
            reserve,
            beside(snapshot),
            gang,
            running,
            may_end=may_end(self._cache.snapshot().pods.keys()),
            solver=self._solver,
            budget=self._budget,
            checks=checks(),
        )

    def _walked(self, snapshot: Snapshot, gangs: Sequence[Gang], coming: Sequence[Pod]) -> tuple[list[Plan], dict[GangKey, Snapshot], bool]:
        """Return the plans of the first gangs, as many as there was time for, what they saw, and whether any was placed anew for one behind it."""
        started, moved, limit = time.perf_counter(), False, self._budget.wall_seconds
        plans: dict[GangKey, Plan] = {}
        seen: dict[GangKey, Snapshot] = {}
        judge = partial(verify.verify, passes=filters.allowed)
        round_ = steps(snapshot, gangs, solver=self._solver, budget=self._budget, checks=checks(), verify=judge, joint=self._joint, nominated=coming)
        for step in round_:
            plans.update({plan.gang.key: plan for plan in (*step.moved, step.plan)})
            seen[step.plan.gang.key] = step.seen
            moved |= bool(step.moved)
            if limit is not None and time.perf_counter() - started >= limit:
                break
        return list(plans.values()), seen, moved

    def _holding(self, plans: Sequence[Plan], *, changed: bool) -> int:
        """Count the plans that hold, up to the first that does not; they are judged anew where the cluster has changed."""
        world = self._cache.snapshot()
        for at, plan in enumerate(plans):
            if not isinstance(plan, Placed):
                continue
            if not self._alive(plan.gang):
                return at
            if changed:
                if verify.verify(world.beside(self.coming(plan.gang), plan.gang.priority), plan, filters.allowed):
                    return at
                world = world.with_plan(plan)
        return len(plans)

    def coming(self, gang: Gang) -> tuple[Pod, ...]:
        """Return the pods that hold room against a gang although they have no node: others make room for them, or it is reserved for them."""
        nominated = (pod for pod in self._cache.nominated if pod.priority >= gang.priority)
        return (*nominated, *self._reserved(gang))

    def view(self, gang: Gang) -> Snapshot:
        """Return the newest snapshot as this gang sees it; the same object as long as nothing changed that it sees."""
        snapshot, coming = self._cache.snapshot(), self.coming(gang)
        if not coming:
            return snapshot
        if self._of is not snapshot:
            self._of, self._views = snapshot, {}
        key = (gang.priority, *map(id, coming))
        if key not in self._views:
            self._views[key] = (coming, snapshot.beside(coming, gang.priority))  # the pods are kept, so that no other one gets their id
        return self._views[key][1]

    def _complaint(self, plan: Plan, snapshot: Snapshot) -> str:
        """Say what speaks against a plan that was made on an older snapshot; empty: nothing."""
        if not isinstance(plan, Placed):
            return ""
        if not self._alive(plan.gang):
            return "A member was deleted, bound or replaced while the gang was decided."
        newest = self.view(plan.gang)
        if newest is snapshot:
            return ""
        complaints = verify.verify(newest, plan, filters.allowed)
        return complaints[0] if complaints else ""

    def _alive(self, gang: Gang) -> bool:
        """Whether every pending member is still what it was: there, without a node, not going away."""
        for member in gang.pending:
            if not member.held:
                pod = self._cache.pod(member.pod.uid)
                if pod is None or pod.node is not None or pod.terminating or pod.finished:
                    return False
        return True


def _decided(snapshot: Snapshot, gang: Gang, solver: Solver, budget: Budget, without: frozenset[NodeName]) -> Plan:
    (plan,) = decide(
        snapshot,
        (gang,),
        solver=solver,
        budget=budget,
        checks=checks(without),
        verify=partial(verify.verify, passes=filters.allowed),
    )
    return plan


def checks(without: frozenset[NodeName] = frozenset()) -> Checks:
    """Return the node checks, with one more that refuses these nodes."""
    plain = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
    if not without:
        return plain

    def banned(snapshot: Snapshot) -> Bools:
        return np.fromiter((name in without for name in snapshot.topology.nodes), dtype=np.bool_, count=len(snapshot.topology.nodes))

    def allowed(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod] = ()) -> Bools:
        passed: Bools = filters.allowed(snapshot, shape, pods) & ~banned(snapshot)
        return passed

    def refusals(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod] = ()) -> tuple[tuple[str, Bools], ...]:
        found = filters.refusals(snapshot, shape, pods)
        first = banned(snapshot)
        for _, refused in found:
            first = first & ~refused
        return (*found, (REFUSED_BEFORE, first)) if first.any() else found

    return replace(plain, allowed=allowed, refusals=refusals)
