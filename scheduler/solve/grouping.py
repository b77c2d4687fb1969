"""Codes for rows of several columns: equal rows get equal numbers; the step that makes classes out of nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from scheduler.solve.problem import Bools, Ints

_WIDEST: Final = 2**62
"""Codes stay below it while columns are joined, so that 64 bits hold them."""
_ROOMY: Final = 4
"""A table of so many entries for each row is filled faster than the rows are sorted."""


def codes(columns: Iterable[Ints | Bools], size: int) -> tuple[Ints, Ints]:
    """Return for each row its code, 0 up in the order of the rows' values, and for each code its first row."""
    combined, width = np.zeros(size, dtype=np.int64), 1
    for column in columns:
        dense, count = _dense(column, size)
        if width * count > _WIDEST:
            combined, first = _numbered(combined, width)
            width = len(first)
        if count > 1:
            combined, width = combined * count + dense, width * count
    return _numbered(combined, width)


def ordered(keys: Iterable[Ints]) -> Ints:
    """Return the positions of rows sorted by keys that are not negative, the first key counting most; equal rows stay in their order."""
    columns = list(keys)
    size = len(columns[0])
    combined, width = np.zeros(size, dtype=np.int64), 1
    for column in (*columns, np.arange(size)):
        count = int(column.max(initial=0)) + 1
        if width * count > _WIDEST:
            return np.lexsort(columns[::-1])
        combined, width = combined * count + column, width * count
    return np.argsort(combined)


def _dense(column: Ints | Bools, size: int) -> tuple[Ints, int]:
    """Return small numbers from 0 up in the order of the values, and a bound above them."""
    if not size:
        return np.zeros(0, dtype=np.int64), 1
    low, high = int(column.min()), int(column.max())
    if high - low < _ROOMY * size + _ROOMY:
        return column.astype(np.int64) - low, high - low + 1
    if high - low >= _WIDEST:
        return np.unique(column, return_inverse=True)[1].astype(np.int64), size
    return _numbered(column.astype(np.int64) - low, high - low + 1)[0], size


def _numbered(combined: Ints, width: int) -> tuple[Ints, Ints]:
    """Give values below ``width`` new numbers without gaps, and find the first row of each."""
    size = len(combined)
    if width <= _ROOMY * size + _ROOMY:
        first = np.full(width, size, dtype=np.int64)
        first[combined[::-1]] = np.arange(size - 1, -1, -1)  # of equal rows the last that is written stays: the first row
        there = first < size
        return (np.cumsum(there) - 1)[combined], first[there]
    order = np.argsort(combined)
    run = combined[order]
    start = np.concatenate(([True], run[1:] != run[:-1]))
    found = np.empty(size, dtype=np.int64)
    found[order] = np.cumsum(start) - 1
    return found, np.minimum.reduceat(order, np.flatnonzero(start))
