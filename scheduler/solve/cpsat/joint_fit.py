"""Whether several gangs fit at all: a model without hosts and costs, in which equal pods of different gangs are one shape.

It is much smaller than the model that counts every gang's hosts: a node's loads are listed by shape and not by gang. Its no is a
proof, because it leaves rules out. Its yes is a placement to start from, where it also keeps what was left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solve import cost as costs
from scheduler.solve.instance import Instance
from scheduler.solve.joint.window import Contender, Window
from scheduler.solve.patterns import Rooms, rooms
from scheduler.solve.problem import Bools, Ints, Problem
from scheduler.solve.solution import Load, merged

LinearExpr = cp_model.LinearExpr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """The model and what its variables mean."""

    model: cp_model.CpModel
    window: Window
    shape_of: Ints
    """int64[R]: the shape of each role of the window."""
    uses: dict[int, list[tuple[tuple[int, ...], cp_model.IntVar]]]
    """For each class the loads, by shape, and how many nodes carry up to each."""
    pods: dict[tuple[int, int], cp_model.IntVar]
    """By role of the window and class."""


def fit(window: Window, instances: Sequence[Instance], allowed: Bools) -> Fit | None:
    """Make the model; ``None`` where the loads of some node are too many to list. ``allowed`` is bool[R, C]."""
    shape_of = _shapes(window.every)
    known = _rooms(window.every, allowed, shape_of)
    if any(listed is None for listed in known.patterns):
        return None
    model = cp_model.CpModel()
    count = window.every.count.tolist()
    places = np.argwhere(allowed).tolist()
    pods = {(r, c): model.new_int_var(0, count[r], f"role {r} on {c}") for r, c in places}
    uses = {}
    for c in np.flatnonzero(allowed.any(axis=0)).tolist():
        nodes = min(int(window.every.nodes[c]), sum(count))
        uses[c] = [(p, model.new_int_var(0, nodes, f"{c} as {p}")) for p in known.of(c) or ()]
        model.add(LinearExpr.sum([use for _, use in uses[c]]) <= nodes)
        for shape in range(int(shape_of.max()) + 1):
            here = [pods[r, c] for r in np.flatnonzero(shape_of == shape).tolist() if (r, c) in pods]
            if here:
                model.add(LinearExpr.sum(here) <= LinearExpr.weighted_sum([use for _, use in uses[c]], [p[shape] for p, _ in uses[c]]))
    found = Fit(model=model, window=window, shape_of=shape_of, uses=uses, pods=pods)
    for contender, of in zip(window.contenders, instances, strict=True):
        _placed(found, contender)
        _inside(found, contender, of)
    return found


def _shapes(every: Problem) -> Ints:
    """Return the shape of each role: roles of one shape ask for the same and never share a node with the same others."""
    rows = np.concatenate((every.request, every.conflict.astype(np.int64)), axis=1)
    return np.unique(rows, axis=0, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _rooms(every: Problem, allowed: Bools, shape_of: Ints) -> Rooms:
    first = np.unique(shape_of, return_index=True)[1]
    shapes = len(first)
    there = np.array([allowed[shape_of == s].any(axis=0) for s in range(shapes)], dtype=np.bool_)
    count = np.bincount(shape_of, every.count, minlength=shapes).astype(np.int64)
    conflict = every.conflict[np.ix_(first, first)]
    return rooms(replace(every, count=count, must=count, request=every.request[first], conflict=conflict, allowed=there))


def _placed(of: Fit, contender: Contender) -> None:
    """Sum over classes of x[r,c] = count[r]; of an elastic gang the core at least, and what it keeps where it is held."""
    problem = contender.problem
    placed = [LinearExpr.sum(_row(of, role)) for role in contender.roles]
    for index, pods in enumerate(placed):
        of.model.add(pods <= int(problem.count[index]))
        of.model.add(pods >= int(problem.must[index] if problem.elastic else problem.count[index]))
    least = problem.core if contender.held is None else problem.total - contender.held.left_out
    of.model.add(LinearExpr.sum(placed) >= least)


def _inside(of: Fit, contender: Contender, instance: Instance) -> None:
    """All pods of a gang lie in one cell."""
    if instance.cells <= 1:
        return
    chosen = [of.model.new_bool_var(f"{contender.roles} in {cell}") for cell in range(instance.cells)]
    of.model.add_exactly_one(chosen)
    for role in contender.roles:
        for (other, c), pods in of.pods.items():
            if other == role:
                of.model.add(pods == 0).only_enforce_if(chosen[int(instance.cell[c])].negated())


def _row(of: Fit, role: int) -> list[cp_model.IntVar]:
    return [pods for (other, _), pods in of.pods.items() if other == role]


def read(of: Fit, solver: cp_model.CpSolver) -> tuple[Load, ...]:
    """Return the loads, each gang on as few nodes of a class as filling one after the other gives; empty where a rule that was left out is broken."""
    loads = merged(load for c in of.uses for load in _loads(of, solver, c))
    return loads if all(_holds(contender, contender.own(loads)) for contender in of.window.contenders) else ()


def _loads(of: Fit, solver: cp_model.CpSolver, node_class: int) -> Iterator[Load]:
    left = [solver.value(of.pods[r, node_class]) if (r, node_class) in of.pods else 0 for r in range(len(of.shape_of))]
    for most, use in of.uses[node_class]:
        for _ in range(solver.value(use)):
            room, taken = list(most), [0] * len(left)
            for role in (r for contender in of.window.contenders for r in contender.roles):
                shape = int(of.shape_of[role])
                taken[role] = min(left[role], room[shape])
                room[shape] -= taken[role]
                left[role] -= taken[role]
            if any(taken):
                yield Load(node_class=node_class, pods=tuple(taken), nodes=1)


def _holds(contender: Contender, own: tuple[Load, ...]) -> bool:
    """Tell whether a gang that needs one host has one, and one that is held pays no more than it did."""
    problem = contender.problem
    if any(v.required and v.host for v in problem.levels) and sum(load.nodes for load in own) > 1:
        return False
    return contender.held is None or costs.cost(problem, own) <= contender.held.cost
