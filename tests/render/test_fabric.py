"""Boxes: which frames are drawn, in which order, what they count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.render.fabric import DomainBox, fabric, natural
from scheduler.render.html import columns
from scheduler.report import RoomRow, UnplacedRow
from scheduler.state.objects import Taint
from tests import builders
from tests.builders import CLIQUE, RACK
from tests.pages import FIXTURES, gang_report, report_on, snapshot_of

CLUSTERS = sorted(path.stem for path in (FIXTURES / "clusters").glob("*.yaml"))


def titles(box: DomainBox, depth: int = 0) -> Iterator[str]:
    """Draw the boxes as indented lines."""
    yield "  " * depth + " + ".join(f"{p.level} {p.domain}" for p in box.places if p.key) + f" [{box.size}]"
    for inner in box.boxes:
        yield from titles(inner, depth + 1)


def walk(box: DomainBox) -> Iterator[DomainBox]:
    yield box
    for inner in box.boxes:
        yield from walk(inner)


@pytest.mark.parametrize("name", CLUSTERS)
def test_in_every_shipped_cluster_each_node_lies_once_in_boxes_of_all_its_domains(name: str) -> None:
    snapshot = snapshot_of(name)
    found: dict[str, dict[str, str]] = {}

    def collect(box: DomainBox, around: dict[str, str]) -> None:
        inside = around | {p.key: p.domain for p in box.places if p.key}
        for inner in box.boxes:
            collect(inner, inside)
        for node in box.nodes:
            assert node.name not in found
            found[node.name] = inside

    collect(fabric(None, snapshot), {})
    for node in snapshot.nodes:
        domains = dict(snapshot.topology.domains_of(node))
        del domains["kubernetes.io/hostname"]
        assert found.pop(node) == domains
    assert found == {}


@pytest.mark.parametrize("name", CLUSTERS)
def test_no_box_holds_nothing_but_one_box_of_the_same_nodes(name: str) -> None:
    assert [box.places for box in walk(fabric(None, snapshot_of(name))) if len(box.boxes) == 1 and not box.nodes] == []


def test_a_rack_that_is_one_nvlink_domain_is_one_frame() -> None:
    nodes = [builders.node(f"n{i}", rack=f"r{i // 2}", clique=f"c{i // 2}") for i in range(4)]
    assert list(titles(fabric(None, builders.snapshot(nodes)))) == [" [4]", "  rack r0 + nvlink c0 [2]", "  rack r1 + nvlink c1 [2]"]


def test_two_nvlink_domains_in_one_rack_lie_in_its_frame() -> None:
    nodes = [builders.node(f"n{i}", rack="r0", clique=f"c{i // 2}") for i in range(4)]
    assert list(titles(fabric(None, builders.snapshot(nodes)))) == ["rack r0 [4]", "  nvlink c0 [2]", "  nvlink c1 [2]"]


def test_an_nvlink_domain_of_whole_racks_is_drawn_around_them_beside_racks_without_one() -> None:
    nodes = [builders.node(f"n{i}", rack=f"r{i // 2}", clique="c" if i < 4 else "") for i in range(6)]
    assert list(titles(fabric(None, builders.snapshot(nodes)))) == [" [6]", "  nvlink c [4]", "    rack r0 [2]", "    rack r1 [2]", "  rack r2 [2]"]


def test_an_nvlink_domain_across_parts_of_racks_is_drawn_as_parts_that_know_the_whole() -> None:
    nodes = [builders.node(f"n{i}", rack=f"r{i // 2}", clique=c) for i, c in enumerate("aabb")]
    mixed = [builders.node(f"n{i}", rack=f"r{i // 2}", clique=c) for i, c in enumerate("aaab")]
    assert list(titles(fabric(None, builders.snapshot(nodes))))[1:] == ["  rack r0 + nvlink a [2]", "  rack r1 + nvlink b [2]"]
    box = fabric(None, builders.snapshot(mixed))
    assert list(titles(box))[1:] == ["  rack r0 + nvlink a [2]", "  rack r1 [2]", "    nvlink a [1]", "    nvlink b [1]"]
    assert [(p.domain, p.nodes) for b in walk(box) for p in b.places if p.key == CLIQUE] == [("a", 3), ("a", 3), ("b", 1)]


def test_numbers_in_names_are_in_order_of_their_value() -> None:
    assert sorted(["n10", "n2", "n1", "m", "n01", "7", "n"], key=natural) == ["7", "m", "n", "n01", "n1", "n2", "n10"]


def test_a_node_counts_others_seats_and_what_is_free() -> None:
    snapshot = builders.snapshot([builders.node("n1", gpus=8)], [builders.pod("x", on="n1", gpus=3), builders.pod("train-0", on="n1", gpus=2)])
    (node,) = fabric(report_on(snapshot, gang_report(seats=["n1", "n1"], gpus=2, bound=[0])), snapshot).all_nodes()
    assert (node.gpus, node.others, node.free) == (8, 3, 1)
    assert [(s.pod, s.at, s.gpus, s.shade, s.bound) for s in node.seats] == [("train-0", 3, 2, 0, True), ("train-1", 5, 2, 1, False)]


def test_seats_on_nodes_that_are_gone_are_not_drawn() -> None:
    snapshot = builders.snapshot([builders.node("n1")])
    assert fabric(report_on(snapshot, gang_report(seats=["n1", "gone", None])), snapshot).seats == 1


def test_a_box_adds_up_what_lies_in_it() -> None:
    nodes = [builders.node(f"n{i}", rack=f"r{i // 2}", gpus=4) for i in range(4)]
    box = fabric(None, builders.snapshot(nodes, [builders.pod("x", on="n3", gpus=3)]))
    assert [(b.size, b.gpus, b.free) for b in walk(box)] == [(4, 16, 13), (2, 8, 8), (2, 8, 5)]


def test_taints_and_a_cordon_are_notes_and_a_cordons_own_taint_is_told_once() -> None:
    cordon = Taint(key="node.kubernetes.io/unschedulable")
    nodes = [
        builders.node("n1", taints=[Taint(key="gpu", value="reserved"), cordon], unschedulable=True),
        builders.node("n2", taints=[Taint(key="a")]),
    ]
    assert [n.notes for n in fabric(None, builders.snapshot(nodes)).all_nodes()] == [
        ("cordoned", "taint gpu=reserved:NoSchedule"),
        ("taint a:NoSchedule",),
    ]


def test_the_room_of_a_gang_stands_on_its_domain_and_without_a_level_on_the_cluster() -> None:
    snapshot = builders.snapshot([builders.node("n1", rack="r1"), builders.node("n2", rack="r2")])
    rows = [(RACK, "rack", "r1", 3), (RACK, "rack", "r2", 1)]
    rooms = [RoomRow(key=key, name=name, domain=domain, room=room, needed=4, short={}, checks={}) for key, name, domain, room in rows]
    whole = [RoomRow(key="", name="cluster", domain="cluster", room=5, needed=9, short={}, checks={})]
    gangs = [
        gang_report(name, seats=[None], status="INFEASIBLE", unplaced=UnplacedRow(reason="r", message="m", fits=1, rooms=found, relaxations=[]))
        for name, found in (("a", rooms), ("b", whole))
    ]
    box = fabric(report_on(snapshot, *gangs), snapshot)
    assert [[(r.gang_name, r.text) for r in b.rooms] for b in walk(box)] == [[("b", "5 of 9")], [("a", "3 of 4")], [("a", "1 of 4")]]


@pytest.mark.parametrize(("nodes", "expected"), [(1, 1), (4, 4), (5, 4), (8, 4), (9, 3), (16, 4), (18, 6), (72, 12)])
def test_a_box_has_even_rows_where_it_can(nodes: int, expected: int) -> None:
    assert columns(nodes) == expected
