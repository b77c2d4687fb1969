"""What the curve of a group is made of, as bytes: equal bytes, equal curve. All groups are written down at once, then cut apart."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from scheduler.solve.problem import Ints
from scheduler.solve.tree.chain import Chain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Rows of numbers as bytes, to be cut into keys."""

    data: bytes
    width: int

    @classmethod
    def of(cls, *columns: Ints) -> Cut:
        """Lay columns side by side."""
        return cls(data=np.stack(columns, axis=1).tobytes(), width=8 * len(columns))

    def between(self, low: Ints, high: Ints) -> list[bytes]:
        """Return the rows from each low to each high number."""
        return [self.data[a:b] for a, b in zip((low * self.width).tolist(), (high * self.width).tolist(), strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Content:
    """The content of all groups of a chain."""

    chain: Chain
    tables: Ints
    """For each table of the chain its number in the store."""
    form: tuple[tuple[int, ...], ...]
    """The layers that are counted from each depth on."""
    rows: tuple[Cut, ...]
    """For each depth what makes a group differ from its siblings; in the last, runs."""
    own: tuple[Cut, ...]
    """For each depth what a group adds to what it is made of."""
    nodes: Cut

    @classmethod
    def of(cls, chain: Chain, tables: Ints) -> Content:
        """Write down all groups."""
        rows: list[Cut] = []
        own: list[Cut] = []
        for depth in chain.depths[:-1]:
            allowed = tuple(step.allowed for step in depth.steps)
            own.append(Cut.of(depth.price if own else np.zeros_like(depth.price), *allowed))  # what cells add is paid at the end
            rows.append(Cut.of(np.diff(depth.child), depth.index, depth.price, *allowed))
        runs = chain.depths[-1]
        rows.append(Cut.of(np.diff(runs.child), runs.index, tables[runs.table]))
        form = tuple(tuple(step.layer for step in depth.steps) for depth in chain.depths)
        return cls(chain=chain, tables=tables, form=form, rows=tuple(rows), own=tuple(own), nodes=Cut.of(chain.prices))

    def keys(self, at: int, groups: Ints) -> list[tuple[Hashable, ...]]:
        """Return all that each group of a depth is made of and adds."""
        if at == len(self.chain.depths) - 1:
            runs = self.chain.depths[-1]
            cuts = self.nodes.between(runs.child[groups], runs.child[groups + 1])
            return list(zip(self.tables[runs.table[groups]].tolist(), cuts, strict=True))
        columns = [self.own[at].between(groups, groups + 1)]
        low, high = groups, groups + 1
        for depth, rows in zip(self.chain.depths[at:], (*self.rows[at + 1 :], self.nodes), strict=True):
            low, high = depth.child[low], depth.child[high]
            columns.append(rows.between(low, high))
        return list(zip([self.form[at:]] * len(groups), *columns, strict=True))
