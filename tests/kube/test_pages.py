"""Pages of lists that are read only as far as decisions read them: the objects come out as from a page that was read whole."""

import json
from typing import Any

import pytest

from scheduler.bench.worlds import list_pages, objects
from scheduler.kube.follow.watched import WATCHED, Watched
from scheduler.kube.parse import pages

NODES, PODS = (next(row for row in WATCHED if row.source == source) for source in ("nodes", "pods"))


def page(*items: object, more: str | None = None) -> bytes:
    return json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": more}, "items": items}).encode()


@pytest.mark.parametrize("row", [NODES, PODS], ids=["nodes", "pods"])
def test_objects_of_a_page_are_parsed_to_the_same_values_however_much_of_it_was_read(row: Watched) -> None:
    made = dict(zip(("nodes", "pods"), objects(nodes=20, pods=100, seed=0), strict=True))[row.source]
    (given,) = list_pages(made, row.kind)
    little, much = row.read(given), pages.whole(given)
    assert [row.parse(item) for item in little["items"]] == [row.parse(item) for item in much["items"]]
    assert little["metadata"]["resourceVersion"] == much["metadata"]["resourceVersion"]
    assert not any("managedFields" in item["metadata"] for item in little["items"]), "nothing is made of what no decision reads"


@pytest.mark.parametrize(
    "bad", [{"metadata": {"name": "p", "labels": 7}}, {"metadata": {"name": "p"}, "spec": []}, {"metadata": []}, {"metadata": None}, 7, None]
)
def test_a_page_with_an_object_that_cannot_be_read_is_read_whole(bad: Any) -> None:
    good = {"metadata": {"name": "good", "uid": "u", "managedFields": []}}
    assert PODS.read(page(good, bad, more="next")) == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "continue": "next"},
        "items": [good, bad],
    }


def test_the_token_of_the_next_page_and_a_list_without_items_are_read() -> None:
    assert PODS.read(page(more="next")) == {"metadata": {"resourceVersion": "7", "continue": "next"}, "items": []}
    assert NODES.read(b'{"metadata":{},"items":null}') == {"metadata": {}, "items": None}
    with pytest.raises(ValueError, match="EOF"):
        NODES.read(b'{"metadata":{},"items":[')
