"""What the yardsticks look at: free room by node, which nodes pass the checks, and the domains of each level, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from scheduler.decide import filters
from scheduler.decide.usage import table
from scheduler.solve.problem import Bools, Ints
from scheduler.state.gang import Gang, Member
from scheduler.state.ids import NodeName
from scheduler.state.objects import Shape
from scheduler.state.resources import GPU, PODS
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME

Chosen = dict[str, NodeName]
"""A node for each pending member, by the pod's key."""
_LARGEST: Final = 2**60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """One gang's view of a cluster; ``free`` is changed in place by `fill`."""

    names: Sequence[str]
    resources: tuple[str, ...]
    free: Ints
    """int64[N, K]."""
    gpus: int
    """Column of the GPUs, by which nodes are ordered for packing."""
    passes: dict[Shape, Bools]
    levels: tuple[Ints, ...]
    """int64[N] each: the domain of every node, -1 outside; widest level first, hosts last."""
    required: int | None
    """Level in whose one domain all must lie."""
    segment: tuple[int, int] | None
    """Size of a segment, and the level in whose one domain it must lie."""

    def room(self, shape: Shape) -> Ints:
        """Return how many pods of a shape each node can take now."""
        return self.times(self.vector(shape), self.passes[shape])

    def vector(self, shape: Shape) -> Ints:
        """Return what a pod asks for, in the order of the resources."""
        return np.array([1 if name == PODS else shape.requests.amount(name) for name in self.resources], dtype=np.int64)

    def times(self, asked: Ints, passes: Bools) -> Ints:
        """Return how often the amounts fit on each node."""
        some = asked > 0
        found = (self.free[:, some] // asked[some]).min(axis=1) if some.any() else np.full(len(self.free), _LARGEST)
        return np.asarray(np.where(passes, np.maximum(found, 0), 0))

    def copy(self) -> Site:
        """Return a site to try on."""
        return replace(self, free=self.free.copy())

    def seats(self, members: Iterable[Member], positions: Iterable[int]) -> Chosen:
        """Name the nodes of members."""
        return {m.pod.key: NodeName(self.names[at]) for m, at in zip(members, positions, strict=True)}


def site(snapshot: Snapshot, gang: Gang) -> Site:
    """Return what a yardstick needs. ValueError where the gang asks for what none of them states again: running members, layers of segments."""
    if gang.fixed or len(gang.demand.segments) > 1 or gang.min_member < len(gang.members):
        raise ValueError(f"gang {gang.key}: the yardsticks know no running members, no minMember and one layer of segments at most")
    shapes = list(dict.fromkeys(m.pod.shape for m in gang.pending))
    resources = tuple(sorted({GPU, PODS, *(name for s in shapes for name in s.requests)}))
    known = table(snapshot)
    keys = [level.key for level in snapshot.topology.levels]
    hosts = np.arange(len(snapshot.topology.nodes))
    segment = gang.demand.segments[0] if gang.demand.segments else None
    return Site(
        names=snapshot.topology.nodes,
        resources=resources,
        free=np.stack([known.free(name) for name in resources], axis=1),
        gpus=resources.index(GPU),
        passes={shape: filters.allowed(snapshot, shape) for shape in shapes},
        levels=tuple(hosts if key == HOSTNAME else snapshot.topology.column(key).index for key in keys),
        required=_level(snapshot, keys, gang.demand.required),
        segment=None if segment is None else (segment.size, _level(snapshot, keys, segment.required) or 0),
    )


def fill(site: Site, inside: Ints, members: Sequence[Member]) -> list[int] | None:
    """Put pod after pod on the fullest of these nodes that can take it, changing the free room; None where one finds no node.

    The fullest node stays the fullest until it is full, so equal pods that follow each other are placed node by node.
    """
    chosen: list[int] = []
    for shape, run in groupby(members, key=lambda m: m.pod.shape):
        left = len(list(run))
        room = site.room(shape)[inside]
        asked = site.vector(shape)
        for at in inside[np.lexsort((inside, site.free[inside, site.gpus]))][: len(inside) if left else 0].tolist():
            count = min(left, int(room[np.searchsorted(inside, at)]))
            site.free[at] -= count * asked
            chosen += [at] * count
            left -= count
            if not left:
                break
        if left:
            return None
    return chosen


def sums(domain: Ints, amounts: Ints) -> Ints:
    """Add up amounts by domain; nodes outside every domain are left out."""
    inside = domain >= 0
    count = int(domain.max(initial=-1)) + 1
    return np.bincount(domain[inside], weights=amounts[inside], minlength=count).astype(np.int64)


def _level(snapshot: Snapshot, keys: Sequence[str], wanted: str | None) -> int | None:
    level = None if wanted is None else snapshot.topology.resolve(wanted)
    return None if level is None else keys.index(level.key)
