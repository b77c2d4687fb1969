"""Small problems with segments for solver tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.solve.problem import Kind, Layer, LevelColumn, Problem
from tests.solve.problems import hosts, ints, problem, racks


def layer(domain: Sequence[int], *kinds: Kind, loose: tuple[int, ...] = ()) -> Layer:
    return Layer(domain=ints(*domain), kinds=kinds, loose=loose)


def cut(of: Problem, *layers: Layer) -> Problem:
    return replace(of, layers=layers)


def two_racks(*free: int, times: int, size: int, need: int | None = None) -> Problem:
    """Equal segments on racks of one node each."""
    count = [times * size]
    of = problem(nodes=[1] * len(free), free=list(free), count=count, need=need, levels=(racks(*range(len(free))),))
    return cut(of, layer(range(len(free)), Kind(times=times, pods=(size,))))


def random_problem(seed: int) -> Problem:
    """Two roles, four kinds at most, two layers or one, ragged labels."""
    r = np.random.default_rng(seed)
    classes = int(r.integers(1, 6))
    sizes = [(int(r.integers(0, 2)), int(r.integers(0, 3))) for _ in range(2)]
    sizes = [s if sum(s) else (0, 1) for s in sizes]
    times = [int(r.integers(1, 3)) for _ in sizes]
    loose = (int(r.integers(0, 2)), int(r.integers(0, 2)))
    count = [sum(t * s[role] for t, s in zip(times, sizes, strict=True)) + loose[role] for role in range(2)]
    roles = [role for role in range(2) if count[role]]
    kinds = tuple(
        Kind(times=t, pods=tuple(s[role] for role in roles), pinned=0 if r.integers(0, 6) == 0 else None) for t, s in zip(times, sizes, strict=True)
    )
    levels: tuple[LevelColumn, ...] = (racks(*r.integers(-1, 3, classes).tolist(), weight=int(r.integers(0, 9))), hosts(classes, weight=1))
    of = problem(
        nodes=r.integers(1, 3, classes).tolist(),
        free=r.integers(0, 7, classes).tolist(),
        count=[count[role] for role in roles],
        request=[1 + role for role in roles],
        levels=levels,
    )
    kinds = kinds if kinds[0] != kinds[1] else (replace(kinds[0], times=sum(times)),)
    own = tuple(loose[role] for role in roles)
    inner = layer(r.integers(-1, 3, classes).tolist(), *kinds, loose=own if any(own) else ())
    if r.integers(0, 2):
        return cut(of, inner)
    inside = tuple(k.times for k in inner.kinds)
    whole = Kind(times=1, pods=tuple(sum(k.times * k.pods[i] for k in inner.kinds) for i in range(len(roles))), inside=inside)
    return cut(of, layer(r.integers(0, 2, classes).tolist(), whole, loose=inner.loose), inner)
