"""What one node can hold: the maximal loads (pods by role) of a node, and from them the most pods and the rooms by role.

Exact for requests in several resources and for roles that never share a node. Classes with equal free amounts and
checks are one kind and are worked out once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from scheduler.solve.grouping import codes
from scheduler.solve.problem import Ints, Problem

Pattern: TypeAlias = tuple[int, ...]
MOST_PATTERNS: Final = 500
"""Beyond this many maximal loads per node they are not listed: the model then counts pods node by node."""
_MOST_LOADS: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rooms:
    """Capacities of one node of each class, cut at the gang's counts."""

    single: Ints
    """int64[R, C]: pods of a role that fit when no other role is there."""
    kind: Ints
    """int64[C]: classes of one kind hold the same loads."""
    patterns: tuple[tuple[Pattern, ...] | None, ...]
    """By kind: the maximal loads, largest first; ``None`` where they are too many to list."""
    most: Ints
    """int64[C]: an upper bound of pods on one node, exact where patterns are listed."""

    def of(self, node_class: int) -> tuple[Pattern, ...] | None:
        """Return the maximal loads of a node of the class."""
        return self.patterns[int(self.kind[node_class])]


def rooms(problem: Problem) -> Rooms:
    """Work out the capacities of every class."""
    single = _single(problem)
    kind, first = codes((*single, *problem.free.T), len(problem.nodes)) if len(problem.count) > 1 else codes(single, len(problem.nodes))
    patterns = tuple(_patterns(problem, single[:, c], c) for c in first.tolist())
    most = np.array([_most(p, single[:, c]) for p, c in zip(patterns, first.tolist(), strict=True)], dtype=np.int64)
    return Rooms(single=single, kind=kind, patterns=patterns, most=most[kind] if len(most) else kind)


def _single(problem: Problem) -> Ints:
    found = np.where(problem.allowed, problem.count[:, None], 0)
    for role, request in enumerate(problem.request):
        for k in np.flatnonzero(request > 0).tolist():
            found[role] = np.minimum(found[role], problem.free[:, k] // request[k])
        if problem.conflict[role, role]:
            found[role] = np.minimum(found[role], 1)
    return found.astype(np.int64)


def _most(patterns: tuple[Pattern, ...] | None, single: Ints) -> int:
    return int(single.sum()) if patterns is None else max((sum(p) for p in patterns), default=0)


def _patterns(problem: Problem, single: Ints, node_class: int) -> tuple[Pattern, ...] | None:
    if len(single) == 1:
        return ((int(single[0]),),) if single[0] else ()
    if np.prod(single[:-1].astype(float) + 1) > _MOST_LOADS:
        return None
    loads = np.array(list(_loads(problem, single.tolist(), node_class)), dtype=np.int64)
    maximal = _maximal(loads)
    return None if maximal is None or len(maximal) > MOST_PATTERNS else maximal


def _loads(problem: Problem, single: list[int], node_class: int) -> Iterator[Pattern]:
    """Give every load whose last role takes as many as fit; all other loads lie below one of these."""
    request = problem.request.tolist()
    conflict = problem.conflict.tolist()

    def extend(load: Pattern, free: list[int]) -> Iterator[Pattern]:
        role = len(load)
        if role == len(single):
            yield load
            return
        most = 0 if any(n and conflict[role][other] for other, n in enumerate(load)) else single[role]
        for asked, left in zip(request[role], free, strict=True):
            most = min(most, left // asked) if asked else most
        for n in (most,) if role == len(single) - 1 else range(most, -1, -1):
            yield from extend((*load, n), [left - n * asked for asked, left in zip(request[role], free, strict=True)])

    return extend((), problem.free[node_class].tolist())


def _maximal(loads: Ints) -> tuple[Pattern, ...] | None:
    """Keep the loads that no other covers; ``None`` as soon as they are too many."""
    kept: list[Ints] = []
    for load in loads[np.lexsort((*loads.T[::-1], loads.sum(axis=1)))[::-1]]:
        if load.any() and not any((other >= load).all() for other in kept):
            kept.append(load)
            if len(kept) > MOST_PATTERNS:
                return None
    return tuple(tuple(int(n) for n in load) for load in kept)
