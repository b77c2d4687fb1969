"""The state of one round: who is placed, what room that leaves for the next gang, and whether gangs that compete are asked jointly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from scheduler.decide.arrays import Checks
from scheduler.decide.competition import Competition, Verdict
from scheduler.decide.place import place
from scheduler.decide.whatif import WhatIf
from scheduler.solve.joint.window import Joint
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How gangs are decided: the same for a round and for what would come of it on another cluster."""

    solver: Solver
    budget: Budget
    checks: Checks
    what_if: Solver | None = None
    """Answers the questions of explanations, where one engine alone decides gangs."""
    joint: Joint | None = None
    """Decides gangs that compete; ``None``: nobody is ever moved."""

    @property
    def asked(self) -> Solver:
        """The solver of what-ifs."""
        return self.what_if or self.solver

    def again(self, snapshot: Snapshot, gang: Gang) -> Plan:
        """Decide a gang on a what-if: whether it fits, and where."""
        return place(snapshot, gang, self.asked, self.budget, self.checks, explained=False)


@dataclass(kw_only=True, eq=False)
class Round:
    """Gangs that are decided one after the other on one cluster; every placed gang takes its seats before the next is decided."""

    snapshot: Snapshot
    """The cluster before the round."""
    coming: tuple[Pod, ...]
    """Pods without a node for which one is being emptied: they hold room there against gangs of no higher priority."""
    rules: Rules
    jointly: Budget
    """What the joint questions of the round may cost together."""
    placed: dict[GangKey, Placed] = field(default_factory=dict)
    _taken: Snapshot | None = None
    _latest: Placed | None = None

    @property
    def taken(self) -> Snapshot:
        """The cluster with the seats of all who are placed."""
        taken = self.snapshot if self._taken is None else self._taken
        if self._latest is not None:  # seats are taken when somebody comes after
            taken, self._latest = taken.with_plan(self._latest), None
        self._taken = taken
        return taken

    def view(self, gang: Gang) -> Snapshot:
        """Return the cluster as the next gang sees it."""
        return self.taken.beside(self.coming, gang.priority)

    def first(self, seen: Snapshot, gang: Gang, *, explained: bool = True) -> Plan:
        """Decide a gang beside the seats that are taken."""
        rules = self.rules
        return place(seen, gang, rules.solver, rules.budget, rules.checks, explained=explained, what_if=rules.what_if)

    def settled(self, plan: Plan) -> Verdict:
        """Return the last word about a gang: one that is refused beside those before it is asked about together with them."""
        if self.competition is None or not (isinstance(plan, Unplaced) and plan.status == "INFEASIBLE"):
            return Verdict(plan=plan)
        return self.competition.settle(plan, tuple(self.placed.values()))

    @cached_property
    def competition(self) -> Competition | None:
        """Who asks jointly."""
        rules = self.rules
        if rules.joint is None:
            return None
        return Competition(
            snapshot=self.snapshot, nominated=self.coming, joint=rules.joint, solver=rules.asked, budget=self.jointly, checks=rules.checks
        )

    @property
    def spent(self) -> float:
        """What its joint questions have cost so far, in deterministic seconds."""
        return 0.0 if self.competition is None else self.competition.spent

    def take(self, verdict: Verdict) -> None:
        """Give the seats away."""
        self.placed.update({p.gang.key: p for p in (*verdict.moved, verdict.plan) if isinstance(p, Placed)})
        if verdict.moved:
            self._taken, self._latest = self.beside(None), None
        elif isinstance(verdict.plan, Placed):
            self._latest = verdict.plan

    def change(self, what: WhatIf) -> None:
        """Change the cluster under the gangs that are placed."""
        self.snapshot, self._taken = what.of(self.snapshot), what.of(self.taken)

    def beside(self, one: Plan | None) -> Snapshot:
        """Return the cluster with the seats of all plans but one taken: a plan of a window must hold whatever is carried out first."""
        return _seated(self.snapshot, (plan for plan in self.placed.values() if plan is not one))


def _seated(snapshot: Snapshot, placed: Iterable[Placed]) -> Snapshot:
    for plan in placed:
        snapshot = snapshot.with_plan(plan)
    return snapshot
