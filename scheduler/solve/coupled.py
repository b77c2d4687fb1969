"""Sharper lower bounds: few hosts and few racks cannot always be had together.

Counting each level by itself lets the fewest hosts lie in the fewest racks. Here the levels are counted for each number H
of new hosts. Let a price p be paid for each host; then a domain holds at most ``sum over its nodes of max(capacity - p, 0)``
beyond what its hosts have paid, and k domains with H hosts hold at most ``p * H`` plus the k largest of these sums. This is
true for every price, so the fewest domains that cover the amount at the worst price bound the level. The cost is at least
the least sum over H.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from scheduler.solve.bounds import NEVER, Bounds, Measure, bounds, cover, lower, measures, split
from scheduler.solve.grouping import codes
from scheduler.solve.instance import Instance, occupied_classes, occupied_count
from scheduler.solve.problem import Ints, LevelColumn

MOST_GROUPS: Final = 96
"""Domains of one level that are bounded one by one; where more could hold the gang, the level is left as it is."""
_MOST_PRICES: Final = 12


def sharpen(instance: Instance, want: Ints, core: int, most: int) -> Bounds:
    """Return the bounds of `scheduler.solve.bounds`, sharper where that can decide between them and a placement of cost ``most``."""
    found = bounds(instance, want, core)
    host = next((v for v in instance.weighted if v.host), None)
    if host is None or instance.problem.elastic:
        return found
    rows = measures(instance, want, core)
    cell = found.cells.copy()
    classes = found.classes.copy()
    for index in np.flatnonzero(cell < most).tolist():
        inside = instance.play[instance.cell[instance.play] == index]
        best = _best(instance, inside, rows, host)
        for level in instance.weighted:
            if level.host:
                continue
            either = _either(instance, inside, rows, host, level=level, most=most)
            classes[inside] = np.maximum(classes[inside], either)
            best = max(best, int(either.min(initial=NEVER)))
        cell[index] = max(int(cell[index]), best)
        classes[inside] = np.maximum(classes[inside], cell[index])
    return replace(found, cells=cell, classes=classes)


def _either(instance: Instance, inside: Ints, rows: tuple[Measure, ...], host: LevelColumn, *, level: LevelColumn, most: int) -> Ints:
    """Return for each class the lesser bound of two cases: all in its domain of the level, or one more domain than that."""
    groups = split(instance, level, inside)
    where = groups.of[inside]
    one = np.append(lower(instance, groups, rows), NEVER)
    able = np.flatnonzero(one[:-1] < most).tolist()
    for group in able if len(able) <= MOST_GROUPS else ():
        one[group] = max(int(one[group]), _best(instance, inside[where == group], rows, host, nodes=groups.nodes))
    return np.asarray(np.minimum(one[where], _best(instance, inside, rows, host, more=level)))


def _best(
    instance: Instance, classes: Ints, rows: tuple[Measure, ...], host: LevelColumn, *, nodes: Ints | None = None, more: LevelColumn | None = None
) -> int:
    """Return the least sum over the number of hosts; ``more`` is a level that must have one domain more than need be."""
    problem = instance.problem
    nodes = instance.nodes if nodes is None else nodes
    if any(int((row.node[classes] * nodes[classes]).sum()) < row.amount for row in rows):
        return NEVER
    least = max(_fewest_hosts(instance, classes, row, nodes) for row in rows)
    others = [v for v in instance.weighted if not v.host]
    spare = sum(v.weight for v in others) * (problem.total + 1) // host.weight + 1
    hosts = np.arange(least, min(least + spare, problem.total) + 1)
    found = host.weight * np.maximum(0, occupied_count(host) + hosts - 1)
    for level in others:
        new = np.max([_fewest(instance, classes, row, level, nodes=nodes, hosts=hosts) for row in rows], axis=0)
        fixed = occupied_count(level)
        domains = np.maximum(fixed + new - 1, max(fixed, 1) if level is more else 0)
        found = found + level.weight * domains
    return int(found.min())


def _fewest_hosts(instance: Instance, classes: Ints, row: Measure, nodes: Ints) -> int:
    known = instance.problem.occupied_host[classes]
    size, times = row.node[classes], nodes[classes]
    rest = np.array([row.amount - int((size * times)[known].sum())])
    return int(cover(rest, size[~known], times[~known], np.zeros(int((~known).sum()), dtype=np.int64))[0])


def _fewest(instance: Instance, classes: Ints, row: Measure, level: LevelColumn, *, nodes: Ints, hosts: Ints) -> Ints:
    """Return for each number of new hosts the fewest new domains of the level."""
    problem = instance.problem
    size, times = row.node[classes], nodes[classes]
    paid = problem.occupied_host[classes]
    known = occupied_classes(level, problem)[classes]
    alone = level.domain[classes] < 0
    item, first = codes((np.where(alone, -1 - classes, level.domain[classes]),), len(classes))
    found = np.zeros(len(hosts), dtype=np.int64)
    for price in _prices(size):
        gain = np.where(paid, size, np.maximum(size - price, 0))
        base = int((gain * times)[known].sum())
        sums = np.bincount(item, np.where(known, 0, np.where(alone, gain, gain * times)), minlength=len(first)).astype(np.int64)
        copies = np.where(alone, times, 1)[first]
        order = np.argsort(-sums, kind="stable")
        held = np.cumsum((sums * copies)[order])
        rest = row.amount - price * hosts - base
        found = np.maximum(found, _count(rest, sums[order], copies[order], held))
    return found


def _count(rest: Ints, size: Ints, copies: Ints, held: Ints) -> Ints:
    """Return how many items, largest first, cover each amount: all of them where they do not."""
    at = np.searchsorted(held, rest)
    inside = np.minimum(at, len(held) - 1)
    before = held[inside] - (size * copies)[inside]
    part = -(-(rest - before) // np.maximum(size[inside], 1))
    counts = np.concatenate(([0], np.cumsum(copies)))
    return np.where(rest <= 0, 0, np.where(at >= len(held), counts[-1], counts[inside] + part))


def _prices(size: Ints) -> list[int]:
    """Return the prices that are tried: the capacities that occur, spread evenly where they are many."""
    found = np.unique(size)
    if len(found) > _MOST_PRICES:
        found = found[np.linspace(0, len(found) - 1, _MOST_PRICES).astype(np.int64)]
    return [0, *(int(price) for price in found if price)]
