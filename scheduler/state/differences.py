"""What is different in a cluster: since it was asked last, and between two caches that were told the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scheduler.state.events import Value
from scheduler.state.ids import PodUid


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is different in the world since it was asked last, for whoever keeps an index of it."""

    pods: frozenset[PodUid] = frozenset()
    """UIDs of pods that are new, different (also by an assumed node) or gone."""
    objects: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, namespace and name of other objects."""


def differences(
    mine: Mapping[type, Mapping[str | tuple[str, ...], Value]], theirs: Mapping[type, Mapping[str | tuple[str, ...], Value]]
) -> Iterator[str]:
    """Yield one sentence for each value that only one side has or that differs; both have the same tables, by type and key."""
    for kind, cached in mine.items():
        for key in sorted({*cached, *theirs[kind]}):
            name = f"{kind.__name__} {key if isinstance(key, str) else '/'.join(key)}"
            if key not in theirs[kind]:
                yield f"{name} is cached, but does not exist"
            elif key not in cached:
                yield f"{name} exists, but is not cached"
            elif cached[key] != theirs[kind][key]:
                yield f"{name} is cached as {cached[key]}, but is {theirs[kind][key]}"
