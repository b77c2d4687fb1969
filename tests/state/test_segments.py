"""How gangs are cut into segments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.state.gang import LeaderIn, Member, Segment
from scheduler.state.segments import cut, numbers
from tests.builders import gang, pod, shape


def members(count: int) -> tuple[Member, ...]:
    return gang(pods=count, leader=shape(gpus=1)).members


def ranks(count: int, size: int, leader: LeaderIn = "member") -> list[list[int]]:
    return [[m.rank for m in part] for part in cut(members(count), Segment(size=size, leader=leader))]


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (6, 3, [[0, 1, 2], [3, 4, 5]]),
        (5, 2, [[0, 1], [2, 3], [4]]),
        (2, 8, [[0, 1]]),
        (1, 1, [[0]]),
        (3, 1, [[0], [1], [2]]),
        (2, 10**9, [[0, 1]]),
    ],
)
def test_consecutive_members_are_cut_by_size_and_the_last_segment_may_be_short(count: int, size: int, expected: list[list[int]]) -> None:
    assert ranks(count, size) == expected


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (5, 2, [[0, 1, 2], [3, 4]]),
        (4, 2, [[0, 1], [2, 3]]),
        (3, 1, [[0, 1], [2]]),
        (5, 4, [[0, 1, 2, 3, 4]]),
        (1, 1, [[0]]),
    ],
)
def test_a_leader_beside_whole_subgroups_is_one_more_member_of_the_first(count: int, size: int, expected: list[list[int]]) -> None:
    assert ranks(count, size, "subgroup") == expected


@pytest.mark.parametrize(("count", "size", "expected"), [(5, 2, [[1, 2], [3, 4]]), (4, 2, [[1, 2], [3]]), (1, 2, []), (2, 2, [[1]])])
def test_an_excluded_leader_is_in_no_segment(count: int, size: int, expected: list[list[int]]) -> None:
    assert ranks(count, size, "excluded") == expected


def test_the_order_of_the_members_does_not_matter_and_names_break_ties_of_rank() -> None:
    known = members(4)
    assert cut(reversed(known), Segment(size=2)) == cut(known, Segment(size=2))
    equal = [Member(pod=pod(name), role="pod", rank=0) for name in ("b", "a")]
    assert [[m.pod.name for m in part] for part in cut(equal, Segment(size=1))] == [["a"], ["b"]]


def test_members_that_run_are_cut_with_the_others() -> None:
    who = gang(pods=4, on={1: "n0"})
    assert [[m.rank for m in part] for part in cut(who.members, Segment(size=2))] == [[0, 1], [2, 3]]


def test_members_know_their_segment_in_every_layer() -> None:
    known = members(5)
    found = numbers(known, (Segment(size=4), Segment(size=2)))
    assert [found[m.pod.key] for m in known] == [(0, 0), (0, 0), (0, 1), (0, 1), (1, 2)]
    excluded = numbers(known, (replace(Segment(size=2), leader="excluded"),))
    assert [excluded[m.pod.key] for m in known] == [(None,), (0,), (0,), (1,), (1,)]
    assert numbers(known, ()) == {m.pod.key: () for m in known}
