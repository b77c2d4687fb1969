"""Annotations of ours that nobody knows: a misspelt demand has no effect, and whoever wrote it should hear of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from scheduler.kube.group import names
from scheduler.state.gang import Advice

_OURS: Final = "coterie.dev/"
_KNOWN: Final = tuple(key for key in names.DEMAND_ANNOTATIONS if key.startswith(_OURS))
_WRITTEN: Final = ("coterie.dev/rank", "coterie.dev/placement", "coterie.dev/domain.")
"""What a bind writes on the pod."""
_ELSEWHERE: Final = (
    (names.POD_GROUP, f"has no effect: a group is joined by the label {names.POD_GROUP}."),
    ("coterie.dev/topology-policy", "has no effect: a policy is named by spec.topologyPolicy of a PodGroup."),
    ("coterie.dev/priority-class", "has no effect: a class is named by spec.priorityClassName of a PodGroup or a pod."),
    ("coterie.dev/schedule-timeout-seconds", "has no effect: the timeout is spec.scheduleTimeoutSeconds of a PodGroup."),
)
"""What people write as an annotation and is said in another place."""
_NEAR: Final = 0.8
"""How like a known name must be to be called the nearest: two words out of three in common are not enough."""


def misspelt(holders: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[Advice]:
    """Warn of each unknown annotation once, at the first object (``Kind/name``) that has it."""
    told: set[str] = set()
    for holder, written in holders:
        for key in sorted(written):
            if key.startswith(_OURS) and key not in _KNOWN and not key.startswith(_WRITTEN) and key not in told:
                told.add(key)
                yield Advice(level="warning", object=holder, field=f"metadata.annotations[{key}]", message=_message(key))


def _message(key: str) -> str:
    listed = f"Annotations that are known: {', '.join(_KNOWN)}."
    elsewhere = difflib.get_close_matches(key, [each for each, _ in _ELSEWHERE], n=1, cutoff=0.9)
    if elsewhere:
        return f"As an annotation {key} {dict(_ELSEWHERE)[elsewhere[0]]} {listed}"
    near = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=_NEAR)
    return "This annotation is not known and has no effect" + (f"; the nearest that is known is {near[0]}." if near else f". {listed}")
