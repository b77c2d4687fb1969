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


def misspelt(holders: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[Advice]:
    """Warn of each unknown annotation once, at the first object (``Kind/name``) that has it."""
    told: set[str] = set()
    for holder, written in holders:
        for key in sorted(written):
            if key.startswith(_OURS) and key not in _KNOWN and not key.startswith(_WRITTEN) and key not in told:
                told.add(key)
                yield Advice(level="warning", object=holder, field=f"metadata.annotations[{key}]", message=_message(key))


def _message(key: str) -> str:
    if key == names.POD_GROUP:
        return f"{key} is a label: as an annotation it has no effect."
    near = difflib.get_close_matches(key, _KNOWN, n=1)
    return "This annotation is not known and has no effect" + (f"; the nearest that is known is {near[0]}." if near else ".")
