"""Segments whose level asks for nothing more than what is around them: accepted, and said, because somebody may have mixed up two levels."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.state.gang import Advice, Gang
from topology import Topology


def idle_segments(topology: Topology, gang: Gang) -> Iterator[Advice]:
    """Tell each layer of segments that always holds: one of the layers around it keeps its members in a narrower domain already."""
    demand = gang.demand
    around = [(demand.required, "the whole gang")] if demand.required is not None else []
    for position, segment in enumerate(demand.segments):
        level = segment.required
        if level is None:
            continue  # told where the demand is settled: it names no level
        for other, whom in around:
            if _holds(topology, other, level):
                name, within = _name(topology, level), _name(topology, other)
                why = "that is the same level" if name == within else f"each {within} lies in one {name}"
                message = f"Segments of {_members(segment.size)} in one {name} ask for nothing more: {whom} is in one {within} already, and {why}."
                yield Advice(level="info", object=demand.segments_object, field=_field(gang, position), message=message)
                break
        around.append((level, f"each segment of {_members(segment.size)}"))


def _members(number: int) -> str:
    return f"{number:,} member{'' if number == 1 else 's'}"


def _field(gang: Gang, position: int) -> str:
    place = gang.demand.segments_field
    return place if len(gang.demand.segments) == 1 and place.startswith("metadata") else f"{place}[{position}]"


def _name(topology: Topology, level: str) -> str:
    found = topology.resolve(level)
    return level if found is None else found.name


def _holds(topology: Topology, inner: str, outer: str) -> bool:
    """Whether nodes of one domain of ``inner`` are always in one domain of ``outer``; a node without the label is a domain of its own."""
    narrow, wide = topology.resolve(inner), topology.resolve(outer)
    if narrow is None or wide is None:
        return inner == outer
    inside, around = topology.column(narrow.key), topology.column(wide.key)
    seen: dict[int, int] = {}
    for node, (domain, other) in enumerate(zip(inside.index.tolist(), around.index.tolist(), strict=True)):
        if domain >= 0 and seen.setdefault(domain, other if other >= 0 else -1 - node) != (other if other >= 0 else -1 - node):
            return False
    return bool(seen)
