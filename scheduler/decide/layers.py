"""From a gang's segments to the layers of a `Problem`, and the way back from equal segments to their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.decide.demand import Wish
from scheduler.solve.grouping import codes
from scheduler.solve.problem import Bools, Ints, Kind, Layer
from scheduler.state.gang import Gang, Member, Segment
from scheduler.state.ids import NodeName
from scheduler.state.segments import cut
from scheduler.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One segment with members that need a node."""

    index: int
    """Its place among the segments of its layer."""
    outer: int
    """The index of the segment of the next outer layer that it is a part of; 0 in the outermost layer."""
    pending: tuple[Member, ...]
    """In rank order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """One layer of a gang's segments."""

    kinds: tuple[Kind, ...]
    pieces: tuple[tuple[Piece, ...], ...]
    """By kind, in order."""
    loose: tuple[int, ...]
    """Pending pods by role that lie in no segment; empty where there are none."""
    column: Ints
    """int64[N]: the domain of each node, -1 where it lies in none."""
    host: bool
    running: dict[int, NodeName]
    """The node of one running member of each segment that has some."""


def cuts(snapshot: Snapshot, gang: Gang, asked: Sequence[tuple[Segment, Wish]], roles: Sequence[Sequence[Member]]) -> tuple[Cut, ...]:
    """Cut a gang into the segments of each layer, outermost first; layers in which nobody needs a node are left out.

    The members that run must not split a segment: that is refused before.
    """
    role_of = {member.pod.key: role for role, members in enumerate(roles) for member in members} if asked else {}
    parts = [cut(gang.members, segment) for segment, _ in asked]
    found: list[Cut] = []
    for at in reversed(range(len(asked))):
        home = {m.pod.key: i for i, members in enumerate(parts[at - 1]) for m in members} if at else {}
        pieces = [
            Piece(index=i, outer=home.get(members[0].pod.key, 0), pending=tuple(m for m in members if m.pod.node is None))
            for i, members in enumerate(parts[at])
        ]
        column = snapshot.topology.column(asked[at][1].key).index
        running = {i: m.pod.node for i, members in enumerate(parts[at]) for m in members if m.pod.node is not None}
        pinned = {i: int(column[snapshot.topology.position[node]]) for i, node in running.items()}
        by_kind = _by_kind([p for p in pieces if p.pending], pinned, role_of, roles=len(roles), inner=found[-1] if found else None)
        if by_kind:
            held = sum((np.array(kind.pods) * kind.times for kind in by_kind), np.zeros(len(roles), dtype=np.int64))
            loose = np.array([len(members) for members in roles], dtype=np.int64) - held
            found.append(
                Cut(
                    kinds=tuple(by_kind),
                    pieces=tuple(by_kind.values()),
                    loose=tuple(loose.tolist()) if loose.any() else (),
                    column=column,
                    host=asked[at][1].host,
                    running=running,
                )
            )
    return tuple(reversed(found))


def _by_kind(
    pieces: Sequence[Piece], pinned: dict[int, int], role_of: dict[str, int], *, roles: int, inner: Cut | None
) -> dict[Kind, tuple[Piece, ...]]:
    """Put equal segments together: equal pods, equally cut, pinned to the same domain."""
    inside: dict[int, list[int]] = {}
    for j, parts in enumerate(inner.pieces if inner is not None else ()):
        for part in parts:
            inside.setdefault(part.outer, [0] * len(inner.pieces if inner is not None else ()))[j] += 1
    found: dict[Kind, list[Piece]] = {}
    for piece in pieces:
        pods = [0] * roles
        for member in piece.pending:
            pods[role_of[member.pod.key]] += 1
        alike = Kind(times=1, pods=tuple(pods), inside=tuple(inside.get(piece.index, ())), pinned=pinned.get(piece.index))
        found.setdefault(alike, []).append(piece)
    return {Kind(times=len(v), pods=k.pods, inside=k.inside, pinned=k.pinned): tuple(v) for k, v in found.items()}


def inside(made: Sequence[Cut], roles: int, nodes: int) -> Bools:
    """Return bool[R, N]: where a pod of each role can lie at all, because the node lies in a domain of every layer that cuts it."""
    found = np.ones((roles, nodes), dtype=np.bool_)
    for layer in made:
        for role in range(roles):
            if not layer.loose or not layer.loose[role]:
                found[role] &= layer.column >= 0
    return found


def enough(made: Sequence[Cut], useful: Ints, looks: Sequence[Ints | Bools], *, worth: Ints, keep: Bools, total: int) -> Ints:
    """Return which of the useful nodes matter: where every node is a place of its own, no more equal ones than there are pods.

    ``looks`` is what tells nodes apart, the nodes that are worth least stay, and those in ``keep`` all do.
    """
    if not any(layer.host for layer in made):
        return np.arange(len(useful))
    alike, first = codes((*looks, *(layer.column[useful] for layer in made if not layer.host)), len(useful))
    order = np.lexsort((useful, worth[useful], alike))
    number = np.arange(len(useful)) - np.searchsorted(alike[order], np.arange(len(first)))[alike[order]]
    return np.asarray(np.sort(order[(number < total) | keep[useful[order]]]))


def layers(made: Sequence[Cut], nodes: Ints) -> tuple[Layer, ...]:
    """Return the layers of the problem; ``nodes`` are the first nodes of its classes."""
    return tuple(Layer(domain=layer.column[nodes], kinds=layer.kinds, loose=layer.loose) for layer in made)
