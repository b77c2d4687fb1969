"""The aims in their order, one row each; each is sought only among the best of those before it.

They are solved one after the other: the value that one aim reached becomes a constraint for the next, which starts from
the placement that reached it. All share one budget; the last ones may use only a part of it, since no proof hangs on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ortools.sat.python import cp_model

from scheduler.solve.cpsat.variables import Layer, Variables

LinearExpr = cp_model.LinearExpr


def cost(layer: Layer) -> LinearExpr:
    """Sum over weighted levels of weight * (domains - 1)."""
    rows = [(use.level.weight, use.count) for use in layer.levels if use.level.weight]
    return LinearExpr.sum([weight * count for weight, count in rows]) - sum(weight for weight, _ in rows)


def left_out(v: Variables) -> LinearExpr:
    """Pods that get no node."""
    roles = range(len(v.instance.problem.count))
    return v.instance.problem.total - LinearExpr.sum([v.all.pods(role) for role in roles])


def ties(v: Variables) -> LinearExpr:
    """Domains of the tie-break levels."""
    return LinearExpr.sum([use.count for use in v.all.levels if use.level.tie])


def harm(model: cp_model.CpModel, v: Variables) -> LinearExpr:
    """Worth of the free room that newly used domains and hosts had before: `scheduler.solve.cost.harm`.

    The nodes of a class are taken in order of worth: a variable for each grade of worth, cheaper ones are used first by
    themselves because the sum is made small.
    """
    problem = v.instance.problem
    terms = [(new, int(level.level.worth[domain])) for level in v.all.levels for domain, new in level.new.items()]
    used: dict[int, list[cp_model.IntVar]] = {}
    for block in v.all.blocks:
        if not problem.occupied_host[block.node_class]:
            used.setdefault(block.node_class, []).extend(use for _, use in block.uses)
    for node_class, uses in used.items():
        times = 1 + sum(not level.host and int(level.domain[node_class]) < 0 for level in problem.levels)
        worths = problem.worth[node_class][: int(v.instance.nodes[node_class])].tolist()
        grades = [(worth, model.new_int_var(0, worths.count(worth), f"{node_class} worth {worth}")) for worth in sorted(set(worths))]
        model.add(LinearExpr.sum(uses) == LinearExpr.sum([grade for _, grade in grades]))
        terms += [(grade, times * worth) for worth, grade in grades]
    return LinearExpr.weighted_sum([var for var, _ in terms], [worth for _, worth in terms])


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One row: the name under which it is proved, what to make small, when it applies, and its part of the budget."""

    name: str
    value: Callable[[cp_model.CpModel, Variables], LinearExpr]
    applies: Callable[[Variables], bool]
    share: float = 1.0


OBJECTIVES: Final = (
    Aim(name="core", value=lambda _, v: cost(v.core), applies=lambda v: v.elastic and bool(v.instance.weighted)),
    Aim(name="extras", value=lambda _, v: left_out(v), applies=lambda v: v.elastic),
    Aim(name="cost", value=lambda _, v: cost(v.all), applies=lambda v: bool(v.instance.weighted) or not v.elastic),
    Aim(name="ties", value=lambda _, v: ties(v), applies=lambda v: any(level.tie for level in v.instance.problem.levels), share=0.05),
    Aim(name="harm", value=harm, applies=lambda _: True, share=0.05),
)
"""In the order of placement.md."""
