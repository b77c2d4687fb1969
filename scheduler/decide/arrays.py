"""From a snapshot and a gang to the arrays of a `Problem`: nodes that no role, level or later gang can tell apart become one class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from scheduler.decide import layers
from scheduler.decide.demand import Wish
from scheduler.decide.layers import Cut
from scheduler.decide.usage import LARGEST, NodeTable, table
from scheduler.solve.grouping import codes, ordered
from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem, Rows
from scheduler.state.gang import Gang, Member, Segment
from scheduler.state.objects import Pod, Shape
from scheduler.state.resources import GPU, PODS
from scheduler.state.snapshot import Snapshot

Refusals: TypeAlias = Callable[[Snapshot, Shape, Iterable[Pod]], tuple[tuple[str, Bools], ...]]

LEADER: Final = "leader"
_GRADES: Final = 32
"""Grades of the worth of a node's free CPU, memory and the like; a device is worth as much as all of it together."""
_MOST_SUMS: Final = 4096
_DEVICES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The node checks, passed in because stages do not know each other (`scheduler.decide.filters` has them).

    They get the pods that are to be placed too: anti-affinity of running pods asks for their labels.
    """

    allowed: Callable[[Snapshot, Shape, Iterable[Pod]], Bools]
    """bool[N] in the order of ``snapshot.topology.nodes``: every check but room passes."""
    conflicts: Callable[[Shape, Shape], bool]
    """Whether pods of the two shapes can never share a node."""
    refusals: Refusals
    """For each check but room that refuses somewhere: its name and where it is the first to refuse."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrays:
    """The problem, and the way back from its classes to nodes and from its roles to members."""

    problem: Problem
    roles: tuple[tuple[Member, ...], ...]
    """Pending members by role, those first that are placed first where not all are: the oldest."""
    classes: Rows
    """Positions of the nodes of each class: the fullest first, then by name."""
    cuts: tuple[Cut, ...]
    """The gang's segments, layer by layer."""
    overcommitted: Ints
    """Positions of nodes where pods use more than there is; they count as having nothing left of it."""


def roles(gang: Gang) -> tuple[tuple[Member, ...], ...]:
    """Group pending members by role and shape; in each, the oldest first."""
    found: dict[tuple[str, Shape], list[Member]] = {}
    for member in gang.pending:
        found.setdefault((member.role, member.pod.shape), []).append(member)
    return tuple(tuple(sorted(members, key=lambda m: (m.pod.created, m.rank, m.pod.key))) for members in found.values())


def pods_of(members: Sequence[Member]) -> tuple[Pod, ...]:
    """Return the pods of a role."""
    return tuple(m.pod for m in members)


def arrays(snapshot: Snapshot, gang: Gang, wishes: Sequence[Wish], checks: Checks, segments: Sequence[tuple[Segment, Wish]] = ()) -> Arrays:
    """Build the problem of a gang's pending members."""
    known = table(snapshot)
    groups = roles(gang)
    shapes = [members[0].pod.shape for members in groups]
    names = _resources(shapes)
    count = np.array([len(members) for members in groups], dtype=np.int64)
    request = np.array([[1 if n == PODS else min(s.requests.amount(n), LARGEST) for n in names] for s in shapes], dtype=np.int64).reshape(
        len(shapes), -1
    )
    free = np.stack([known.free(n) for n in names], axis=1)
    allowed = np.array([checks.allowed(snapshot, g[0].pod.shape, pods_of(g)) for g in groups], dtype=np.bool_).reshape(len(shapes), -1)
    fits = allowed & np.array([_holding(known, names, asked) for asked in request.tolist()], dtype=np.bool_).reshape(allowed.shape)
    made = layers.cuts(snapshot, gang, segments, groups)
    fits &= layers.inside(made, len(groups), len(known.position))
    worth = _worth(known, names)
    occupied = _occupied(known, gang)
    columns = [_column(snapshot, wish) for wish in wishes]
    useful = np.flatnonzero(fits.any(axis=0))
    room = _canonical(free[useful], request, count)
    told = room if len(groups) > 1 else room[:, [names.index(PODS)]]  # with one role, all resources say the same
    looks = [*fits[:, useful], *told.T, occupied[useful], *(c[useful] for c in columns)]
    if made:
        few = layers.enough(made, useful, looks, worth=worth, keep=occupied, total=int(count.sum()))
        useful, room = useful[few], room[few]
        looks = [*(look[few] for look in looks), *(layer.column[useful] for layer in made)]
    class_of, first = codes(looks, len(useful))
    order = ordered((class_of, worth[useful]))
    start = np.searchsorted(class_of[order], np.arange(len(first) + 1))
    classes = Rows(flat=useful[order], start=start)
    problem = Problem(
        count=count,
        must=np.array([len(members) if members[0].role == LEADER else 0 for members in groups], dtype=np.int64),
        need=max(0, gang.min_member - len(gang.fixed)),
        request=request,
        conflict=_conflicts(shapes, checks),
        nodes=np.diff(start),
        free=room[first],
        allowed=fits[:, useful][:, first],
        occupied_host=occupied[useful][first],
        levels=tuple(_level(known, gang, w, c, of_class=useful[first], worth=worth) for w, c in zip(wishes, columns, strict=True)),
        worth=Rows(flat=worth[useful[order]], start=start),
        layers=layers.layers(made, useful[first]),
    )
    return Arrays(problem=problem, roles=groups, classes=classes, cuts=made, overcommitted=_overcommitted(known, names))


def _resources(shapes: Sequence[Shape]) -> list[str]:
    return sorted({PODS, *(name for s in shapes for name, amount in s.requests.items() if amount > 0)})


def _conflicts(shapes: Sequence[Shape], checks: Checks) -> Bools:
    return np.array([[checks.conflicts(a, b) for b in shapes] for a in shapes], dtype=np.bool_).reshape(len(shapes), len(shapes))


def _holding(known: NodeTable, names: Sequence[str], asked: Sequence[int]) -> Bools:
    """Tell which nodes have this much of every resource left."""
    found = np.ones(len(known.position), dtype=np.bool_)
    for name, amount in zip(names, asked, strict=True):
        found &= known.free(name) >= amount
    return found


def _canonical(free: Ints, request: Ints, count: Ints) -> Ints:
    """Round free amounts down to what some pods of the gang add up to, and cut them at all of it: the same loads fit, in fewer classes.

    With one role, all resources say the same: how many pods fit.
    """
    if len(count) == 1:
        fits = np.full(len(free), count[0])
        for k, asked in enumerate(request[0].tolist()):
            if asked > 0:
                fits = np.minimum(fits, free[:, k] // asked)
        return np.asarray(fits[:, None] * request[0])
    if np.prod(count.astype(float) + 1) > _MOST_SUMS:
        every = [min(LARGEST, sum(a * n for a, n in zip(asked, count.tolist(), strict=True))) for asked in request.T.tolist()]
        return np.minimum(free, np.array(every, dtype=np.int64))
    found = np.empty_like(free)
    for k in range(free.shape[1]):
        sums = np.zeros(1, dtype=np.int64)
        largest = int(free[:, k].max(initial=0))
        for asked, most in zip(request[:, k].tolist(), count.tolist(), strict=True):
            sums = np.unique((sums[:, None] + asked * np.arange(min(most, largest // max(asked, 1)) + 1)).ravel())
        found[:, k] = sums[np.searchsorted(sums, free[:, k], side="right") - 1]
    return found


def _worth(known: NodeTable, names: Sequence[str]) -> Ints:
    """Return what each node's free room is worth to later gangs.

    Free devices (extended resources that the gang asks for, GPUs always) come first; CPU, memory and the like, in
    fractions of the largest node, count less than one device all together.
    """
    size = len(known.position)
    devices, rest = np.zeros(size, dtype=np.int64), np.zeros(size)
    for name in {GPU, *(n for n in names if "/" in n)}:
        unit = max(1, int(known.total(name).max(initial=0)) // _DEVICES)
        devices = devices + known.free(name) // unit
    others = [n for n in names if n != PODS and "/" not in n] or [PODS]
    for name in others:
        rest += known.free(name) / max(1, int(known.total(name).max(initial=0))) / len(others)
    return devices * _GRADES + np.floor(rest * (_GRADES - 1)).astype(np.int64)


def _occupied(known: NodeTable, gang: Gang) -> Bools:
    found = np.zeros(len(known.position), dtype=np.bool_)
    for member in gang.fixed:
        at = known.position.get(str(member.pod.node))
        if at is not None:
            found[at] = True
    return found


def _column(snapshot: Snapshot, wish: Wish) -> Ints:
    """Return the domain of each node; nothing at the host level, where nodes tell themselves apart, and for a level that none carries."""
    if wish.host or not wish.carried:
        return np.full(len(snapshot.topology.nodes), -1, dtype=np.int64)
    return snapshot.topology.column(wish.key).index


def _level(known: NodeTable, gang: Gang, wish: Wish, column: Ints, *, of_class: Ints, worth: Ints) -> LevelColumn:
    hosts = {str(m.pod.node) for m in gang.fixed}
    domains = {host: -1 if (at := known.position.get(host)) is None else int(column[at]) for host in hosts}
    labelled = column >= 0
    return LevelColumn(
        weight=wish.weight,
        required=wish.required,
        host=wish.host,
        tie=wish.tie,
        name=wish.name,
        domain=column[of_class],
        occupied=frozenset(d for d in domains.values() if d >= 0),
        occupied_unlabelled=sum(d < 0 for d in domains.values()),
        worth=np.bincount(column[labelled], worth[labelled], minlength=int(column.max(initial=-1)) + 1).astype(np.int64),
    )


def _overcommitted(known: NodeTable, names: Sequence[str]) -> Ints:
    found = np.zeros(len(known.position), dtype=np.bool_)
    for name in names:
        found |= known.overcommitted(name)
    return np.flatnonzero(found)
