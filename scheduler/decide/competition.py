"""Gangs that compete: one that is refused beside the seats of gangs before it is asked about once more, together with them.

One after the other is quick, and mostly right. But a gang that chose among equal places, or that could have gone elsewhere,
may leave no room for the next. So when a gang of a round is refused, and it would not be without the seats that the round has
given away, all of them are one question (`scheduler.solve.joint`), in this order of aims:

- gangs of higher priority keep the number of their pods and their cost; they may only choose among equally good placements;
- of gangs of equal priority as many as possible are placed, first come first served: the first if it can be placed at all, the next
  if it can be placed together with those before it, in whatever way, and so on;
- then their aims count in that order: the first one's core, extras and cost, then the next one's.

A window holds at most the last of `WINDOWS` gangs, and `PODS` pending pods; other gangs keep their seats, and so do those with segments and
those with pods that are nominated to a node. A proved no stays INFEASIBLE; a search that ended too early is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from scheduler.decide.arrays import Checks, pods_of, roles
from scheduler.decide.demand import weightless, wishes
from scheduler.decide.joint_arrays import Entry, Laid, lay, loads_of
from scheduler.decide.joint_plans import jointly
from scheduler.decide.place import place
from scheduler.decide.staying import TOO_LARGE, kept, staying
from scheduler.decide.usage import table
from scheduler.solve.joint.window import Answer, Held, Joint
from scheduler.solve.joint.window import refused as too_much
from scheduler.solve.problem import Bools
from scheduler.solve.solution import Load, SolveStatus
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod
from scheduler.state.plan import Decision, Placed, Plan, Seat, Unplaced
from scheduler.state.resources import GPU
from scheduler.state.resources import PODS as POD_COUNT
from scheduler.state.snapshot import Snapshot

WINDOWS: Final = (8, 16, 32)
"""Gangs that are asked jointly at most: the nearest first, more where that is not enough."""
PODS: Final = 512
"""Pending pods of them at most."""
_LIMIT: Final = f"a joint decision is one of at most {WINDOWS[-1]} gangs and {PODS} pods"
_PART: Final = 0.35
"""Part of what is left of the round's budget that one question may use."""
_LEAST: Final = 0.02
"""Part of the round's budget below which no question is put any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The last word about a gang that was refused, and the gangs that were placed anew to make room for it."""

    plan: Plan
    moved: tuple[Placed, ...] = ()


@dataclass(slots=True, kw_only=True)
class Competition:
    """One round: the cluster before it, and what joint questions have cost so far. All of them share one budget."""

    snapshot: Snapshot
    nominated: tuple[Pod, ...]
    joint: Joint
    solver: Solver
    budget: Budget
    checks: Checks
    _deterministic: float = 0.0
    _wall: float = 0.0
    _first: dict[GangKey, Placed] = field(default_factory=dict)
    """Each gang as it was placed before any joint question."""
    _useful: dict[GangKey, Bools] = field(default_factory=dict)
    _known: dict[object, str] = field(default_factory=dict)
    """Questions that need not be asked again in this round: nothing that is placed later makes room. With what is told."""

    def settle(self, refused: Unplaced, placed: Sequence[Placed]) -> Verdict:
        """Ask about a gang that is refused beside ``placed``, the gangs of the round before it in their order."""
        gang, movable = refused.gang, [p for p in placed if any(not s.bound for s in p.seats)]
        if not movable:
            return Verdict(plan=refused)
        for plan in movable:
            self._first.setdefault(plan.gang.key, plan)
        asked = question(gang)
        if asked not in self._known and not self._fits_alone(gang):
            self._known[asked] = ""
        if asked in self._known:
            return Verdict(plan=_told(refused, self._known[asked]))
        return self._widening(refused, placed, self._competing(gang, movable))

    def _widening(self, refused: Unplaced, placed: Sequence[Placed], competing: Sequence[Placed]) -> Verdict:
        """Ask together with the nearest gangs, then with more of them. A no to more gangs is a no to fewer too."""
        widest = self._window(refused.gang, competing, WINDOWS[-1])
        asked, open_, proved, part = 0, 0, False, widest
        if widest and too_much(self._lay(refused.gang, placed, widest).window):
            asked, proved = len(widest), len(widest) == len(competing)
        for most in WINDOWS if not asked else ():
            if self._left() is None:
                return Verdict(plan=self._unknown(refused, len(widest)))
            chosen = self._window(refused.gang, competing, most)
            if len(chosen) == asked:
                break
            asked, part = len(chosen), chosen
            found = self._asked(refused, placed, chosen, whole=asked == len(competing))
            if isinstance(found, Verdict):
                return found
            if found is SolveStatus.INEXPRESSIBLE:
                part = []
                break
            open_ = asked if found is SolveStatus.UNKNOWN else 0
            proved = found is SolveStatus.INFEASIBLE and asked == len(competing)
        if open_:
            return Verdict(plan=self._unknown(refused, open_))
        message = self._known[question(refused.gang)] = "" if proved or not competing else self._kept(refused.gang, competing, part)
        return Verdict(plan=_told(refused, message))

    def _asked(self, refused: Unplaced, placed: Sequence[Placed], chosen: list[Placed], *, whole: bool) -> Verdict | SolveStatus:
        """Ask about the gang together with those that are chosen; return how all are placed, or the status of the answer where they are not."""
        laid = self._lay(refused.gang, placed, chosen)
        answer = self._answer(laid, refused.gang, chosen)
        if answer.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            before = [self._first[p.gang.key] for p in chosen]
            *moved, plan = jointly(laid, answer, whole=whole, before=before, advice=refused.advice)
            return Verdict(plan=plan, moved=tuple(moved))
        return answer.status

    def _lay(self, gang: Gang, placed: Sequence[Placed], chosen: Sequence[Placed]) -> Laid:
        """Lay out the gang and those that are chosen; all others keep their seats."""
        moving = {p.gang.key for p in chosen}
        world = self._view(gang)
        for plan in placed:
            world = world if plan.gang.key in moving else world.with_plan(plan)
        entries = [Entry(gang=p.gang, demand=wishes(world, p.gang), held=_held(p, gang)) for p in chosen]
        return lay(world, [*entries, Entry(gang=gang, demand=wishes(world, gang), held=None)], self.checks)

    @property
    def spent(self) -> float:
        """What the joint questions have cost so far, in deterministic seconds."""
        return self._deterministic

    def _left(self) -> Budget | None:
        """Return what the next question may use: a part of what is left of the round's budget, another gang may have to be asked about."""
        wall = None if self.budget.wall_seconds is None else _PART * (self.budget.wall_seconds - self._wall)
        left = _PART * (self.budget.deterministic_seconds - self._deterministic)
        used_up = left < _LEAST * self.budget.deterministic_seconds or (wall is not None and wall < _LEAST)
        return None if used_up else replace(self.budget, deterministic_seconds=left, wall_seconds=wall)

    def _answer(self, laid: Laid, gang: Gang, chosen: Sequence[Placed]) -> Answer:
        """Ask within what is left."""
        left = self._left()
        if left is None:
            return Answer(status=SolveStatus.UNKNOWN)
        answer = self.joint(replace(laid.window, start=self._start(laid, gang, chosen)), left)
        self._deterministic += answer.deterministic
        self._wall += answer.wall
        return answer

    def _start(self, laid: Laid, gang: Gang, chosen: Sequence[Placed]) -> tuple[Load, ...]:
        """Return a joint placement that needs no search, if there is one: the gangs of one priority one after the other, in other orders."""
        world, kept = laid.snapshot, list[Seat]()
        for plan in chosen:
            if plan.gang.priority > gang.priority:
                kept += plan.seats
                world = world.with_plan(plan)
        first = (gang, *(p.gang for p in chosen if p.gang.priority == gang.priority))
        by_use = tuple(sorted(first, key=lambda g: (int(self._use(g).sum()), -len(g.pending))))
        by_size = tuple(sorted(first, key=lambda g: -sum(m.pod.shape.requests.amount(GPU) for m in g.pending)))
        for order in (first, by_use, by_size):
            seats = self._in_turn(world, order)
            if seats is not None:
                return loads_of(laid, (*kept, *seats))
        return ()

    def _in_turn(self, world: Snapshot, gangs: Sequence[Gang]) -> list[Seat] | None:
        """Place gangs one after the other; ``None`` where one of them is refused."""
        seats: list[Seat] = []
        for gang in gangs:
            found = place(world, gang, self.solver, self.budget, self.checks, explained=False)
            if not isinstance(found, Placed):
                return None
            seats += found.seats
            world = world.with_plan(found)
        return seats

    def _view(self, gang: Gang) -> Snapshot:
        return self.snapshot.beside(self.nominated, gang.priority)

    def _fits_alone(self, gang: Gang) -> bool:
        """Whether the gang is not refused where nobody of the round has a seat; what it costs does not matter."""
        found = place(self._view(gang), weightless(gang), self.solver, self.budget, self.checks, explained=False)
        return isinstance(found, Placed) or found.status == "UNKNOWN"

    def _competing(self, gang: Gang, movable: Sequence[Placed]) -> list[Placed]:
        """Return the gangs that are connected with this one by nodes of which two of them could make use."""
        reach, found, rest = self._use(gang), [], list(movable)
        while near := [p for p in rest if bool((self._use(p.gang) & reach).any())]:
            found += near
            rest = [p for p in rest if p not in near]
            for plan in near:
                reach = reach | self._use(plan.gang)
        return [p for p in movable if p in found]

    def _use(self, gang: Gang) -> Bools:
        """Return the nodes that take at least one pod of the gang."""
        if gang.key not in self._useful:
            world = self._view(gang)
            known = table(world)
            found = np.zeros(len(world.topology.nodes), dtype=np.bool_)
            for members in roles(gang):
                shape = members[0].pod.shape
                fits = self.checks.allowed(world, shape, pods_of(members)) & (known.free(POD_COUNT) >= 1)
                for name, amount in shape.requests.items():
                    fits = fits & (known.free(name) >= amount) if name != POD_COUNT else fits
                found |= fits
            self._useful[gang.key] = found
        return self._useful[gang.key]

    def _window(self, gang: Gang, competing: Sequence[Placed], most: int) -> list[Placed]:
        """Choose whom to ask: those on nodes of use to the gang first, then the latest; as many as a window holds."""
        position, useful = self.snapshot.topology.position, self._use(gang)
        pods, chosen = len(gang.pending), list[Placed]()
        able = [p for p in competing if not self._staying(p.gang, gang)] if not self._staying(gang, gang) else []
        near = {p.gang.key for p in able if any(useful[position[s.node]] for s in p.seats if not s.bound)}
        for _, _, plan in sorted(((p.gang.key not in near, -at, p) for at, p in enumerate(able)), key=lambda row: row[:2]):
            pods += len(plan.gang.pending)
            if pods > PODS or len(chosen) == most - 1:
                break
            chosen.append(plan)
        return [p for p in competing if p in chosen]

    def _staying(self, gang: Gang, asking: Gang) -> str:
        return staying(gang, asking, snapshot=self.snapshot, nominated=self.nominated)

    def _kept(self, gang: Gang, competing: Sequence[Placed], part: Sequence[Placed]) -> str:
        """Say who takes no part in the joint question, and why: by itself, or because a window holds no more (or is too large for the engine)."""
        limit = _LIMIT if part else TOO_LARGE
        others = [(p.gang, self._staying(p.gang, gang) or limit) for p in competing if p not in part]
        return kept(self._staying(gang, gang), others)

    def _unknown(self, refused: Unplaced, asked: int) -> Unplaced:
        others = "the gang before it" if asked == 1 else f"{asked} gangs before it"
        message = (
            f"It does not fit beside the seats of gangs before it. Whether it fits when {others} may move too was neither shown nor ruled out "
            f"within the {self.budget.deterministic_seconds:g} deterministic seconds that the joint questions of a round share."
        )
        decision = Decision(engine="cpsat")
        return Unplaced(gang=refused.gang, status="UNKNOWN", reason="BudgetExhausted", message=message, decision=decision, advice=refused.advice)


def question(gang: Gang) -> object:
    """Return what a gang asks for: gangs of one question get one answer."""
    wanted = tuple((members[0].role, members[0].pod.shape, len(members)) for members in roles(gang))
    fixed = tuple(sorted(str(m.pod.node) for m in gang.fixed))
    labels = tuple(sorted({tuple(sorted(m.pod.labels.items())) for m in gang.pending}))
    repels = frozenset(m.pod.repels for m in gang.pending)
    return (gang.priority, gang.namespace, gang.demand, gang.min_member, wanted, fixed, labels, repels)


def _held(plan: Placed, asking: Gang) -> Held | None:
    return Held(left_out=len(plan.left_out), cost=plan.cost) if plan.gang.priority > asking.priority else None


def _told(refused: Unplaced, message: str) -> Unplaced:
    if not message:
        return refused
    about = f"{refused.gang.workload.kind}/{refused.gang.workload.name}"
    return replace(refused, advice=(*refused.advice, Advice(level="info", object=about, field="", message=message)))
