"""What the tree programme answers: the best cell of a plan and the way down from it, or that there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve.instance import Instance, occupied_count
from scheduler.solve.problem import Ints, Problem
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.tree.climb import Climb
from scheduler.solve.tree.descend import Descent
from scheduler.solve.tree.plan import Plan

PROVED: Final = ("core", "extras", "cost")
WHY: Final = "the levels nest, and exact tables of what each domain holds are small"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
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
        return replace(answer(cost, loads, harm=self.plan.complete), parts=down.parts())


def roomy(instance: Instance, found: Plan, least: Ints, total: int) -> Ints:
    """Return the cells where sums do not refuse so many pods of each role and in all; the others are not opened."""
    classes, start = found.chain.classes, found.chain.depths[0].start[:-1]
    room = instance.rooms.single[:, classes] * instance.nodes[classes]
    most = instance.rooms.most[classes] * instance.nodes[classes]
    enough = (np.add.reduceat(room, start, axis=1) >= least[:, None]).all(axis=0)
    return np.flatnonzero(enough & (np.add.reduceat(most, start) >= total))


def answer(cost: int, loads: tuple[Load, ...], *, harm: bool) -> Solution:
    """Say that a placement is the best, and whether its harm is the least too."""
    proved = (*PROVED, "harm") if harm else PROVED
    return Solution(status=SolveStatus.OPTIMAL, loads=loads, cost=cost, bound=cost, proved=proved, engine="tree", why=WHY)


def infeasible(why: str) -> Solution:
    """Say that there is no placement."""
    return Solution(status=SolveStatus.INFEASIBLE, engine="tree", why=why)


def inexpressible(why: str) -> Solution:
    """Say that the programme has no words for the problem."""
    return Solution(status=SolveStatus.INEXPRESSIBLE, engine="tree", why=why)
