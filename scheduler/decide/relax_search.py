"""The least harmful set of pods to delete, over all domains at once: best first, so that the first answer is the smallest of all.

Gangs and PodDisruptionBudgets bind nodes together. A domain is solved without them first; where the answer would break one, the
question is split (the gang goes as a whole, or only what it can spare goes) or the budget becomes an axis of the tables.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

import numpy as np

from scheduler.decide import relax_tables as tables
from scheduler.decide.counting import CELLS, Ints
from scheduler.decide.relax_disturb import UNIT, Company, Ledger, Limit, price
from scheduler.decide.relax_site import Site
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod

_AT_ONCE: Final = 32
"""Nodes of a domain that are all worked out at once: of more, those that an answer takes."""
SOLVES: Final = 256
"""Questions that one search may solve; then the best answer so far counts. Only clusters full of small gangs need more."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Victims:
    """Pods to delete."""

    group: int
    pods: tuple[Pod, ...]
    companies: tuple[Company, ...] = ()
    """Gangs that are disturbed as a whole, all of their pods among ``pods``."""

    @property
    def gpus(self) -> int:
        """GPUs that are disturbed."""
        return price(self.pods) // UNIT

    @property
    def priority(self) -> int:
        """The highest priority among them."""
        return max((pod.priority for pod in self.pods), default=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The cheapest pods for a question, gangs and budgets left out of account beyond what the question settles."""

    price: int
    pods: tuple[Pod, ...]
    gone: tuple[Pod, ...]


@dataclass(kw_only=True, eq=False)
class Search:
    """Searches one site; questions that come again are answered from memory."""

    site: Site
    ledger: Ledger
    _known: dict[Question, _Found | None] = field(default_factory=dict)
    _limits: dict[str, Limit] = field(default_factory=dict)
    _companies: dict[str, Company] = field(default_factory=dict)

    def smallest(self, without: Iterable[int] = ()) -> Victims | None:
        """Return the victims with the fewest GPUs, of those the ones with the lowest priority, then the fewest; ``None`` where there are none.

        ``without``: domains that are not asked.
        """
        left = [group for group in range(len(self.site.groups)) if group not in set(without)]
        best = self._search(left, None, None)
        while best is not None and self.site.lowest < best.priority:
            lower = self._search(left, best.priority, best.gpus)
            if lower is None:
                break
            best = lower
        return best

    def _search(self, groups: Sequence[int], below: int | None, gpus: int | None) -> Victims | None:
        """Search these domains for victims below a priority and of at most so many GPUs."""
        order = count()
        heap: list[tuple[int, bool, int, int, Question, Victims | None]] = []
        for group in groups:
            for forced in self.site.forced:
                bound = self.site.bound(group, below)
                if bound < tables.NEVER:
                    heap.append((_rank(bound), True, group, next(order), Question(group=group, forced=forced, below=below), None))
        heapq.heapify(heap)
        solved = 0
        while heap and (gpus is None or heap[0][0] // UNIT <= gpus):
            bound, _, group, _, question, victims = heapq.heappop(heap)
            if victims is not None:
                return victims
            if solved >= SOLVES:
                continue
            solved += 1
            found = self._solved(question)
            if found is None:
                continue
            least = max(bound, _rank(found.price))
            narrower = self._split(question, found)
            for one in narrower:
                heapq.heappush(heap, (least, True, group, next(order), one, None))
            if not narrower and found.pods:
                companies = tuple(self._companies[key] for key in sorted(question.gone))
                pods = tuple(sorted(found.pods, key=lambda pod: (pod.key, pod.uid)))
                heapq.heappush(heap, (least, False, group, next(order), question, Victims(group=group, pods=pods, companies=companies)))
        return None

    def _split(self, question: Question, found: _Found) -> list[Question]:
        """Return narrower questions where an answer breaks a gang or a budget; none where it is an answer."""
        chosen = {pod.uid for pod in found.pods}
        for pod in found.pods:
            company = self.ledger.company(pod)
            if company is None or company.key in question.gone or company.key in question.held:
                continue
            if len(company.spare.pods & chosen) > company.spare.most:
                self._companies[company.key] = company
                return self._sides(question, company)
        for pod in found.pods:
            for limit in self.ledger.limits(pod):
                if len(limit.pods & chosen) > limit.most:
                    return self._watching(question, limit, found)
        return []

    def _sides(self, question: Question, company: Company) -> list[Question]:
        self._limits[company.spare.name] = company.spare
        sides = [replace(question, held=question.held | {company.key})]
        if company.spare.most:
            sides = [replace(sides[0], watched=tuple(sorted({*question.watched, company.spare.name})))]
        if company.whole:
            sides.append(replace(question, gone=question.gone | {company.key}))
        return sides

    def _watching(self, question: Question, limit: Limit, found: _Found) -> list[Question]:
        """Make a limit an axis of the tables; where they would become too large, keep the dearest pods beyond it."""
        self._limits[limit.name] = limit
        if limit.name in question.watched:
            return [replace(question, kept=question.kept | self._beyond(limit, found))] if self._beyond(limit, found) else []
        watched = tuple(sorted({*question.watched, limit.name}))
        size = int(np.prod([self._limits[name].most + 1.0 for name in watched])) * len(self.site.shape.cells)
        if size <= CELLS:
            return [replace(question, watched=watched)]
        return [replace(question, kept=question.kept | self._beyond(limit, found))]

    def _beyond(self, limit: Limit, found: _Found) -> frozenset[PodUid]:
        gone = {pod.uid for pod in found.gone}
        loose = sorted((pod for pod in found.pods if pod.uid in limit.pods - gone), key=lambda pod: (price([pod]), pod.key))
        return frozenset(pod.uid for pod in loose[max(0, limit.most - len(limit.pods & gone)) :])

    def _solved(self, question: Question) -> _Found | None:
        if question not in self._known:
            self._known[question] = self._solve(question)
        return self._known[question]

    def _solve(self, question: Question) -> _Found | None:
        gone = {pod.uid: pod for key in question.gone for pod in self._companies[key].pods}
        gone |= {uid: self.ledger.snapshot.pods[uid] for uid in question.forced}
        if question.below is not None and any(pod.priority >= question.below for pod in gone.values()):
            return None
        if any(not self._companies[key].spare.most and self._companies[key].spare.pods & question.forced for key in question.held):
            return None
        watched = tuple(self._limits[name] for name in question.watched)
        left = tuple(limit.most - len(limit.pods & gone.keys()) for limit in watched)
        if any(most < 0 for most in left):
            return None
        shape = replace(self.site.shape, watched=left)
        rows = self.site.groups[question.group].nodes
        spare, most = self.site.emptied(question.forced, gone.values()), self.site.most(question.below)
        free, grain = self.site.allowed(question.forced)[:, rows], self.site.grain[:, rows]
        priced = tables.bounds(shape, spare[rows], np.maximum(spare[rows], most[rows]), free, grain).copy()
        work = _Work(search=self, question=question, shape=shape, rows=rows, spare=spare, watched=watched, gone=frozenset(gone), priced=priced)
        found = work.least()
        if found is None:
            return None
        cost, pods = found
        return _Found(price=cost + price(gone.values()), pods=(*pods, *gone.values()), gone=tuple(gone.values()))


def _rank(cost: int) -> int:
    """Return what decides between domains: the GPUs; where none is disturbed, the number of pods."""
    return cost if cost < UNIT else cost // UNIT * UNIT


@dataclass(kw_only=True, eq=False)
class _Work:
    """One question at work: prices of nodes are bounds until an answer takes the node; then they are worked out."""

    search: Search
    question: Question
    shape: tables.Shape
    rows: Ints
    spare: Ints
    watched: tuple[Limit, ...]
    gone: frozenset[PodUid]
    priced: Ints
    done: dict[int, tuple[tables.Emptying, list[Pod]]] = field(default_factory=dict)
    looks: dict[tables.Look, tables.Emptying] = field(default_factory=dict)

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
            if whole[cell] >= tables.NEVER:
                return None
            parts = tables.split(levels, cell)
            open_rows = [row for row in parts if row not in self.done]
            if not open_rows:
                pods = [self.done[row][1][option] for row, part in parts.items() for option in self.done[row][0].way(self.shape, part)]
                return int(whole[cell]), pods
            for row in open_rows:
                self._work_out(row)
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
        at = int(self.rows[row])
        pods = [pod for pod in self.search.site.pods(at) if self._may_go(pod)]
        blocking = self.search.site.blocking(at)
        present = {pod.uid for pod in pods} | self.gone
        free = self.search.site.allowed(self.question.forced)[:, at]
        stays = [any(blocks[r] for uid, blocks in blocking.items() if uid not in present) for r in range(len(free))]
        nobody = (False,) * len(free)
        options = tuple(
            tables.Option(
                price=self._charge(pod),
                gives=self.search.site.amounts(pod),
                blocks=blocking.get(pod.uid, nobody),
                uses=tuple(int(pod.uid in limit.pods) for limit in self.watched),
            )
            for pod in pods
        )
        allowed = tuple(bool(ok) and not no for ok, no in zip(free, stays, strict=True))
        look = tables.Look(spare=tuple(self.spare[at].tolist()), allowed=allowed, options=options)
        if look not in self.looks:
            self.looks[look] = tables.emptying(self.shape, look)
        self.done[row] = (self.looks[look], pods)
        self.priced[row] = self.looks[look].table

    def _may_go(self, pod: Pod) -> bool:
        question = self.question
        if pod.uid in self.gone or pod.uid in question.kept or (question.below is not None and pod.priority >= question.below):
            return False
        company = self.search.ledger.company(pod)
        if company is None:
            return True
        if company.spare.most:
            return True
        return company.whole and company.key not in question.held

    def _charge(self, pod: Pod) -> int:
        """Return what a pod costs at least: its own, or its part of the gang that goes with it."""
        company = self.search.ledger.company(pod)
        if company is None or company.spare.most or company.key in self.question.held:
            return price([pod])
        here = sum(self.search.site.inside(self.question.group, other) for other in company.pods)
        return company.price // max(1, here)
