"""A problem with what every engine derives first: node capacities, and the cells that the required levels leave.

A cell is one choice of domain for every required level; all new pods must lie in one cell. Classes that hold no pod of
the gang, or that lie outside every cell, are not in play.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.solve.grouping import codes
from scheduler.solve.patterns import Rooms, rooms
from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """What engines read."""

    problem: Problem
    rooms: Rooms
    play: Ints
    """int64[P]: the classes in play, in order."""
    cell: Ints
    """int64[C]: cell of each class, -1 where it is not in play."""
    cells: int
    nodes: Ints
    """int64[C]: nodes of each class that can matter: at most one per pod, one in all where the gang must share a host."""
    places: tuple[Ints, ...] = ()
    """int64[C] for each layer of segments: classes with one number lie in one cell, in one domain of the layer and of every
    outer layer; -1 where they are not in play or carry no label of the level. A segment lies in one place."""

    @property
    def weighted(self) -> tuple[LevelColumn, ...]:
        """Levels that can cost something."""
        return tuple(v for v in self.problem.levels if v.weight)


def instance(problem: Problem) -> Instance:
    """Derive what every engine needs."""
    found = rooms(problem)
    inside = found.most > 0
    nodes = np.minimum(problem.nodes, problem.total)
    columns: list[Ints] = []
    for level in problem.levels:
        if level.required:
            inside &= _inside(level, problem)
            columns.append(_choice(level, len(nodes)))
            nodes = np.minimum(nodes, 1) if level.host else nodes
    for layer in problem.layers:
        inside &= (layer.domain >= 0) | any(layer.loose)
    play = np.flatnonzero(inside)
    cell = np.full(len(nodes), -1, dtype=np.int64)
    cell[play], first = codes((column[play] for column in columns), len(play))
    return Instance(problem=problem, rooms=found, play=play, cell=cell, cells=len(first), nodes=nodes, places=_places(problem, play, cell))


def _places(problem: Problem, play: Ints, cell: Ints) -> tuple[Ints, ...]:
    """Refine the cells layer by layer."""
    inside, outer = play, cell[play]
    found: list[Ints] = []
    for layer in problem.layers:
        known = layer.domain[inside] >= 0
        inside, outer = inside[known], outer[known]
        outer, _ = codes((outer, layer.domain[inside]), len(inside))
        place = np.full(len(cell), -1, dtype=np.int64)
        place[inside] = outer
        found.append(place)
    return tuple(found)


def _inside(level: LevelColumn, problem: Problem) -> Bools:
    """Tell which classes may hold new pods; where fixed members lie in two domains, or in none, no class may."""
    if level.host:
        fixed = level.occupied_unlabelled
        return np.asarray(problem.occupied_host & (fixed == 1)) if fixed else np.ones_like(problem.occupied_host)
    if level.occupied_unlabelled or len(level.occupied) > 1:
        return np.zeros_like(problem.occupied_host)
    if level.occupied:
        return np.asarray(level.domain == next(iter(level.occupied)))
    return np.asarray(level.domain >= 0)


def _choice(level: LevelColumn, classes: int) -> Ints:
    return np.arange(classes, dtype=np.int64) if level.host else level.domain


def occupied_classes(level: LevelColumn, problem: Problem) -> Bools:
    """Tell which classes lie in domains of the level that fixed members occupy already: there a pod adds no domain."""
    if level.host:
        return problem.occupied_host
    found = problem.occupied_host & (level.domain < 0)
    for domain in level.occupied:
        found = found | (level.domain == domain)
    return found


def occupied_count(level: LevelColumn) -> int:
    """Return how many domains of the level the fixed members occupy."""
    return len(level.occupied) + level.occupied_unlabelled
