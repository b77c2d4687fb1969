"""Several gangs laid out on common node classes: one problem each, and one of all their roles together.

The classes are those of one gang that has the members and the demands of all (`scheduler.decide.arrays`), cut once more where
running members of one gang make nodes different for that gang alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.decide.arrays import LEADER, Arrays, Checks, arrays
from scheduler.decide.demand import Wish, Wishes
from scheduler.solve.grouping import codes
from scheduler.solve.joint.window import Contender, Held, Window
from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem, Rows
from scheduler.solve.solution import Load, merged
from scheduler.state.gang import Demand, Gang, Member
from scheduler.state.plan import Seat
from scheduler.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One gang of a window; ``held``: what it has reached and keeps, where it is of higher priority."""

    gang: Gang
    demand: Wishes
    held: Held | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Laid:
    """The window, and the way back to nodes and members."""

    snapshot: Snapshot
    """The cluster in which none of the window's pending members has a seat."""
    entries: tuple[Entry, ...]
    window: Window
    arrays: Arrays
    """Of all roles together."""


def lay(world: Snapshot, entries: Sequence[Entry], checks: Checks) -> Laid:
    """Lay the gangs of a window out on a snapshot in which none of their pending members has a seat."""
    wishes = [wish for entry in entries for wish in entry.demand.levels]
    members = tuple(replace(m, role=f"{at}/{m.role}") for at, entry in enumerate(entries) for m in entry.gang.pending)
    every = replace(entries[0].gang, members=members, min_member=len(members), demand=Demand())
    occupied = [_occupied(world, entry.gang) for entry in entries]
    made = _cut(arrays(world, every, wishes, checks), occupied)
    known = {m.pod.key: m for entry in entries for m in entry.gang.pending}
    roles = tuple(tuple(known[m.pod.key] for m in role) for role in made.roles)
    gang_of = [int(role[0].role.split("/", 1)[0]) for role in made.roles]
    contenders: list[Contender] = []
    first = 0
    for at, entry in enumerate(entries):
        own = tuple(role for role, gang in enumerate(gang_of) if gang == at)
        levels = made.problem.levels[first : first + len(entry.demand.levels)]
        first += len(levels)
        problem = _problem(world, made, roles, own, entry=entry, levels=levels, occupied=occupied[at])
        contenders.append(Contender(problem=problem, roles=own, held=entry.held))
    together = replace(made.problem, levels=())
    return Laid(
        snapshot=world, entries=tuple(entries), window=Window(every=together, contenders=tuple(contenders)), arrays=replace(made, roles=roles)
    )


def loads_of(laid: Laid, seats: Iterable[Seat]) -> tuple[Load, ...]:
    """Return the loads that seats of the window's pending members make."""
    role_of = {m.pod.key: role for role, members in enumerate(laid.arrays.roles) for m in members}
    class_of = {int(at): c for c, row in enumerate(laid.arrays.classes) for at in row}
    held: dict[int, list[int]] = {}
    for seat in seats:
        if not seat.bound:
            held.setdefault(laid.snapshot.topology.position[seat.node], [0] * len(laid.arrays.roles))[role_of[seat.member.pod.key]] += 1
    return merged(Load(node_class=class_of[at], pods=tuple(pods), nodes=1) for at, pods in held.items())


def _problem(
    world: Snapshot,
    made: Arrays,
    roles: Sequence[tuple[Member, ...]],
    own: Sequence[int],
    *,
    entry: Entry,
    levels: Sequence[LevelColumn],
    occupied: Bools,
) -> Problem:
    """Return the problem of one gang on the common classes."""
    rows, gang, every = list(own), entry.gang, made.problem
    where = zip(levels, entry.demand.levels, strict=True)
    return replace(
        every,
        count=every.count[rows],
        must=np.array([len(roles[r]) if roles[r][0].role == LEADER else 0 for r in rows], dtype=np.int64),
        need=max(0, gang.min_member - len(gang.fixed)),
        request=every.request[rows],
        conflict=every.conflict[np.ix_(rows, rows)],
        allowed=every.allowed[rows],
        occupied_host=occupied[made.classes.first],
        levels=tuple(_level(world, gang, level, wish) for level, wish in where),
    )


def _level(world: Snapshot, gang: Gang, level: LevelColumn, wish: Wish) -> LevelColumn:
    """Return the level with the domains that the gang's running members occupy."""
    if not gang.fixed:
        return level
    column = None if wish.host or not wish.carried else world.topology.column(wish.key).index
    nodes = {str(m.pod.node) for m in gang.fixed}
    domains = [-1 if column is None or (at := world.topology.position.get(node)) is None else int(column[at]) for node in sorted(nodes)]
    return replace(level, occupied=frozenset(d for d in domains if d >= 0), occupied_unlabelled=sum(d < 0 for d in domains))


def _occupied(world: Snapshot, gang: Gang) -> Bools:
    """Return on which nodes members of the gang run."""
    found = np.zeros(len(world.topology.nodes), dtype=np.bool_)
    found[[at for m in gang.fixed if (at := world.topology.position.get(str(m.pod.node))) is not None]] = True
    return found


def _cut(made: Arrays, occupied: Sequence[Bools]) -> Arrays:
    """Cut the classes where running members of a gang make nodes of one class different."""
    nodes = made.classes.flat
    if not any(row.any() for row in occupied):
        return made
    before = np.repeat(np.arange(len(made.classes)), np.diff(made.classes.start))
    code, first = codes([before, *(row[nodes] for row in occupied)], len(nodes))
    order = np.argsort(code, kind="stable")
    start = np.searchsorted(code[order], np.arange(len(first) + 1)).astype(np.int64)
    old = before[first]
    return replace(
        made,
        classes=Rows(flat=nodes[order], start=start),
        problem=_picked(made.problem, old, Rows(flat=made.problem.worth.flat[order], start=start)),
    )


def _picked(problem: Problem, old: Ints, worth: Rows) -> Problem:
    return replace(
        problem,
        nodes=np.diff(worth.start),
        free=problem.free[old],
        allowed=problem.allowed[:, old],
        occupied_host=problem.occupied_host[old],
        levels=tuple(replace(level, domain=level.domain[old]) for level in problem.levels),
        worth=worth,
    )
