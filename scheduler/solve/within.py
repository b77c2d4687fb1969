"""A placement as a problem of its own: which of its pods make the cheapest core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.solve.problem import Problem, Rows
from scheduler.solve.solution import Load


def within(problem: Problem, loads: Sequence[Load]) -> Problem:
    """Return the question for a core among the pods of a placement; its classes are the loads, in their order.

    A node has one slot for each pod that the load puts on it. Required levels and segments hold for every part of a placement.
    """
    classes = np.array([load.node_class for load in loads], dtype=np.int64)
    roles = len(problem.count)
    return Problem(
        count=problem.count,
        must=problem.must,
        need=problem.core,
        request=np.eye(roles, dtype=np.int64),
        conflict=np.zeros((roles, roles), dtype=np.bool_),
        nodes=np.array([load.nodes for load in loads], dtype=np.int64),
        free=np.array([load.pods for load in loads], dtype=np.int64),
        allowed=np.ones((roles, len(loads)), dtype=np.bool_),
        occupied_host=problem.occupied_host[classes],
        levels=tuple(replace(v, domain=v.domain[classes], required=False) for v in problem.levels),
        worth=Rows.of(problem.worth[load.node_class][: load.nodes] for load in loads),
    )
