"""The door: refuse by counting, place by best fit, prove by bounds; only what is left open goes to an exact engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve import greedy
from scheduler.solve.bounds import Bounds, bounds, in_play
from scheduler.solve.coupled import sharpen
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Ints, LevelColumn, Problem
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.solver import Budget, Exact, Start

PROVED = ("core", "extras", "cost")


def solve(problem: Problem, budget: Budget, exact: Exact) -> Solution:
    """Return the best placement with its proof; ``exact`` is asked only if sums and best fit leave something open."""
    known = instance(problem)
    if not problem.core and not len(known.play):
        cost = costs.fixed_cost(problem)
        return Solution(status=SolveStatus.OPTIMAL, cost=cost, bound=cost, proved=(*PROVED, "harm"), engine="counting")
    core = bounds(known, problem.count, problem.core)
    if core.refused:
        return Solution(status=SolveStatus.INFEASIBLE, engine="counting")
    loads = greedy.search(known, problem.count)
    if loads is not None and _proved(known, core, loads):
        return _optimal(problem, loads)
    if loads is not None and not problem.elastic:
        loads = greedy.thresholds(known, problem.count, core.cost, loads)
        core = sharpen(known, problem.count, problem.core, costs.cost(problem, loads))
        if _proved(known, core, loads):
            return _optimal(problem, loads)
    start = _start(known, loads)
    if start is not None and not problem.elastic:
        # No class that only dearer placements use can be part of an answer.
        known = _only(known, core, costs.cost(problem, start.loads))
    return exact(known, core, start, budget)


def _optimal(problem: Problem, loads: tuple[Load, ...]) -> Solution:
    cost = costs.cost(problem, loads)
    return Solution(status=SolveStatus.OPTIMAL, loads=loads, cost=cost, bound=cost, proved=PROVED, engine="bound")


def _proved(known: Instance, core: Bounds, loads: tuple[Load, ...]) -> bool:
    """Tell whether a placement of all pods meets the lower bounds, of its core too."""
    problem = known.problem
    cost = costs.cost(problem, loads)
    if not problem.elastic:
        return cost == core.cost
    if cost == core.cost:
        return True
    chosen = core_of(problem, loads)
    return chosen is not None and costs.cost(problem, chosen) == core.cost and cost == bounds(known, problem.count, problem.total).cost


def _start(known: Instance, loads: tuple[Load, ...] | None) -> Start | None:
    """Return a valid placement: of all pods, else of a core and what fits beside it, else of a core alone."""
    problem = known.problem
    if not problem.elastic:
        return None if loads is None else Start(loads=loads, core=loads)
    if loads is None:
        for want in _cores(problem):
            core = greedy.search(known, want)
            if core is not None:
                # Without a core there is one cell: members that run pin it, or nothing is required.
                cell = known.play[known.cell[known.play] == known.cell[core[0].node_class]] if core else known.play
                wider = greedy.fill(known, cell, problem.count)
                loads = wider if costs.placed(wider) > problem.core and core_of(problem, wider) is not None else core
                break
    chosen = None if loads is None else core_of(problem, loads)
    return None if loads is None or chosen is None else Start(loads=loads, core=chosen)


def _cores(problem: Problem) -> list[Ints]:
    """Return mixes of roles that make a core: the leaders, then the others in either order of size."""
    found = []
    size = problem.request.astype(float) / np.maximum(problem.request.max(axis=0, initial=1), 1)
    for order in (np.argsort(size.sum(axis=1), kind="stable"), np.argsort(-size.sum(axis=1), kind="stable")):
        want = problem.must.copy()
        for role in order.tolist():
            want[role] += min(int(problem.count[role] - want[role]), problem.core - int(want.sum()))
        found.append(want)
    return found if (found[0] != found[1]).any() else found[:1]


def core_of(problem: Problem, loads: tuple[Load, ...]) -> tuple[Load, ...] | None:
    """Return the cheapest core that best fit finds among the pods of a placement, ``None`` where it holds none."""
    if not loads:
        return None
    classes = np.array([load.node_class for load in loads], dtype=np.int64)
    roles = len(problem.count)
    inner = Problem(
        count=problem.count,
        must=problem.must,
        need=problem.core,
        request=np.eye(roles, dtype=np.int64),  # one slot per pod placed: a core is a part of the placement
        conflict=np.zeros((roles, roles), dtype=np.bool_),
        nodes=np.array([load.nodes for load in loads], dtype=np.int64),
        free=np.array([load.pods for load in loads], dtype=np.int64),
        allowed=np.ones((roles, len(loads)), dtype=np.bool_),
        occupied_host=problem.occupied_host[classes],
        levels=tuple(_rows(v, classes) for v in problem.levels),
        worth=tuple(problem.worth[c] for c in classes.tolist()),
    )
    known = instance(inner)
    found = (greedy.search(known, want) for want in _cores(problem))
    best = min((f for f in found if f is not None), key=lambda f: costs.cost(inner, f), default=None)
    return None if best is None else tuple(replace(load, node_class=int(classes[load.node_class])) for load in best)


def _rows(level: LevelColumn, classes: Ints) -> LevelColumn:
    return replace(level, domain=level.domain[classes], required=False)


def _only(known: Instance, bound: Bounds, most: int) -> Instance:
    """Return the instance without the classes that no placement of at most this cost uses."""
    keep = in_play(known, bound, most)
    return replace(known, play=np.flatnonzero(keep), cell=np.where(keep, known.cell, -1))
