"""The fabric as nested boxes: domains within domains, nodes within them, GPUs and seats within nodes.

The page (`scheduler.render.html`) and the tree on the terminal (`scheduler.render.tree`) draw the same boxes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.render import words
from scheduler.report import GangReport, PlacementReport
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from topology import Level, Topology

_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatBox:
    """A member on a node."""

    gang: int
    """The gang's position in the report."""
    gang_name: str
    pod: str
    role: str
    shade: int
    """The role's position among the gang's roles, in order of their first rank."""
    rank: int
    at: int
    """The first GPU cell that it fills, from 0."""
    gpus: int
    bound: bool
    segments: tuple[int | None, ...] = ()
    """Its segment in each layer, outermost first."""
    parted: bool = False
    """Whether the seat before it on the node lies in another segment of the gang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBox:
    """A node: its GPUs, how many of them others use, the seats of the report's gangs on it."""

    name: str
    gpus: int
    others: int
    """GPUs in use by pods that are in no gang of the report."""
    seats: tuple[SeatBox, ...]
    notes: tuple[str, ...]
    """Why pods may be kept off: taints, a cordon, an object that cannot be read."""

    @property
    def free(self) -> int:
        """GPUs that nobody uses."""
        return max(0, self.gpus - self.others - sum(s.gpus for s in self.seats))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One domain; ``nodes`` counts the whole of it, also what is drawn elsewhere (an NVLink domain that lies in several racks)."""

    key: str
    level: str
    domain: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomMark:
    """Room in a domain for a gang that is not placed; ``gang`` is its position in the report."""

    gang: int
    gang_name: str
    text: str
    """How much fits of how much: ``6 of 8``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainBox:
    """Domains that hold exactly the same nodes (a rack that is one NVLink domain is one box), and what lies in them."""

    places: tuple[Place, ...]
    """Widest first; the outermost box begins with the cluster itself."""
    boxes: tuple[DomainBox, ...]
    nodes: tuple[NodeBox, ...]
    """Nodes that lie in no narrower domain."""
    rooms: tuple[RoomMark, ...]
    size: int
    gpus: int
    free: int
    seats: int

    def all_nodes(self) -> Iterator[NodeBox]:
        """Yield every node below."""
        for box in self.boxes:
            yield from box.all_nodes()
        yield from self.nodes


def fabric(report: PlacementReport | None, snapshot: Snapshot) -> DomainBox:
    """Build the picture of a snapshot with the seats of a report in it (``None``: no gangs)."""
    gangs = report.gangs if report else []
    levels = tuple(level for level in snapshot.topology.levels if level.dimension != "host")
    painter = _Painter(snapshot=snapshot, seats=_seats(gangs, snapshot), rooms=_rooms(gangs), totals=_totals(snapshot.topology, levels))
    cluster = Place(key="", level="cluster", domain="cluster", nodes=len(snapshot.nodes))
    return painter.box((cluster,), sorted(snapshot.nodes, key=natural), levels)


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """Sort key that puts n2 before n10."""
    return tuple(int(part) if i % 2 else part for i, part in enumerate(_DIGITS.split(name))), name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Painter:
    snapshot: Snapshot
    seats: Mapping[str, tuple[SeatBox, ...]]
    rooms: Mapping[tuple[str, str], tuple[RoomMark, ...]]
    totals: Mapping[tuple[str, str], int]

    def box(self, places: tuple[Place, ...], nodes: Sequence[NodeName], levels: Sequence[Level]) -> DomainBox:
        """Make one domain's box; nodes that carry no narrower level lie in it beside the narrower domains."""
        boxes: list[DomainBox] = []
        rest = nodes
        for i, level in enumerate(levels):
            for wide in (x for x in levels[i + 1 :] if x.dimension == "nvlink" != level.dimension):
                narrower = [x for x in levels[i:] if x is not wide]
                rest = self._take(boxes, rest, wide, narrower, only=self._spanning(rest, wide, level))
            rest = self._take(boxes, rest, level, levels[i + 1 :])
        if len(boxes) == 1 and not rest:
            # A domain that holds exactly what its parent holds shares the parent's frame: a second one would tell nothing.
            inner = boxes[0]
            return replace(inner, places=places + inner.places, rooms=self._rooms_of(places) + inner.rooms)
        leaves = tuple(self.node(name) for name in rest)
        return DomainBox(
            places=places,
            boxes=tuple(boxes),
            nodes=leaves,
            rooms=self._rooms_of(places),
            size=len(nodes),
            gpus=sum(n.gpus for n in leaves) + sum(b.gpus for b in boxes),
            free=sum(n.free for n in leaves) + sum(b.free for b in boxes),
            seats=sum(len(n.seats) for n in leaves) + sum(b.seats for b in boxes),
        )

    def _take(
        self, boxes: list[DomainBox], nodes: Sequence[NodeName], level: Level, narrower: Sequence[Level], only: Collection[str] | None = None
    ) -> Sequence[NodeName]:
        """Append the boxes of one level's domains (of ``only`` these) and return the nodes that lie in none."""
        parts: dict[str, list[NodeName]] = {}
        rest: list[NodeName] = []
        for node, domain in zip(nodes, self._domains(nodes, level), strict=True):
            if domain is None or (only is not None and domain not in only):
                rest.append(node)
            else:
                parts.setdefault(domain, []).append(node)
        for domain in sorted(parts, key=natural):
            place = Place(key=level.key, level=level.name, domain=domain, nodes=self.totals[level.key, domain])
            boxes.append(self.box((place,), parts[domain], narrower))
        return rest

    def _spanning(self, nodes: Sequence[NodeName], wide: Level, level: Level) -> frozenset[str]:
        """Find the domains of ``wide`` that hold several whole domains of ``level`` here: they are drawn around them."""
        inside: dict[str | None, set[str | None]] = {}
        around: dict[str | None, set[str | None]] = {}
        for outer, inner in zip(self._domains(nodes, wide), self._domains(nodes, level), strict=True):
            inside.setdefault(outer, set()).add(inner)
            around.setdefault(inner, set()).add(outer)
        found = (
            outer for outer, inner in inside.items() if outer and len(inner) > 1 and None not in inner and all(around[x] == {outer} for x in inner)
        )
        return frozenset(found)

    def _domains(self, nodes: Sequence[NodeName], level: Level) -> list[str | None]:
        column, position = self.snapshot.topology.column(level.key), self.snapshot.topology.position
        at = [position[node] for node in nodes]
        return [column.domains[index] if index >= 0 else None for index in column.index[at].tolist()]

    def _rooms_of(self, places: Sequence[Place]) -> tuple[RoomMark, ...]:
        return tuple(mark for place in places for mark in self.rooms.get((place.key, place.domain), ()))

    def node(self, name: NodeName) -> NodeBox:
        """Make one node's box."""
        node = self.snapshot.nodes[name]
        used = self.snapshot.used.get(name)
        mine = self.seats.get(name, ())
        others = max(0, (used.amount(GPU) if used else 0) - sum(s.gpus for s in mine if s.bound))
        placed, at = [], others
        for before, seat in zip((None, *mine), mine, strict=False):
            parted = before is not None and before.gang == seat.gang and before.segments != seat.segments
            placed.append(replace(seat, at=at, parted=parted))
            at += seat.gpus
        return NodeBox(name=name, gpus=node.allocatable.amount(GPU), others=others, seats=tuple(placed), notes=_notes(node))


def _notes(node: Node) -> tuple[str, ...]:
    cordon = "node.kubernetes.io/unschedulable"
    taints = [f"taint {t.key}{'=' * bool(t.value)}{t.value}:{t.effect}" for t in node.taints if t.key != cordon]
    cordoned = node.unschedulable or any(t.key == cordon for t in node.taints)
    return tuple(([node.problem] if node.problem else []) + (["cordoned"] if cordoned else []) + taints)


def _totals(topology: Topology, levels: Sequence[Level]) -> Mapping[tuple[str, str], int]:
    """Count the nodes of every domain."""
    columns = [topology.column(level.key) for level in levels]
    return {(c.key, c.domains[i]): n for c in columns for i, n in Counter(c.index.tolist()).items() if i >= 0}


def _rooms(gangs: Sequence[GangReport]) -> Mapping[tuple[str, str], tuple[RoomMark, ...]]:
    """Collect the rooms of the gangs that are not placed, by domain."""
    found: dict[tuple[str, str], list[RoomMark]] = {}
    for i, gang in enumerate(gangs):
        for r in gang.unplaced.rooms if gang.unplaced else ():
            found.setdefault((r.key, r.domain), []).append(RoomMark(gang=i, gang_name=gang.name, text=words.room(r)))
    return {domain: tuple(marks) for domain, marks in found.items()}


def _seats(gangs: Sequence[GangReport], snapshot: Snapshot) -> Mapping[str, tuple[SeatBox, ...]]:
    """Collect the seats by node, in order of gang and rank."""
    found: dict[str, list[SeatBox]] = {}
    for i, gang in enumerate(gangs):
        members = sorted(gang.members, key=lambda m: (m.rank, m.pod))
        roles = list(dict.fromkeys(m.role for m in members))
        for m in members:
            if m.node is not None and m.node in snapshot.nodes:
                seat = SeatBox(
                    gang=i,
                    gang_name=gang.name,
                    pod=m.pod,
                    role=m.role,
                    shade=roles.index(m.role),
                    rank=m.rank,
                    at=0,
                    gpus=m.gpus,
                    bound=m.bound,
                    segments=tuple(m.segments),
                )
                found.setdefault(m.node, []).append(seat)
    return {node: tuple(seats) for node, seats in found.items()}
