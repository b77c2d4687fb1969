"""Where pods may be left out: the core at the least cost, then as many more as fit, then the least cost of all.

Among cells with a best core, one that holds all pods, or one that its pods fill to the last, is mostly the answer: what is
best there holds a best core too. Else the core is counted beside the other pods, in a larger table. Where that is too large, a
best core with the others around it may cost no more than the best of all does.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from scheduler.solve.instance import Instance
from scheduler.solve.instance import instance as derived
from scheduler.solve.problem import Bools, Ints, Problem
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.tree.answers import Best, answer, inexpressible, infeasible, roomy
from scheduler.solve.tree.around import around, together
from scheduler.solve.tree.climb import Climb
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.plan import Plan, plan
from scheduler.solve.within import within

Row: TypeAlias = tuple[int, int, int, int, tuple[int, ...]]
"""Cost of the core, pods (negative), price, cell, amount: the least is the best."""


def elastic(instance: Instance, found: Plan, climb: Climb, memo: Memo, seconds: float) -> Solution:
    """Return the best placement; INEXPRESSIBLE where the larger table would be too large."""
    problem = instance.problem
    cells = roomy(instance, found, problem.must, problem.core)
    core, most, mix = _rooms(problem, climb, cells)
    if core.min(initial=NEVER) >= NEVER:
        return infeasible("no domain holds a core, by an exact table for each")
    least = int(core.min()) // found.scale.cost
    most[core // found.scale.cost > least] = -1
    alone, pods = len(problem.count) == 1, int(most.max())
    if not alone and pods < problem.total:
        return _beside(instance, memo, seconds)
    amount = (pods,) if alone else tuple(problem.count.tolist())
    values = np.where(most == pods, climb.values(cells, amount), NEVER)
    at = int(values.argmin())
    every = Best(plan=found, climb=climb, cell=int(cells[at]), amount=amount, value=int(values[at])).placed(problem)
    if pods < problem.total or _least_core(problem, every.loads) == least:
        return every
    larger = _beside(instance, memo, seconds)
    if larger.status is not SolveStatus.INEXPRESSIBLE:
        return larger
    at = int(np.where(most == pods, core, NEVER).argmin())
    first = Best(plan=found, climb=climb, cell=int(cells[at]), amount=mix[at], value=int(core[at])).placed(problem)
    return _around(problem, first.loads, every.cost, memo) or larger


def _around(problem: Problem, core: tuple[Load, ...], cost: int, memo: Memo) -> Solution | None:
    """Place the others around a best core, if that costs no more than the best placement of all pods: no more is proved then."""
    rest = derived(around(problem, core))
    found = plan(rest)
    if isinstance(found, str) or not len(rest.play):
        return None
    climb, amount = found.climb(memo), tuple(rest.problem.count.tolist())
    cells = roomy(rest, found, rest.problem.count, rest.problem.total)
    values = climb.values(cells, amount)
    if values.min(initial=NEVER) >= NEVER:
        return None
    at = int(values.argmin())
    others = Best(plan=found, climb=climb, cell=int(cells[at]), amount=amount, value=int(values[at])).placed(rest.problem)
    return answer(cost, together(problem, core, others.loads), harm=False) if others.cost == cost else None


def _rooms(problem: Problem, climb: Climb, cells: Ints) -> tuple[Ints, Ints, list[tuple[int, ...]]]:
    """Return for each cell the least price of a core, the most pods, and the pods of that core.

    With several roles the most pods are a bound only, because they may leave no room for a core.
    """
    mix: list[tuple[int, ...]] = [()] * len(cells)
    core, most = np.full(len(cells), NEVER, dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
    for where, curves in climb.cells(cells):
        grid = np.indices(curves.shape[1:])
        pods = grid.sum(axis=0)
        there = pods == problem.core
        for role, must in enumerate(problem.must.tolist()):
            there &= grid[role] >= must
        amounts = np.argwhere(there)
        best = curves[:, there].argmin(axis=1) if len(amounts) else np.zeros(0, dtype=np.int64)
        for i, at in zip(where.tolist(), best.tolist(), strict=False):
            mix[i] = tuple(amounts[at].tolist())
        core[where] = curves[:, there].min(axis=1, initial=NEVER)
        most[where] = np.where(curves < NEVER, pods, 0).reshape(len(where), -1).max(axis=1)
    return core, most, mix


def _least_core(problem: Problem, loads: tuple[Load, ...]) -> int | None:
    """Return the cost of the cheapest core among the pods of a placement, what running members cost aside."""
    inner = within(problem, loads)
    found = plan(derived(inner))
    if isinstance(found, str):
        return None
    core, _, _ = _rooms(inner, found.climb(Memo()), np.zeros(1, dtype=np.int64))
    return int(core[0]) // found.scale.cost


def _beside(instance: Instance, memo: Memo, seconds: float) -> Solution:
    """Count the core beside the other pods: the least cost of the core, then the most pods, then the least of all."""
    problem = instance.problem
    found = plan(instance, seconds, core=True)
    if isinstance(found, str):
        return inexpressible(f"the best placement of all pods holds no best core, and {found}")
    climb = found.climb(memo)
    cells = roomy(instance, found, problem.must, problem.core)
    rows = (_row(problem, found.scale.core, cells[where], curves) for where, curves in climb.cells(cells))
    best = min((row for row in rows if row is not None), default=None)
    if best is None:
        return infeasible("no domain holds a core, by an exact table for each")
    return Best(plan=found, climb=climb, cell=best[3], amount=best[4], value=best[2] % found.scale.core).placed(problem)


def _row(problem: Problem, unit: int, cells: Ints, curves: Ints) -> Row | None:
    """Return the best amount of some cells."""
    shape = curves.shape[1:]
    cell, amount = np.nonzero((curves < NEVER).reshape(len(cells), -1) & _with_core(problem, shape).ravel())
    if not len(cell):
        return None
    values = curves.reshape(len(cells), -1)[cell, amount]
    pods = np.indices(shape).sum(axis=0).ravel()[amount]
    best = int(np.lexsort((cells[cell], values, -pods, values // unit))[0])
    at = tuple(int(n) for n in np.unravel_index(int(amount[best]), shape))
    return int(values[best]) // unit, -int(pods[best]), int(values[best]), int(cells[cell[best]]), at


def _with_core(problem: Problem, shape: tuple[int, ...]) -> Bools:
    """Tell which amounts hold exactly a core, and no more pods of a role than there are."""
    grid = np.indices(shape)
    roles = len(problem.count)
    found = grid[:roles].sum(axis=0) == problem.core
    for role in range(roles):
        found &= (grid[role] >= problem.must[role]) & (grid[role] + grid[roles + role] <= problem.count[role])
    return np.asarray(found)
