"""A complete hint from a placement: every variable of the model gets its value, the auxiliary ones too."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solve.cpsat.variables import Block, Layer, Variables
from scheduler.solve.solution import Load
from scheduler.solve.solver import Start


def hint(model: cp_model.CpModel, v: Variables, start: Start) -> None:
    """Tell the model the placement; the core's nodes are the first of those that carry the same load."""
    _layer(model, v, v.all, start.loads)
    if v.elastic:
        _layer(model, v, v.core, start.core)
    if start.parts:
        _segments(model, v, start)


def _segments(model: cp_model.CpModel, v: Variables, start: Start) -> None:
    """Hint where the segments lie, and how many pods of each place lie in none."""
    pods = {load.node_class: np.zeros(len(load.pods), dtype=np.int64) for load in start.loads}
    for load in start.loads:
        pods[load.node_class] += np.array(load.pods, dtype=np.int64) * load.nodes
    for at, (layer, places) in enumerate(zip(v.instance.problem.layers, v.places, strict=True)):
        place = v.instance.places[at]
        times = {(part.kind, int(place[part.node_class])): part.times for part in start.parts if part.layer == at}
        for k, lie in enumerate(places.segments):
            for at_place, s in lie.items():
                model.add_hint(s, times.get((k, at_place), 0))
        for role, lie in enumerate(places.loose):
            for at_place, e in lie.items():
                there = sum(int(n[role]) for c, n in pods.items() if int(place[c]) == at_place)
                meant = sum(kind.pods[role] * times.get((k, at_place), 0) for k, kind in enumerate(layer.kinds))
                model.add_hint(e, max(0, there - meant))


def _layer(model: cp_model.CpModel, v: Variables, layer: Layer, loads: tuple[Load, ...]) -> None:
    by_class: dict[int, list[Load]] = {}
    for load in loads:
        by_class.setdefault(load.node_class, []).append(load)
    for block in layer.blocks:
        _block(model, block, by_class.get(block.node_class, []))
    places(model, v, layer, by_class)


def places(model: cp_model.CpModel, v: Variables, layer: Layer, classes: Iterable[int]) -> None:
    """Tell the model which domains and which cell a placement on these classes uses."""
    held = tuple(classes)
    for level in layer.levels:
        used = set() if level.level.host else {int(level.level.domain[c]) for c in held}
        for domain, new in level.new.items():
            model.add_hint(new, domain in used)
    cells = {int(v.instance.cell[c]) for c in held}
    for cell, chosen in layer.cells.items():
        model.add_hint(chosen, cell in cells)


def _block(model: cp_model.CpModel, block: Block, loads: list[Load]) -> None:
    if block.uses[0][0] is None:
        loads = _one(loads)
    uses = [0] * len(block.uses)
    for load in loads:
        # A core's load may be smaller than what its node carries: the first maximal load above it is as good a guess as any.
        uses[next((i for i, (p, _) in enumerate(block.uses) if p is None or _above(p, load.pods)), 0)] += load.nodes
    for (_, use), n in zip(block.uses, uses, strict=True):
        model.add_hint(use, n)
    for role, pods in enumerate(block.pods):
        n = sum(load.pods[role] * load.nodes for load in loads)
        if pods is not None:
            model.add_hint(pods, n)
        present = block.present[role] if block.present else None
        if present is not None:
            model.add_hint(present, n > 0)


def _one(loads: list[Load]) -> list[Load]:
    """Take one node's load out of the list, for blocks of one node."""
    if not loads:
        return []
    first = loads[0]
    if first.nodes == 1:
        loads.pop(0)
    else:
        loads[0] = Load(node_class=first.node_class, pods=first.pods, nodes=first.nodes - 1)
    return [Load(node_class=first.node_class, pods=first.pods, nodes=1)]


def _above(pattern: Iterable[int], pods: Iterable[int]) -> bool:
    return all(p >= n for p, n in zip(pattern, pods, strict=True))
