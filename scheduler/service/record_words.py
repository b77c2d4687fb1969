"""What became of a record, in words: events for people, one line for the log. Pure but for the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TypeGuard

from scheduler.kube.api import PLACEMENTS
from scheduler.kube.bindings.commit import Bound, Committed, Partly, Refused
from scheduler.kube.bindings.recover import Recovered, Released, Stuck
from scheduler.kube.publish.said import EventSaid
from scheduler.state.objects import Ref

logger = logging.getLogger(__name__)


def told(outcome: Recovered) -> Iterator[EventSaid]:
    """Say on the record, and on the PodGroup that made the gang, that a group was given up or cannot be."""
    if not (isinstance(outcome, Released) or waits_for_eviction(outcome)):
        return
    record, gang = outcome.record, outcome.record.gang
    about = [Ref(kind="Placement", name=record.name, uid=record.uid, api_version=PLACEMENTS.api_version)]
    if gang.kind == "PodGroup":
        about.append(gang)
    stuck = isinstance(outcome, Stuck)
    reason = "EvictionRefused" if stuck else "Incomplete" if isinstance(outcome, Released) and outcome.stay else "Released"
    for regarding in about:
        yield EventSaid(
            namespace=record.namespace, regarding=regarding, reason=reason, note=outcome.why, type="Normal" if reason == "Released" else "Warning"
        )


def log(name: str, outcome: Recovered) -> None:
    """Write one line on what became of a record that was looked after."""
    fields: dict[str, object] = {"record": name, "outcome": type(outcome).__name__}
    if isinstance(outcome, Refused):
        fields |= {"reason": outcome.reason, "why": outcome.message}
    elif isinstance(outcome, Bound | Committed | Partly):
        fields |= {"bound": sum(seat.state == "bound" for seat in outcome.seats), "members": len(outcome.seats)}
    else:
        fields |= {"why": getattr(outcome, "why", "")}
    half = isinstance(outcome, Released) and outcome.stay > 0
    level = logging.WARNING if half or waits_for_eviction(outcome) else logging.INFO
    logger.log(level, "record %s: %s", name, type(outcome).__name__, extra={"fields": fields})


def waits_for_eviction(outcome: Recovered | None) -> TypeGuard[Stuck]:
    """Whether a group that is being given up could not be evicted yet, mostly because of a disruption budget."""
    return isinstance(outcome, Stuck) and outcome.record.phase == "Releasing"
