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
from scheduler.decide.counting import CELLS
from scheduler.decide.relax_disturb import UNIT, Company, Ledger, Limit, price
from scheduler.decide.relax_site import Site
from scheduler.decide.relax_work import Question, Work, rank
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod

SOLVES: Final = 256
"""Questions that one search may solve; then the best answer so far counts. Only clusters full of small gangs need more."""


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
    looks: dict[tuple[int, ...], dict[tables.Look, tables.Emptying]] = field(default_factory=dict)
    """By what is left of the watched limits: nodes that are worked out."""
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
                    heap.append((rank(bound), True, group, next(order), Question(group=group, forced=forced, below=below), None))
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
            least = max(bound, rank(found.price))
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
        free, reach = self.site.allowed(question.forced)[:, rows], self.site.reach(question.below).of(rows)
        priced = tables.bounds(shape, spare[rows], np.maximum(spare[rows], most[rows]), free, reach).copy()
        looks = self.looks.setdefault(left, {})
        work = Work(
            site=self.site,
            ledger=self.ledger,
            looks=looks,
            question=question,
            shape=shape,
            rows=rows,
            spare=spare,
            watched=watched,
            gone=frozenset(gone),
            priced=priced,
        )
        found = work.least()
        if found is None:
            return None
        cost, pods = found
        return _Found(price=cost + price(gone.values()), pods=(*pods, *gone.values()), gone=tuple(gone.values()))
