"""How many segments a place can hold at most, and what that proves: a refusal, or a bound of the cost that counts whole segments.

A place is one domain of a layer within one domain of each outer layer. Everything here relaxes the problem: an amount (pods,
pods of one role, units of one resource) that a segment takes, and the most of it that the nodes of a place have. A place holds
no more segments of a kind than the amount goes into what there is, rounded down; pods that could be spread over the rests of
many places do not count, which is what the bounds of single pods miss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.solve.bounds import NEVER, Bounds, cells, cover, fewest, measures
from scheduler.solve.grouping import codes
from scheduler.solve.instance import Instance, occupied_classes, occupied_count
from scheduler.solve.problem import Ints, Layer, LevelColumn, Problem

_PRECISE: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holding:
    """One layer: what its kinds take and what its places have, amount by amount."""

    amount: Ints
    """int64[M, K]: what one segment of each kind takes; the first row counts pods."""
    node: Ints
    """int64[M, C]: the most of it that one node of each class has."""
    room: Ints
    """int64[M, P]: what each place has."""
    most: Ints
    """int64[K, P]: segments of each kind that a place holds, were it all theirs."""
    first: Ints
    """int64[P]: the first class in play of each place."""
    cell: Ints
    """int64[P]: the cell of each place."""


def holdings(instance: Instance) -> tuple[Holding, ...]:
    """Work out every layer, outermost first; a place of an outer layer holds no more than its inner places."""
    found: list[Holding] = []
    for at in reversed(range(len(instance.problem.layers))):
        own = _holding(instance, at)
        if found:
            own = replace(own, most=np.minimum(own.most, _nested(instance, at, own, found[-1])))
        found.append(own)
    return tuple(reversed(found))


def _holding(instance: Instance, at: int) -> Holding:
    problem = instance.problem
    layer, place = problem.layers[at], instance.places[at]
    inside = instance.play[place[instance.play] >= 0]
    used, number = np.unique(place[inside], return_inverse=True)
    first = np.zeros(len(used), dtype=np.int64)
    first[number[::-1]] = inside[::-1]
    amount, node = _measured(instance, layer)
    room = np.stack([np.bincount(number, row[inside] * instance.nodes[inside], minlength=len(used)).astype(np.int64) for row in node])
    most = np.repeat(np.array([[kind.times] for kind in layer.kinds], dtype=np.int64).reshape(-1, 1), len(used), axis=1)
    for row, there in zip(amount, room, strict=True):
        most = np.where(row[:, None] > 0, np.minimum(most, there[None, :] // np.maximum(row[:, None], 1)), most)
    for k, kind in enumerate(layer.kinds):
        if kind.pinned is not None:
            most[k, layer.domain[first] != kind.pinned] = 0
    return Holding(amount=amount, node=node, room=room, most=most, first=first, cell=instance.cell[first])


def _measured(instance: Instance, layer: Layer) -> tuple[Ints, Ints]:
    """Return int64[M, K], what a segment of each kind takes, and int64[M, C], the most of it that one node of each class has."""
    problem, rooms = instance.problem, instance.rooms
    pods = np.array([kind.pods for kind in layer.kinds], dtype=np.int64).reshape(len(layer.kinds), len(problem.count))
    amounts, nodes = [pods.sum(axis=1)], [rooms.most]
    if len(problem.count) > 1:
        for role in range(len(problem.count)):
            amounts.append(pods[:, role])
            nodes.append(rooms.single[role])
        for k in range(problem.request.shape[1]):
            amount, node = _scaled(problem, pods, k)
            amounts.append(amount)
            nodes.append(np.where(rooms.most > 0, node, 0))
    return np.stack(amounts), np.stack(nodes)


def _scaled(problem: Problem, pods: Ints, k: int) -> tuple[Ints, Ints]:
    """Keep sums exact: large amounts are divided, what is taken rounded down and what there is up, which only relaxes."""
    asked = problem.request[:, k].tolist()
    takes = [sum(a * n for a, n in zip(asked, row, strict=True)) for row in pods.tolist()]
    largest = sum(a * n for a, n in zip(asked, problem.count.tolist(), strict=True))
    unit = max(1, largest // _PRECISE)
    node = -(-np.minimum(problem.free[:, k], min(largest, NEVER)) // unit)
    return np.array([t // unit for t in takes], dtype=np.int64), node


def _nested(instance: Instance, at: int, own: Holding, inner: Holding) -> Ints:
    """Return int64[K, P]: segments of each outer kind whose inner segments the inner places hold."""
    outer = instance.places[at][own.first]
    around = np.searchsorted(outer, instance.places[at][inner.first])  # places are numbered in order
    found = np.full_like(own.most, NEVER)
    for k, kind in enumerate(instance.problem.layers[at].kinds):
        for j, many in enumerate(kind.inside):
            if many:
                held = np.bincount(around, inner.most[j], minlength=len(outer)).astype(np.int64)
                found[k] = np.minimum(found[k], held // many)
    return found


def _needs(layer: Layer, holding: Holding) -> list[tuple[int, Ints]]:
    """Return pairs of a number of segments and how many of them each place holds at most: whatever is placed must cover all.

    For each amount and each kind: the kinds that take at least as much of it are together no more than what there is, divided
    by the least of them.
    """
    times = np.array([kind.times for kind in layer.kinds], dtype=np.int64)
    found = [(int(n), holding.most[k]) for k, n in enumerate(times.tolist())]
    if len(times) > 1:
        for row, room in zip(holding.amount, holding.room, strict=True):
            for least in np.unique(row[row > 0]).tolist():
                heavy = row >= least
                found.append((int(times[heavy].sum()), np.minimum(room // least, holding.most[heavy].sum(axis=0))))
    return found


def sharpen(instance: Instance, found: Bounds, known: tuple[Holding, ...]) -> Bounds:
    """Return the bounds, sharper where whole segments have less room than their pods: ``NEVER`` in cells that cannot hold them all."""
    problem = instance.problem
    if problem.elastic or not len(instance.play):
        return found
    least = np.zeros(instance.cells, dtype=np.int64)
    rows = measures(instance, problem.count, problem.core)
    for level in instance.weighted:
        new = fewest(problem, cells(instance), np.flatnonzero(instance.cell >= 0), level, rows)
        for layer, holding in zip(problem.layers, known, strict=True):
            new = np.maximum(new, _domains(instance, level, layer, holding))
        least += level.weight * np.maximum(0, occupied_count(level) + new - 1)
    for layer, holding in zip(problem.layers, known, strict=True):
        for amount, held in _needs(layer, holding):
            least[np.bincount(holding.cell, held, minlength=instance.cells) < amount] = NEVER
    return found.at_least(instance, least)


def _domains(instance: Instance, level: LevelColumn, layer: Layer, holding: Holding) -> Ints:
    """Return int64[cells]: the fewest new domains of the level that hold all segments; 0 where places are not parts of its domains."""
    domain = pure(instance, level, layer)
    if domain is None:
        return np.zeros(instance.cells, dtype=np.int64)
    home = domain[holding.first]
    known = occupied_classes(level, instance.problem)[holding.first]
    item, first = codes((holding.cell, home), len(home))
    found = np.zeros(instance.cells, dtype=np.int64)
    for amount, held in _needs(layer, holding):
        base = np.bincount(holding.cell[known], held[known], minlength=instance.cells).astype(np.int64)
        size = np.bincount(item, held, minlength=len(first)).astype(np.int64)
        keep = ~known[first]
        found = np.maximum(found, cover(amount - base, size[keep], np.ones_like(size)[keep], holding.cell[first][keep]))
    return found


def pure(instance: Instance, level: LevelColumn, layer: Layer) -> Ints | None:
    """Return int64[C], the level's domains, if every place of the layer lies in one of them; else ``None``.

    A node without the label is a domain of its own, as every node is at the host level: then a place must be one node.
    """
    place = instance.places[next(i for i, each in enumerate(instance.problem.layers) if each is layer)]
    inside = instance.play[place[instance.play] >= 0]
    alone = np.ones(len(place), dtype=np.bool_) if level.host else level.domain < 0
    if (instance.nodes[inside][alone[inside]] > 1).any():
        return None
    domain = np.where(alone, -1 - np.arange(len(place)), level.domain)
    both, _ = codes((place[inside], domain[inside]), len(inside))
    return domain if len(np.unique(both)) == len(np.unique(place[inside])) else None
