"""The least domains for a planted instance, by filling node after node in every possible way; without a line of what decides and solves.

Only GPUs are scarce there, so a node is a number of free GPUs and a load says how many pods of each size it takes. What was reached
with the same pods placed is kept once, with the fewest hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import TypeAlias

from scheduler.bench.planted import NODES, RACK_NODES, RACKS, Planted, Wanted

Counts: TypeAlias = tuple[int, ...]
Domains: TypeAlias = tuple[int, int]
"""Racks, then hosts: fewer racks are better, whatever the hosts."""


def fewest(instance: Planted) -> Domains | None:
    """Return the fewest racks and hosts of the gang, of the first one where there are several and all must be placed; None: they do not fit."""
    racks = [instance.free[start : start + RACK_NODES] for start in range(0, NODES, RACK_NODES)]
    if len(instance.gangs) > 1:
        return _several(instance.gangs, racks)
    (wanted,) = instance.gangs
    blocks = [[rack] for rack in racks] if wanted.in_rack else [racks[at : at + RACKS] for at in range(0, len(racks), RACKS)]
    return min((found for block in blocks if (found := _one(wanted, block)) is not None), default=None)


def _one(wanted: Wanted, racks: Iterable[tuple[int, ...]]) -> Domains | None:
    """Place one gang on these racks."""
    sizes, counts = _kinds([wanted])
    best: dict[Counts, Domains] = {(0,) * len(sizes): (0, 0)}
    for rack in racks:
        held = _filled(rack, sizes, counts, (True,) * len(sizes))
        grown = dict(best)
        for (placed, before), (more, hosts) in product(best.items(), held.items()):
            if not any(more) or (wanted.segment and sum(more) % wanted.segment):
                continue
            after = tuple(a + b for a, b in zip(placed, more, strict=True))
            domains = (before[0] + 1, before[1] + hosts)
            if all(n <= most for n, most in zip(after, counts, strict=True)) and domains < grown.get(after, (NODES, NODES)):
                grown[after] = domains
        best = grown
    return best.get(counts)


def _several(gangs: Sequence[Wanted], racks: Sequence[tuple[int, ...]]) -> Domains | None:
    """Place all gangs, each in a rack of its choice; only the hosts of the first one count."""
    found: list[int] = []
    for homes in product(range(len(racks)), repeat=len(gangs)):
        hosts = 0
        for at, rack in enumerate(racks):
            here = [g for g, home in enumerate(homes) if home == at]
            if not here:
                continue
            sizes, counts = _kinds([gangs[g] for g in here])
            first = len(_kinds([gangs[0]])[0]) if here[0] == 0 else 0
            held = _filled(rack, sizes, counts, tuple(role < first for role in range(len(sizes)))).get(counts)
            if held is None:
                break
            hosts += held
        else:
            found.append(hosts)
    return (1, min(found)) if found else None


def _kinds(gangs: Iterable[Wanted]) -> tuple[Counts, Counts]:
    """Return the sizes of pods, gang by gang, and how many there are of each."""
    rows = [(size, wanted.sizes.count(size)) for wanted in gangs for size in sorted(set(wanted.sizes))]
    return tuple(size for size, _ in rows), tuple(count for _, count in rows)


@lru_cache(maxsize=10_000)
def _filled(nodes: tuple[int, ...], sizes: Counts, counts: Counts, counted: tuple[bool, ...]) -> dict[Counts, int]:
    """Return every choice of pods that the nodes can hold, with the fewest nodes that hold counted ones."""
    best: dict[Counts, int] = {(0,) * len(sizes): 0}
    for free in nodes:
        grown = dict(best)
        for placed, hosts in best.items():
            for load in _loads(free, sizes, counts):
                after = tuple(a + b for a, b in zip(placed, load, strict=True))
                more = hosts + any(n for n, counts_here in zip(load, counted, strict=True) if counts_here)
                if all(n <= most for n, most in zip(after, counts, strict=True)) and more < grown.get(after, NODES + 1):
                    grown[after] = more
        best = grown
    return best


@lru_cache(maxsize=10_000)
def _loads(free: int, sizes: Counts, counts: Counts) -> tuple[Counts, ...]:
    every = product(*(range(min(count, free // size) + 1) for size, count in zip(sizes, counts, strict=True)))
    return tuple(load for load in every if any(load) and sum(n * size for n, size in zip(load, sizes, strict=True)) <= free)
