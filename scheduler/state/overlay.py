"""Mappings that share all but their difference: what a what-if costs is what it changes, never what exists."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import compress
from math import isqrt
from operator import is_not
from typing import Final, TypeVar, cast, overload

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_GONE: Final = object()
_LEAST: Final = 64
_PER_ROOT: Final = 16


class Overlay(Mapping[K, V]):
    """An immutable mapping made of a base and a difference; made by `changed` alone.

    The base is never an overlay itself, so that a look-up asks at most two dictionaries, however long the chain of changes was.
    Keys keep the order of the base; new ones follow.
    """

    __slots__ = ("base", "over")

    def __init__(self, base: Mapping[K, V], over: dict[K, object]) -> None:
        """Lay a difference on a base that does not change any more."""
        self.base = base
        self.over = over
        """By key: the value, or the sign that the key is gone. For this module alone, as is the base."""

    def __getitem__(self, key: K) -> V:
        """Return the value; KeyError where there is none."""
        if key not in self.over:
            return self.base[key]
        value = self.over[key]
        if value is _GONE:
            raise KeyError(key)
        return cast("V", value)

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | T, /) -> V | T: ...
    def get(self, key: K, default: V | T | None = None, /) -> V | T | None:
        """Return the value, else ``default``."""
        value = self.over.get(key, self)
        if value is self:
            return self.base.get(key, default)
        return default if value is _GONE else cast("V", value)

    def __contains__(self, key: object) -> bool:
        """Whether the key has a value."""
        value = self.over.get(cast("K", key), self)
        return key in self.base if value is self else value is not _GONE

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys: the base's in its order, then new ones."""
        return iter(self.flat())

    def __len__(self) -> int:
        """Return how many keys have a value."""
        return len(self.base) + sum((value is not _GONE) - (key in self.base) for key, value in self.over.items())

    def __repr__(self) -> str:
        """Show it as the dictionary that it stands for."""
        return repr(self.flat())

    def values(self) -> ValuesView[V]:
        """Return all values, in the order of the keys."""
        return self.flat().values()

    def items(self) -> ItemsView[K, V]:
        """Return all keys with their values."""
        return self.flat().items()

    def flat(self) -> dict[K, V]:
        """Return the same as one dictionary of its own."""
        found: dict[K, object] = {**self.base, **self.over}
        for key in [key for key, value in self.over.items() if value is _GONE]:
            del found[key]
        return cast("dict[K, V]", found)


def changed(mapping: Mapping[K, V], put: Mapping[K, V], gone: Iterable[K] = ()) -> Mapping[K, V]:
    """Return the mapping without the keys that are ``gone`` and with those that are ``put``; the given one must not change any more.

    A difference that has grown beyond a few times the root of what exists is written into a mapping of its own: so a chain of
    changes copies little at each step, and everything seldom.
    """
    base, over = (mapping.base, dict(mapping.over)) if isinstance(mapping, Overlay) else (mapping, {})
    for key in gone:
        if key in base:
            over[key] = _GONE
        else:
            over.pop(key, None)
    over.update(put)
    made = Overlay(base, over)
    return made.flat() if len(over) > _LEAST + _PER_ROOT * isqrt(len(base)) else made


def difference(before: Mapping[K, V], after: Mapping[K, V]) -> tuple[list[V], list[V]]:
    """Return the values of ``before`` that ``after`` does not hold as they are, and the other way round.

    Mappings on one base are compared where they differ from it; no Python code runs for each of the many values of others.
    """
    base, one = _parts(before)
    other_base, other = _parts(after)
    if base is not other_base:
        return _missing(before, after), _missing(after, before)
    pairs = [(before.get(key), after.get(key)) for key in {**one, **other}]
    lost = [a for a, b in pairs if a is not b and a is not None]
    return lost, [b for a, b in pairs if a is not b and b is not None]


def _parts(mapping: Mapping[K, V]) -> tuple[Mapping[K, V], Mapping[K, object]]:
    return (mapping.base, mapping.over) if isinstance(mapping, Overlay) else (mapping, {})


def _missing(these: Mapping[K, V], there: Mapping[K, V]) -> list[V]:
    mine = these.flat() if isinstance(these, Overlay) else these
    others = there.flat() if isinstance(there, Overlay) else there
    return list(compress(mine.values(), map(is_not, mine.values(), map(others.get, mine))))
