"""Several gangs at once: one model, the aims of one gang after those of the one before it, statuses mapped one to one.

What holds for one gang alone is said by `scheduler.solve.cpsat.constraints`; here is what gangs owe each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solve import cost as costs
from scheduler.solve.bounds import NEVER, bounds
from scheduler.solve.cpsat import constraints as one
from scheduler.solve.cpsat.joint_fit import fit
from scheduler.solve.cpsat.joint_fit import read as read_fit
from scheduler.solve.cpsat.joint_hints import hint
from scheduler.solve.cpsat.joint_rules import RULES, roles_on
from scheduler.solve.cpsat.joint_search import Search
from scheduler.solve.cpsat.joint_variables import Layout, Shared, layout, loads_of, make, size
from scheduler.solve.cpsat.objective import OBJECTIVES, cost, harm, left_out, ties
from scheduler.solve.door import core_of
from scheduler.solve.joint.loads import SharedLoads
from scheduler.solve.joint.window import Answer, Proof, Window, refused
from scheduler.solve.solution import Load, SolveStatus, merged
from scheduler.solve.solver import Budget

LinearExpr = cp_model.LinearExpr

MOST_VARIABLES: Final = 30_000
"""A window that needs more is not asked: building the model alone would take longer than a decision may."""
BUILDING: Final = 5e-5
"""Deterministic seconds that a variable costs before anything is solved: building counts too, where many windows are asked."""
HALF: Final = 0.5
"""Part of what is left of the budget for finding out whether all fit at all, or what a core costs that is held."""
SOFT: Final = 0.05
"""Part of the budget for what no proof hangs on: ties, and the harm to later gangs."""
ALONE: Final = (
    one.loads_fit,
    one.single_nodes_hold,
    one.conflicts_apart,
    one.everyone_placed,
    one.core_placed,
    one.core_within,
    one.one_cell,
    one.hosts_in_cell,
    one.used_domains,
    one.proved_bound,
)
"""What holds for each gang as if it were alone."""


@dataclass(slots=True, kw_only=True)
class _Reached:
    """How far the aims have come."""

    loads: tuple[Load, ...] = ()
    proved: dict[int, list[str]] = field(default_factory=dict)
    bound: dict[int, int] = field(default_factory=dict)
    complete: bool = True


def solve(window: Window, budget: Budget) -> Answer:
    """Place all gangs of the window, or prove that they do not fit together beside what is held."""
    if refused(window):
        return Answer(status=SolveStatus.INFEASIBLE, engine="counting")
    of, search = layout(window), Search(budget=budget)
    search.deterministic += BUILDING * int(of.allowed.sum())
    start, status = (window.start, SolveStatus.FEASIBLE) if window.start else _fitted(of, search)
    if status is SolveStatus.INFEASIBLE:
        return _answer(search, status)
    loads = loads_of(of)
    needed = size(of, loads)
    if needed > MOST_VARIABLES:
        return _unpriced(of, search, start)
    search.deterministic += BUILDING * needed
    return _priced(of, loads, search, start)


def _priced(of: Layout, listed: SharedLoads, search: Search, start: tuple[Load, ...]) -> Answer:
    """Seek the aims of all gangs that are not held."""
    cores = _held_cores(of, listed, search)
    search.last = None  # that was a placement of the first gangs alone
    if cores is None:
        return _answer(search, SolveStatus.UNKNOWN)
    if any(_core_cost(of, at, start) > most for at, most in cores.items()):
        start = ()
    model, shared = _modelled(of, listed, len(of.window.contenders), cores)
    if start:
        hint(model, shared, start)
    reached = _Reached(loads=start)
    free = [at for at, contender in enumerate(of.window.contenders) if contender.held is None]
    for index, at in enumerate(free):
        # Every gang gets its part of the budget, the first ones more: what one has reached is held, proved or not.
        status = _aims(model, shared, at, search=search, reached=reached, share=2 / (len(free) - index + 1))
        if status in (SolveStatus.INFEASIBLE, SolveStatus.UNKNOWN):
            break
    if not reached.loads:
        return _answer(search, status)
    if reached.complete:
        _soften(model, shared, search, reached)
    return _answer(search, SolveStatus.OPTIMAL if reached.complete else SolveStatus.FEASIBLE, shared, reached)


def _fitted(of: Layout, search: Search) -> tuple[tuple[Load, ...], SolveStatus]:
    """Ask the smaller model whether all fit; return a placement where it has one that keeps every rule."""
    small = fit(of.window, of.instances, of.allowed)
    if small is None:
        return (), SolveStatus.UNKNOWN
    status, solver = search.run(small.model, HALF)
    found = status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE) and solver is not None
    return (read_fit(small, solver) if found and solver is not None else ()), status


def _unpriced(of: Layout, search: Search, start: tuple[Load, ...]) -> Answer:
    """Answer, where the whole model would be too large, with a placement whose costs nobody has searched: only sums bound them."""
    if not start or any(c.held is not None and c.problem.elastic for c in of.window.contenders):
        return _answer(search, SolveStatus.INEXPRESSIBLE)
    least = [bounds(v, v.problem.count, v.problem.core).cost for v in of.instances]
    proofs = tuple(Proof(bound=bound, proved=()) for bound in least)
    return replace(_answer(search, SolveStatus.FEASIBLE), loads=start, proofs=proofs)


def _core_cost(of: Layout, at: int, loads: tuple[Load, ...]) -> int:
    """Return what the cheapest core costs that best fit finds in a gang's part of the placement."""
    contender = of.window.contenders[at]
    core = core_of(contender.problem, contender.own(loads))
    return costs.cost(contender.problem, core) if core is not None else NEVER


def _modelled(of: Layout, listed: SharedLoads, gangs: int, cores: Mapping[int, int]) -> tuple[cp_model.CpModel, Shared]:
    """Make the model of the first gangs; what is held of them holds."""
    model = cp_model.CpModel()
    shared = make(model, of, listed, gangs)
    for v in shared.gangs:
        for constraint in ALONE:
            constraint(model, v)
    for rule in RULES:
        rule(model, shared)
    for at, v in enumerate(shared.gangs):
        held = of.window.contenders[at].held
        if held is None:
            continue
        if v.elastic:
            model.add(left_out(v) <= held.left_out)
        if v.instance.weighted:
            model.add(cost(v.all) <= held.cost)
        if at in cores:
            model.add(cost(v.core) <= cores[at])
    return model, shared


def _held_cores(of: Layout, listed: SharedLoads, search: Search) -> dict[int, int] | None:
    """Return what the cores of elastic gangs that are held cost at the least, by gang; ``None`` where the budget ends first."""
    found: dict[int, int] = {}
    held = [at for at, contender in enumerate(of.window.contenders) if contender.held is not None]
    elastic = [at for at in held if of.window.contenders[at].problem.elastic and of.instances[at].weighted]
    if not elastic:
        return found
    model, shared = _modelled(of, listed, len(held), found)
    for at in elastic:
        status, solver = search.seek(model, cost(shared.gangs[at].core), HALF)
        if status is SolveStatus.INFEASIBLE:
            raise AssertionError("CP-SAT refuses the placement that gangs of higher priority have")
        if status is not SolveStatus.OPTIMAL or solver is None:
            return None
        found[at] = round(solver.objective_value)
    return found


def _aims(model: cp_model.CpModel, shared: Shared, at: int, *, search: Search, reached: _Reached, share: float) -> SolveStatus:
    """Seek the aims of one gang, each within a share of the budget; INFEASIBLE only where nothing is placed yet."""
    v, proved, worst = shared.gangs[at], reached.proved.setdefault(at, []), SolveStatus.OPTIMAL
    for aim in OBJECTIVES:
        if aim.name in ("ties", "harm"):
            continue
        if not aim.applies(v):
            proved.append(aim.name)
            continue
        value, least = aim.value(model, v), 0 if aim.name == "extras" else v.bounds.cost
        if search.settled(model, value, least):
            proved.append(aim.name)
            continue
        status, solver = search.seek(model, value, share)
        if status is SolveStatus.INFEASIBLE and reached.loads:
            raise AssertionError(f"aim {aim.name} of gang {at}: CP-SAT refuses a joint placement that is valid")
        if solver is not None and aim.name in ("core", "cost") and status is not SolveStatus.INFEASIBLE:
            reached.bound[at] = max(reached.bound.get(at, 0), round(solver.best_objective_bound))
        if solver is None or status in (SolveStatus.INFEASIBLE, SolveStatus.UNKNOWN):
            reached.complete = False
            return status
        reached.loads = read(solver, shared)
        if status is SolveStatus.OPTIMAL and worst is SolveStatus.OPTIMAL:
            proved.append(aim.name)
        else:
            worst, reached.complete = SolveStatus.FEASIBLE, False
    return worst


def _soften(model: cp_model.CpModel, shared: Shared, search: Search, reached: _Reached) -> None:
    """Among placements that meet all aims: fewer domains of tie-break levels, then less harm to later gangs, summed over the gangs."""
    for value in (LinearExpr.sum([ties(v) for v in shared.gangs]), LinearExpr.sum([harm(model, v) for v in shared.gangs])):
        status, solver = search.seek(model, value, SOFT)
        if solver is not None and status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            reached.loads = read(solver, shared)


def read(solver: cp_model.CpSolver, shared: Shared) -> tuple[Load, ...]:
    """Return the loads of all roles: the nodes of a class are filled one after the other, up to the load that each may carry."""
    loads: list[Load] = []
    for at, ground in enumerate(shared.ground):
        left = np.zeros(len(shared.window.every.count), dtype=np.int64)
        for role, pods, _ in roles_on(shared, at):
            left[role] = solver.value(pods)
        for most in [p for p, use in ground.uses for _ in range(solver.value(use))] if ground.uses else [left]:
            taken = np.minimum(most, left)
            left = left - taken
            if taken.any():
                loads.append(Load(node_class=ground.node_class, pods=tuple(taken.tolist()), nodes=1))
    return merged(loads)


def _answer(search: Search, status: SolveStatus, shared: Shared | None = None, reached: _Reached | None = None) -> Answer:
    if shared is None or reached is None:
        return Answer(status=status, deterministic=search.deterministic, wall=search.wall)
    proofs = []
    for at, v in enumerate(shared.gangs):
        proved = tuple(reached.proved.get(at, ()))
        bound = max(v.bounds.cost, reached.bound.get(at, 0))
        proofs.append(Proof(bound=bound, proved=proved if v.elastic or "cost" in proved else ()))
    return Answer(status=status, loads=reached.loads, proofs=tuple(proofs), deterministic=search.deterministic, wall=search.wall)
