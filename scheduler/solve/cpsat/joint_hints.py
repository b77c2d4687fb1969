"""A complete hint from a joint placement."""

from __future__ import annotations

from ortools.sat.python import cp_model

from scheduler.solve.cpsat.hints import places
from scheduler.solve.cpsat.joint_variables import Ground, Shared, together
from scheduler.solve.patterns import Pattern
from scheduler.solve.solution import Load


def hint(model: cp_model.CpModel, shared: Shared, start: tuple[Load, ...]) -> None:
    """Tell the model the placement: loads of nodes, pods, domains and cells of every gang; which part of an elastic gang is its core is left open."""
    nodes: dict[int, list[Pattern]] = {}
    for load in start:
        nodes.setdefault(load.node_class, []).extend([load.pods] * load.nodes)
    for at, ground in enumerate(shared.ground):
        here = nodes.get(ground.node_class, [])
        here = here if ground.uses else here[:1]
        if not ground.uses:
            nodes[ground.node_class] = nodes.get(ground.node_class, [])[1:]
        _ground(model, shared, at, ground, here)
    for gang, v in enumerate(shared.gangs):
        own = shared.window.contenders[gang].own(start)
        places(model, v, v.all, {load.node_class for load in own})


def _ground(model: cp_model.CpModel, shared: Shared, at: int, ground: Ground, here: list[Pattern]) -> None:
    uses = [0] * len(ground.uses)
    for load in here if ground.uses else ():
        uses[next((i for i, (p, _) in enumerate(ground.uses) if _above(p, load, shared)), 0)] += 1
    for (_, use), n in zip(ground.uses, uses, strict=True):
        model.add_hint(use, n)
    for gang, block in together(shared, at):
        there = [tuple(load[r] for r in shared.window.contenders[gang].roles) for load in here]
        for role, pods in enumerate(block.pods):
            n = sum(load[role] for load in there)
            if pods is not None:
                model.add_hint(pods, n)
            present = block.present[role] if block.present else None
            if present is not None:
                model.add_hint(present, n > 0)
        if not ground.uses:
            model.add_hint(block.uses[0][1], any(any(load) for load in there))


def _above(most: Pattern, load: Pattern, shared: Shared) -> bool:
    """Tell whether the load is one of the same gangs and lies below the other."""
    if any(n > m for n, m in zip(load, most, strict=True)):
        return False
    return all(any(most[r] for r in c.roles) == any(load[r] for r in c.roles) for c in shared.window.contenders)
