"""First fit by domain: our own re-statement of how KAI chooses, something to compare with.

From the narrowest level to the required one (else to the whole cluster): a domain is tried if it has room for as many pods of the
*largest* size as the gang has pods; of those, the one with the least room first. In it, pod after pod goes to the fullest node that can
take it. If one finds no node, the domain is given up and the next is tried. Segments are first tried the same way, one after the other,
inside each domain of the gang.

Source: the documentation and the sources of KAI-Scheduler's topology plugin (github.com/NVIDIA/KAI-Scheduler, docs/topology): its filter
sizes every pod as the largest, domains are ordered for packing, nodes are taken fullest first, a domain that fails is rolled back.
Known differences: KAI takes one preferred level and not all, orders subgroups by their names, has queues, and is in Go: absolute times
say nothing about it. Both are in Python here, so that the ratio of times compares methods and not languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scheduler.bench.sites import Chosen, Site, fill, site, sums
from scheduler.solve.problem import Ints
from scheduler.state.gang import Gang, Member
from scheduler.state.snapshot import Snapshot


def first_fit(snapshot: Snapshot, gang: Gang) -> Chosen | None:
    """Return a node for each pending member; None where this method finds no place for all."""
    found = site(snapshot, gang)
    every = np.arange(len(found.names))
    narrowest = len(found.levels) - 1 if found.segment is None else found.segment[1]
    for inside in _domains(found, every, gang.pending, narrowest, found.required):
        trial = found.copy()
        chosen = _whole(trial, inside, gang.pending)
        if chosen is not None:
            return found.seats(gang.pending, chosen)
    return None


def _whole(trial: Site, inside: Ints, members: Sequence[Member]) -> list[int] | None:
    """Place the gang inside one of its domains, segment by segment where it has some."""
    if trial.segment is None:
        return fill(trial, inside, members)
    size, level = trial.segment
    chosen: list[int] = []
    for start in range(0, len(members), size):
        part = members[start : start + size]
        for domain in _domains(trial, inside, part, level, level):
            attempt = trial.copy()
            placed = fill(attempt, domain, part)
            if placed is not None:
                trial.free[:] = attempt.free
                chosen += placed
                break
        else:
            return None
    return chosen


def _domains(found: Site, inside: Ints, members: Sequence[Member], narrowest: int, widest: int | None) -> Iterator[Ints]:
    """Give the nodes of each domain whose room for pods of the largest size suffices: narrow levels first, then the least room."""
    shapes = dict.fromkeys(m.pod.shape for m in members)
    largest = np.max([found.vector(shape) for shape in shapes], axis=0)
    passes = np.any([found.passes[shape] for shape in shapes], axis=0)
    room = found.times(largest, passes)
    for level in range(narrowest, (0 if widest is None else widest) - 1, -1):
        index = found.levels[level][inside]
        total = sums(index, room[inside])
        enough = np.flatnonzero(total >= len(members))
        order = enough[np.lexsort((enough, total[enough]))]
        by_domain = np.argsort(index, kind="stable")
        starts = np.searchsorted(index[by_domain], order)
        ends = np.searchsorted(index[by_domain], order, side="right")
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            yield inside[by_domain[start:end]]
    if widest is None and room[inside].sum() >= len(members):
        yield inside
