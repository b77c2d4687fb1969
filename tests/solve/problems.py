"""Small problems for solver tests: one resource, hosts and racks, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.solve.bounds import bounds
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Bools, Ints, LevelColumn, Problem, Rows
from scheduler.solve.solution import Load

HOST_WEIGHT = 10
RACK_WEIGHT = 100


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def racks(*names: int, weight: int = RACK_WEIGHT, required: bool = False, occupied: Sequence[int] = (), unlabelled: int = 0) -> LevelColumn:
    """Give the rack of each class, -1 for none; every rack is worth ten times its number plus one."""
    worth = ints(*(10 * (n + 1) for n in range(max((*names, *occupied), default=-1) + 1)))
    return LevelColumn(
        weight=weight,
        required=required,
        host=False,
        domain=ints(*names),
        occupied=frozenset(occupied),
        occupied_unlabelled=unlabelled,
        worth=worth,
    )


def hosts(classes: int, *, weight: int = HOST_WEIGHT, required: bool = False, occupied: int = 0) -> LevelColumn:
    """Every node a domain of its own."""
    return LevelColumn(
        weight=weight,
        required=required,
        host=True,
        domain=np.full(classes, -1, dtype=np.int64),
        occupied=frozenset(),
        occupied_unlabelled=occupied,
        worth=ints(),
    )


def problem(
    *,
    nodes: Sequence[int],
    free: Sequence[int] | Sequence[Sequence[int]],
    count: Sequence[int] = (1,),
    request: Sequence[int] | Sequence[Sequence[int]] = (1,),
    need: int | None = None,
    must: Sequence[int] | None = None,
    levels: tuple[LevelColumn, ...] | None = None,
    conflict: Bools | None = None,
    allowed: Bools | None = None,
    occupied_host: Sequence[bool] | None = None,
) -> Problem:
    """One resource where plain numbers are given; all roles pass everywhere."""
    roles, classes = len(count), len(nodes)
    return Problem(
        count=ints(*count),
        must=ints(*(must or [0] * roles)),
        need=sum(count) if need is None else need,
        request=np.array(request, dtype=np.int64).reshape(roles, -1),
        conflict=np.zeros((roles, roles), dtype=np.bool_) if conflict is None else conflict,
        nodes=ints(*nodes),
        free=np.array(free, dtype=np.int64).reshape(classes, -1),
        allowed=np.ones((roles, classes), dtype=np.bool_) if allowed is None else allowed,
        occupied_host=np.array(occupied_host or [False] * classes, dtype=np.bool_),
        levels=(hosts(classes),) if levels is None else levels,
        worth=Rows.of(tuple(np.full(n, sum(np.atleast_1d(np.asarray(f)).tolist()), dtype=np.int64) for n, f in zip(nodes, free, strict=True))),
    )


def known(of: Problem) -> Instance:
    return instance(of)


def least(of: Problem) -> int:
    """Return the lower bound of the core's cost."""
    return bounds(instance(of), of.count, of.core).cost


def loads(*rows: tuple[int, tuple[int, ...], int]) -> tuple[Load, ...]:
    return tuple(Load(node_class=c, pods=pods, nodes=n) for c, pods, n in rows)
