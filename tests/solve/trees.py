"""Random small problems whose levels nest, and a search that tries every placement of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random

import numpy as np

from scheduler.solve import cost as costs
from scheduler.solve.instance import instance
from scheduler.solve.problem import Ints, Kind, Layer, LevelColumn, Problem, Rows
from scheduler.solve.solution import Load, Solution, merged
from tests.solve.problems import hosts, ints, problem, racks


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a random problem may have besides racks in spines."""

    roles: int = 1
    ragged: bool = False
    fixed: bool = False
    required: int | None = None
    """The level that is required, 0 the spine; 2 the host."""
    tie: bool = False
    layers: int = 0
    loose: bool = False
    elastic: bool = False
    spread: bool = False
    """Whether pods of the first role are one on a node."""


def random_problem(rng: Random, wanted: Wanted) -> Problem:
    """Make a problem of at most six nodes."""
    classes = rng.randint(2, 5)
    rack, spine = _labels(rng, classes, ragged=wanted.ragged)
    nodes = [1] * classes
    nodes[0] += rng.randint(0, 1)
    free = [rng.randint(1, 5) for _ in nodes]
    layers = _layers(rng, wanted, rack=ints(*rack), spine=ints(*spine))
    count = _counts(rng, wanted, layers)
    request = [rng.randint(1, 2) for _ in count]
    conflict = np.zeros((len(count), len(count)), dtype=np.bool_)
    conflict[0, 0] = wanted.spread
    occupied = [wanted.fixed and rng.random() < 0.4 for _ in nodes]
    there = [c for c, full in enumerate(occupied) if full]
    levels = [_level(rng, spine, there), _level(rng, rack, there), hosts(classes, weight=rng.randint(0, 9), occupied=len(there))]
    levels[1] = replace(levels[1], weight=0, tie=True) if wanted.tie else levels[1]
    if wanted.required is not None:
        levels[wanted.required] = replace(levels[wanted.required], required=True)
    made = problem(nodes=nodes, free=free, count=count, request=request, levels=tuple(levels), conflict=conflict, occupied_host=occupied)
    worth = Rows.of(np.sort(np.array([rng.randint(0, 6) for _ in range(n)], dtype=np.int64)) for n in nodes)
    allowed = np.array([[rng.random() < 0.9 for _ in nodes] for _ in count], dtype=np.bool_)
    if wanted.elastic:
        must = ints(int(rng.random() < 0.5), *([0] * (wanted.roles - 1)))
        made = replace(made, need=rng.randint(0, sum(count)), must=np.minimum(must, made.count) if wanted.roles > 1 else made.must)
    return replace(made, worth=worth, allowed=allowed, layers=layers)


def _labels(rng: Random, classes: int, *, ragged: bool) -> tuple[list[int], list[int]]:
    above = {rack: rng.randint(0, 1) for rack in range(3)}
    rack = [rng.randint(0, 2) for _ in range(classes)]
    spine = [above[r] for r in rack]
    for c in range(classes):
        if ragged and rng.random() < 0.3:
            rack[c] = -1
            spine[c] = rng.randint(-1, 1)
    return rack, spine


def _level(rng: Random, domain: list[int], there: list[int]) -> LevelColumn:
    occupied = sorted({domain[c] for c in there} - {-1})
    level = racks(*domain, weight=rng.randint(0, 20), occupied=occupied, unlabelled=sum(domain[c] < 0 for c in there))
    return replace(level, worth=ints(*(rng.randint(0, 30) for _ in level.worth)))


def _layers(rng: Random, wanted: Wanted, *, rack: Ints, spine: Ints) -> tuple[Layer, ...]:
    """One layer in racks, or segments in racks that are parts of segments in spines."""
    if not wanted.layers:
        return ()
    loose = (1, *([0] * (wanted.roles - 1))) if wanted.loose else ()
    small = [Kind(times=rng.randint(1, 2), pods=_pods(rng, wanted.roles), pinned=_pin(rng)) for _ in range(rng.randint(1, 2))]
    if wanted.layers == 1:
        return (Layer(domain=rack, kinds=tuple(small), loose=loose),)
    inner = replace(small[0], times=2)
    both = rng.random() < 0.5
    pods = tuple(n * (2 if both else 1) for n in inner.pods)
    outer = Kind(times=1 if both else 2, pods=pods, inside=(2 if both else 1,), pinned=_pin(rng))
    if wanted.loose:
        outer = replace(outer, times=1, pods=(outer.pods[0] + 1, *outer.pods[1:]), inside=(2,))
        outer = replace(outer, pods=tuple(n * 2 + (1 if r == 0 else 0) for r, n in enumerate(inner.pods)))
        return (Layer(domain=spine, kinds=(outer,)), Layer(domain=rack, kinds=(inner,), loose=loose))
    return (Layer(domain=spine, kinds=(outer,)), Layer(domain=rack, kinds=(inner,)))


def _pods(rng: Random, roles: int) -> tuple[int, ...]:
    pods = [rng.randint(0, 2) for _ in range(roles)]
    return tuple(pods) if any(pods) else (1, *pods[1:])


def _pin(rng: Random) -> int | None:
    return rng.randint(0, 1) if rng.random() < 0.3 else None


def _counts(rng: Random, wanted: Wanted, layers: tuple[Layer, ...]) -> list[int]:
    if not layers:
        return [rng.randint(1, 4) for _ in range(wanted.roles)]
    outer = layers[0]
    loose = outer.loose or (0,) * wanted.roles
    # A role that no segment has gets no pods, which no problem allows: it lies loose then, and there is one.
    return [sum(kind.times * kind.pods[r] for kind in outer.kinds) + loose[r] for r in range(wanted.roles)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    role: int
    segments: tuple[tuple[int, int | None, int] | None, ...]
    """By layer: the segment's number, its pin, and its kind; ``None`` where the pod lies in none."""


def check(of: Problem, found: Solution) -> None:
    """Check that a placement is one: room, conflicts, one cell, and segments where the parts say."""
    used = np.zeros_like(of.nodes)
    for load in found.loads:
        used[load.node_class] += load.nodes
        assert load.nodes > 0
        assert (np.array(load.pods) @ of.request <= of.free[load.node_class]).all()
        for role in np.flatnonzero(load.pods):
            assert of.allowed[role, load.node_class]
            assert not any(of.conflict[role, other] and (other != role or load.pods[role] > 1) for other in np.flatnonzero(load.pods))
    assert (used <= instance(of).nodes).all()
    assert len({int(instance(of).cell[c]) for c in np.flatnonzero(used)} - {-1}) <= 1
    assert not any(instance(of).cell[c] < 0 for c in np.flatnonzero(used))
    for at, layer in enumerate(of.layers):
        parts = [part for part in found.parts if part.layer == at]
        for number, kind in enumerate(layer.kinds):
            assert sum(part.times for part in parts if part.kind == number) == kind.times
            pinned = {int(layer.domain[part.node_class]) for part in parts if part.kind == number and part.times}
            assert kind.pinned is None or pinned == {kind.pinned}
        place = instance(of).places[at]
        for there in {int(place[part.node_class]) for part in parts}:
            assert there >= 0
            asked = sum(np.array(layer.kinds[part.kind].pods) * part.times for part in parts if place[part.node_class] == there)
            held = sum(np.array(load.pods) * load.nodes for load in found.loads if place[load.node_class] == there)
            assert np.all(held >= asked if any(layer.loose) else held == asked)


def best(of: Problem) -> tuple[int, int, int] | None:
    """Return the least cost, ties and harm of all placements; ``None`` where there is none."""
    return min((worth(of, loads) for loads in placements(of)), default=None)


def worth(of: Problem, loads: tuple[Load, ...]) -> tuple[int, int, int]:
    """Return what is made small, in order."""
    return costs.cost(of, loads), costs.ties(of, loads), costs.harm(of, loads)


def best_part(of: Problem) -> tuple[int, int, int, int, int] | None:
    """Return the least of the core's cost, then the most pods (negative), then cost, ties and harm of all, where pods may be left out."""
    found = []
    for count in product(*(range(int(n) + 1) for n in of.count)):
        if sum(count) < of.core or any(n < must for n, must in zip(count, of.must.tolist(), strict=True)):
            continue
        some = placements(replace(of, count=ints(*count), need=sum(count)))
        found += [(core_cost(of, loads), -sum(count), *worth(of, loads)) for loads in some]
    return min(found, default=None)


def core_cost(of: Problem, loads: tuple[Load, ...]) -> int:
    """Return the cost of the cheapest core among the pods of a placement."""
    nodes = [(load.node_class, load.pods) for load in loads for _ in range(load.nodes)]
    costs_found = []
    for taken in product(*(list(product(*(range(n + 1) for n in pods))) for _, pods in nodes)):
        pods = [sum(load[r] for load in taken) for r in range(len(of.count))]
        if sum(pods) == of.core and all(n >= must for n, must in zip(pods, of.must.tolist(), strict=True)):
            core = merged(Load(node_class=c, pods=load, nodes=1) for (c, _), load in zip(nodes, taken, strict=True) if any(load))
            costs_found.append(costs.cost(of, core))
    return min(costs_found)


def placements(of: Problem) -> Iterator[tuple[Load, ...]]:
    """Give every placement of all pods; equal pods in equal segments are not told apart."""
    nodes = [c for c, n in enumerate(of.nodes.tolist()) for _ in range(n)]
    search = _Search(of=of, nodes=nodes, cell=instance(of).cell, pods=_listed(of))
    return search.extend()


@dataclass(slots=True, kw_only=True)
class _Search:
    """Pods are seated one after the other."""

    of: Problem
    nodes: list[int]
    cell: Ints
    pods: list[_Pod]
    seat: list[int] = field(default_factory=list)

    def extend(self) -> Iterator[tuple[Load, ...]]:
        if len(self.seat) == len(self.pods):
            yield _loads(self.of, self.nodes, [(pod.role, at) for pod, at in zip(self.pods, self.seat, strict=True)])
            return
        pod = self.pods[len(self.seat)]
        first = self.seat[-1] if self.seat and self.pods[len(self.seat) - 1] == pod else 0
        for node in range(first, len(self.nodes)):
            if self._in_cell(node, pod) and self._has_room(node, pod) and self._in_segments(node, pod):
                self.seat.append(node)
                yield from self.extend()
                self.seat.pop()

    def _in_cell(self, node: int, pod: _Pod) -> bool:
        c = self.nodes[node]
        if self.cell[c] < 0 or not self.of.allowed[pod.role, c]:
            return False
        if not self.seat:
            return True
        one_host = any(v.required and v.host for v in self.of.levels)
        return bool(self.cell[self.nodes[self.seat[0]]] == self.cell[c]) and (not one_host or self.seat[0] == node)

    def _has_room(self, node: int, pod: _Pod) -> bool:
        beside = [self.pods[i].role for i, at in enumerate(self.seat) if at == node]
        asked = self.of.request[[*beside, pod.role]].sum(axis=0)
        return bool((asked <= self.of.free[self.nodes[node]]).all()) and not any(self.of.conflict[pod.role, r] for r in beside)

    def _in_segments(self, node: int, pod: _Pod) -> bool:
        c = self.nodes[node]
        for at, (layer, segment) in enumerate(zip(self.of.layers, pod.segments, strict=True)):
            if segment is None:
                continue
            if layer.domain[c] < 0 or segment[1] not in (None, int(layer.domain[c])):
                return False
            mates = (self.nodes[i] for i, other in zip(self.seat, self.pods, strict=False) if other.segments[at] == segment)
            if any(layer.domain[m] != layer.domain[c] for m in mates):
                return False
        return True


def _listed(of: Problem) -> list[_Pod]:
    """Write out every pod with the segments it lies in, segments of inner layers shared out in order."""
    roles = range(len(of.count))
    if not of.layers:
        return [_Pod(role=r, segments=()) for r in roles for _ in range(int(of.count[r]))]
    pods: list[_Pod] = []
    number = 0

    def segment(at: int, kind: int, above: tuple[tuple[int, int | None, int], ...]) -> None:
        nonlocal number
        number += 1
        made = of.layers[at].kinds[kind]
        here = (*above, (number, made.pinned, kind))
        left = list(made.pods)
        for inner, times in enumerate(made.inside):
            for _ in range(times):
                segment(at + 1, inner, here)
                left = [n - m for n, m in zip(left, of.layers[at + 1].kinds[inner].pods, strict=True)]
        none = (None,) * (len(of.layers) - len(here))
        pods.extend(_Pod(role=r, segments=(*here, *none)) for r in roles for _ in range(left[r]))

    for kind, made in enumerate(of.layers[0].kinds):
        for _ in range(made.times):
            segment(0, kind, ())
    for r, n in enumerate(of.layers[0].loose):
        pods.extend([_Pod(role=r, segments=(None,) * len(of.layers))] * n)
    return pods


def _loads(of: Problem, nodes: list[int], seats: list[tuple[int, int]]) -> tuple[Load, ...]:
    found: dict[int, list[int]] = {}
    for role, node in seats:
        found.setdefault(node, [0] * len(of.count))[role] += 1
    return merged(Load(node_class=nodes[node], pods=tuple(pods), nodes=1) for node, pods in found.items())
