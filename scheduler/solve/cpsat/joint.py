"""Several gangs at once: one model, the aims of one gang after those of the one before it, statuses mapped one to one.

What holds for one gang alone is said by `scheduler.solve.cpsat.constraints`; here is what gangs owe each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solve.cpsat import constraints as one
from scheduler.solve.cpsat.joint_hints import hint
from scheduler.solve.cpsat.joint_variables import Layout, Shared, layout, make, together
from scheduler.solve.cpsat.objective import OBJECTIVES, cost, harm, left_out, ties
from scheduler.solve.cpsat.solver import LEAST, STATUS, set_parameters, start_from
from scheduler.solve.cpsat.variables import Variables
from scheduler.solve.joint.window import Answer, Proof, Window, refused
from scheduler.solve.solution import Load, SolveStatus, merged
from scheduler.solve.solver import Budget

LinearExpr = cp_model.LinearExpr

MOST_VARIABLES: Final = 30_000
"""A window that needs more is not asked: building the model alone would take longer than a decision may."""
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


def nodes_exist_once(model: cp_model.CpModel, shared: Shared) -> None:
    """Sum over loads p of all gangs together of z[b,p] <= nodes[b]."""
    for ground in shared.ground:
        if ground.uses:
            model.add(LinearExpr.sum([use for _, use in ground.uses]) <= ground.nodes)


def single_nodes_hold_all(model: cp_model.CpModel, shared: Shared) -> None:
    """Sum over gangs and roles r of request[r,k] * x[b,r] <= free[b,k], for blocks of one node without listed loads."""
    every = shared.window.every
    for at, ground in enumerate(shared.ground):
        rows = [] if ground.uses else list(_roles(shared, at))
        for k in range(every.request.shape[1]):
            asked = [int(every.request[role, k]) for role, _, _ in rows]
            if any(asked):
                model.add(LinearExpr.weighted_sum([pods for _, pods, _ in rows], asked) <= int(every.free[ground.node_class, k]))


def gangs_apart(model: cp_model.CpModel, shared: Shared) -> None:
    """At most one of two roles of different gangs that never share a node is there, for blocks of one node."""
    conflict = shared.window.every.conflict
    for at, ground in enumerate(shared.ground):
        rows = [] if ground.uses else [(role, there) for role, _, there in _roles(shared, at) if there is not None]
        for index, (role, there) in enumerate(rows):
            for other, beside in rows[:index]:
                if conflict[role, other]:
                    model.add_at_most_one(there, beside)


def _roles(shared: Shared, at: int) -> Iterator[tuple[int, cp_model.IntVar, cp_model.IntVar | None]]:
    """Give each role that can be on the ground, by its place among all: its pods, and whether it is there."""
    for gang, block in together(shared, at):
        for index, role in enumerate(shared.window.contenders[gang].roles):
            pods = block.pods[index]
            if pods is not None:
                yield role, pods, block.present[index] if block.present else None


@dataclass(slots=True, kw_only=True)
class _Search:
    """One budget for all models of a window."""

    budget: Budget
    deterministic: float = 0.0
    wall: float = 0.0

    def seek(self, model: cp_model.CpModel, value: LinearExpr, share: float = 1.0) -> tuple[SolveStatus, cp_model.CpSolver | None]:
        """Make the value as small as the budget allows and hold what was reached."""
        most, limit = self.budget.deterministic_seconds, self.budget.wall_seconds
        deterministic = min(most - self.deterministic, most * share)
        wall = None if limit is None else min(limit - self.wall, limit * share)
        if deterministic < LEAST or (wall is not None and wall < LEAST):
            return SolveStatus.UNKNOWN, None
        model.minimize(value)
        solver = cp_model.CpSolver()
        set_parameters(solver, self.budget, deterministic, wall)
        status = STATUS[solver.solve(model)]
        if status is SolveStatus.MODEL_INVALID:
            raise AssertionError(f"CP-SAT calls the joint model invalid: {model.validate()}")
        self.deterministic += solver.response_proto.deterministic_time
        self.wall += solver.wall_time
        if status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
            model.add(value <= round(solver.objective_value))
            start_from(model, solver)
        return status, solver


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
    of = layout(window)
    if of.size > MOST_VARIABLES:
        return Answer(status=SolveStatus.INEXPRESSIBLE)
    search = _Search(budget=budget)
    cores = _held_cores(of, search)
    if cores is None:
        return _answer(search, SolveStatus.UNKNOWN)
    model, shared = _modelled(of, len(window.contenders), cores)
    if window.start:
        hint(model, shared, window.start)
    reached = _Reached(loads=window.start)
    for at, v in enumerate(shared.gangs):
        if window.contenders[at].held is None and reached.complete:
            status = _aims(model, shared, at, v, search=search, reached=reached)
            if status is SolveStatus.INFEASIBLE:
                return _answer(search, SolveStatus.INFEASIBLE)
    if not reached.loads:
        return _answer(search, SolveStatus.UNKNOWN)
    if reached.complete:
        _soften(model, shared, search, reached)
    return _answer(search, SolveStatus.OPTIMAL if reached.complete else SolveStatus.FEASIBLE, shared, reached)


def _modelled(of: Layout, gangs: int, cores: Mapping[int, int]) -> tuple[cp_model.CpModel, Shared]:
    """Make the model of the first gangs; what is held of them holds."""
    model = cp_model.CpModel()
    shared = make(model, of, gangs)
    for v in shared.gangs:
        for constraint in ALONE:
            constraint(model, v)
    for rule in (nodes_exist_once, single_nodes_hold_all, gangs_apart):
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


def _held_cores(of: Layout, search: _Search) -> dict[int, int] | None:
    """Return what the cores of elastic gangs that are held cost at the least, by gang; ``None`` where the budget ends first."""
    found: dict[int, int] = {}
    held = [at for at, contender in enumerate(of.window.contenders) if contender.held is not None]
    elastic = [at for at in held if of.window.contenders[at].problem.elastic and of.instances[at].weighted]
    if not elastic:
        return found
    model, shared = _modelled(of, len(held), found)
    for at in elastic:
        status, solver = search.seek(model, cost(shared.gangs[at].core))
        if status is SolveStatus.INFEASIBLE:
            raise AssertionError("CP-SAT refuses the placement that gangs of higher priority have")
        if status is not SolveStatus.OPTIMAL or solver is None:
            return None
        found[at] = round(solver.objective_value)
    return found


def _aims(model: cp_model.CpModel, shared: Shared, at: int, v: Variables, *, search: _Search, reached: _Reached) -> SolveStatus:
    """Seek the aims of one gang; INFEASIBLE only where nothing is placed yet."""
    proved = reached.proved.setdefault(at, [])
    for aim in OBJECTIVES:
        if aim.name in ("ties", "harm"):
            continue
        if not aim.applies(v):
            proved.append(aim.name)
            continue
        status, solver = search.seek(model, aim.value(model, v))
        if status is SolveStatus.INFEASIBLE:
            if reached.loads:
                raise AssertionError(f"aim {aim.name} of gang {at}: CP-SAT refuses a joint placement that is valid")
            return status
        if solver is not None and status is not SolveStatus.UNKNOWN:
            reached.loads = read(solver, shared)
        if solver is not None and aim.name in ("core", "cost"):
            reached.bound[at] = max(reached.bound.get(at, 0), round(solver.best_objective_bound))
        if status is not SolveStatus.OPTIMAL:
            reached.complete = False
            return status
        proved.append(aim.name)
    return SolveStatus.OPTIMAL


def _soften(model: cp_model.CpModel, shared: Shared, search: _Search, reached: _Reached) -> None:
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
        for role, pods, _ in _roles(shared, at):
            left[role] = solver.value(pods)
        for most in [p for p, use in ground.uses for _ in range(solver.value(use))] if ground.uses else [left]:
            taken = np.minimum(most, left)
            left = left - taken
            if taken.any():
                loads.append(Load(node_class=ground.node_class, pods=tuple(taken.tolist()), nodes=1))
    return merged(loads)


def _answer(search: _Search, status: SolveStatus, shared: Shared | None = None, reached: _Reached | None = None) -> Answer:
    if shared is None or reached is None:
        return Answer(status=status, deterministic=search.deterministic, wall=search.wall)
    proofs = []
    for at, v in enumerate(shared.gangs):
        proved = tuple(reached.proved.get(at, ()))
        bound = max(v.bounds.cost, reached.bound.get(at, 0))
        proofs.append(Proof(bound=bound, proved=proved if v.elastic or "cost" in proved else ()))
    return Answer(status=status, loads=reached.loads, proofs=tuple(proofs), deterministic=search.deterministic, wall=search.wall)
