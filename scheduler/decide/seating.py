"""Which segment lies in which place, and which members share the seats of a place: consecutive segments close together.

The solver says how many segments of each kind lie in a place, and how many pods of each role its nodes take. Equal segments are
exchanged between places as equal pods are between nodes: neither cost nor fit can change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scheduler.decide.arrays import Arrays
from scheduler.decide.layers import Piece
from scheduler.decide.ranks import Nearby
from scheduler.solve.solution import Part, Solution
from scheduler.state.gang import Member
from scheduler.state.ids import NodeName
from topology import Topology

Place: TypeAlias = tuple[int, ...]
"""A domain of each layer, outermost first, as far as the layer in question; empty: everywhere."""
Group: TypeAlias = tuple[tuple[Member, ...], Mapping[NodeName, int]]
"""Members that may change seats among each other, and how many seats each node has for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """Room for segments of one kind in one place."""

    place: Place
    node: NodeName
    """A node of the place: stands for it where distances count."""
    times: int


def groups(
    topology: Topology, made: Arrays, solution: Solution, taken: Sequence[Mapping[NodeName, int]], home: Mapping[NodeName, int]
) -> list[Group]:
    """Return the members that are seated, in groups within which seats may be exchanged.

    ``taken`` holds for each role how many pods each node takes, ``home`` the class of each of these nodes. Without segments each
    role is one group. Where not all members find a seat, the oldest do.
    """
    if not made.cuts:
        whole = ((members[: sum(seats.values())], dict(seats)) for members, seats in zip(made.roles, taken, strict=True))
        return [group for group in whole if group[0]]
    placed = _places(topology, made, solution)
    cut = {m.pod.key for pieces in (made.cuts[-1].pieces if made.cuts else ()) for p in pieces for m in p.pending}
    of_class = {c: _place(made, c, len(made.cuts)) for c in set(home.values())}
    found: list[Group] = []
    for members, seats in zip(made.roles, taken, strict=True):
        inside: dict[Place, list[Member]] = {}
        for member in members:
            key = member.pod.key
            if key in placed or key not in cut:
                inside.setdefault(placed.get(key, ()), []).append(member)
        left, nodes = dict(seats), _by_place(seats, home, of_class)
        for place in sorted(p for p in inside if p):
            own = _first(left, nodes.get(place, ()), len(inside[place]))
            found.append((tuple(inside[place][: sum(own.values())]), own))
        rest = {node: n for node, n in left.items() if n}
        found.append((tuple(inside.get((), ())[: sum(rest.values())]), rest))
    return [group for group in found if group[0]]


def _by_place(seats: Mapping[NodeName, int], home: Mapping[NodeName, int], of_class: Mapping[int, Place]) -> dict[Place, list[NodeName]]:
    found: dict[Place, list[NodeName]] = {}
    for node in sorted(seats):
        found.setdefault(of_class[home[node]], []).append(node)
    return found


def _first(left: dict[NodeName, int], nodes: Sequence[NodeName], most: int) -> dict[NodeName, int]:
    """Take the seats of these nodes, at most so many, from what is left; return them."""
    own: dict[NodeName, int] = {}
    for node in nodes:
        n = min(left[node], most)
        if n:
            own[node] = n
            left[node] -= n
            most -= n
    return own


def _places(topology: Topology, made: Arrays, solution: Solution) -> dict[str, Place]:
    """Return the place of each member that lies in a segment, by pod key."""
    homes: dict[int, Place] = {}
    found: dict[str, Place] = {}
    for at, layer in enumerate(made.cuts):
        slots = _slots(topology, made, [part for part in solution.parts if part.layer == at])
        around = {p.index: homes.get(p.outer) if at else () for pieces in layer.pieces for p in pieces}
        chosen = list(_kept(layer.pieces, slots, around))
        homes = _assigned(topology, chosen, slots, around, layer.running)
        found = {m.pod.key: homes[p.index] for pieces in layer.pieces for p in pieces if p.index in homes for m in p.pending}
    return found


def _place(made: Arrays, node_class: int, layers: int) -> Place:
    return tuple(int(layer.domain[node_class]) for layer in made.problem.layers[:layers])


def _slots(topology: Topology, made: Arrays, parts: Sequence[Part]) -> list[list[_Slot]]:
    """Return for each kind of the layer the places with room for it."""
    found: list[list[_Slot]] = [[] for _ in (made.cuts[parts[0].layer].kinds if parts else ())]
    for part in parts:
        node = NodeName(topology.nodes[int(made.classes[part.node_class][0])])
        found[part.kind].append(_Slot(place=_place(made, part.node_class, part.layer + 1), node=node, times=part.times))
    return found


def _kept(pieces: Sequence[Sequence[Piece]], slots: Sequence[Sequence[_Slot]], around: Mapping[int, Place | None]) -> Iterator[tuple[int, Piece]]:
    """Give the segments that find a place, with their kinds: all of them, else those with the oldest members."""
    for kind, equal in enumerate(pieces):
        left: dict[Place, int] = {}
        for slot in slots[kind] if slots else ():
            left[slot.place[:-1]] = left.get(slot.place[:-1], 0) + slot.times
        for piece in sorted(equal, key=lambda p: (min(m.pod.created for m in p.pending), p.index)):
            outer = around[piece.index]
            if outer is not None and left.get(outer, 0):
                left[outer] -= 1
                yield kind, piece


def _assigned(
    topology: Topology,
    chosen: Sequence[tuple[int, Piece]],
    slots: Sequence[Sequence[_Slot]],
    around: Mapping[int, Place | None],
    running: Mapping[int, NodeName],
) -> dict[int, Place]:
    """Put each segment, in order, on the free place nearest to the segment before it; return the places by index."""
    if not chosen:
        return {}
    known = Nearby(topology, [*(slot.node for kind in slots for slot in kind), *running.values()])
    place = {slot.node: slot.place for kind in slots for slot in kind}
    left: dict[tuple[int, Place], dict[NodeName, int]] = {}
    for kind, equal in enumerate(slots):
        for slot in equal:
            left.setdefault((kind, slot.place[:-1]), {})[slot.node] = slot.times
    room = {key: known.places(free) for key, free in left.items()}
    found: dict[int, Place] = {}
    near: NodeName | None = None
    upcoming = sorted([*((p.index, kind, p) for kind, p in chosen), *((i, -1, None) for i in running)], key=lambda row: (row[0], row[1]))
    for index, kind, piece in upcoming:
        if piece is None:
            near = running[index]
        else:
            near = known.take(room[kind, around[index] or ()], near, None)
            found[index] = place[near]
    return found
