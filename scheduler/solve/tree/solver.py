"""The tree programme: the best cell of the problem, and the placement in it with its proof."""

from __future__ import annotations

from scheduler.solve import cost as costs
from scheduler.solve.instance import Instance
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget
from scheduler.solve.tree.answers import Best, answer, inexpressible, infeasible, roomy
from scheduler.solve.tree.elastic import elastic
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.plan import plan


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
        return answer(costs.fixed_cost(problem), (), harm=True)
    found = plan(instance)
    if isinstance(found, str):
        return inexpressible(found)
    if not len(instance.play):
        return infeasible("no node holds a pod of the gang")
    climb = found.climb(memo)
    if problem.elastic:
        return elastic(instance, found, climb, memo)
    whole = tuple(found.spaces[0].limit.tolist())
    cells = roomy(instance, found, problem.count, problem.total)
    values = climb.values(cells, whole)
    best = int(values.argmin()) if len(values) else 0
    if not len(values) or values[best] >= NEVER:
        return infeasible("no domain holds all pods, by an exact table for each")
    return Best(plan=found, climb=climb, cell=int(cells[best]), amount=whole, value=int(values[best])).placed(problem)
