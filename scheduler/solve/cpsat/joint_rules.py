"""What gangs on the same nodes owe each other: one named function per rule, its formula in its docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ortools.sat.python import cp_model

from scheduler.solve.cpsat.joint_variables import Shared, together

LinearExpr = cp_model.LinearExpr


def nodes_exist_once(model: cp_model.CpModel, shared: Shared) -> None:
    """Sum over loads p of all gangs together of z[b,p] <= nodes[b]."""
    for ground in shared.ground:
        if ground.uses:
            model.add(LinearExpr.sum([use for _, use in ground.uses]) <= ground.nodes)


def single_nodes_hold_all(model: cp_model.CpModel, shared: Shared) -> None:
    """Sum over gangs and roles r of request[r,k] * x[b,r] <= free[b,k], for blocks of one node without listed loads."""
    every = shared.window.every
    for at, ground in enumerate(shared.ground):
        rows = [] if ground.uses else list(roles_on(shared, at))
        for k in range(every.request.shape[1]):
            asked = [int(every.request[role, k]) for role, _, _ in rows]
            if any(asked):
                model.add(LinearExpr.weighted_sum([pods for _, pods, _ in rows], asked) <= int(every.free[ground.node_class, k]))


def gangs_apart(model: cp_model.CpModel, shared: Shared) -> None:
    """At most one of two roles of different gangs that never share a node is there, for blocks of one node."""
    conflict = shared.window.every.conflict
    for at, ground in enumerate(shared.ground):
        rows = [] if ground.uses else [(role, there) for role, _, there in roles_on(shared, at) if there is not None]
        for index, (role, there) in enumerate(rows):
            for other, beside in rows[:index]:
                if conflict[role, other]:
                    model.add_at_most_one(there, beside)


def roles_on(shared: Shared, at: int) -> Iterator[tuple[int, cp_model.IntVar, cp_model.IntVar | None]]:
    """Give each role that can be on the ground, by its place among all: its pods, and whether it is there."""
    for gang, block in together(shared, at):
        for index, role in enumerate(shared.window.contenders[gang].roles):
            pods = block.pods[index]
            if pods is not None:
                yield role, pods, block.present[index] if block.present else None


RULES: Final[tuple[Callable[[cp_model.CpModel, Shared], None], ...]] = (nodes_exist_once, single_nodes_hold_all, gangs_apart)
