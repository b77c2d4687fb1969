"""From the best cell back to nodes: at every sum the first division that has its price, group by group from above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TypeAlias

import numpy as np

from scheduler.solve.problem import Ints
from scheduler.solve.solution import Load, Part
from scheduler.solve.tree.climb import Climb, Round
from scheduler.solve.tree.memo import Table

Amount: TypeAlias = tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Descent:
    """What was found on the way down."""

    climb: Climb
    nodes: Counter[tuple[int, Amount]] = field(default_factory=Counter)
    """Nodes by class and load."""
    segments: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """Layer, kind, times, and the range of sorted classes where they lie."""

    def cell(self, cell: int, amount: Amount) -> None:
        """Place an amount in a cell."""
        inner = self._opened(0, cell, amount)
        children, ids, rounds = self.climb.cell(cell)
        self._share(1, children, [inner] if len(ids) == 1 else [*self.climb.store.split(int(ids[0]), int(ids[1]), inner)], rounds)

    def _down(self, at: int, groups: Ints, amounts: Sequence[Amount]) -> None:
        """Place an amount in each of these groups of one depth."""
        if at == len(self.climb.chain.depths) - 1:
            for group, amount in zip(groups.tolist(), amounts, strict=True):
                self._fill(group, amount)
            return
        opened = [self._opened(at, group, amount) for group, amount in zip(groups.tolist(), amounts, strict=True)]
        children, _, rounds = self.climb.merged(at, groups)
        self._share(at + 1, children, opened, rounds)

    def _share(self, at: int, groups: Ints, amounts: Sequence[Amount], rounds: Sequence[Round]) -> None:
        """Divide amounts of parents among their children, and go on in those that get something."""
        shares = list(amounts)
        for done in reversed(rounds):
            shares = self._parted(done, shares)
        used = [i for i, amount in enumerate(shares) if any(amount)]
        self._down(at, groups[used], [shares[i] for i in used])

    def _opened(self, at: int, group: int, amount: Amount) -> Amount:
        """Count what segments are made of, outer layers first."""
        depth = self.climb.chain.depths[at]
        for step in depth.steps:
            low, high = int(depth.start[group]), int(depth.start[group + 1])
            self.segments += [
                (step.layer, kind, times, low, high) for kind, times in enumerate(amount[: self.climb.spaces[step.layer].kinds]) if times
            ]
            amount = tuple((np.array(amount) @ self.climb.spaces[step.layer].sizes).tolist())
        return amount

    def _parted(self, done: Round, amounts: Sequence[Amount]) -> list[Amount]:
        """Undo one round of merging."""
        store = self.climb.store
        shares: list[Amount] = []
        left, ids = set(done.left.tolist()), done.ids.tolist()
        for amount in amounts:
            at = len(shares)
            if at not in left:
                shares.append(amount)
            elif any(amount):
                shares += store.split(ids[at], ids[at + 1], amount)
            else:
                shares += (amount, amount)
        return shares

    def _fill(self, run: int, amount: Amount) -> None:
        """Load the first nodes of a run."""
        runs = self.climb.chain.depths[-1]
        table = self.climb.store.tables[int(self.climb.runs.tables[runs.table[run]])]
        if self.climb.core is not None:
            core, beside = amount[: len(amount) // 2], amount[len(amount) // 2 :]
            amount = tuple(a + b for a, b in zip(core, beside, strict=True))
        owner = self.climb.chain.owner[runs.child[run] : runs.child[run + 1]].tolist()
        self.nodes.update(zip(owner, _loads(table, amount), strict=False))

    def loads(self) -> tuple[Load, ...]:
        """Return what nodes take."""
        return tuple(Load(node_class=c, pods=pods, nodes=n) for (c, pods), n in sorted(self.nodes.items()))

    def parts(self) -> tuple[Part, ...]:
        """Return where segments lie: by the first class that carries pods there."""
        used = {c for c, _ in self.nodes}
        classes = self.climb.chain.classes
        found = []
        for layer, kind, times, low, high in self.segments:
            there = min(c for c in classes[low:high].tolist() if c in used)
            found.append(Part(layer=layer, kind=kind, node_class=there, times=times))
        return tuple(sorted(found, key=lambda p: (p.layer, p.kind, p.node_class)))


def _loads(table: Table, amount: Amount) -> Iterator[Amount]:
    """Divide an amount among as few equal nodes as hold it."""
    if len(amount) == 1:
        most = int(table.loads[0, 0])
        yield from repeat((most,), amount[0] // most)
        yield from repeat((amount[0] % most,), int(amount[0] % most > 0))
        return
    rows = [tuple(load) for load in table.loads.tolist()]
    while any(amount):
        needed = int(table.nodes[amount])
        rests = ((load, tuple(max(0, n - m) for n, m in zip(amount, load, strict=True))) for load in rows)
        load, rest = next((load, rest) for load, rest in rests if table.nodes[rest] == needed - 1)
        yield tuple(min(n, m) for n, m in zip(amount, load, strict=True))
        amount = rest
