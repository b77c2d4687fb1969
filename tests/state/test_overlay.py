"""An overlay is the dictionary that it stands for, however it came about; a difference is all that two mappings do not share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.state.overlay import Overlay, changed, difference

KEYS = st.integers(0, 12)
STEPS = st.lists(st.tuples(st.dictionaries(KEYS, st.text(max_size=1), max_size=4), st.sets(KEYS, max_size=4)), max_size=12)


@given(st.dictionaries(KEYS, st.text(max_size=1)), STEPS)
@settings(max_examples=200, deadline=None)
def test_an_overlay_reads_like_a_dictionary_that_was_changed_in_the_same_steps(
    base: dict[int, str], steps: list[tuple[dict[int, str], set[int]]]
) -> None:
    kept = dict(base)
    plain, made = dict(base), changed(base, {})
    for put, gone in steps:
        plain = {key: value for key, value in plain.items() if key not in gone} | put
        made = changed(made, put, gone)
        assert made == plain
        assert (len(made), set(made), dict(made.items())) == (len(plain), set(plain), plain)
        assert sorted(made.values()) == sorted(plain.values())
        assert [made.get(key) for key in range(13)] == [plain.get(key) for key in range(13)]
        assert [key in made for key in range(13)] == [key in plain for key in range(13)]
        assert repr(made) == repr(dict(made))
    assert base == kept


@given(st.dictionaries(KEYS, st.text(max_size=1)), STEPS, STEPS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_difference_of_two_histories_turns_one_into_the_other(
    base: dict[int, str],
    first: list[tuple[dict[int, str], set[int]]],
    second: list[tuple[dict[int, str], set[int]]],
    apart: bool,
) -> None:
    one, other = changed(base, {}), changed(dict(base) if apart else base, {})
    for put, gone in first:
        one = changed(one, put, gone)
    for put, gone in second:
        other = changed(other, put, gone)
    lost, come = difference(one, other)
    assert sorted(lost) == sorted(v for k, v in one.items() if other.get(k) is not v)
    assert sorted(come) == sorted(v for k, v in other.items() if one.get(k) is not v)


def test_a_missing_key_is_an_error_and_a_default() -> None:
    made = changed({1: "a", 2: "b"}, {}, [1])
    for key in (1, 3):
        with pytest.raises(KeyError, match=str(key)):
            made[key]
    assert (made.get(1, "none"), made[2]) == ("none", "b")


def test_a_long_chain_of_changes_stays_one_look_up_deep_and_is_written_out_now_and_then() -> None:
    made, plain, flat = changed({i: i for i in range(1000)}, {}), {i: i for i in range(1000)}, 0
    for step in range(2000):
        made = changed(made, {1000 + step: step}, [step])
        plain[1000 + step] = step
        plain.pop(step, None)
        flat += not isinstance(made, Overlay)
        assert not (isinstance(made, Overlay) and isinstance(made.base, Overlay))
    assert made == plain
    assert 1 <= flat <= 20
