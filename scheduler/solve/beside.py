"""Pods of small roles, a leader above all, set one by one beside a placement of the largest role."""

from __future__ import annotations

import numpy as np

from scheduler.solve.instance import Instance, occupied_classes
from scheduler.solve.patterns import Pattern
from scheduler.solve.problem import Ints
from scheduler.solve.solution import Load, merged


def add(instance: Instance, classes: Ints, loads: tuple[Load, ...], want: Ints) -> tuple[Load, ...]:
    """Return the loads with the wanted pods too, as far as they fit: on used nodes first, else where they cost least."""
    for role, count in enumerate(want.tolist()):
        for _ in range(count):
            more = _on_used(instance, loads, role) or _on_new(instance, classes, loads, role)
            if more is None:
                return loads
            loads = more
    return loads


def _on_used(instance: Instance, loads: tuple[Load, ...], role: int) -> tuple[Load, ...] | None:
    for at, load in enumerate(loads):
        fuller = tuple(n + (r == role) for r, n in enumerate(load.pods))
        if _fits(instance, load.node_class, fuller):
            rest = Load(node_class=load.node_class, pods=load.pods, nodes=load.nodes - 1)
            one = Load(node_class=load.node_class, pods=fuller, nodes=1)
            return merged([*loads[:at], *([rest] if rest.nodes else []), one, *loads[at + 1 :]])
    return None


def _fits(instance: Instance, node_class: int, load: Pattern) -> bool:
    listed = instance.rooms.of(node_class)
    return listed is not None and any(all(n <= most for n, most in zip(load, pattern, strict=True)) for pattern in listed)


def _on_new(instance: Instance, classes: Ints, loads: tuple[Load, ...], role: int) -> tuple[Load, ...] | None:
    problem = instance.problem
    used = np.zeros(len(problem.nodes), dtype=np.int64)
    for load in loads:
        used[load.node_class] += load.nodes
    left = classes[(instance.nodes[classes] > used[classes]) & (instance.rooms.single[role, classes] > 0)]
    if not len(left):
        return None
    added = np.zeros(len(left), dtype=np.int64)
    for level in instance.weighted:
        new = ~occupied_classes(level, problem)[left]
        if not level.host:
            domains = np.unique(level.domain[used > 0])
            new &= ~np.isin(level.domain[left], domains[domains >= 0])
        added += level.weight * new
    best = int(left[np.lexsort((left, problem.least_worth[left], added))[0]])
    one = tuple(int(r == role) for r in range(len(problem.count)))
    return merged([*loads, Load(node_class=best, pods=one, nodes=1)])
