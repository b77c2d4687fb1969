"""The door: who decides a problem. Sums refuse first; the tree programme decides what it has words for; else best fit and bounds, then CP-SAT."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve import greedy, segments
from scheduler.solve.bounds import Bounds, bounds, in_play, short
from scheduler.solve.coupled import sharpen
from scheduler.solve.holding import holdings
from scheduler.solve.holding import sharpen as whole_segments
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Ints, Problem
from scheduler.solve.solution import Load, Solution, SolveStatus
from scheduler.solve.solver import Budget, Exact, Start, Tree
from scheduler.solve.spread import spread
from scheduler.solve.within import within

PROVED: Final = ("core", "extras", "cost")
SUMS: Final = "no domain has room enough"
SEGMENTS: Final = "the domains of the segments' level hold too few whole segments"


def solve(problem: Problem, budget: Budget, exact: Exact, tree: Tree | None = None) -> Solution:
    """Return the best placement with its proof.

    ``exact`` expresses everything and is asked only if all others leave something open; without a tree best fit and bounds come first.
    """
    known = instance(problem)
    early = _counted(known)
    if early is not None:
        return early
    lacking = ""
    if tree is not None:
        found = tree(known, budget)
        if found.status is not SolveStatus.INEXPRESSIBLE:
            return found
        lacking = found.why
    core = bounds(known, problem.count, problem.core)
    if core.refused:
        return Solution(status=SolveStatus.INFEASIBLE, engine="counting", why=SUMS)
    found = _elastic(known, core, budget, exact, tree) if problem.elastic else _whole(known, core, budget, exact)
    return found if found.why or not lacking else replace(found, why=lacking)


def forced_tree(problem: Problem, budget: Budget, tree: Tree) -> Solution:
    """Let the tree programme alone decide what sums do not refuse, or say why it cannot."""
    known = instance(problem)
    return _counted(known) or tree(known, budget)


def forced_exact(problem: Problem, budget: Budget, exact: Exact) -> Solution:
    """Let the exact engine prove what sums do not refuse; it starts from what best fit finds."""
    known = instance(problem)
    early = _counted(known)
    if early is not None:
        return early
    core = bounds(known, problem.count, problem.core)
    if core.refused:
        return Solution(status=SolveStatus.INFEASIBLE, engine="counting", why=SUMS)
    if problem.layers:
        core, start = _segmented(known, core)
        if core.refused:
            return Solution(status=SolveStatus.INFEASIBLE, engine="counting", why=SEGMENTS)
    elif problem.elastic:
        start = _part(known)
    else:
        loads = greedy.search(known, problem.count, core)
        start = None if loads is None else Start(loads=loads, core=loads)
    return replace(exact(known, core, start, budget), why="asked for")


def _counted(known: Instance) -> Solution | None:
    """Return what sums alone decide: nothing to place, or too little room in every cell."""
    problem = known.problem
    if not problem.core and not len(known.play):
        return replace(_optimal(problem, ()), engine="counting", why="no member can be added to those that run")
    if short(known, problem.count, problem.core):
        return Solution(status=SolveStatus.INFEASIBLE, engine="counting", why=SUMS)
    return None


def _whole(known: Instance, core: Bounds, budget: Budget, exact: Exact) -> Solution:
    """Place all pods or none."""
    problem = known.problem
    if problem.layers:
        return _whole_segments(known, core, budget, exact)
    loads = greedy.search(known, problem.count, core)
    if loads is None:
        return exact(known, core, None, budget)
    if costs.cost(problem, loads) > core.cost:
        loads = greedy.thresholds(known, problem.count, core.cost, loads)
        core = sharpen(known, problem.count, problem.core, costs.cost(problem, loads))
    if costs.cost(problem, loads) <= core.cost:
        return _optimal(problem, loads)
    # No class that only dearer placements use can be part of an answer.
    return exact(_only(known, core, costs.cost(problem, loads)), core, Start(loads=loads, core=loads), budget)


def _whole_segments(known: Instance, core: Bounds, budget: Budget, exact: Exact) -> Solution:
    """Place whole segments or none of them."""
    core, start = _segmented(known, core)
    if core.refused:
        return Solution(status=SolveStatus.INFEASIBLE, engine="counting", why=SEGMENTS)
    if start is None:
        return exact(known, core, None, budget)
    cost = costs.cost(known.problem, start.loads)
    if cost <= core.cost:
        return replace(_optimal(known.problem, start.loads), parts=start.parts)
    return exact(_only(known, core, cost), core, start, budget)


def _segmented(known: Instance, core: Bounds) -> tuple[Bounds, Start | None]:
    """Return bounds that count whole segments, and a placement to begin with where best fit finds one."""
    if known.problem.elastic:
        return core, None
    held = holdings(known)
    core = whole_segments(known, core, held)
    tables = None if core.refused else spread(known, held)
    if tables is not None:
        core = core.at_least(known, tables.bounds)
    if core.refused:
        return core, None
    best = segments.start(known, held)
    if tables is not None:
        for further in (segments.spread_out, segments.tried):
            if best is None or costs.cost(known.problem, best.loads) > core.cost:
                best = _cheaper(known, best, further(known, held, tables))
    return core, best


def _part_segments(known: Instance) -> Start | None:
    """Return some whole segments that make a core, where best fit finds them; which pods more fit is left to the search."""
    fewer = segments.fewer(known)
    start = None if fewer is None else segments.start(fewer)
    core = None if start is None else core_of(known.problem, start.loads)
    return None if start is None or core is None else replace(start, core=core)


def _cheaper(known: Instance, *starts: Start | None) -> Start | None:
    return min((s for s in starts if s is not None), key=lambda s: costs.cost(known.problem, s.loads), default=None)


def _elastic(known: Instance, core: Bounds, budget: Budget, exact: Exact, tree: Tree | None) -> Solution:
    """Place the core at the least cost, then as many as fit.

    Mostly all fit, and the best placement of all contains a best core: that is tried first, on the simpler problem.
    """
    problem = known.problem
    half = replace(budget, deterministic_seconds=budget.deterministic_seconds / 2, wall_seconds=budget.wall_seconds and budget.wall_seconds / 2)
    every = solve(replace(problem, need=problem.total), half, exact, tree)
    if every.loads:
        chosen = core_of(problem, every.loads)
        if every.status is SolveStatus.OPTIMAL and chosen is not None and costs.cost(problem, chosen) <= core.cost:
            return every
        start = None if chosen is None else Start(loads=every.loads, core=chosen, parts=every.parts)
    else:
        start = _part_segments(known) if problem.layers else _part(known)
        if start is not None and _most_proved(known, core, start):
            return replace(_optimal(problem, start.loads), parts=start.parts)
    found = exact(known, core, start, half)
    if found.status is SolveStatus.FEASIBLE and "extras" in found.proved:
        least = bounds(known, problem.count, costs.placed(found.loads)).cost
        return replace(found, bound=max(found.bound, min(found.cost, least)))
    return found


def _optimal(problem: Problem, loads: tuple[Load, ...]) -> Solution:
    cost = costs.cost(problem, loads)
    return Solution(
        status=SolveStatus.OPTIMAL,
        loads=loads,
        cost=cost,
        bound=cost,
        proved=PROVED,
        engine="bound",
        why="best fit costs as little as any placement can",
    )


def _most_proved(known: Instance, core: Bounds, start: Start) -> bool:
    """Tell whether no placement holds one pod more, and a placement of some of the pods meets the lower bounds."""
    problem = known.problem
    placed = costs.placed(start.loads)
    if costs.cost(problem, start.core) > core.cost or not bounds(known, problem.count, placed + 1).refused:
        return False
    return costs.cost(problem, start.loads) == bounds(known, problem.count, placed).cost


def _part(known: Instance) -> Start | None:
    """Return a core and what fits beside it, else a core alone, where best fit finds one."""
    problem = known.problem
    for want in _cores(problem):
        core = greedy.search(known, want)
        if core is None:
            continue
        # Without a core there is one cell: members that run pin it, or nothing is required.
        cell = known.play[known.cell[known.play] == known.cell[core[0].node_class]] if core else known.play
        wider = greedy.fill(known, cell, problem.count)
        chosen = core_of(problem, wider)
        return Start(loads=core, core=core) if chosen is None else Start(loads=wider, core=chosen)
    return None


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
    inner = within(problem, loads)
    known = instance(inner)
    found = (greedy.search(known, want) for want in _cores(problem))
    best = min((f for f in found if f is not None), key=lambda f: costs.cost(inner, f), default=None)
    return None if best is None else tuple(replace(load, node_class=loads[load.node_class].node_class) for load in best)


def _only(known: Instance, bound: Bounds, most: int) -> Instance:
    """Return the instance without the classes that no placement of at most this cost uses."""
    keep = in_play(known, bound, most)
    return replace(known, play=np.flatnonzero(keep), cell=np.where(keep, known.cell, -1))
