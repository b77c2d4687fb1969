"""Every domain tried, the best score taken: our own re-statement of how kube-scheduler and Volcano choose, something to compare with.

Narrow levels first, up to the required one (else to the whole cluster): in every domain of the level the pods are placed one after the
other, each on the fullest node that can take it. Of the domains that took all, the one whose GPUs are then used most is the answer.
A domain is not entered if the room for the gang's shapes, added up, is less than its pods.

Source: KEP-4671 and KEP-5732 (kubernetes/enhancements: gang and topology-aware workload scheduling: a placement for each domain, filled by
the pod-by-pod algorithm, then scored) and Volcano's design document of network topology aware scheduling (volcano-sh/volcano,
docs/design: every HyperNode of a tier is tried before the next tier). Known differences: kube-scheduler takes one level and no wider one;
both score nodes by more plugins than packing; Volcano cuts the number of HyperNodes; neither states segments as we do (Volcano's
subgroups are near them), so gangs with segments are not asked of it.
"""

from __future__ import annotations

import numpy as np

from scheduler.bench.sites import Chosen, Site, fill, site, sums
from scheduler.solve.problem import Ints
from scheduler.state.gang import Gang
from scheduler.state.snapshot import Snapshot


def best_score(snapshot: Snapshot, gang: Gang) -> Chosen | None:
    """Return a node for each pending member; None where this method finds no place for all. ValueError for a gang with segments."""
    found = site(snapshot, gang)
    if found.segment is not None:
        raise ValueError(f"gang {gang.key}: this yardstick knows no segments")
    room = np.sum([found.room(shape) for shape in found.passes], axis=0)
    everywhere = np.zeros(len(found.names), dtype=np.int64)
    levels = found.levels[0 if found.required is None else found.required :][::-1]
    for index in (*levels, *([everywhere] if found.required is None else [])):
        chosen = _best(found, gang, index, room)
        if chosen is not None:
            return found.seats(gang.pending, chosen)
    return None


def _best(found: Site, gang: Gang, index: Ints, room: Ints) -> list[int] | None:
    """Try every domain of one level; the least free GPUs afterwards win, then the first name."""
    best: tuple[int, list[int]] | None = None
    for domain in np.flatnonzero(sums(index, room) >= len(gang.pending)).tolist():
        inside = np.flatnonzero(index == domain)
        trial = found.copy()
        chosen = fill(trial, inside, gang.pending)
        if chosen is None:
            continue
        left = int(trial.free[inside, found.gpus].sum())
        if best is None or left < best[0]:
            best = (left, chosen)
    return None if best is None else best[1]
