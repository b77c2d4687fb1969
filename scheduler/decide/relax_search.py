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

ROWS: Final = 2048
"""Nodes, counted once for each question about them, that a search may look at to prove its answer the smallest; then the best so far counts."""
_SINGLY: Final = 8
_DEEPEST: Final = 16
"""Steps to a first answer: one more gang is given up in each, then all that would break."""
_TRIMMED: Final = 16
"""Gangs that are looked at again, whether they need go."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Victims:
    """Pods to delete."""

    group: int
    pods: tuple[Pod, ...]
    companies: tuple[Company, ...] = ()
    """Gangs that are disturbed as a whole, all of their pods among ``pods``."""
    proved: bool = False
    """Whether nothing smaller exists; else the search was cut short."""

    @property
    def rank(self) -> int:
        """What decides between domains."""
        return rank(price(self.pods))

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
    left: int = ROWS
    """Nodes that may still be looked at for a proof."""
    exact: bool = True
    """Whether every question was split without loss: budgets that are too many to be axes of the tables are kept by guess."""
    looks: dict[tuple[int, ...], dict[tables.Look, tables.Emptying]] = field(default_factory=dict)
    """By what is left of the watched limits: nodes that are worked out."""
    _known: dict[Question, _Found | None] = field(default_factory=dict)
    _limits: dict[str, Limit] = field(default_factory=dict)
    _companies: dict[str, Company] = field(default_factory=dict)

    def smallest(self, without: Iterable[int] = ()) -> Victims | None:
        """Return the victims with the fewest GPUs, of those the ones with the lowest priority, then the fewest; ``None`` where there are none.

        ``without``: domains that are not asked.
        """
        asked = set(without)
        left = [group for group in range(len(self.site.groups)) if group not in asked]
        best = self._search(left, None, None)
        while best is not None and best.proved and self.site.lowest < best.priority:
            lower = self._search(left, best.priority, best.gpus)
            if lower is None:
                break
            best = lower
        return best

    def _search(self, groups: Sequence[int], below: int | None, gpus: int | None) -> Victims | None:
        """Search these domains for victims below a priority and of at most so many GPUs, the most promising question first."""
        order = count()
        roots = [Question(group=group, forced=forced, below=below) for group in groups for forced in self.site.forced]
        heap: list[tuple[int, bool, int, int, Question, Victims | None]] = [
            (rank(bound), True, root.group, next(order), root, None) for root in roots if (bound := self.site.bound(root.group, below)) < tables.NEVER
        ]
        heapq.heapify(heap)
        best: Victims | None = None
        while heap:
            bound, _, group, _, question, victims = heapq.heappop(heap)
            if gpus is not None and bound // UNIT > gpus:
                break
            if victims is not None:
                return victims
            if best is not None and bound >= best.rank:
                break  # nothing that is left can be smaller
            if self.left <= 0 and (best is not None or self.left <= -ROWS):
                return best
            found = self._solved(question)
            if found is None:
                continue
            least, narrower = max(bound, rank(found.price)), self._split(question, found)
            if narrower and not (question.gone or question.held or question.watched):
                best = _smaller(best, self._dive(question, found))
            for one in narrower:
                heapq.heappush(heap, (least, True, group, next(order), one, None))
            if not narrower and found.pods:
                heapq.heappush(heap, (least, False, group, next(order), question, self._victims(question, found, proved=self.exact)))
        return replace(best, proved=self.exact) if best is not None and (gpus is None or best.gpus <= gpus) else None

    def _dive(self, question: Question, found: _Found) -> Victims | None:
        """Return some answer to a question, found by giving up gang after gang as a whole, and then what of that was not needed."""
        for depth in range(_DEEPEST):
            narrower = self._split(question, found)
            if not narrower:
                return self._trimmed(question, found)
            if depth >= _SINGLY:
                every = {key for _, key, company in self._broken(question, found) if company.whole}
                narrower.append(replace(question, gone=question.gone | every))
            for one in reversed(narrower):
                deeper = self._solved(one)
                if deeper is not None:
                    question, found = one, deeper
                    break
            else:
                return None
        return None

    def _trimmed(self, question: Question, found: _Found) -> Victims:
        """Keep the gangs that need not go after all, the largest first."""
        for key in sorted(question.gone, key=lambda key: (-self._companies[key].price, key))[:_TRIMMED]:
            kept = replace(self._sides(question, self._companies[key])[0], gone=question.gone - {key})
            fewer = self._solved(kept)
            if fewer is not None and fewer.price < found.price and not self._split(kept, fewer):
                question, found = kept, fewer
        return self._victims(question, found, proved=False)

    def _victims(self, question: Question, found: _Found, *, proved: bool) -> Victims:
        companies = tuple(self._companies[key] for key in sorted(question.gone))
        pods = tuple(sorted(found.pods, key=lambda pod: (pod.key, pod.uid)))
        return Victims(group=question.group, pods=pods, companies=companies, proved=proved)

    def _split(self, question: Question, found: _Found) -> list[Question]:
        """Return narrower questions where an answer breaks a gang or a budget; none where it is an answer."""
        broken = self._broken(question, found)
        if broken:
            return self._sides(question, min(broken, key=lambda row: row[:2])[2])
        chosen = {pod.uid for pod in found.pods}
        for pod in found.pods:
            for limit in self.ledger.limits(pod):
                if len(limit.pods & chosen) > limit.most:
                    return self._watching(question, limit, found)
        return []

    def _broken(self, question: Question, found: _Found) -> list[tuple[float, str, Company]]:
        """Return the gangs that lose more than they can spare: those that give most for what they cost have the smallest number."""
        chosen = {pod.uid for pod in found.pods}
        settled = question.gone | question.held
        companies = {company.key: company for pod in found.pods if (company := self.ledger.company(pod)) is not None and company.key not in settled}
        lost = {key: len(company.spare.pods & chosen) for key, company in companies.items()}
        broken = {key: company for key, company in companies.items() if lost[key] > company.spare.most}
        self._companies |= broken
        return [(-lost[key] / company.price, key, company) for key, company in broken.items()]

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
            self.exact = False
            return [replace(question, kept=question.kept | self._beyond(limit, found))] if self._beyond(limit, found) else []
        watched = tuple(sorted({*question.watched, limit.name}))
        size = int(np.prod([self._limits[name].most + 1.0 for name in watched])) * len(self.site.shape.cells)
        if size <= CELLS:
            return [replace(question, watched=watched)]
        self.exact = False
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
        self.left -= len(rows)
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


def _smaller(one: Victims | None, other: Victims | None) -> Victims | None:
    if one is None or other is None:
        return one or other
    return one if one.rank <= other.rank else other
