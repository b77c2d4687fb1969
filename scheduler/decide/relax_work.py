"""One question of a search at work: prices of nodes are bounds until an answer takes the node; then they are worked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from scheduler.decide import relax_tables as tables
from scheduler.decide.counting import Ints
from scheduler.decide.relax_disturb import UNIT, Ledger, Limit, price
from scheduler.decide.relax_site import Site
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod

_AT_ONCE: Final = 32
"""Nodes of a domain that are all worked out at once: of more, those that an answer takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One domain, with what is settled about the gangs and budgets in it."""

    group: int
    forced: frozenset[PodUid] = frozenset()
    """Pods that go in any case: they repel the gang from more than their own node."""
    gone: frozenset[str] = frozenset()
    """Gangs that go as a whole."""
    held: frozenset[str] = frozenset()
    """Gangs of which no more than the spare members go."""
    kept: frozenset[PodUid] = frozenset()
    watched: tuple[str, ...] = ()
    """Limits that are axes of the tables."""
    below: int | None = None
    """Only pods of a lower priority may go."""


def rank(cost: int) -> int:
    """Return what decides between domains: the GPUs; where none is disturbed, the number of pods."""
    return cost if cost < UNIT else cost // UNIT * UNIT


@dataclass(kw_only=True, eq=False)
class Work:
    """One question at work: prices of nodes are bounds until an answer takes the node; then they are worked out."""

    site: Site
    ledger: Ledger
    looks: dict[tables.Look, tables.Emptying]
    question: Question
    shape: tables.Shape
    rows: Ints
    spare: Ints
    watched: tuple[Limit, ...]
    gone: frozenset[PodUid]
    priced: Ints
    done: dict[int, tuple[tables.Emptying, list[Pod]]] = field(default_factory=dict)

    def least(self) -> tuple[int, list[Pod]] | None:
        """Return the least price and the pods, ``None`` where no core can be held."""
        ahead = self._cheapest_first()
        step = len(ahead) if len(ahead) <= _AT_ONCE else 1
        for row in ahead[: step if step > 1 else 0]:
            self._work_out(row)
        while True:
            levels = tables.combined(self.priced)
            whole = levels[-1][0]
            cell = min(self.shape.targets, key=lambda target: int(whole[target]))
            bound = int(whole[cell])
            if bound >= tables.NEVER:
                return None
            parts = tables.split(levels, cell)
            open_rows = [row for row in parts if row not in self.done]
            for row in open_rows:
                self._work_out(row)
            price_now = sum(int(self.priced[(row, *part)]) for row, part in parts.items())
            if rank(price_now) <= rank(bound):  # no answer disturbs fewer GPUs
                return price_now, [self.done[row][1][option] for row, part in parts.items() for option in self.done[row][0].way(self.shape, part)]
            for row in [row for row in ahead if row not in self.done][:step]:
                self._work_out(row)
            step *= 2

    def _cheapest_first(self) -> list[int]:
        """Order nodes by the bound of holding one member."""
        roles = len(self.shape.counts)
        single = [tuple(int(a == b) for b in range(roles)) + self.shape.watched for a in range(roles) if self.shape.counts[a] > 1]
        flat = self.priced.reshape(len(self.rows), -1)
        least = flat[:, [int(np.ravel_multi_index(cell, self.shape.dims)) for cell in single]].min(axis=1)
        return [int(row) for row in np.argsort(least, kind="stable") if least[row] < tables.NEVER]

    def _work_out(self, row: int) -> None:
        """Work out what a node can hold at which price; nodes that look alike are worked out once.

        What no answer can use is cut off, so that more of them do: room beyond all that is asked for, and what pods give beyond that.
        """
        site, at = self.site, int(self.rows[row])
        pods = [pod for pod in site.pods(at) if self._may_go(pod)]
        blocking = site.blocking(at)
        present = {pod.uid for pod in pods} | self.gone if blocking else self.gone
        free = site.allowed(self.question.forced)[:, at].tolist()
        allowed = tuple(ok and not any(b[r] for uid, b in blocking.items() if uid not in present) for r, ok in enumerate(free))
        spare = self.spare[at].tolist()
        lack = [max(0, most - left) for most, left in zip(self.most, spare, strict=True)]
        nobody = (False,) * len(free)
        useful = []
        for pod in pods:
            gives = tuple(map(min, site.amounts(pod), lack))
            blocks = blocking.get(pod.uid, nobody)
            if any(gives) or any(blocks):
                uses = tuple(int(pod.uid in limit.pods) for limit in self.watched)
                useful.append(((gives, self._charge(pod), blocks, uses), pod.priority, pod.key, pod.uid, pod))
        useful.sort(key=lambda one: one[:4])
        options = tuple(tables.Option(price=p, gives=g, blocks=b, uses=u) for (g, p, b, u), *_ in useful)
        look = tables.Look(spare=tuple(map(min, spare, self.most)), allowed=allowed, options=options)
        if look not in self.looks:
            self.looks[look] = tables.emptying(self.shape, look)
        self.done[row] = (self.looks[look], [one[-1] for one in useful])
        self.priced[row] = self.looks[look].table

    @cached_property
    def most(self) -> list[int]:
        """The most of each resource that any counts ask for."""
        found: list[int] = self.shape.asked.max(axis=0, initial=0).tolist()
        return found

    def _may_go(self, pod: Pod) -> bool:
        question = self.question
        if pod.uid in self.gone or pod.uid in question.kept or (question.below is not None and pod.priority >= question.below):
            return False
        company = self.ledger.company(pod)
        if company is None:
            return True
        if company.spare.most:
            return True
        return company.whole and company.key not in question.held

    def _charge(self, pod: Pod) -> int:
        """Return what a pod costs at least: its own, or its part of the gang that goes with it."""
        company = self.ledger.company(pod)
        if company is None or company.spare.most or company.key in self.question.held:
            return price([pod])
        here = [other for other in company.pods if self.site.inside(self.question.group, other)]
        return price([pod]) + (company.price - price(here)) // len(here)
