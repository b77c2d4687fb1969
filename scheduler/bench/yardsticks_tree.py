"""Counts on the topology tree with best fit: our own re-statement of how Kueue chooses, something to compare with.

How many pods each node can take is counted once and added up along the tree. At the required level (else at the narrowest level where
one domain suffices, else at the widest) the domain with the least room that suffices is taken, or the largest ones until the rest fits
into one; then the same level by level down to the nodes. Segments are counted in whole segments from their level up. A leader alone beside
equal workers is counted with them: each domain also knows what it holds beside the leader. Pods of other shapes are placed
shape by shape, each knowing what the ones before it took, and bound to the domain of the first.

Source: the documentation of Kueue's Topology Aware Scheduling and KEP-2724 (kubernetes-sigs/kueue, keps/2724-topology-aware-scheduling),
algorithm "BestFit". Known differences: Kueue takes either a required or a preferred level, does not bind several PodSets to one
domain (they would be placed apart; here that counts as not placed), looks at quota first, and is in Go. The leader's domain is chosen so
that what was counted beside it is kept. Nodes without a label of some level are out, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from scheduler.bench.sites import Chosen, Site, site, sums
from scheduler.solve.problem import Bools, Ints
from scheduler.state.gang import Gang, Member
from scheduler.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counts:
    """What the domains of one level can take."""

    pods: Ints
    units: Ints
    """Whole segments from their level up, pods below it."""
    led: Ints
    """Units beside the leader; -1 where the leader has no place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ask:
    """One pod set, and the leader that goes with it."""

    workers: Sequence[Member]
    leader: Member | None
    size: int
    """Pods of a unit at and above the level of the segments."""
    level: int
    """Level of the segments; the hosts where there are none."""


def counted(snapshot: Snapshot, gang: Gang) -> Chosen | None:
    """Return a node for each pending member; None where this method finds no place for all."""
    found = site(snapshot, gang)
    inside = np.all([index >= 0 for index in found.levels], axis=0)
    chosen: Chosen = {}
    for ask in _asks(found, gang.pending):
        placed = _assigned(found, ask, inside)
        if placed is None:
            return None
        chosen |= placed
        if found.required is not None:  # the pod sets after the first stay in its domain
            index = found.levels[found.required]
            inside &= index == index[snapshot.topology.position[next(iter(placed.values()))]]
    return chosen


def _asks(found: Site, members: Sequence[Member]) -> list[_Ask]:
    """Cut the gang into pod sets, in the order of its ranks."""
    size, level = (1, len(found.levels) - 1) if found.segment is None else found.segment
    sets = [list(run) for _, run in groupby(members, key=lambda m: m.pod.shape)]
    if len(sets) == 2 and len(sets[0]) == 1 and found.segment is None:  # noqa: PLR2004 - a leader and its workers
        return [_Ask(workers=sets[1], leader=sets[0][0], size=size, level=level)]
    return [_Ask(workers=run, leader=None, size=size, level=level) for run in sets]


def _assigned(found: Site, ask: _Ask, inside: Bools) -> Chosen | None:
    """Choose domains from the top down and take the room of what is placed."""
    counts = _count(found, ask, inside)
    units = -(-len(ask.workers) // ask.size)
    top = _start(found, ask, counts, units)
    taken = None if top is None else _take(counts[top], np.arange(len(counts[top].units)), units, leader=ask.leader is not None)
    if top is None or taken is None:
        return None
    parts = [taken]
    for level in range(top + 1, len(found.levels)):
        parts = _down(found, ask, counts, level, parts)
    chosen: Chosen = {}
    members = list(ask.workers)
    for at, (pods, leads) in sorted(item for part in parts for item in part.items()):
        placed, members = members[:pods], members[pods:]
        found.free[at] -= len(placed) * found.vector(ask.workers[0].pod.shape)
        chosen |= found.seats(placed, [at] * len(placed))
        if leads and ask.leader is not None:
            found.free[at] -= found.vector(ask.leader.pod.shape)
            chosen |= found.seats([ask.leader], [at])
    return chosen if not members else None


_Taken = dict[int, tuple[int, bool]]
"""By domain: how many units it takes, and whether the leader is among them."""


def _start(found: Site, ask: _Ask, counts: Sequence[_Counts], units: int) -> int | None:
    """Return the level at which domains are chosen first; None where the required level has no domain that suffices."""
    lead = ask.leader is not None
    if found.required is not None:
        return found.required if _fits(counts[found.required], units, lead=lead).any() else None
    narrow = next((level for level in range(ask.level, -1, -1) if _fits(counts[level], units, lead=lead).any()), None)
    return 0 if narrow is None else narrow


def _fits(counts: _Counts, units: int, *, lead: bool) -> Bools:
    return np.asarray((counts.led if lead else counts.units) >= units)


def _down(found: Site, ask: _Ask, counts: Sequence[_Counts], level: int, parts: list[_Taken]) -> list[_Taken]:
    """Hand what the domains took on to their children: all children together above the segments, domain by domain below."""
    parent_of = _parents(found, level)
    together = level <= ask.level
    lower: list[_Taken] = []
    for group in parts if together else [{d: t} for part in parts for d, t in part.items()]:
        children = np.flatnonzero(np.isin(parent_of, list(group)))
        units = sum(n for n, _ in group.values())
        if level == ask.level + 1:
            units = min(units * ask.size, len(ask.workers))
        taken = _take(counts[level], children, units, leader=any(leads for _, leads in group.values()))
        lower.append(taken or {})
    return lower


def _take(counts: _Counts, domains: Ints, units: int, *, leader: bool) -> _Taken | None:
    """Take the best fitting domain, or the largest until the rest fits into one.

    The leader's domain comes first: one where the leader takes the room of as few workers as was counted.
    """
    taken: _Taken = {}
    left, pool = units, domains
    while len(pool) and (left > 0 or leader):
        room = counts.led[pool] if leader else counts.units[pool]
        enough = np.flatnonzero((room >= left) & (room >= 0))
        if len(enough):
            at = enough[np.lexsort((pool[enough], counts.pods[pool[enough]], room[enough]))[0]]
        else:
            price = np.where(room >= 0, counts.units[pool] - room, np.iinfo(np.int64).max)
            at = np.lexsort((pool, counts.pods[pool], -room, price))[0]
        if room[at] < 0 or (room[at] == 0 and not leader):
            return None
        count = min(left, int(room[at]))
        taken[int(pool[at])] = (count, leader)
        left, leader, pool = left - count, False, np.delete(pool, at)
    return taken if not left and not leader else None


def _parents(found: Site, level: int) -> Ints:
    """Return the domain of the level above for each domain of this level."""
    own, above = found.levels[level], found.levels[level - 1]
    parents = np.full(int(own.max(initial=-1)) + 1, -1, dtype=np.int64)
    both = (own >= 0) & (above >= 0)
    parents[own[both]] = above[both]
    return parents


def _count(found: Site, ask: _Ask, inside: Bools) -> list[_Counts]:
    """Count from the hosts up; the leader costs each domain the least that it costs one of its children."""
    pods = np.where(inside, found.room(ask.workers[0].pod.shape), 0)
    beside = np.where(inside, _beside(found, ask), -1)
    hosts = len(found.levels) - 1
    found_counts: list[_Counts] = []
    for level in range(hosts, -1, -1):
        if level < hosts:
            parent = _parents(found, level + 1)
            price = np.where(beside >= 0, pods - beside, np.iinfo(np.int64).max)
            total = sums(parent, pods)
            least = np.full(len(total), np.iinfo(np.int64).max, dtype=np.int64)
            np.minimum.at(least, parent[parent >= 0], price[parent >= 0])
            pods, beside = total, np.where(least < np.iinfo(np.int64).max, total - least, -1)
        units, led = pods, beside
        if level == ask.level:
            units, led = pods // ask.size, np.where(beside >= 0, beside // ask.size, -1)
        elif level < ask.level:
            units = sums(_parents(found, level + 1), found_counts[-1].units)
            led = units if ask.size > 1 else beside
        found_counts.append(_Counts(pods=pods, units=units, led=led))
    return found_counts[::-1]


def _beside(found: Site, ask: _Ask) -> Ints:
    """Return how many workers each node takes beside the leader, -1 where the leader has no place."""
    if ask.leader is None:
        return found.room(ask.workers[0].pod.shape)
    shape = ask.leader.pod.shape
    fits = found.room(shape) > 0
    trial = found.copy()
    trial.free[:] -= found.vector(shape)
    return np.asarray(np.where(fits, trial.room(ask.workers[0].pod.shape), -1))
