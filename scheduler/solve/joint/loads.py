"""What one node can hold of several gangs together: the maximal loads for each set of gangs that share the node.

A load that lies below a maximal one of the same set has pods of the same gangs at most, so that counting nodes by the
loads they carry counts the hosts of every gang exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from scheduler.solve.grouping import codes
from scheduler.solve.patterns import Pattern
from scheduler.solve.problem import Bools, Ints, Problem

MOST_LOADS: Final = 3_000
"""Loads of one node that are looked at before its nodes are counted one by one instead."""
MOST_LISTED: Final = 300
"""Maximal loads of one node that become variables."""
Shared: TypeAlias = tuple[Pattern, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedLoads:
    """The maximal loads of a node of each class; ``None`` where they are too many to list."""

    kind: Ints
    """int64[C]: classes of one kind hold the same loads."""
    listed: tuple[Shared, ...]

    def of(self, node_class: int) -> Shared:
        """Return the loads of a node of the class."""
        return self.listed[int(self.kind[node_class])]


def shared_loads(every: Problem, allowed: Bools, gang_of: Sequence[int]) -> SharedLoads:
    """List the loads of every class. ``allowed`` is bool[R, C]; ``gang_of`` names the gang of each role."""
    kind, first = codes((*allowed, *every.free.T), len(every.nodes))
    listed = tuple(_listed(every, allowed[:, c].tolist(), every.free[c].tolist(), gang_of) for c in first.tolist())
    return SharedLoads(kind=kind, listed=listed)


def _listed(every: Problem, allowed: list[bool], free: list[int], gang_of: Sequence[int]) -> Shared:
    found: dict[frozenset[int], list[Pattern]] = {}
    for seen, load in enumerate(_loads(every, allowed, free)):
        if seen == MOST_LOADS:
            return None
        found.setdefault(frozenset(gang for gang, n in zip(gang_of, load, strict=True) if n), []).append(load)
    found.pop(frozenset(), None)
    kept = [load for there in sorted(found, key=sorted) for load in _maximal(found[there])]
    return None if len(kept) > MOST_LISTED else tuple(sorted(kept, reverse=True))


def _loads(every: Problem, allowed: list[bool], free: list[int]) -> Iterator[Pattern]:
    """Give the loads of a node; the last role is there as often as fits, or not at all."""
    request = every.request.tolist()
    conflict = every.conflict.tolist()
    count = every.count.tolist()

    def extend(load: Pattern, left: list[int]) -> Iterator[Pattern]:
        role = len(load)
        if role == len(count):
            yield load
            return
        most = 0 if not allowed[role] or any(n and conflict[role][other] for other, n in enumerate(load)) else int(count[role])
        for asked, room in zip(request[role], left, strict=True):
            most = min(most, room // asked) if asked else most
        most = min(most, 1) if conflict[role][role] else most
        for n in sorted({most, 0}, reverse=True) if role == len(count) - 1 else range(most, -1, -1):
            yield from extend((*load, n), [room - n * asked for asked, room in zip(request[role], left, strict=True)])

    return extend((), free)


def _maximal(loads: list[Pattern]) -> Iterator[Pattern]:
    """Give the loads that no other one covers."""
    rows = np.array(loads, dtype=np.int64)
    kept: list[Ints] = []
    for load in rows[np.lexsort((*rows.T[::-1], rows.sum(axis=1)))[::-1]]:
        if not any((other >= load).all() for other in kept):
            kept.append(load)
            yield tuple(int(n) for n in load)
