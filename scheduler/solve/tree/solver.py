"""The tree programme: the best cell of the problem, and the placement in it with its proof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve.instance import Instance, occupied_count
from scheduler.solve.instance import instance as derived
from scheduler.solve.problem import Bools, Ints, Problem, Rows
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.solver import Budget
from scheduler.solve.tree.climb import Climb
from scheduler.solve.tree.descend import Descent
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.plan import Plan, plan

PROVED: Final = ("core", "extras", "cost")
WHY: Final = "the levels nest, and exact tables of what each domain holds are small"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Best:
    """The best cell, what it holds, and the price of that."""

    plan: Plan
    climb: Climb
    cell: int
    amount: tuple[int, ...]
    value: int

    def placed(self, problem: Problem) -> Solution:
        """Go down to the nodes."""
        down = Descent(climb=self.climb)
        down.cell(self.cell, self.amount)
        fixed = sum(v.weight * (occupied_count(v) - 1) for v in problem.levels)
        loads = down.loads()
        cost = self.value // self.plan.scale.cost + fixed if loads else costs.fixed_cost(problem)
        return replace(_answer(cost, loads, harm=self.plan.complete), parts=down.parts())


def words(instance: Instance) -> str | None:
    """Say, as a part of a sentence, why the tree programme cannot express the problem; ``None`` where it can.

    Where pods may be left out it may turn out only on the way that the best placement of all pods holds no best core: then
    `solve` may answer INEXPRESSIBLE after all.
    """
    found = plan(instance)
    return found if isinstance(found, str) else None


def solve(instance: Instance, budget: Budget, memo: Memo) -> Solution:
    """Return the best placement or the proof that there is none; what the memo holds changes nothing but the time.

    INEXPRESSIBLE, with the reason, where the programme has no words. The work is bounded by the size of the tables, not by
    the budget.
    """
    del budget
    problem = instance.problem
    if not problem.total or not (problem.core or len(instance.play)):
        return _answer(costs.fixed_cost(problem), (), harm=True)
    found = plan(instance)
    if isinstance(found, str):
        return _inexpressible(found)
    if not len(instance.play):
        return _infeasible("no node holds a pod of the gang")
    climb = found.climb(memo)
    if problem.elastic:
        return _elastic(instance, found, climb, memo)
    whole = tuple(found.spaces[0].limit.tolist())
    cells = _roomy(instance, found)
    values = climb.values(cells, whole)
    best = int(values.argmin()) if len(values) else 0
    if not len(values) or values[best] >= NEVER:
        return _infeasible("no domain holds all pods, by an exact table for each")
    return _Best(plan=found, climb=climb, cell=int(cells[best]), amount=whole, value=int(values[best])).placed(problem)


def _roomy(instance: Instance, found: Plan) -> Ints:
    """Return the cells that sums do not refuse; those that they refuse are not opened."""
    count, classes, start = instance.problem.count, found.chain.classes, found.chain.depths[0].start[:-1]
    room = instance.rooms.single[:, classes] * instance.nodes[classes]
    most = instance.rooms.most[classes] * instance.nodes[classes]
    enough = (np.add.reduceat(room, start, axis=1) >= count[:, None]).all(axis=0)
    return np.flatnonzero(enough & (np.add.reduceat(most, start) >= count.sum()))


def _elastic(instance: Instance, found: Plan, climb: Climb, memo: Memo) -> Solution:
    """Place the core at the least cost, then as many as fit.

    Among cells with a best core, one that holds all pods, or one that all its pods fill to the last, is mostly the answer:
    what is best there holds a best core too. Else the core is counted beside the others, in a larger table.
    """
    problem, curves = instance.problem, climb.cells()
    core = np.array([_core(problem, curve) for curve in curves], dtype=np.int64)
    if core.min() >= NEVER:
        return _infeasible("no domain holds a core, by an exact table for each")
    least = int(core.min()) // found.scale.cost
    rows = np.flatnonzero(core // found.scale.cost == least)
    most = max(_most(problem, curves[i]) for i in rows.tolist())
    rows = np.array([i for i in rows.tolist() if _most(problem, curves[i]) == most], dtype=np.int64)
    if len(problem.count) == 1 or most == problem.total:
        values = np.array([_value(curves[i], _all(problem, most)) for i in rows.tolist()], dtype=np.int64)
        best = int(values.argmin())
        every = _Best(plan=found, climb=climb, cell=int(rows[best]), amount=_all(problem, most), value=int(values[best])).placed(problem)
        filled = len(problem.count) == 1 and most < problem.total
        if filled or _least_core(problem, every.loads) == least:
            return every
    return _beside(instance, memo)


def _all(problem: Problem, most: int) -> tuple[int, ...]:
    return (most,) if len(problem.count) == 1 else tuple(problem.count.tolist())


def _sums(curve: Ints) -> Ints:
    return np.asarray(np.indices(curve.shape).sum(axis=0))


def _core(problem: Problem, curve: Ints) -> int:
    """Return the least price of a core in a curve by pods."""
    there = _sums(curve) == problem.core
    for role, must in enumerate(problem.must.tolist()):
        there &= np.indices(curve.shape)[role] >= must
    return int(curve[there].min(initial=NEVER))


def _most(problem: Problem, curve: Ints) -> int:
    """Return the most pods in a curve by pods; with several roles a bound, because they may leave no room for a core."""
    del problem
    return int(_sums(curve)[curve < NEVER].max(initial=0))


def _least_core(problem: Problem, loads: tuple[Load, ...]) -> int | None:
    """Return the cost of the cheapest core among the pods of a placement, what running members cost aside."""
    classes = np.array([load.node_class for load in loads], dtype=np.int64)
    roles = len(problem.count)
    inner = Problem(
        count=problem.count,
        must=problem.must,
        need=problem.core,
        request=np.eye(roles, dtype=np.int64),  # one slot for each pod placed: a core is a part of the placement
        conflict=np.zeros((roles, roles), dtype=np.bool_),
        nodes=np.array([load.nodes for load in loads], dtype=np.int64),
        free=np.array([load.pods for load in loads], dtype=np.int64),
        allowed=np.ones((roles, len(loads)), dtype=np.bool_),
        occupied_host=problem.occupied_host[classes],
        levels=tuple(replace(v, domain=v.domain[classes], required=False) for v in problem.levels),
        worth=Rows.of(problem.worth[c][: load.nodes] for c, load in zip(classes.tolist(), loads, strict=True)),
    )
    found = plan(derived(inner))
    if isinstance(found, str):
        return None
    return _core(inner, found.climb(Memo()).cells()[0]) // found.scale.cost


def _beside(instance: Instance, memo: Memo) -> Solution:
    """Count the core beside the other pods: the least cost of the core, then the most pods, then the least of all."""
    problem = instance.problem
    found = plan(instance, core=True)
    if isinstance(found, str):
        return _inexpressible(f"the best placement of all pods holds no best core, and {found}")
    climb = found.climb(memo)
    best: tuple[int, int, int, int, tuple[int, ...]] | None = None
    for cell, curve in enumerate(climb.cells()):
        there = np.flatnonzero((curve < NEVER) & _with_core(problem, curve.shape))
        values, pods = curve.ravel()[there], _sums(curve).ravel()[there]
        for i in np.lexsort((values, -pods, values // found.scale.core))[:1].tolist():
            at = tuple(int(n) for n in np.unravel_index(int(there[i]), curve.shape))
            row = (int(values[i]) // found.scale.core, -int(pods[i]), int(values[i]), cell, at)
            best = row if best is None else min(best, row)
    if best is None:
        return _infeasible("no domain holds a core, by an exact table for each")
    return _Best(plan=found, climb=climb, cell=best[3], amount=best[4], value=best[2] % found.scale.core).placed(problem)


def _with_core(problem: Problem, shape: tuple[int, ...]) -> Bools:
    """Tell which amounts hold exactly a core, and no more pods of a role than there are."""
    grid = np.indices(shape)
    roles = len(problem.count)
    found = grid[:roles].sum(axis=0) == problem.core
    for role in range(roles):
        found &= (grid[role] >= problem.must[role]) & (grid[role] + grid[roles + role] <= problem.count[role])
    return np.asarray(found)


def _value(curve: Ints, whole: tuple[int, ...]) -> int:
    return int(curve[whole]) if all(n < size for n, size in zip(whole, curve.shape, strict=True)) else NEVER


def _answer(cost: int, loads: tuple[Load, ...], *, harm: bool) -> Solution:
    proved = (*PROVED, "harm") if harm else PROVED
    return Solution(status=SolveStatus.OPTIMAL, loads=loads, cost=cost, bound=cost, proved=proved, engine="tree", why=WHY)


def _infeasible(why: str) -> Solution:
    return Solution(status=SolveStatus.INFEASIBLE, engine="tree", why=why)


def _inexpressible(why: str) -> Solution:
    return Solution(status=SolveStatus.INEXPRESSIBLE, engine="tree", why=why)
