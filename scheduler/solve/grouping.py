"""Codes for rows of several columns: equal rows get equal numbers; the step that makes classes out of nodes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scheduler.solve.problem import Bools, Ints


def codes(columns: Iterable[Ints | Bools], size: int) -> tuple[Ints, Ints]:
    """Return for each row its code, 0 up, and for each code its first row.

    Numbering anew after each column keeps the codes below the number of rows, whatever the columns hold.
    """
    combined = np.zeros(size, dtype=np.int64)
    for column in columns:
        dense = np.unique(column, return_inverse=True)[1].astype(np.int64)
        combined = np.unique(combined * (int(dense.max(initial=0)) + 1) + dense, return_inverse=True)[1].astype(np.int64)
    first = np.unique(combined, return_index=True)[1].astype(np.int64)
    return combined, first
