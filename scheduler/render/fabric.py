"""The fabric as nested boxes for the page: domains within domains, nodes within them, GPUs and seats within nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler.report import GangReport, PlacementReport
from scheduler.state.ids import NodeName
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from topology import Level, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatBox:
    """A member on a node: ``gang`` is its position in the report, ``gpus`` the cells that it fills."""

    gang: int
    gang_name: str
    pod: str
    role: str
    rank: int
    gpus: int
    bound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBox:
    """A node: its GPUs, how many others use, the seats of the report's gangs on it."""

    name: str
    gpus: int
    others: int
    seats: tuple[SeatBox, ...]
    nvlink: str
    notes: tuple[str, ...]

    @property
    def free(self) -> int:
        """GPUs that nobody uses."""
        return max(0, self.gpus - self.others - sum(s.gpus for s in self.seats))


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainBox:
    """A domain of one level with what lies in it."""

    level: str
    name: str
    boxes: tuple[DomainBox, ...]
    nodes: tuple[NodeBox, ...]
    room: str
    """Room for the gang that is not placed, where this is a domain of its required level: ``6 of 8``."""

    def all_nodes(self) -> Iterator[NodeBox]:
        """Yield every node below."""
        for box in self.boxes:
            yield from box.all_nodes()
        yield from self.nodes

    @property
    def seats(self) -> int:
        """Count the seats below."""
        return sum(len(n.seats) for n in self.all_nodes())

    @property
    def summary(self) -> str:
        """Say what is below in one line."""
        nodes = tuple(self.all_nodes())
        return f"{len(nodes)} nodes, {sum(n.free for n in nodes)} of {sum(n.gpus for n in nodes)} GPUs free"


def fabric(report: PlacementReport | None, snapshot: Snapshot) -> DomainBox:
    """Build the picture of a snapshot with the seats of a report in it (``None``: no gangs)."""
    gangs = report.gangs if report else []
    rooms = {(r.key, r.domain): f"{r.room} of {r.needed}" for g in gangs if g.unplaced for r in g.unplaced.rooms}
    painter = _Painter(snapshot=snapshot, seats=_seats(gangs, snapshot), rooms=rooms)
    return painter.box("cluster", "", sorted(snapshot.nodes), _nesting(snapshot.topology))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Painter:
    snapshot: Snapshot
    seats: Mapping[str, tuple[SeatBox, ...]]
    rooms: Mapping[tuple[str, str], str]

    def box(self, level: str, name: str, nodes: Sequence[str], levels: Sequence[Level], key: str = "") -> DomainBox:
        """Make one domain's box; nodes that lack the next level's label lie in it beside that level's domains."""
        boxes: list[DomainBox] = []
        rest = list(nodes)
        for i, inner in enumerate(levels):
            parts = self._split(rest, inner)
            rest = parts.pop(None, [])
            if list(parts.values()) == [list(nodes)] and len(levels) > 1 and level != "cluster":
                # A level that holds exactly what its parent holds adds a frame and no information.
                rest = list(nodes)
                continue
            boxes += [
                self.box(inner.name, domain or "", members, levels[i + 1 :], inner.key)
                for domain, members in sorted(parts.items(), key=lambda p: p[0] or "")
            ]
            if not rest:
                break
        return DomainBox(
            level=level, name=name, boxes=tuple(boxes), nodes=tuple(self.node(NodeName(n)) for n in rest), room=self.rooms.get((key, name), "")
        )

    def _split(self, nodes: Sequence[str], level: Level) -> dict[str | None, list[str]]:
        column, position = self.snapshot.topology.column(level.key), self.snapshot.topology.position
        parts: dict[str | None, list[str]] = {}
        for node in nodes:
            index = int(column.index[position[node]])
            parts.setdefault(column.domains[index] if index >= 0 else None, []).append(node)
        return parts

    def node(self, name: NodeName) -> NodeBox:
        """Make one node's box."""
        node = self.snapshot.nodes[name]
        seats = self.seats.get(name, ())
        bound = sum(s.gpus for s in seats if s.bound)
        taken = self.snapshot.used[name].amount(GPU) if name in self.snapshot.used else 0
        notes = [f"taint {t.key}={t.value}:{t.effect}" if t.value else f"taint {t.key}:{t.effect}" for t in node.taints]
        if node.unschedulable:
            notes.append("cordoned")
        domains = self.snapshot.topology.domains_of(name)
        nvlink = next((domains[x.key] for x in self.snapshot.topology.levels if x.dimension == "nvlink" and x.key in domains), "")
        return NodeBox(name=name, gpus=node.allocatable.amount(GPU), others=max(0, taken - bound), seats=seats, nvlink=nvlink, notes=tuple(notes))


def _nesting(topology: Topology) -> tuple[Level, ...]:
    """Choose the levels that make frames: all but hosts, and of NVLink those whose domains nest with the switch tree.

    NVLink domains that cut across racks cannot be drawn as frames in frames; the nodes show them as a mark instead.
    """
    tree = [level for level in topology.levels if level.dimension not in ("host", "nvlink")]
    for nvlink in (level for level in topology.levels if level.dimension == "nvlink"):
        place = next((i for i, level in enumerate(tree) if _inside(topology, level, nvlink)), None)
        if place is not None:
            tree.insert(place, nvlink)
        elif not tree or _inside(topology, nvlink, tree[-1]):
            tree.append(nvlink)
    return tuple(tree)


def _inside(topology: Topology, inner: Level, outer: Level) -> bool:
    """Whether each domain of ``inner`` lies in exactly one domain of ``outer`` (and some outer one holds several, or all are equal)."""
    parents: dict[int, set[int]] = {}
    for a, b in zip(topology.column(inner.key).index.tolist(), topology.column(outer.key).index.tolist(), strict=True):
        if a >= 0:
            parents.setdefault(a, set()).add(b)
    return all(len(p) == 1 and -1 not in p for p in parents.values())


def _seats(gangs: Sequence[GangReport], snapshot: Snapshot) -> Mapping[str, tuple[SeatBox, ...]]:
    """Collect the seats by node, in order of gang and rank."""
    found: dict[str, list[SeatBox]] = {}
    for i, gang in enumerate(gangs):
        for m in sorted(gang.members, key=lambda m: (m.rank, m.pod)):
            if m.node is not None and m.node in snapshot.nodes:
                seat = SeatBox(gang=i, gang_name=gang.name, pod=m.pod, role=m.role, rank=m.rank, gpus=m.gpus, bound=m.bound)
                found.setdefault(m.node, []).append(seat)
    return {node: tuple(seats) for node, seats in found.items()}
