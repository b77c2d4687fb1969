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


def harm(v: Variables) -> LinearExpr:
    """Worth of the free room that newly used domains and hosts had before: `scheduler.solve.cost.harm`."""
    problem = v.instance.problem
    terms: list[tuple[cp_model.IntVar, int]] = []
    for block in v.all.blocks:
        if not problem.occupied_host[block.node_class]:
            terms += [(use, int(problem.worth[block.node_class])) for _, use in block.uses]
    for level in v.all.levels:
        if not level.level.host:
            terms += [(new, int(level.level.worth[domain])) for domain, new in level.new.items()]
            terms += [(use, int(problem.worth[block.node_class])) for block in level.alone for _, use in block.uses]
    return LinearExpr.weighted_sum([var for var, _ in terms], [worth for _, worth in terms])


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One row: the name under which it is proved, what to make small, when it applies, and its part of the budget."""

    name: str
    value: Callable[[Variables], LinearExpr]
    applies: Callable[[Variables], bool]
    share: float = 1.0


OBJECTIVES: Final = (
    Aim(name="core", value=lambda v: cost(v.core), applies=lambda v: v.elastic and bool(v.instance.weighted)),
    Aim(name="extras", value=left_out, applies=lambda v: v.elastic),
    Aim(name="cost", value=lambda v: cost(v.all), applies=lambda v: bool(v.instance.weighted) or not v.elastic),
    Aim(name="ties", value=ties, applies=lambda v: any(level.tie for level in v.instance.problem.levels), share=0.05),
    Aim(name="harm", value=harm, applies=lambda _: True, share=0.05),
)
"""In the order of placement.md."""
