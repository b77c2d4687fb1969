"""What every kind of relaxation works with: the gang laid out, its raw objects, and a bounded number of trial placements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from scheduler.decide import filters
from scheduler.decide.arrays import Checks
from scheduler.decide.relax_changes import Json, Object, Raw, objects_of
from scheduler.decide.relax_disturb import Neighbours
from scheduler.decide.survey import Survey, survey_of
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Shape
from scheduler.state.plan import Placed, Plan, Relaxation
from scheduler.state.snapshot import Snapshot
from topology import CustomLevel, build
from topology.vocabulary import CUSTOM

TryPlace: TypeAlias = Callable[[Snapshot, Gang], Plan]
CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


@dataclass(slots=True, kw_only=True)
class Trial:
    """One gang that does not fit, and what has been spent on finding out how it would."""

    snapshot: Snapshot
    gang: Gang
    try_place: TryPlace
    raw: Raw | None
    left: int
    """Trial placements that may still be made."""
    survey: Survey
    fits: int | None = None
    """The most members that fit, where known."""
    reserve: int = 0
    """Trials that are kept for the last kind, so that something is always offered."""
    objects: list[Object] = field(default_factory=list)
    neighbours: Neighbours = field(default_factory=Neighbours)
    notes: list[str] = field(default_factory=list)
    """Sentences that belong to the explanation although they are no offer."""

    def place(self, snapshot: Snapshot, gang: Gang) -> Placed | None:
        """Place for a trial; ``None`` where it does not fit or the trials are used up."""
        if self.left <= self.reserve:
            return None
        self.left -= 1
        plan = self.try_place(snapshot, gang)
        return plan if isinstance(plan, Placed) else None

    def writable(self, changes: Sequence[Json]) -> bool:
        """Tell whether a relaxation can be offered: its changes are known, or there are no raw objects to write them for."""
        return bool(changes) or self.raw is None

    def checked(self, found: Relaxation, *, snapshot: Snapshot | None = None, gang: Gang | None = None) -> Relaxation | None:
        """Return the relaxation when the gang fits with it."""
        if not self.writable(found.changes):
            return None
        return None if self.place(snapshot or self.snapshot, _weightless(gang or self.gang)) is None else found


def _weightless(gang: Gang) -> Gang:
    """Return the gang without weights: whether it fits does not depend on them, and no search for the least cost is made."""
    demand = replace(gang.demand, preferred=(), nvlink="required" if gang.demand.nvlink == "required" else "ignore")
    return replace(gang, demand=demand)


def trial_of(
    snapshot: Snapshot, gang: Gang, try_place: TryPlace, raw: Raw | None, *, tries: int, fits: int | None, neighbours: Neighbours | None = None
) -> Trial:
    """Lay a gang out for trials."""
    return Trial(
        snapshot=snapshot,
        gang=gang,
        try_place=try_place,
        raw=raw,
        left=tries,
        fits=fits,
        survey=survey_of(snapshot, gang, CHECKS),
        objects=objects_of(gang, raw),
        neighbours=neighbours or Neighbours(),
    )


def with_shapes(gang: Gang, change: Callable[[Shape], Shape]) -> Gang:
    """Return the gang with other shapes of its pending members."""

    def changed(shape: Shape) -> Shape:
        return known.setdefault(shape, change(shape))

    known: dict[Shape, Shape] = {}
    members = tuple(m if m.pod.node is not None else replace(m, pod=replace(m.pod, shape=changed(m.pod.shape))) for m in gang.members)
    return replace(gang, members=members)


def with_nodes(snapshot: Snapshot, nodes: Iterable[Node]) -> Snapshot:
    """Return the snapshot with nodes added or replaced; the topology is built anew when labels or names change."""
    changed = list(nodes)
    known: Mapping[NodeName, Node] = {**snapshot.nodes, **{n.name: n for n in changed}}
    topology = snapshot.topology
    if any(n.name not in snapshot.nodes or snapshot.nodes[n.name].labels != n.labels for n in changed):
        custom = [CustomLevel(key=v.key, name="" if v.name == v.key else v.name) for v in topology.levels if v.vocabulary == CUSTOM]
        topology = build({str(name): node.labels for name, node in known.items()}, custom=custom)
    return replace(snapshot, nodes=known, topology=topology, memo={})


def node_patch(name: str, op: Json) -> Json:
    """Return a change of one node."""
    return {"patch": {"apiVersion": "v1", "kind": "Node", "name": name}, "ops": [op]}


def some(names: Sequence[str], most: int = 4) -> str:
    """List names for people: the first few, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
