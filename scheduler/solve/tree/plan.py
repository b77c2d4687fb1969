"""Whether the tree programme has words for a problem: how the levels nest, what curves count, and how large the tables are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from scheduler.solve.instance import Instance
from scheduler.solve.patterns import Pattern
from scheduler.solve.problem import Ints, Kind, Layer, Problem
from scheduler.solve.tree.chain import Chain, chain
from scheduler.solve.tree.climb import Climb, Space
from scheduler.solve.tree.memo import Memo
from scheduler.solve.tree.price import Scale, scale
from scheduler.solve.tree.work import too_much

MOST_CELLS: Final = 40_000
"""The largest table of several roles, or of several kinds of segments."""
SECONDS: Final = 1.5
"""What tables may take where nobody says otherwise."""
MOST_PODS: Final = 20_000
"""The longest table of one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A problem that the tree programme can express."""

    chain: Chain
    scale: Scale
    spaces: tuple[Space, ...]
    count: Ints
    """int64[R]: pods of each role."""
    loads: tuple[tuple[Pattern, ...], ...]
    """The tables of maximal loads, in an order that depends on nothing but themselves."""

    @property
    def complete(self) -> bool:
        """Whether the aims after the cost are in the prices, all of them."""
        return bool(self.scale.harm) and self.chain.complete

    def climb(self, memo: Memo) -> Climb:
        """Return the curves, with what the memo knows already."""
        axes = max(len(space.limit) for space in self.spaces)
        sizes = tuple((tuple(space.limit.tolist()), space.sizes.tobytes()) for space in self.spaces)
        core = (self.scale.cost, self.scale.core) if self.scale.core else None
        store = memo.store((tuple(self.count.tolist()), sizes, core), axes)
        box = tuple((self.count + 1).tolist())
        longest = int(np.diff(self.chain.depths[-1].child).max(initial=1))
        most = min(1 << (longest - 1).bit_length(), int(self.count.sum()))  # in steps, so that it seldom changes
        tables = np.array([store.table(rows, box, most) for rows in self.loads], dtype=np.int64)
        return Climb.of(self.chain, store, tables, self.spaces, count=self.count, core=core)


def plan(instance: Instance, seconds: float = SECONDS, *, core: bool = False) -> Plan | str:
    """Lay out the topology and the tables, or say why not.

    ``seconds``: deterministic ones that the tables may take; ``core``: with the core counted beside the other pods.
    """
    problem = instance.problem
    if problem.elastic and problem.layers:
        return "minMember is below the number of pods, and there are segments"
    spaces = (_beside(problem),) if core else _spaces(problem)
    if any((outer.sizes < 0).any() or (outer.limit @ outer.sizes != inner.limit).any() for outer, inner in pairwise(spaces)):
        return "the segments do not add up to the pods"
    for space in spaces:
        cells = int(np.prod(space.limit.astype(float) + 1))
        if cells > (MOST_CELLS if np.count_nonzero(space.limit) > 1 else MOST_PODS + 1):
            return f"the table of {cells:,} amounts is too large"
    listed = _tables(instance)
    of = scale(problem, core=core)
    if listed is None:
        return "the loads of one node are too many to list"
    if of is None:
        return "the costs of the core and of all pods do not fit into one number"
    loads, table = listed
    found = chain(instance, of, table, apart=core and len(problem.count) > 1)
    if isinstance(found, str):
        return found
    single = np.array([np.max(rows, axis=0) for rows in loads], dtype=np.int64)
    if len(loads) and too_much(found, spaces, single, seconds):
        return f"tables for {sum(len(depth.index) for depth in found.depths):,} domains and runs of equal nodes are too much work"
    return Plan(chain=found, scale=of, spaces=spaces, count=problem.count, loads=loads)


def _tables(instance: Instance) -> tuple[tuple[tuple[Pattern, ...], ...], Ints] | None:
    """Return the tables of loads of the classes in play, and the number of each class's table."""
    kinds = np.unique(instance.rooms.kind[instance.play]).tolist()
    loads = [(found, kind) for kind in kinds if (found := instance.rooms.patterns[kind]) is not None]
    if len(loads) < len(kinds):
        return None
    loads.sort()
    table = np.zeros(len(instance.rooms.patterns), dtype=np.int64)
    table[[kind for _, kind in loads]] = np.arange(len(loads))
    return tuple(rows for rows, _ in loads), table[instance.rooms.kind]


def _beside(problem: Problem) -> Space:
    """Return what is counted where pods may be left out: pods of each role in the core, then those beside it."""
    core = np.minimum(problem.count, problem.core - (problem.must.sum() - problem.must))
    least = np.maximum(problem.must, problem.core - (problem.total - problem.count))
    return Space(limit=np.concatenate((core, problem.count - least)), sizes=np.zeros((2 * len(core), 0), dtype=np.int64))


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
