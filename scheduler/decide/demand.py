"""What a gang's demand means on the cluster at hand: names become levels, weights are settled, doubts are said.

A level that no node carries is an answer, not an error: required, it refuses the gang; preferred, every node is a domain
of its own and the user is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from scheduler.state.gang import Advice, Demand, Gang, Segment
from scheduler.state.snapshot import Snapshot
from topology import Topology, default_weights

NVLINK: Final = "nvlink"
HOST: Final = "host"
NVLINK_PREFERENCE: Final = 100
"""What ``nvlink: preferred`` weighs beside explicit weights, as much as ``preferred-topology``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One level of the demand."""

    key: str
    name: str
    weight: int = 0
    required: bool = False
    tie: bool = False
    """Only breaks ties between plans of equal cost; not shown in the report."""
    host: bool = False
    carried: bool = True
    """Whether any node carries the level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The demand, widest level first, and what to tell the user."""

    levels: tuple[Wish, ...]
    segments: tuple[tuple[Segment, Wish], ...] = ()
    """The layers of segments with a level of their own, outermost first."""
    advice: tuple[Advice, ...] = ()

    @property
    def shown(self) -> tuple[Wish, ...]:
        """The levels that a report shows."""
        return tuple(w for w in self.levels if not w.tie)

    @property
    def required(self) -> tuple[Wish, ...]:
        """The required levels, widest first."""
        return tuple(w for w in self.levels if w.required)

    @property
    def unknown(self) -> Wish | None:
        """The first required level that no node carries, that of a segment included."""
        return next((w for w in (*self.required, *(w for _, w in self.segments)) if not w.carried), None)


def wishes(snapshot: Snapshot, gang: Gang) -> Wishes:
    """Settle a gang's demand."""
    topology, demand = snapshot.topology, gang.demand
    found: dict[str, Wish] = {}
    advice: list[Advice] = []
    for level, weight in _weights(topology, demand):
        wish = _wish(topology, level)
        if not wish.carried:
            advice.append(_unknown(topology, gang, level))
        found[wish.key] = replace(wish, weight=weight + (found[wish.key].weight if wish.key in found else 0))
    for level in required_levels(demand):
        wish = _wish(topology, level)
        found[wish.key] = replace(found.get(wish.key, wish), required=True)
    nvlink = topology.resolve(NVLINK)
    if nvlink is not None and demand.preferred is not None and demand.nvlink == "unasked" and nvlink.key not in found:
        found[nvlink.key] = replace(_wish(topology, nvlink.key), tie=True)
    segments = tuple((s, _wish(topology, s.required)) for s in demand.segments if s.required is not None)
    advice += [_idle(gang, segment) for segment in demand.segments if segment.required is None]
    return Wishes(levels=_widest_first(topology, found.values()), segments=segments, advice=tuple(advice))


def weightless(gang: Gang) -> Gang:
    """Return the gang without weights: whether it fits does not depend on them, and no search for the least cost is made."""
    demand = replace(gang.demand, preferred=(), nvlink="required" if gang.demand.nvlink == "required" else "ignore")
    return replace(gang, demand=demand)


def _weights(topology: Topology, demand: Demand) -> Iterable[tuple[str, int]]:
    nvlink = topology.resolve(NVLINK)
    if demand.preferred is None:
        ignored = nvlink.key if nvlink is not None and demand.nvlink == "ignore" else None
        return [(key, weight) for key, weight in default_weights(topology) if key != ignored]
    rows = [(p.level, p.weight) for p in demand.preferred]
    keys = {_wish(topology, level).key for level, _ in rows}
    if demand.nvlink == "preferred" and nvlink is not None and nvlink.key not in keys:
        rows.append((nvlink.key, NVLINK_PREFERENCE))
    return rows


def required_levels(demand: Demand) -> list[str]:
    """Return the levels, as written, that must each hold the whole gang in one domain."""
    return [*([demand.required] if demand.required else []), *([NVLINK] if demand.nvlink == "required" else [])]


def _wish(topology: Topology, name_or_key: str) -> Wish:
    level = topology.resolve(name_or_key)
    if level is None:
        return Wish(key=name_or_key, name=name_or_key, carried=False)
    return Wish(key=level.key, name=level.name, host=level.dimension == HOST, carried=bool(topology.column(level.key).domains))


def _widest_first(topology: Topology, levels: Iterable[Wish]) -> tuple[Wish, ...]:
    """Order by the topology; a key of no vocabulary goes before the first level that has more domains."""
    order = {level.key: (at, len(topology.column(level.key).domains)) for at, level in enumerate(topology.levels)}

    def place(wish: Wish) -> tuple[float, str]:
        if wish.key in order:
            return (order[wish.key][0], wish.key)
        if not wish.carried:
            return (len(order), wish.key)
        domains = len(topology.column(wish.key).domains)
        return (min((at for at, count in order.values() if count > domains), default=len(order)) - 0.5, wish.key)

    return tuple(sorted(levels, key=place))


def _unknown(topology: Topology, gang: Gang, level: str) -> Advice:
    near = topology.nearest(level)
    hint = f" The nearest that exists is {near}." if near else ""
    return Advice(
        level="warning",
        object=f"{gang.workload.kind}/{gang.workload.name}",
        field="preferredTopology",
        message=f"No node carries the preferred level {level} ({gang.demand.source}): every node counts as a domain of its own.{hint}",
    )


def _idle(gang: Gang, segment: Segment) -> Advice:
    return Advice(
        level="warning",
        object=gang.demand.segments_object or f"{gang.workload.kind}/{gang.workload.name}",
        field=gang.demand.segments_field or "segments",
        message=f"Segments of {segment.size:,} member{'' if segment.size == 1 else 's'} name no level ({gang.demand.source}): they ask for nothing.",
    )
