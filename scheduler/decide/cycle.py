"""One round of decisions: a walk along the queue; every placed gang takes its seats before the next one is decided.

When that leaves no room for a gang that would fit otherwise, `scheduler.decide.competition` asks for all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from scheduler.decide import queue
from scheduler.decide.beside import Rivals
from scheduler.decide.competition import Verdict
from scheduler.decide.place import Checks
from scheduler.decide.rehearsal import Again, Allowance, Stage
from scheduler.decide.round import Round, Rules
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot

Explain: TypeAlias = Callable[[Snapshot, Gang, Unplaced, Again], Unplaced]
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
    rules = Rules(solver=solver, budget=budget, checks=checks, what_if=what_if, joint=joint)
    walk = Round(snapshot=snapshot, coming=tuple(nominated), rules=rules, jointly=budget)
    stage = Stage(walk=walk, allowance=Allowance(left=budget.deterministic_seconds))
    rivals = Rivals(walk=walk)
    for gang in queue.ordered(gangs):
        seen = walk.view(gang)
        verdict = walk.settled(walk.first(seen, gang))
        if isinstance(verdict.plan, Unplaced) and verdict.plan.status == "INFEASIBLE" and explain is not None:
            verdict = Verdict(plan=explain(seen, gang, rivals.told(verdict.plan), stage.again()))
        walk.take(verdict)
        for one in (*verdict.moved, verdict.plan):
            stage.before[one.gang.key] = one
            complaints = verify(walk.beside(one).beside(walk.coming, one.gang.priority) if verdict.moved else seen, one)
            if complaints:
                raise RefereeError(one, complaints)
        yield Step(plan=verdict.plan, seen=seen, moved=verdict.moved)
