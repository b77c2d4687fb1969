"""Relaxation ``addNodes``: how few nodes, of which shape and in which domain, make the gang fit; the one that can always be offered.

Shapes that exist and pass the checks are preferred; else nodes are made of the pods' own requests and selectors. The number is the
smallest over all domains and all mixes of such nodes, by counting; a trial placement confirms it. When nothing else helps, the demand
is dropped as well (`last_resort`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Final

import numpy as np

from scheduler.decide.counting import Ground, Ints, best, combine, frontier
from scheduler.decide.relax_changes import Json, drop_node_name, drop_selection, on_pod_specs, several
from scheduler.decide.relax_demand import prefer_nvlink, require
from scheduler.decide.relax_segments import drop_segments
from scheduler.decide.relax_templates import (
    NOWHERE,
    Site,
    ground_of,
    kinds_of,
    like_existing,
    like_pods,
    manifest,
    named_by_pods,
    numbered,
    room_for,
    sites_of,
)
from scheduler.decide.relax_trial import Offer, Trial, some, with_shapes
from scheduler.decide.survey import Survey
from scheduler.decide.whatif import WhatIf
from scheduler.state.gang import Gang, NvlinkWish
from scheduler.state.objects import Node
from scheduler.state.plan import Relaxation
from scheduler.state.resources import PODS, quantity
from scheduler.state.snapshot import Snapshot

ADD: Final = 9
_PLENTY: Final = 256
"""Pods of gangs before the one that asks, up to which a node is added for each of them where nothing smaller helps."""
_SITES: Final = 3
"""Places that are tried where counting alone does not tell which is best."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Way:
    """Nodes to add at one site."""

    site: Site
    nodes: tuple[Node, ...]


@dataclass(kw_only=True, eq=False)
class _Mixes:
    """The most that any so many nodes of some shapes hold together, number by number."""

    ground: Ground
    tables: list[Ints]
    """One frontier for each shape."""
    known: list[Ints] = field(default_factory=list)

    def of(self, number: int) -> Ints:
        """Return, for each combination of counts, the most of the last role that this many nodes hold, whichever shapes they have."""
        if not self.known:
            nothing = np.full(self.ground.dims, -1, dtype=np.int64)
            nothing[(0,) * len(self.ground.dims)] = 0
            self.known.append(nothing)
        while len(self.known) <= number:
            self.known.append(np.max([self.joined(self.known[-1], table) for table in self.tables], axis=0))
        return self.known[number]

    def joined(self, one: Ints, other: Ints) -> Ints:
        """Return the frontier of both."""
        return combine(one, other, self.ground.roles[-1].count)

    def chosen(self, rest: Ints, number: int) -> list[int]:
        """Return the shapes of so few nodes that are enough beside ``rest``: of one shape where one will do."""
        for at, table in enumerate(self.tables):
            whole = rest
            for _ in range(number):
                whole = self.joined(whole, table)
            if best(self.ground, whole)[1]:
                return [at] * number
        found = []
        for left in reversed(range(number)):
            wholes = [self.joined(rest, table) for table in self.tables]
            at = next(i for i, whole in enumerate(wholes) if best(self.ground, self.joined(whole, self.of(left)))[1])
            found.append(at)
            rest = wholes[at]
        return sorted(found)


def add_nodes(trial: Trial) -> Iterator[Relaxation]:
    """Offer the fewest nodes to add, of shapes that exist, else of the pods' own."""
    for own in (False, True):
        for way in _ways(trial, own=own):
            found = trial.grown(way, partial(_more, own), partial(_offer, trial, own, ()), counted=_counted(trial, trial.gang))
            if found is not None:
                yield found
                return


def last_resort(trial: Trial) -> Iterator[Relaxation]:
    """Drop the required levels and the fixed node, if need be all node selection as well, and add nodes of the pods' own shape."""
    wish = trial.gang.demand
    nvlink: NvlinkWish = "preferred" if wish.nvlink == "required" else wish.nvlink
    freed = replace(trial.gang, demand=replace(wish, required=None, nvlink=nvlink, segments=()))
    demand = (
        *require(trial.gang, trial.objects, trial.raw, None),
        *(prefer_nvlink(trial.objects) if wish.nvlink == "required" else ()),
        *(drop_segments(trial.gang, trial.objects, trial.raw) if wish.segments else ()),
    )
    unnamed = with_shapes(freed, lambda s: replace(s, node_name=None))
    anywhere = with_shapes(freed, lambda s: replace(s, node_name=None, node_selector=(), affinity=None))
    for gang, edits, words in (
        (trial.gang, [], ""),
        (unnamed, [drop_node_name], "drop the required levels and node"),
        (anywhere, [drop_node_name, drop_selection], "drop the required levels, nodeSelector and node affinity"),
    ):
        changes = (*demand, *on_pod_specs(trial.objects, several(edits))) if words else ()
        if words and trial.raw is not None and _dropped(trial.gang) and not changes:
            return
        found = next(_resorts(trial, gang, changes, words), None)
        if found is not None:
            yield found
            return


def _resorts(trial: Trial, gang: Gang, changes: tuple[Json, ...], words: str) -> Iterator[Relaxation]:
    """Yield what helps once the gang asks for less: that alone, or with nodes beside it, in the end as many as no gang before it can use up."""
    if words:
        found = trial.checked(Relaxation(kind="relabel", summary=words, changes=changes, harm=(ADD, 0)), gang=gang)
        yield from [] if found is None else [found]
    elif trial.rehearsal is None:
        return
    asking = trial.on(trial.snapshot, gang)
    for way in _ways(asking, own=True):
        offer = partial(_offer, trial, True, changes)
        saying = replace(way, site=replace(way.site, words=f", and {words}")) if words else way
        for start in (saying, _plenty(trial, saying)):
            found = None if start is None else trial.grown(start, partial(_more, True), offer, gang=gang, counted=_counted(trial, gang))
            yield from [] if found is None else [found]


def _plenty(trial: Trial, way: _Way) -> _Way | None:
    """Return so many nodes that enough of each kind are left when every pod of the gangs before this one takes one of them."""
    pods = sum(len(gang.pending) for gang in trial.rehearsal.before) if trial.rehearsal is not None else 0
    if not 0 < pods <= _PLENTY or any(node.name != "added" for node in way.nodes):
        return None
    kinds = {id(node): node for node in way.nodes}.values()
    return replace(way, nodes=(*way.nodes, *(node for node in kinds for _ in range(pods))))


def _more(own: bool, later: Trial, way: _Way) -> _Way | None:
    """Return more nodes: those that are lacking where gangs before this one took a part of the first ones."""
    further = next(_ways(later, own=own), None)
    if further is None or any(node.name != "added" for node in further.nodes):
        return None
    words = way.site.words if further.site.words in way.site.words else f"{way.site.words} and{further.site.words}"
    return _Way(site=replace(way.site, words=words), nodes=(*way.nodes, *further.nodes))


def _dropped(gang: Gang) -> bool:
    wish = gang.demand
    return bool(wish.required or wish.segments or wish.nvlink == "required" or any(m.pod.shape.node_name is not None for m in gang.pending))


def _ways(trial: Trial, *, own: bool) -> Iterator[_Way]:
    """Yield ways to add nodes, the fewest nodes first; one where counting is the truth, a few where segments ask for more than counting sees."""
    segments, found = trial.survey.gang.demand.segments, list[tuple[int, int, _Way]]()
    search = _Search(snapshot=trial.snapshot, survey=trial.survey, own=own)
    for order, site in enumerate(sites_of(trial.snapshot, trial.survey)):
        fewest = min((row[0] for row in found), default=None)
        nodes = search.least(site, None if segments or fewest is None else fewest - 1)
        if nodes is not None:
            found.append((len(nodes), order, _Way(site=site, nodes=nodes)))
        if segments and len(found) == _SITES:
            break
    found.sort(key=lambda row: row[:2])
    for _, _, way in found if segments else found[:1]:
        yield way
        # Segments may need more than counting sees: more and more nodes, up to what holds the whole gang alone.
        alone = search.least(replace(way.site, nodes=NOWHERE, most=0), None) if segments else None
        for number in range(len(way.nodes) + 1, len(alone or ()) + 1):
            yield replace(way, nodes=(alone or ())[:number])


@dataclass(kw_only=True, eq=False)
class _Search:
    """Counts how few nodes are enough, site by site."""

    snapshot: Snapshot
    survey: Survey
    own: bool
    mixes: dict[tuple[bytes, ...], _Mixes] = field(default_factory=dict)

    @cached_property
    def kinds(self) -> list[Node]:
        """The kinds of node that exist."""
        return kinds_of(self.snapshot, self.survey.ground.roles)

    @cached_property
    def largest(self) -> int:
        """Members that one new node holds at most, each role counted alone and no check asked."""
        roles = self.survey.ground.roles
        if self.own:
            return sum(role.count for role in roles)
        return max((sum(min(role.count, room_for(kind, role.shape)) for role in roles) for kind in self.kinds), default=0)

    def least(self, site: Site, most: int | None) -> tuple[Node, ...] | None:
        """Return the fewest nodes that are enough at a site, ``None`` where there are none (or none as few as ``most``)."""
        ground, snapshot = self.survey.ground, self.snapshot
        core = max(ground.need, sum(r.must for r in ground.roles))
        if not ground.roles or core < 1 or not ground.exact or (most is not None and (most < 1 or site.most + most * self.largest < core)):
            return None
        named = named_by_pods(snapshot, ground.roles, site) if self.own else None
        if named is not None:
            return tuple(named) or None
        templates = like_pods(ground.roles, site) if self.own else like_existing(snapshot, self.kinds, ground.roles, site)
        shapes = ground_of(ground, templates)
        tables = [frontier(shapes, np.array([at]), shapes.free) for at in range(len(templates))]
        holds = [int((table + ground.grid.sum(axis=1).reshape(table.shape)).max()) for table in tables]
        chosen = sorted({table.tobytes(): at for at, table in reversed(list(enumerate(tables))) if holds[at] > 0}.values())
        if site.alone:
            return next(((templates[at],) for at in chosen if best(ground, tables[at])[1]), None)
        if not chosen or (most is not None and site.most + most * max(holds) < core):
            return None
        mix = self.mixes.setdefault(tuple(tables[at].tobytes() for at in chosen), _Mixes(ground=ground, tables=[tables[at] for at in chosen]))
        rest = frontier(ground, site.nodes, ground.free)
        number = _fewest(mix, rest, core if most is None else min(most, core))
        if number is None or (number == 0 and not self.survey.gang.demand.segments):
            return None
        return tuple(templates[chosen[at]] for at in mix.chosen(rest, number)) if number else (templates[chosen[0]],)


def _fewest(mix: _Mixes, rest: Ints, most: int) -> int | None:
    """Return how few nodes are enough beside ``rest``, ``None`` where ``most`` are not; more nodes never hold less."""

    def enough(number: int) -> bool:
        return best(mix.ground, mix.joined(rest, mix.of(number)))[1]

    high = 1
    while high < most and not enough(high):
        high *= 2
    low, high = 0, min(high, most)
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _offer(trial: Trial, own: bool, changes: tuple[Json, ...], way: _Way) -> Offer:
    nodes = numbered(trial.snapshot, way.nodes)
    offer = Relaxation(
        kind="addNodes",
        summary=f"add {_described(nodes)}{way.site.words} ({some([n.name for n in nodes])})",
        changes=(*changes, *({"create": manifest(node)} for node in nodes)),
        harm=(ADD, len(nodes), int(own)),
    )
    return offer, WhatIf(nodes=tuple(nodes))


def _counted(trial: Trial, gang: Gang) -> bool:
    """Tell whether counting is the proof: no label puts the nodes elsewhere."""
    wish = gang.demand
    return not (wish.required or wish.segments or wish.nvlink == "required" or trial.snapshot.repelling)


def _described(nodes: Sequence[Node]) -> str:
    """Count the nodes of each size: ``2 nodes with 8 nvidia.com/gpu and 1 node with 4 cpu``."""
    parts, sizes = [], [node.allocatable for node in nodes]
    for size, same in groupby(sorted(nodes, key=lambda node: sizes.index(node.allocatable)), key=lambda node: node.allocatable):
        number = len(list(same))
        amounts = ", ".join(f"{quantity(name, amount)} {name}" for name, amount in size.items() if name != PODS)
        parts.append(f"{number} node{'' if number == 1 else 's'} with {amounts or 'room for pods'}")
    return " and ".join(parts)
