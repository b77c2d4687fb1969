"""A gang laid out over the cluster for what-ifs: pending roles and nodes as arrays, and the domains where the gang may lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.decide import usage
from scheduler.decide.arrays import LEADER, Checks, roles
from scheduler.decide.counting import LARGEST, Ground, Ints, Role, capacity, core, frontier, order_of
from scheduler.decide.demand import required_levels
from scheduler.state.gang import Gang
from scheduler.state.objects import Shape
from scheduler.state.resources import PODS
from scheduler.state.snapshot import Snapshot

_COUNTED: Final = 64
"""Most combinations of role counts that `most` counts: beyond that a search is quicker."""
CLUSTER: Final = "cluster"
"""Name of the one group of a gang without a required level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """A domain of the required levels (or the cluster), as positions of its nodes."""

    key: str
    name: str
    domain: str
    nodes: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """A gang laid out over the cluster: roles and nodes as arrays, and the domains where it may lie."""

    gang: Gang
    ground: Ground
    groups: tuple[Group, ...]
    """Nearest miss first, as far as counting each role alone tells.

    Only the pinned domain where running members pin one; none where they are split or no node carries the level.
    """
    most: tuple[int, ...]
    """Members that each of the groups holds at most, each role counted alone."""
    keys: tuple[str, ...]
    """Keys of the required levels, as far as nodes carry them."""
    unknown: str | None
    """A required level that no node carries."""
    pinned: tuple[str, ...]
    """Domains that running members lie in (``node x`` where in none)."""


def survey_of(snapshot: Snapshot, gang: Gang, checks: Checks) -> Survey:
    """Lay a gang out over the cluster."""
    found = roles_of(gang)
    names = order_of(sorted({n for r in found for n, a in r.shape.requests.items() if a > 0} | {PODS}))
    known, count = usage.table(snapshot), len(found)
    ground = Ground(
        roles=found,
        need=max(0, gang.min_member - len(gang.fixed)),
        resources=names,
        request=np.array([[_asked(r.shape, n) for n in names] for r in found], dtype=np.int64).reshape(count, len(names)),
        conflict=np.array([[checks.conflicts(a.shape, b.shape) for b in found] for a in found], dtype=np.bool_).reshape(count, count),
        free=np.minimum(np.stack([known.free(n) for n in names], axis=1), LARGEST),
        allowed=np.array([checks.allowed(snapshot, r.shape, r.pods) for r in found], dtype=np.bool_).reshape(count, len(snapshot.topology.nodes)),
    )
    return _with_groups(snapshot, gang, ground)


def roles_of(gang: Gang) -> tuple[Role, ...]:
    """Return the pending roles, the one with the most members last."""
    found = []
    for members in roles(gang):
        first = members[0]
        must = len(members) if first.role == LEADER else 0
        found.append(Role(name=first.role, shape=first.pod.shape, pods=tuple(m.pod for m in members), must=must))
    return tuple(sorted(found, key=lambda r: (r.count, r.must == 0)))


def _asked(shape: Shape, name: str) -> int:
    """Return what one pod asks for; more than `LARGEST` fits nowhere and is written as one more."""
    return 1 if name == PODS else min(max(0, shape.requests.amount(name)), LARGEST + 1)


def _with_groups(snapshot: Snapshot, gang: Gang, ground: Ground) -> Survey:
    topology = snapshot.topology
    wanted = required_levels(gang.demand)
    levels = [topology.resolve(level) for level in wanted]
    unknown = next((w for w, level in zip(wanted, levels, strict=True) if level is None), None)
    known = list({level.key: level for level in levels if level is not None}.values())
    groups = [Group(key="", name=CLUSTER, domain=CLUSTER, nodes=np.arange(len(topology.nodes)))]
    for level in known:
        groups = [part for group in groups for part in _split(snapshot, group, level.key, level.name)]
    at = {topology.position[node] for m in gang.fixed if (node := m.pod.node) is not None and node in topology.position}
    pinned = sorted({_home(groups, position) or f"node {topology.nodes[position]}" for position in at}) if known else []
    if pinned:
        groups = [g for g in groups if g.domain == pinned[0]] if len(pinned) == 1 else []
    if unknown is not None:
        groups = []
    members = singly(ground)
    counts = [r.count for r in ground.roles]
    ranked = sorted(((-int(np.minimum(members[:, g.nodes].sum(axis=1), counts).sum()), g.domain, g) for g in groups), key=lambda row: row[:2])
    return Survey(
        gang=gang,
        ground=ground,
        groups=tuple(group for _, _, group in ranked),
        most=tuple(-most for most, _, _ in ranked),
        keys=tuple(level.key for level in known),
        unknown=unknown,
        pinned=tuple(pinned),
    )


def most(survey: Survey) -> int | None:
    """Return the most pending members that one domain holds, the must-have ones among them; ``None`` where that takes a search."""
    ground = survey.ground
    if not ground.roles or int(np.prod(ground.dims)) > _COUNTED:
        return None
    members, counts, found = singly(ground), [r.count for r in ground.roles], 0
    for group in survey.groups:
        if int(np.minimum(members[:, group.nodes].sum(axis=1), counts).sum()) <= found:
            break  # the groups are in this order
        found = max(found, core(ground, frontier(ground, group.nodes, ground.free)))
    return found if found < ground.need else None


def singly(ground: Ground) -> Ints:
    """Return int64[R, N]: members of each role alone that a node holds; a domain's sum is at most a little more than it holds."""
    every = np.arange(len(ground.free))
    rows = [capacity(ground, role, every, ground.free) for role in range(len(ground.roles))]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(every))


def _split(snapshot: Snapshot, group: Group, key: str, name: str) -> list[Group]:
    """Cut a group by one more level; nodes without its label lie in no domain of it."""
    column = snapshot.topology.column(key)
    index = column.index[group.nodes]
    order = np.argsort(index, kind="stable")
    ends = np.searchsorted(index[order], np.arange(len(column.domains) + 1))
    before = f"{group.domain} / " if group.key else ""
    parts = [(column.domains[i], group.nodes[order[ends[i] : ends[i + 1]]]) for i in range(len(column.domains))]
    return [Group(key=key, name=name, domain=before + domain, nodes=nodes) for domain, nodes in parts if len(nodes)]


def _home(groups: Sequence[Group], position: int) -> str | None:
    return next((g.domain for g in groups if position in g.nodes), None)
