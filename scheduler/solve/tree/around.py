"""Pods around a core that is placed already: its nodes are classes of their own, with what it leaves and no new domain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np

from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem, Rows
from scheduler.solve.solution import Load


def around(problem: Problem, core: tuple[Load, ...]) -> Problem:
    """Return the problem of the pods that are not in the core.

    Its classes are those of the problem of which nodes are left, in order, then one for each load of the core; its roles are
    those of which pods are left.
    """
    taken = Counter[int]()
    rows: list[Ints] = []
    for load in core:
        first = taken[load.node_class]
        rows.append(problem.worth[load.node_class][first : first + load.nodes])
        taken[load.node_class] += load.nodes
    left = _nodes_left(problem, core)
    every = np.flatnonzero(left)
    classes = np.concatenate((every, np.array([load.node_class for load in core], dtype=np.int64)))
    pods = np.array([load.pods for load in core], dtype=np.int64).reshape(len(core), -1)
    nodes = np.array([load.nodes for load in core], dtype=np.int64)
    count = _left(problem, core)
    roles = np.flatnonzero(count)
    return replace(
        problem,
        count=count[roles],
        must=np.zeros(len(roles), dtype=np.int64),
        need=int(count.sum()),
        request=problem.request[roles],
        conflict=problem.conflict[np.ix_(roles, roles)],
        nodes=np.concatenate((left[every], nodes)),
        free=np.concatenate((problem.free[every], problem.free[classes[len(every) :]] - pods @ problem.request)),
        allowed=_allowed(problem, classes, pods)[roles],
        occupied_host=np.concatenate((problem.occupied_host[every], np.ones(len(core), dtype=np.bool_))),
        levels=tuple(_level(v, problem, classes, core) for v in problem.levels),
        worth=Rows.of(chain((problem.worth[c][taken[c] :] for c in every.tolist()), rows)),
    )


def _left(problem: Problem, core: tuple[Load, ...]) -> Ints:
    """Return the pods of each role that are not in the core."""
    return problem.count - sum((np.array(load.pods, dtype=np.int64) * load.nodes for load in core), np.zeros_like(problem.count))


def _nodes_left(problem: Problem, core: tuple[Load, ...]) -> Ints:
    """Return the nodes of each class that the core does not use."""
    left = problem.nodes.copy()
    for load in core:
        left[load.node_class] -= load.nodes
    return left


def _allowed(problem: Problem, classes: Ints, pods: Ints) -> Bools:
    """Return where the roles may lie: not beside pods of the core that they never share a node with."""
    found = problem.allowed[:, classes]
    beside = problem.conflict.astype(np.int64) @ pods.T > 0
    found[:, len(classes) - len(pods) :] &= ~beside
    return found


def _level(level: LevelColumn, problem: Problem, classes: Ints, core: tuple[Load, ...]) -> LevelColumn:
    domains = {int(level.domain[load.node_class]) for load in core} - {-1}
    new = (load for load in core if not problem.occupied_host[load.node_class])
    alone = sum(load.nodes for load in new if level.host or level.domain[load.node_class] < 0)
    return replace(
        level,
        domain=level.domain[classes],
        occupied=level.occupied if level.host else level.occupied | domains,
        occupied_unlabelled=level.occupied_unlabelled + alone,
    )


def together(problem: Problem, core: tuple[Load, ...], loads: tuple[Load, ...]) -> tuple[Load, ...]:
    """Return the loads of the core with those of the pods around it, as loads of the problem."""
    kept = np.flatnonzero(_nodes_left(problem, core)).tolist()
    roles = np.flatnonzero(_left(problem, core)).tolist()
    found = Counter[tuple[int, tuple[int, ...]]]()
    for load in core:
        found[load.node_class, load.pods] += load.nodes
    for load in loads:
        more = [0] * len(problem.count)
        for role, n in zip(roles, load.pods, strict=True):
            more[role] = n
        if load.node_class < len(kept):
            found[kept[load.node_class], tuple(more)] += load.nodes
            continue
        base = core[load.node_class - len(kept)]
        found[base.node_class, base.pods] -= load.nodes
        found[base.node_class, tuple(a + b for a, b in zip(base.pods, more, strict=True))] += load.nodes
    return tuple(Load(node_class=c, pods=pods, nodes=n) for (c, pods), n in sorted(found.items()) if n)
