"""One round of decisions: a walk along the queue; every placed gang takes its seats before the next one is decided.

When that leaves no room for a gang that would fit otherwise, `scheduler.decide.competition` asks for all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from scheduler.decide import queue
from scheduler.decide.competition import Competition, Verdict
from scheduler.decide.joint_plans import names
from scheduler.decide.place import Checks, place
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

Replace: TypeAlias = Callable[[Snapshot, Gang], Plan]
"""Decide a gang again on another snapshot or with another demand: what explanations try."""
Explain: TypeAlias = Callable[[Snapshot, Gang, Unplaced, Replace], Unplaced]
Verify: TypeAlias = Callable[[Snapshot, Plan], tuple[str, ...]]


class RefereeError(Exception):
    """A plan that the solver calls valid is not: a bug, never an outcome."""

    def __init__(self, plan: Plan, complaints: tuple[str, ...]) -> None:
        """Keep the plan and what is wrong with it."""
        self.plan, self.complaints = plan, complaints
        super().__init__("; ".join(complaints))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One gang is decided."""

    plan: Plan
    seen: Snapshot
    """The cluster as the gang saw it, the seats of gangs before it taken."""
    moved: tuple[Placed, ...] = ()
    """Gangs before it that were placed anew, so that it fits too: these plans are the ones that count."""


def decide(
    snapshot: Snapshot,
    gangs: Iterable[Gang],
    *,
    solver: Solver,
    budget: Budget,
    checks: Checks,
    verify: Verify,
    explain: Explain | None = None,
    what_if: Solver | None = None,
    joint: Joint | None = None,
    nominated: Iterable[Pod] = (),
) -> tuple[Plan, ...]:
    """Return one plan for each gang, in the order of the queue; see `steps`."""
    last: dict[GangKey, Plan] = {}
    for step in steps(
        snapshot,
        gangs,
        solver=solver,
        budget=budget,
        checks=checks,
        verify=verify,
        explain=explain,
        what_if=what_if,
        joint=joint,
        nominated=nominated,
    ):
        last.update({plan.gang.key: plan for plan in (*step.moved, step.plan)})
    return tuple(last.values())


def steps(
    snapshot: Snapshot,
    gangs: Iterable[Gang],
    *,
    solver: Solver,
    budget: Budget,
    checks: Checks,
    verify: Verify,
    explain: Explain | None = None,
    what_if: Solver | None = None,
    joint: Joint | None = None,
    nominated: Iterable[Pod] = (),
) -> Iterator[Step]:
    """Decide gang by gang in the order of the queue; a gang that is refused beside those before it is asked about together with them.

    Raises `RefereeError` when the referee refuses a plan. ``explain`` adds relaxations to what is proved not to fit;
    ``what_if`` is the solver that explanations ask, where the gangs themselves are decided by one engine alone. Without ``joint``
    nobody is ever moved. ``nominated`` pods have no node yet, but one is being emptied for them: they hold room there against gangs
    of no higher priority.
    """
    again: Replace = partial(_again, solver=what_if or solver, budget=budget, checks=checks)
    coming = tuple(nominated)
    play = (
        None
        if joint is None
        else Competition(snapshot=snapshot, nominated=coming, joint=joint, solver=what_if or solver, budget=budget, checks=checks)
    )
    placed: dict[GangKey, Placed] = {}
    refused: list[Gang] = []
    taken, latest = snapshot, None
    for gang in queue.ordered(gangs):
        taken = taken if latest is None else taken.with_plan(latest)  # seats are taken when somebody comes after
        seen = taken.beside(coming, gang.priority)
        verdict = Verdict(plan=place(seen, gang, solver, budget, checks, what_if=what_if))
        if isinstance(verdict.plan, Unplaced) and verdict.plan.status == "INFEASIBLE" and play is not None:
            verdict = play.settle(verdict.plan, tuple(placed.values()))
        plan = verdict.plan
        if isinstance(plan, Unplaced) and plan.status == "INFEASIBLE" and explain is not None:
            plan = _behind(explain(seen, gang, plan, again), refused)
            refused.append(gang)
        placed.update({p.gang.key: p for p in (*verdict.moved, plan) if isinstance(p, Placed)})
        for one in (*verdict.moved, plan):
            world = _beside(snapshot, placed.values(), one).beside(coming, one.gang.priority) if verdict.moved else seen
            complaints = verify(world, one)
            if complaints:
                raise RefereeError(one, complaints)
        latest = plan if isinstance(plan, Placed) and not verdict.moved else None
        taken = _beside(snapshot, placed.values(), None) if verdict.moved else taken
        yield Step(plan=plan, seen=seen, moved=verdict.moved)


def _behind(plan: Unplaced, refused: list[Gang]) -> Unplaced:
    """Say that gangs before this one in the queue are refused too: what is done for this one may serve them first."""
    if not refused or not plan.relaxations:
        return plan
    count = "The gang" if len(refused) == 1 else f"{len(refused)} gangs"
    message = (
        f"{count} before it in the queue ({names(refused)}) wait{'s' if len(refused) == 1 else ''} for room too and come first when there is some."
    )
    about = f"{plan.gang.workload.kind}/{plan.gang.workload.name}"
    return replace(plan, advice=(*plan.advice, Advice(level="info", object=about, field="", message=message)))


def _beside(snapshot: Snapshot, placed: Iterable[Placed], one: Plan | None) -> Snapshot:
    """Return the snapshot with the seats of all these plans but one taken: a plan of a window must hold whatever is carried out first."""
    for plan in placed:
        snapshot = snapshot if plan is one else snapshot.with_plan(plan)
    return snapshot


def _again(snapshot: Snapshot, gang: Gang, *, solver: Solver, budget: Budget, checks: Checks) -> Plan:
    return place(snapshot, gang, solver, budget, checks, explained=False)
