"""Best fit for segments: whole segments are placed on places as pods are on nodes, then the pods of each place on its nodes.

The same descent as for pods does the first step: a place is a node whose free room is the sum of its nodes' rooms, a segment a
pod that asks for what its pods take together. Where a place cannot really hold what the sums promise, its room is cut to what
it holds and the step is done again. What is returned is valid; whether it is optimal, bounds tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.solve import beside, greedy
from scheduler.solve import cost as costs
from scheduler.solve.holding import Holding, holdings, pure
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Ints, Layer, LevelColumn, Problem, Rows
from scheduler.solve.solution import Load, Part, merged
from scheduler.solve.solver import Start
from scheduler.solve.spread import Spread, spread

TRIES: Final = 8
"""How often a layer is placed anew after a place held less than the sums promised."""
TRIALS: Final = 1000
"""Numbers of segments on places that are tried one by one."""
_WORTH: Final = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filled:
    """Segments on places, and their pods on nodes."""

    loads: tuple[Load, ...] = ()
    parts: tuple[Part, ...] = ()


def start(known: Instance, held: tuple[Holding, ...] | None = None) -> Start | None:
    """Return a placement of all segments and of all pods beside them, if this method finds one."""
    problem = known.problem
    layers = holdings(known) if held is None else held
    want = tuple(kind.times for kind in problem.layers[0].kinds)
    found = _layer(known, layers, 0, np.arange(len(layers[0].first)), want)
    if found is None:
        return None
    return _complete(known, found.loads, found.parts)


def spread_out(known: Instance, held: tuple[Holding, ...], tables: Spread) -> Start | None:
    """Return a placement by the counts of tables, if this method finds one: of one layer, rare kinds where most room is left."""
    if len(held) > 1:
        return None
    counts = tables.best()
    holding, kinds = held[0], known.problem.layers[0].kinds
    spare = {p: int(holding.room[0, p] - n * holding.amount[0].min()) for p, n in counts.items()}
    left = [k for k in sorted(range(len(kinds)), key=lambda k: (kinds[k].times, k)) for _ in range(kinds[k].times)]
    done: list[_Filled] = []
    for place in sorted(counts, key=lambda p: (-spare[p], p)):
        mine = Counter(left[: counts[place]])
        left = left[counts[place] :]
        many = tuple(mine[k] for k in range(len(kinds)))
        filled = _place(known, held, 0, place, many) if (_ints(many) <= holding.most[:, place]).all() else None
        if filled is None:
            return None
        done.append(filled)
    return _complete(known, merged(load for each in done for load in each.loads), tuple(p for each in done for p in each.parts))


def tried(known: Instance, held: tuple[Holding, ...], tables: Spread) -> Start | None:
    """Return a placement by the costs of trials, place by place, with segments of the commonest kind: worth its time before a search."""
    kinds = known.problem.layers[-1].kinds
    if len(held) > 1 or int(held[0].most.sum()) > TRIALS:
        return None
    common = max(range(len(kinds)), key=lambda k: (kinds[k].times, -k))

    def trial(place: int, n: int) -> tuple[Load, ...] | None:
        filled = _place(known, held, 0, place, tuple(n if k == common else 0 for k in range(len(kinds))))
        return None if filled is None else filled.loads

    found = spread(known, held, trial)
    return None if found is None else spread_out(known, held, replace(found, bounds=np.maximum(found.bounds, tables.bounds)))


def fewer(known: Instance) -> Instance | None:
    """Return the problem with as many of the commonest segments as places hold by sums, all pods required; ``None`` where that is no core.

    For one layer whose other kinds, and pods in no segment, all stay.
    """
    problem = known.problem
    if len(problem.layers) > 1:
        return None
    kinds, held = problem.layers[0].kinds, holdings(known)[0]
    common = max(range(len(kinds)), key=lambda k: (kinds[k].times, -k))
    others = sum(kind.times for k, kind in enumerate(kinds) if k != common)
    times = min(kinds[common].times, int(held.most[common].sum()) - others)
    count = problem.count - (kinds[common].times - times) * _ints(kinds[common].pods)
    if times < 1 or (count < np.maximum(problem.must, 1)).any() or int(count.sum()) < problem.core:
        return None
    left = tuple(replace(kind, times=times) if k == common else kind for k, kind in enumerate(kinds))
    return instance(replace(problem, count=count, need=int(count.sum()), layers=(replace(problem.layers[0], kinds=left),)))


def _complete(known: Instance, loads: tuple[Load, ...], parts: tuple[Part, ...]) -> Start | None:
    """Add the pods that lie in no segment; ``None`` where not all find room, or not all in one cell, or a segment is missing."""
    left = known.problem.count - _placed(known.problem, loads)
    loose = known.problem.layers[0].loose or (0,) * len(left)
    if tuple(left.tolist()) != tuple(loose):
        return None
    if left.any():
        loads = beside.add(known, known.play, loads, left)
    one = len({int(known.cell[load.node_class]) for load in loads}) == 1
    return Start(loads=loads, core=loads, parts=parts) if one and costs.placed(loads) == known.problem.total else None


def _placed(problem: Problem, loads: Sequence[Load]) -> Ints:
    return sum((np.array(load.pods, dtype=np.int64) * load.nodes for load in loads), np.zeros_like(problem.count))


def _layer(known: Instance, held: tuple[Holding, ...], at: int, places: Ints, want: tuple[int, ...]) -> _Filled | None:
    """Place so many segments of each kind of a layer on some of its places, their inner segments and pods too."""
    most, room = held[at].most[:, places].copy(), held[at].room[:, places].copy()
    for _ in range(TRIES):
        chosen = greedy.search(_as_nodes(known, held[at], at, places, most=most, room=room, want=want), _ints(want))
        if chosen is None:
            return None
        done: list[_Filled] = []
        for load in chosen:
            filled = _place(known, held, at, int(places[load.node_class]), load.pods)
            if filled is not None:
                done.append(filled)
                continue
            less = _less(known, held, at, int(places[load.node_class]), load.pods)
            room[:, load.node_class] = held[at].amount @ _ints(less)
            most[:, load.node_class] = np.minimum(most[:, load.node_class], less)
        if len(done) == len(chosen):
            return _Filled(loads=merged(load for each in done for load in each.loads), parts=tuple(p for each in done for p in each.parts))
    return None


def _place(known: Instance, held: tuple[Holding, ...], at: int, place: int, many: tuple[int, ...]) -> _Filled | None:
    """Put segments on one place: on its inner places, at the innermost layer their pods on its nodes."""
    problem, first = known.problem, int(held[at].first[place])
    own = tuple(Part(layer=at, kind=k, node_class=first, times=n) for k, n in enumerate(many) if n)
    here = known.places[at]
    if at + 1 < len(held):
        inner = np.flatnonzero(here[held[at + 1].first] == here[first])
        kinds = problem.layers[at].kinds
        want = tuple(sum(n * kind.inside[j] for n, kind in zip(many, kinds, strict=True)) for j in range(len(problem.layers[at + 1].kinds)))
        found = _layer(known, held, at + 1, inner, want)
        return None if found is None else _Filled(loads=found.loads, parts=(*own, *found.parts))
    want_pods = sum((n * _ints(kind.pods) for n, kind in zip(many, problem.layers[at].kinds, strict=True)), np.zeros_like(problem.count))
    classes = known.play[here[known.play] == here[first]]
    loads = greedy.fill(known, classes, want_pods)
    return _Filled(loads=loads, parts=own) if costs.placed(loads) == int(want_pods.sum()) else None


def _less(known: Instance, held: tuple[Holding, ...], at: int, place: int, many: tuple[int, ...]) -> tuple[int, ...]:
    """Return the most that the place holds when segments are taken away one by one, the largest kind first."""
    left = list(many)
    sizes = held[at].amount[0].tolist()
    while any(left) and _place(known, held, at, place, tuple(left)) is None:
        left[max((k for k, n in enumerate(left) if n), key=lambda k: (sizes[k], -k))] -= 1
    return tuple(left)


def _as_nodes(known: Instance, held: Holding, at: int, places: Ints, *, most: Ints, room: Ints, want: tuple[int, ...]) -> Instance:
    """Return the places as nodes and the segments as pods; kinds of which none is wanted are there and fit nowhere."""
    problem = known.problem
    first = held.first[places]
    count = _ints(want)
    worth = _worths(known, at)[known.places[at][first]]
    # One column more for each kind: never more of it than the place holds of it alone.
    kinds = len(want)
    request = np.concatenate([held.amount.T, np.eye(kinds, dtype=np.int64)], axis=1)
    return instance(
        Problem(
            count=count,
            must=np.zeros_like(count),
            need=int(count.sum()),
            request=request,
            conflict=np.zeros((kinds, kinds), dtype=np.bool_),
            nodes=np.ones(len(places), dtype=np.int64),
            free=np.concatenate([room.T, most.T], axis=1),
            allowed=(most > 0) & (count[:, None] > 0),
            occupied_host=np.zeros(len(places), dtype=np.bool_),
            levels=_levels(known, problem.layers[at], first),
            worth=Rows(flat=worth, start=np.arange(len(places) + 1)),
        )
    )


def _worths(known: Instance, at: int) -> Ints:
    """Return for each place of a layer the worth of its nodes' free room, cut so that sums stay exact."""
    place = known.places[at]
    inside = known.play[place[known.play] >= 0]
    each = np.minimum(known.problem.least_worth[inside], _WORTH) * np.minimum(known.problem.nodes[inside], 2**10)
    return np.bincount(place[inside], each).astype(np.int64)


def _levels(known: Instance, layer: Layer, first: Ints) -> tuple[LevelColumn, ...]:
    """Return the levels of which every place lies in one domain, as the places see them."""
    return tuple(replace(v, domain=v.domain[first]) for v in known.problem.levels if not v.host and pure(known, v, layer) is not None)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
