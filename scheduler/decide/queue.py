"""The total order of gangs: higher priority first, then the older, then by key; nothing else may tell them apart."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.state.gang import Gang


def ordered(gangs: Iterable[Gang]) -> tuple[Gang, ...]:
    """Return the gangs in the order in which they are decided."""
    return tuple(sorted(gangs, key=lambda g: (-g.priority, g.created, g.key)))
