"""The tree programme: whether it has words for a problem, the best cell, and the placement with its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.solve.cost import fixed_cost
from scheduler.solve.instance import Instance, occupied_count
from scheduler.solve.problem import Ints, Kind, Layer, Problem
from scheduler.solve.solution import Solution, SolveStatus, merged
from scheduler.solve.solver import Budget
from scheduler.solve.tree.chain import Chain, chain
from scheduler.solve.tree.climb import Climb, Space
from scheduler.solve.tree.descend import Descent
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.price import Scale, scale

MOST_CELLS: Final = 4_096
"""The largest table of several roles, or of several kinds of segments."""
MOST_PODS: Final = 20_000
"""The longest table of one."""
PROVED: Final = ("core", "extras", "cost")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A problem that the tree programme can express."""

    chain: Chain
    scale: Scale
    spaces: tuple[Space, ...]
    loads: tuple[tuple[tuple[int, ...], ...], ...]
    """The tables of maximal loads, in an order that depends on nothing but themselves."""


def words(instance: Instance) -> str | None:
    """Say, as a part of a sentence, why the tree programme cannot express the problem; ``None`` where it can."""
    found = plan(instance)
    return found if isinstance(found, str) else None


def plan(instance: Instance) -> Plan | str:
    """Lay out the topology and the tables, or say why not."""
    problem = instance.problem
    if problem.elastic:
        return f"{problem.total - problem.core:,} of {problem.total:,} pods may be left out"
    spaces = _spaces(problem)
    for space in spaces:
        cells = int(np.prod(space.limit.astype(float) + 1))
        if cells > (MOST_CELLS if len(space.limit) > 1 else MOST_PODS + 1):
            return f"the table of {cells:,} amounts is too large"
    kinds = np.unique(instance.rooms.kind[instance.play])
    listed = [instance.rooms.patterns[kind] for kind in kinds.tolist()]
    loads = [(found, kind) for found, kind in zip(listed, kinds.tolist(), strict=True) if found is not None]
    if len(loads) < len(listed):
        return "the loads of one node are too many to list"
    loads.sort()
    table = np.zeros(len(instance.rooms.patterns), dtype=np.int64)
    table[[kind for _, kind in loads]] = np.arange(len(loads))
    of = scale(problem)
    found = chain(instance, of, table[instance.rooms.kind])
    return found if isinstance(found, str) else Plan(chain=found, scale=of, spaces=spaces, loads=tuple(rows for rows, _ in loads))


def _spaces(problem: Problem) -> tuple[Space, ...]:
    """Return what is counted from each layer on, outermost first, and pods at the end."""
    roles = len(problem.count)
    found = [Space(limit=problem.count, sizes=np.zeros((roles, 0), dtype=np.int64))]
    loose = list(range(roles))  # before any layer every pod is loose
    for at in reversed(range(len(problem.layers))):
        layer, below = problem.layers[at], problem.layers[at + 1 :]
        rows = [(*(kind.inside if below else ()), *_rest(kind, below[0] if below else None, loose)) for kind in layer.kinds]
        outside = [role for role, pods in enumerate(layer.loose) if pods]
        first = len(found[0].limit) - len(loose)
        rows += [tuple(int(i == first + loose.index(role)) for i in range(len(found[0].limit))) for role in outside]
        limit = [kind.times for kind in layer.kinds] + [layer.loose[role] for role in outside]
        found.insert(0, Space(limit=np.array(limit, dtype=np.int64), sizes=np.array(rows, dtype=np.int64), kinds=len(layer.kinds)))
        loose = outside
    return tuple(found)


def _rest(kind: Kind, inner: Layer | None, loose: Sequence[int]) -> list[int]:
    """Return the pods of a segment, by loose role, that lie in no inner segment."""
    parts = () if inner is None else tuple(zip(kind.inside, inner.kinds, strict=True))
    return [kind.pods[role] - sum(times * part.pods[role] for times, part in parts) for role in loose]


def solve(instance: Instance, budget: Budget, memo: Memo) -> Solution:
    """Return the best placement or the proof that there is none; what the memo holds changes nothing but the time.

    INEXPRESSIBLE, with the reason, where `words` finds none. The work is bounded by the size of the tables, not by the budget.
    """
    del budget
    problem = instance.problem
    if not problem.total:
        return _answer(fixed_cost(problem))
    found = plan(instance)
    if isinstance(found, str):
        return Solution(status=SolveStatus.INEXPRESSIBLE, engine="tree", why=found)
    if not len(instance.play):
        return Solution(status=SolveStatus.INFEASIBLE, engine="tree", why="no node holds a pod of the gang")
    climb = climbing(found, memo)
    cells = np.arange(len(found.chain.depths[0].child) - 1)
    whole = tuple(found.spaces[0].limit.tolist())
    values = np.array([_value(climb.store.one(i), whole) for i in climb.curves(0, cells).tolist()], dtype=np.int64)
    best = int(values.argmin())
    if values[best] >= NEVER:
        return Solution(status=SolveStatus.INFEASIBLE, engine="tree", why="no domain holds all pods, by an exact table for each")
    down = Descent(climb=climb)
    down.down(0, cells[best : best + 1], [whole])
    new = int(values[best]) // found.scale.cost
    fixed = sum(v.weight * (occupied_count(v) - 1) for v in problem.levels)
    harm = ("harm",) if found.scale.harm and found.chain.complete and (found.scale.tie or not any(v.tie for v in problem.levels)) else ()
    return _answer(new + fixed, down, proved=harm)


def climbing(of: Plan, memo: Memo) -> Climb:
    """Return the curves of a plan, with what the memo knows already."""
    axes = max(len(space.limit) for space in of.spaces)
    context = tuple((tuple(space.limit.tolist()), space.sizes.tobytes()) for space in of.spaces)
    store = memo.store(context, axes)
    counts = of.spaces[-1].limit
    box = tuple((counts + 1).tolist())
    tables = np.array([store.table(rows, box, int(counts.sum())) for rows in of.loads], dtype=np.int64)
    return Climb.of(of.chain, store, tables, of.spaces)


def _value(curve: Ints, whole: tuple[int, ...]) -> int:
    return int(curve[whole]) if all(n < size for n, size in zip(whole, curve.shape, strict=True)) else NEVER


def _answer(cost: int, down: Descent | None = None, *, proved: tuple[str, ...] = ("harm",)) -> Solution:
    return Solution(
        status=SolveStatus.OPTIMAL,
        loads=() if down is None else merged(down.loads),
        cost=cost,
        bound=cost,
        proved=(*PROVED, *proved),
        engine="tree",
        parts=() if down is None else down.parts(),
        why="the levels nest, and exact tables of what each domain holds are small",
    )
