"""The tree programme: the best cell of the problem, and the placement in it with its proof."""

from __future__ import annotations

from typing import Final

import numpy as np

from scheduler.solve import bounds
from scheduler.solve import cost as costs
from scheduler.solve.instance import Instance, occupied_count
from scheduler.solve.problem import Ints
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget
from scheduler.solve.tree.answers import Best, answer, inexpressible, infeasible, roomy
from scheduler.solve.tree.climb import Climb
from scheduler.solve.tree.elastic import elastic
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.plan import Plan, plan

SMALL: Final = 300
"""Tables of so many amounts are made faster than bounds of many cells."""
_AT_A_TIME: Final = 4


def solve(instance: Instance, budget: Budget, memo: Memo) -> Solution:
    """Return the best placement or the proof that there is none; what the memo holds changes nothing but the time.

    INEXPRESSIBLE, with the reason, where the programme has no words, or where its tables would take longer than the budget:
    that is worked out before they are made.
    """
    seconds = min(budget.deterministic_seconds, budget.wall_seconds or budget.deterministic_seconds)
    problem = instance.problem
    if not problem.total or not (problem.core or len(instance.play)):
        return answer(costs.fixed_cost(problem), (), harm=True)
    found = plan(instance, seconds)
    if isinstance(found, str):
        return inexpressible(found)
    if not len(instance.play):
        return infeasible("no node holds a pod of the gang")
    climb = found.climb(memo)
    if problem.elastic:
        return elastic(instance, found, climb, memo, seconds)
    whole = tuple(found.spaces[0].limit.tolist())
    cell, value = _best_cell(instance, found, climb, whole)
    if value >= NEVER:
        return infeasible("no domain holds all pods, by an exact table for each")
    return Best(plan=found, climb=climb, cell=cell, amount=whole, value=value).placed(problem)


def _best_cell(instance: Instance, found: Plan, climb: Climb, whole: tuple[int, ...]) -> tuple[int, int]:
    """Return the first of the cells with the least price, and that price.

    Small tables are made of all cells that have room. Large ones are made of the most promising cells first: cells that
    cannot win any more, by sums, are not opened.
    """
    cells = roomy(instance, found, instance.problem.count, instance.problem.total)
    if np.prod(np.array(whole, dtype=np.float64) + 1) <= SMALL or len(cells) <= _AT_A_TIME:
        values = climb.values(cells, whole)
        return min(zip(cells.tolist(), values.tolist(), strict=True), key=lambda row: row[1], default=(0, NEVER))
    least = _least(instance, found)[cells]
    order = np.lexsort((cells, least))
    best = (NEVER, 0)
    for at in range(0, len(cells), _AT_A_TIME):
        there = order[at : at + _AT_A_TIME]
        there = np.sort(cells[there[least[there] <= best[0]]])
        if not len(there):
            break
        best = min(best, *zip(climb.values(there, whole).tolist(), there.tolist(), strict=True))
    return best[1], best[0]


def _least(instance: Instance, found: Plan) -> Ints:
    """Return for each cell a price that no placement in it is below."""
    problem = instance.problem
    first = found.chain.classes[found.chain.depths[0].start[:-1]]
    lower = bounds.lower(instance, bounds.cells(instance), bounds.measures(instance, problem.count, problem.total))[instance.cell[first]]
    fixed = sum(v.weight * (occupied_count(v) - 1) for v in problem.levels)
    return np.where(lower < bounds.NEVER, (np.minimum(lower, bounds.NEVER // found.scale.cost) - fixed) * found.scale.cost, NEVER)
