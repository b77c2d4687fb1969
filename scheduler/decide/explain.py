"""Why a gang cannot be placed, in numbers: room per domain, what is short, the nearest miss, and one sentence for people.

What would have to change is `scheduler.decide.relax`; that no placement exists is the solver's proof, not said here. Node
checks come in as functions (`Checks`), so that this stage does not know the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.decide.room import Bools, Ground, Ints, Role, order_of, room, short
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Pod, Shape
from scheduler.state.plan import Room
from scheduler.state.resources import NOTHING, PODS, quantity
from scheduler.state.snapshot import Snapshot

NVLINK: Final = "nvlink"
CLUSTER: Final = "cluster"
"""Name of the one row of a gang without a required level."""
DETAILED: Final = 128
"""Rows, nearest miss first, for which what is short is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What is asked of the node checks (`scheduler.decide.filters` has all three)."""

    refusals: Callable[[Snapshot, Shape, Iterable[Pod]], Sequence[tuple[str, Bools]]]
    """For each check but room, the nodes where it is the first to refuse."""
    conflicts: Callable[[Shape, Shape], bool]
    """Whether pods of two shapes can never share a node."""
    summary: Callable[[Snapshot, Shape, Iterable[Pod]], Sequence[tuple[str, int]]]
    """Nodes counted by what refuses them first, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an Unplaced says: ``reason`` is a row of REASONS; ``fits`` the most members under the same demands."""

    reason: str
    message: str
    fits: int
    rooms: tuple[Room, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """A domain of the required levels (or the cluster), as positions of its nodes."""

    key: str
    name: str
    domain: str
    nodes: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """A gang laid out over the cluster: roles and nodes as arrays, the domains where it may lie, refusals by check."""

    gang: Gang
    ground: Ground
    groups: tuple[Group, ...]
    """Only the pinned domain where running members pin one; empty where they are split or the level is carried by no node."""
    refused: Mapping[str, Bools]
    """Nodes that a check refuses first, for some role."""
    keys: tuple[str, ...]
    """Keys of the required levels, as far as nodes carry them."""
    unknown: str | None
    """A required level that no node carries."""
    pinned: tuple[str, ...]
    """Domains that running members lie in (``node x`` where in none)."""


def explain(snapshot: Snapshot, gang: Gang, checks: Checks) -> Explanation:
    """Explain a gang that is proved not to fit."""
    survey = survey_of(snapshot, gang, checks)
    rooms = rooms_of(survey)
    reason, middle = _reason(snapshot, survey, rooms)
    return Explanation(
        reason=reason,
        message=sentence(snapshot, survey, middle, checks),
        fits=max((r.room for r in rooms), default=0),
        rooms=rooms,
    )


def survey_of(snapshot: Snapshot, gang: Gang, checks: Checks) -> Survey:
    """Lay a gang out over the cluster."""
    roles = _roles(gang)
    refused: dict[str, Bools] = {}
    allowed = np.ones((len(roles), len(snapshot.topology.nodes)), dtype=np.bool_)
    for index, role in enumerate(roles):
        for check, mask in checks.refusals(snapshot, role.shape, role.pods):
            allowed[index] &= ~mask
            refused[check] = refused.get(check, np.zeros_like(mask)) | mask
    names = order_of(sorted({n for r in roles for n, a in r.shape.requests.items() if a > 0} | {PODS}))
    free, allocatable = _amounts(snapshot, names)
    ground = Ground(
        roles=roles,
        need=max(0, gang.min_member - len(gang.fixed)),
        resources=names,
        request=np.array([[1 if n == PODS else r.shape.requests.amount(n) for n in names] for r in roles], dtype=np.int64).reshape(-1, len(names)),
        conflict=np.array([[checks.conflicts(a.shape, b.shape) for b in roles] for a in roles], dtype=np.bool_).reshape(len(roles), len(roles)),
        free=free,
        allocatable=allocatable,
        allowed=allowed,
    )
    return _with_groups(snapshot, gang, ground, refused)


def _roles(gang: Gang) -> tuple[Role, ...]:
    pods: dict[tuple[str, Shape], list[Pod]] = {}
    for member in gang.pending:
        pods.setdefault((member.role, member.pod.shape), []).append(member.pod)
    roles = [Role(name=n, shape=s, pods=tuple(p), must=len(p) if n == "leader" else 0) for (n, s), p in pods.items()]
    return tuple(sorted(roles, key=lambda r: (r.count, r.must == 0, r.name)))


def _amounts(snapshot: Snapshot, names: Sequence[str]) -> tuple[Ints, Ints]:
    nodes = [NodeName(n) for n in snapshot.topology.nodes]
    shape = (len(nodes), len(names))
    vectors = [snapshot.nodes[n].allocatable for n in nodes]
    allocatable = np.array([[v.amount(n) for n in names] for v in vectors], dtype=np.int64).reshape(shape)
    taken = [(snapshot.used.get(n, NOTHING), len(snapshot.pods_on.get(n, ()))) for n in nodes]
    used = np.array([[pods if n == PODS else u.amount(n) for n in names] for u, pods in taken], dtype=np.int64).reshape(shape)
    return np.maximum(allocatable - used, 0), allocatable


def _with_groups(snapshot: Snapshot, gang: Gang, ground: Ground, refused: Mapping[str, Bools]) -> Survey:
    topology = snapshot.topology
    wanted = [*([gang.demand.required] if gang.demand.required else []), *([NVLINK] if gang.demand.nvlink == "required" else [])]
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
    return Survey(
        gang=gang,
        ground=ground,
        groups=() if unknown is not None else tuple(groups),
        refused=refused,
        keys=tuple(level.key for level in known),
        unknown=unknown,
        pinned=tuple(pinned),
    )


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


def rooms_of(survey: Survey) -> tuple[Room, ...]:
    """Count the room of each domain, nearest miss first; ``short`` only for the first rows (`DETAILED`)."""
    gang, ground = survey.gang, survey.ground
    held = len(gang.fixed)
    counted = sorted(((room(ground, g.nodes), g) for g in survey.groups), key=lambda row: (-row[0][0], row[1].domain))
    rows: list[Room] = []
    for (count, _), group in counted:
        checks = {name: int(mask[group.nodes].sum()) for name, mask in sorted(survey.refused.items())}
        lacking = short(ground, group.nodes, ground.need - count) if len(rows) < DETAILED and ground.roles else {}
        rows.append(
            Room(
                key=group.key,
                name=group.name,
                domain=group.domain,
                room=held + count,
                needed=gang.min_member,
                short=lacking,
                checks={name: nodes for name, nodes in checks.items() if nodes},
            )
        )
    return tuple(sorted(rows, key=lambda r: (-r.room, tuple(r.short.get(n, 0) for n in ground.resources), r.domain)))


def _reason(snapshot: Snapshot, survey: Survey, rooms: Sequence[Room]) -> tuple[str, str]:
    """Return the reason's code and the middle of the sentence: what stands in the way, with numbers."""
    ground, level = survey.ground, _level_words(snapshot, survey)
    if survey.unknown is not None:
        nearest = snapshot.topology.nearest(survey.unknown)
        hint = f"; the nearest that exists is {nearest}" if nearest else ""
        return "UnknownLevel", f"no node carries the required level {survey.unknown}{hint}"
    if len(survey.pinned) > 1 or any(p.startswith("node ") for p in survey.pinned):
        return "MembersSplit", f"{len(survey.gang.fixed)} running members already lie in {', '.join(survey.pinned)}, not in one {level}"
    barred = [r for r, mask in zip(ground.roles, ground.allowed, strict=True) if not mask.any() and _needed(ground, r)]
    if barred:
        return "NoNodePasses", f"no node passes the checks for role {barred[0].name}"
    near = _nearest_words(rooms)
    if survey.pinned:
        return "PinnedDomainFull", f"running members pin {near}"
    if survey.keys:
        if room(ground, np.arange(len(snapshot.topology.nodes)))[1]:
            return "NoDomainHoldsAll", f"no {level} holds them, the nearest is {near}"
        return "NotEnoughRoom", f"neither one {level} nor the whole cluster holds them, the nearest is {near}"
    return "NotEnoughRoom", _nearest_words(rooms, "has")


def _needed(ground: Ground, role: Role) -> bool:
    """Tell whether the core cannot do without this role."""
    return role.must > 0 or sum(r.count for r in ground.roles if r is not role) < ground.need


def _level_words(snapshot: Snapshot, survey: Survey) -> str:
    levels = [level for key in survey.keys if (level := snapshot.topology.resolve(key)) is not None]
    return " and ".join(level.key if level.name == level.key else f"{level.name} ({level.key})" for level in levels) or CLUSTER


def _nearest_words(rooms: Sequence[Room], verb: str = "with") -> str:
    if not rooms:
        return "none"
    near = rooms[0]
    where = "the cluster" if near.name == CLUSTER else near.domain if near.name == near.key else f"{near.name} {near.domain}"
    lacking = ", ".join(f"{quantity(name, amount)} {name}" for name, amount in near.short.items())
    return f"{where} {verb} room for {near.room} of {near.needed}" + (f", short of {lacking}" if lacking else "")


def sentence(snapshot: Snapshot, survey: Survey, middle: str, checks: Checks) -> str:
    """Build the sentence of report and condition: kube-scheduler's opening, what stands in the way, nodes counted by refusal."""
    gang, total = survey.gang, len(snapshot.topology.nodes)
    size = len(gang.members)
    wanted = f"all {size} members" if gang.min_member >= size else f"{gang.min_member} of the {size} members"
    opening = f"0/{total} nodes are available for {wanted} of gang {gang.namespace}/{gang.name} together: {middle}"
    barred = (r for r, mask in zip(survey.ground.roles, survey.ground.allowed, strict=True) if not mask.any())
    role = next(barred, survey.ground.roles[-1] if survey.ground.roles else None)
    if role is None or survey.unknown is not None:
        return f"{opening}."
    counts = ", ".join(f"{nodes} {words}" for words, nodes in checks.summary(snapshot, role.shape, role.pods))
    return f"{opening}; nodes for one {role.name}: {counts}." if counts else f"{opening}."
