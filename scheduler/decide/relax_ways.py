"""Ways to add nodes: how many of which shape at which site, the fewest first.

Without segments counting tells how few are enough. With them it tells the least that may be, and trial placements find the number
between that and as many nodes as hold the whole gang alone: by doubling and bisection, at most `TRIALS` of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from scheduler.decide.relax_least import Least
from scheduler.decide.relax_segment_sites import places, spread
from scheduler.decide.relax_templates import NOWHERE, Site, numbered, sites_of
from scheduler.decide.relax_trial import Trial, some
from scheduler.decide.whatif import WhatIf
from scheduler.state.objects import Node
from topology import spoken

TRIALS: Final = 12
"""Trial placements that finding the number of nodes may cost."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """Nodes to add at one site."""

    site: Site
    nodes: tuple[Node, ...]
    beside: str = ""
    """What is asked beside the nodes, in words."""
    held: bool = False
    """Whether a trial placement has shown that they are enough, where no gang comes before."""


def ways(trial: Trial, *, own: bool) -> Iterator[Way]:
    """Yield ways to add nodes, the fewest nodes first; one where counting is the truth, with segments the fewest that was found by trials."""
    least = Least(snapshot=trial.snapshot, survey=trial.survey, own=own)
    if trial.survey.gang.demand.segments:
        yield from _Trials(trial=trial, least=least).ways()
        return
    found: Way | None = None
    for site in sites_of(trial.snapshot, trial.survey):
        nodes = least.least(site, None if found is None else len(found.nodes) - 1)
        if nodes is not None:
            found = Way(site=site, nodes=nodes)
    if found is not None:
        yield found


@dataclass(slots=True, kw_only=True, eq=False)
class _Trials:
    """Finds by trial placements how few nodes are enough for segments."""

    trial: Trial
    least: Least
    left: int = TRIALS

    def ways(self) -> Iterator[Way]:
        """Yield the way with the fewest nodes that holds; where none was found in time, the largest of the first site."""
        best, largest = None, None
        for site in places(self.trial.snapshot, self.trial.survey):
            fewest = self.least.least(site, None)
            if fewest is None or self.left < 1:
                continue
            alone = self.least.least(replace(site, nodes=NOWHERE, most=0), None) or ()
            first = Way(site=site, nodes=fewest)
            whole = replace(first, nodes=alone) if len(alone) > len(fewest) else first
            best = self._spread(first) if best is None and largest is None else best
            best = self._fewest(first, whole) if best is None else self._fewer(first, whole, best)
            largest = largest or whole
        if best is not None or largest is not None:
            yield best or largest  # type: ignore[misc]

    def _spread(self, first: Way) -> Way | None:
        """Return nodes in several domains of the segments' level, where they hold."""
        base = next(sites_of(self.trial.snapshot, self.trial.survey))
        rows = spread(self.trial.snapshot, self.trial.survey, base, first.nodes[0])
        names = sorted({group.domain for group, _ in rows})
        if len(names) < 2:  # noqa: PLR2004 - one domain is a place of its own
            return None
        words = f" in {spoken(rows[0][0].name)}s {some(names)}"
        way = replace(first, site=replace(base, words=words), nodes=tuple(node for _, node in rows), held=True)
        return way if self._holds(way) else None

    def _fewest(self, first: Way, whole: Way) -> Way | None:
        """Return the way with the fewest nodes between two, looked for from the small end."""
        low, step = len(first.nodes), 1
        while not self._holds(way := _of(first, whole, low)):
            if low >= len(whole.nodes) or self.left < 1:
                return None
            failed, low, step = low, min(len(whole.nodes), low + step), step * 2
        return way if step == 1 else self._between(first, whole, failed + 1, way)

    def _fewer(self, first: Way, whole: Way, best: Way) -> Way:
        """Return a way with fewer nodes than the best so far, where there is one: one trial tells whether there is."""
        high = min(len(best.nodes) - 1, len(whole.nodes))
        if high < len(first.nodes) or not self._holds(way := _of(first, whole, high)):
            return best
        return self._between(first, whole, len(first.nodes), way)

    def _between(self, first: Way, whole: Way, low: int, best: Way) -> Way:
        high = len(best.nodes)
        while low < high and self.left > 0:
            middle = (low + high) // 2
            if self._holds(way := _of(first, whole, middle)):
                best, high = way, middle
            else:
                low = middle + 1
        return replace(best, held=True)

    def _holds(self, way: Way) -> bool:
        self.left -= 1
        return self.left >= 0 and self.trial.holds(WhatIf(nodes=tuple(numbered(self.trial.snapshot, way.nodes))))


def _of(first: Way, whole: Way, number: int) -> Way:
    """Return the way with so many nodes."""
    return replace(first, held=True, nodes=first.nodes if number == len(first.nodes) else whole.nodes[:number])
