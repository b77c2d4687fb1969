"""One object for equal values: the pods of a workload share what they say alike, so that a pod costs little more than its own names.

What is kept here is bounded: a table that is full begins anew, and values that were given out stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar

from scheduler.state.objects import Ref, Shape
from scheduler.state.resources import Resources

H = TypeVar("H", bound=Hashable)
V = TypeVar("V")

_MOST: Final = 4096
_MOST_NAMES: Final = 2**17


class Shared(Generic[H]):
    """Remembers up to ``most`` values and gives the first of equal ones."""

    def __init__(self, most: int = _MOST) -> None:
        """Begin without values."""
        self._most = most
        self._known: dict[H, H] = {}

    def one(self, value: H) -> H:
        """Return the object that stands for all values equal to this one."""
        if len(self._known) >= self._most:
            self._known.clear()
        return self._known.setdefault(value, value)

    def forget(self) -> None:
        """Begin anew; values that were given out stay as they are."""
        self._known.clear()


class SharedMaps:
    """The same for mappings of strings, which must not be changed by whoever gets one."""

    def __init__(self, most: int = _MOST) -> None:
        """Begin without values."""
        self._most = most
        self._known: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def one(self, value: Mapping[str, str]) -> Mapping[str, str]:
        """Return the object that stands for all mappings equal to this one in this order."""
        if not value:
            return value
        if len(self._known) >= self._most:
            self._known.clear()
        return self._known.setdefault(tuple(value.items()), value)

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()


class Made(Generic[H, V]):
    """Remembers what was made of up to ``most`` values."""

    def __init__(self, most: int = _MOST) -> None:
        """Begin without values."""
        self._most = most
        self._known: dict[H, V] = {}

    def of(self, key: H, make: Callable[[], V]) -> V:
        """Return what was made of an equal key, else make it; what ``make`` raises is raised."""
        if key not in self._known:
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[key] = make()
        return self._known[key]

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()


SHAPES: Final[Shared[Shape]] = Shared()
VECTORS: Final[Shared[Resources]] = Shared()
OWNERS: Final[Shared[Ref]] = Shared()
MAPS: Final = SharedMaps()
OF_SPECS: Final[Made[tuple[bytes, str | None], Shape]] = Made()
"""Shapes by what a pod's spec says, and the node that a planned pod names."""
NAMES: Final[Shared[str]] = Shared(_MOST_NAMES)
"""Names that many objects say: nodes and namespaces."""


def forget() -> None:
    """Let every table begin anew, so that a measurement counts what is shared, too."""
    for table in (SHAPES, VECTORS, OWNERS, MAPS, OF_SPECS, NAMES):
        table.forget()
