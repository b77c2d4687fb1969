"""How a gang is cut into the segments of one layer; what they demand is in `scheduler.state.gang.Segment`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from scheduler.state.gang import Member, Segment


def cut(members: Iterable[Member], segment: Segment) -> tuple[tuple[Member, ...], ...]:
    """Return the segments in order, the last one may be shorter; members in rank order, then by name, those that run among them.

    LeaderWorkerSet's rule for its subgroups: where the others divide into whole segments, the leader is one more member of the
    first. A leader that is excluded is in none of them.
    """
    ordered = tuple(sorted(members, key=lambda m: (m.rank, m.pod.key)))
    start, first = 0, segment.size
    if segment.leader == "excluded":
        start = 1
    elif segment.leader == "subgroup" and (len(ordered) - 1) % segment.size == 0:
        first += 1
    edges = [start, *range(start + first, len(ordered), segment.size), len(ordered)]
    return tuple(part for a, b in pairwise(edges) if (part := ordered[a:b]))


def numbers(members: Sequence[Member], layers: Sequence[Segment]) -> dict[str, tuple[int | None, ...]]:
    """Return by pod key the index of each member's segment in each layer, outermost first; ``None`` where it lies in none."""
    found: dict[str, tuple[int | None, ...]] = {member.pod.key: () for member in members}
    for layer in layers:
        index = {member.pod.key: i for i, part in enumerate(cut(members, layer)) for member in part}
        found = {key: (*before, index.get(key)) for key, before in found.items()}
    return found
