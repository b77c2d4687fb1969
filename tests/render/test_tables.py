"""Rows and columns that text and page share."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.render import tables
from scheduler.report import GangReport, Level, SegmentRow
from tests.pages import gang_report


def node(name: str, gpus: str = "8") -> dict[str, Any]:
    return {"create": {"kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "gpus": gpus}}


def with_segments() -> GangReport:
    spine = Level(key="x/spine", name="spine", required=True, weight=0, count=1, domains=["s1"])
    host = Level(key="x/host", name="host", required=False, weight=7, count=1, domains=["n1"])
    outer = SegmentRow(layer=0, key="x/spine", name="spine", size=8, count=2, domains=["s1"])
    inner = SegmentRow(layer=1, key="x/clique", name="nvlink", size=4, count=4, domains=["c1", "c2"])
    return gang_report(seats=["n1"], levels=[spine, host]).model_copy(update={"segments": [outer, inner]})


def test_layers_of_segments_follow_the_levels_in_order() -> None:
    assert [(x.name, x.wanted, list(x.domains)) for x in tables.levels(with_segments())] == [
        ("spine", "required", ["s1"]),
        ("host", "weight 7", ["n1"]),
        ("spine", "each segment of 8 in one", ["s1"]),
        ("nvlink", "each segment of 4 in one", ["c1", "c2"]),
    ]


def test_seats_have_one_column_for_each_level_but_the_host() -> None:
    assert tables.columns(with_segments()) == {"x/spine": "spine", "x/clique": "nvlink"}


def test_objects_to_create_that_differ_in_their_name_alone_are_put_together() -> None:
    patch = {"patch": {"kind": "PodGroup", "name": "g"}, "ops": []}
    changes = [patch, patch, node("a-1"), node("a-2"), node("a-10"), node("b-1", gpus="4"), node("b-2", gpus="4"), node("c")]
    found = tables.folded(changes)
    assert [(x.change, x.more) for x in found] == [
        (patch, []),
        (patch, []),
        (node("a-1"), ["a-2", "a-10"]),
        (node("b-1", gpus="4"), ["b-2"]),
        (node("c"), []),
    ]
    assert [x.likewise for x in found[1:4]] == ["", "and 2 more like it: a-2, a-10", "and 1 more like it: b-2"]


def test_many_that_are_alike_are_named_by_the_first_and_the_last() -> None:
    (found,) = tables.folded([node(f"a-{i}") for i in range(1, 1002)])
    assert found.likewise == "and 1,000 more like it: a-2 ... a-1001"


@pytest.mark.parametrize(
    ("key", "parts"), [("fabric.example/tier-0", ["fabric.", "example/", "tier-0"]), ("rack", ["rack"]), ("a./b", ["a.", "/", "b"])]
)
def test_a_key_breaks_after_dots_and_slashes_and_loses_nothing(key: str, parts: list[str]) -> None:
    assert tables.pieces(key) == parts
    assert "".join(tables.pieces(key)) == key
