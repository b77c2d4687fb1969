"""Codes and orders say the same as plain Python over the rows, whatever the values are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.solve.grouping import codes, ordered

VALUES = st.one_of(st.integers(-1, 3), st.sampled_from((-(2**60), 2**60, 2**62, 7 * 2**35, 8 * 2**35, -(2**62))))


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[int] = VALUES) -> list[list[int]]:
    size, columns = draw(st.integers(0, 30)), draw(st.integers(1, 6))
    return [draw(st.lists(values, min_size=size, max_size=size)) for _ in range(columns)]


@given(tables())
@settings(max_examples=200, deadline=None)
def test_codes_number_the_distinct_rows_in_their_order_and_name_the_first_of_each(columns: list[list[int]]) -> None:
    rows = list(zip(*columns, strict=True))
    found, first = codes((np.array(column, dtype=np.int64) for column in columns), len(rows))
    distinct = sorted(set(rows))
    assert found.tolist() == [distinct.index(row) for row in rows]
    assert first.tolist() == [rows.index(row) for row in distinct]


def test_many_rows_with_few_values_and_few_rows_with_many_are_numbered_alike() -> None:
    rng = np.random.default_rng(1)
    for values, size in ((3, 5000), (10**9, 5000), (5000, 40)):
        columns = [rng.integers(-1, values, size) for _ in range(9)] + [rng.random(size) < 0.5]
        found, first = codes(columns, size)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        number = {row: i for i, row in enumerate(sorted(set(rows)))}
        assert found.tolist() == [number[row] for row in rows]
        assert [rows[i] for i in first.tolist()] == sorted(number)
        assert found[first].tolist() == list(range(len(first)))
        assert all(rows.index(rows[i]) == i for i in first[:50].tolist())


@given(tables(st.one_of(st.integers(0, 3), st.sampled_from((2**40, 2**61)))))
@settings(max_examples=200, deadline=None)
def test_rows_are_ordered_by_the_first_key_first_and_equal_rows_stay_in_their_order(columns: list[list[int]]) -> None:
    rows = list(zip(*columns, strict=True))
    found = ordered([np.array(column, dtype=np.int64) for column in columns])
    assert found.tolist() == sorted(range(len(rows)), key=lambda at: (rows[at], at))
