"""The total order of gangs: higher priority first, then the older, then by key; nothing else may tell them apart."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.state.gang import Gang


def position(gang: Gang) -> tuple[int, float, str]:
    """Return what gangs are ordered by: the smaller comes first."""
    return (-gang.priority, gang.created, gang.key)


def ordered(gangs: Iterable[Gang]) -> tuple[Gang, ...]:
    """Return the gangs in the order in which they are decided."""
    return tuple(sorted(gangs, key=position))


def ahead(one: Gang, other: Gang) -> bool:
    """Tell whether the first gang comes before the second."""
    return position(one) < position(other)
