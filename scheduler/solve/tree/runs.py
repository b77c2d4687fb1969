"""Curves of equal nodes, in closed form: so many nodes hold an amount, and the first so many nodes of a run are the cheapest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.solve.problem import Ints
from scheduler.solve.tree.chain import Depth
from scheduler.solve.tree.kernels import NEVER
from scheduler.solve.tree.memo import Store, alike, boxed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """The innermost depth of a chain."""

    depth: Depth
    store: Store
    tables: Ints
    """For each table of the chain its number in the store."""
    count: Ints
    limit: Ints
    """int64[axes]: the most that curves count."""
    sums: Ints
    """Running sums of the node prices, one more than nodes. They may wrap around, differences do not."""
    core_sums: Ints
    """The same of what the core pays for its nodes; empty where the core is not counted beside the other pods."""

    def curves(self, groups: Ints) -> Ints:
        """Return the curves of equal nodes: the first so many, as their table says."""
        runs, store, limit = self.depth, self.store, self.limit
        tables = self.tables[runs.table[groups]]
        count = runs.child[groups + 1] - runs.child[groups]
        single = np.stack([np.resize(store.tables[t].single, len(limit)) for t in tables.tolist()])
        caps = np.minimum(limit, single * count[:, None])
        boxes = boxed(caps, limit)
        ids = np.zeros(len(groups), dtype=np.int64)
        for where in alike(np.column_stack((tables, boxes))):
            box = tuple(boxes[where[0]].tolist())
            first, most = runs.child[groups[where]][:, None], count[where][:, None]
            nodes, of_core = self._needed(int(tables[where[0]]), box)
            found = self.sums[first + np.minimum(nodes, most)] - self.sums[first]
            if len(self.core_sums):
                found += self.core_sums[first + np.minimum(of_core, most)] - self.core_sums[first]
            ids[where] = store.add(np.where(nodes > most, NEVER, found).reshape(-1, *box), caps[where])
        return ids

    def _needed(self, table: int, box: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Return how many nodes of a table hold each amount, and how many of them the core in it takes."""
        nodes = self.store.tables[table].nodes
        if not len(self.core_sums):
            return nodes[tuple(slice(n) for n in box)].ravel(), np.zeros(0, dtype=np.int64)
        core, beside = np.split(np.indices(box).reshape(len(box), -1), 2)
        inside = (core + beside <= self.count[:, None]).all(axis=0)
        whole = nodes[tuple(np.minimum(core + beside, self.count[:, None]))]
        return np.where(inside, whole, int(self.count.sum()) + 1), nodes[tuple(core)]
