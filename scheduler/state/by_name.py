"""Values by namespace and name, without an object for each key: a cluster has few namespaces, and a name is a string that its pod holds anyway."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

V = TypeVar("V")
Name: TypeAlias = tuple[str, str]
"""Namespace and name."""


class ByName(Generic[V]):
    """A dictionary with one dictionary for each namespace in it."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        """Begin empty."""
        self._of: dict[str, dict[str, V]] = {}

    def get(self, name: Name) -> V | None:
        """Return the value of a name, None where there is none."""
        there = self._of.get(name[0])
        return None if there is None else there.get(name[1])

    def put(self, name: Name, value: V) -> None:
        """Let this be the value of a name."""
        self._of.setdefault(name[0], {})[name[1]] = value

    def pop(self, name: Name) -> V | None:
        """Forget a name and return what its value was, None where there was none."""
        there = self._of.get(name[0])
        if there is None:
            return None
        value = there.pop(name[1], None)
        if not there:
            del self._of[name[0]]
        return value
