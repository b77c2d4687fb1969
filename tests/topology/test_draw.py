"""Drawings are short, complete and say what is alike."""

from __future__ import annotations

from topology import ZONE, build
from topology.draw import draw
from topology.generate import fabric

T0, T1 = "fabric.topograph.run/tier-0", "fabric.topograph.run/tier-1"


def tree(text: str) -> list[str]:
    return text.split("\n\n")[1].splitlines()


def test_a_small_cluster_is_drawn_as_a_tree() -> None:
    labels = {"a": {T0: "r1", ZONE: "z"}, "b": {T0: "r1", ZONE: "z"}, "c": {T0: "r2", ZONE: "z"}, "d": {ZONE: "z"}, "e": {}}
    assert draw(build(labels)).splitlines() == [
        "zone        topology.kubernetes.io/zone  1 domain, 1 nodes without",
        "rack        fabric.topograph.run/tier-0  2 domains, 2 nodes without",
        "host        kubernetes.io/hostname  5 domains",
        "",
        "5 nodes",
        "├─ zone z: 4 nodes",
        "│  ├─ rack r1: 2 nodes",
        "│  │  └─ a, b",
        "│  ├─ rack r2: 1 node",
        "│  │  └─ c",
        "│  └─ d",
        "└─ e",
        "",
        "MissingLabel: Label topology.kubernetes.io/zone (zone) is missing on 1 of 5 nodes (e); each is a domain of its own.",
        "MissingLabel: Label fabric.topograph.run/tier-0 (rack) is missing on 2 of 5 nodes (d, e); each is a domain of its own.",
    ]


def test_ten_thousand_nodes_fit_on_a_screen() -> None:
    lines = tree(draw(build(fabric(nodes=10_000).labels())))
    assert len(lines) < 25
    assert any("(20 alike): 16 nodes each" in line for line in lines)


def test_unequal_siblings_are_cut_at_the_limit_and_the_rest_is_counted() -> None:
    labels = {f"n{r:02}-{n}": {T0: f"r{r:02}"} for r in range(1, 9) for n in range(r)}
    lines = tree(draw(build(labels), limit=3))
    assert lines[-1] == "└─ ... and 5 more like these with 30 nodes"
    assert sum(line.startswith("├─ rack") for line in lines) == 3


def test_an_nvlink_domain_in_two_racks_is_drawn_as_a_part_in_each() -> None:
    clique = "nvidia.com/gpu.clique"
    lines = tree(draw(build({"a": {T0: "r1", clique: "q"}, "b": {T0: "r2", clique: "q"}, "c": {T0: "r3", clique: "p"}})))
    assert [line.strip("│ ") for line in lines if "nvlink" in line] == ["└─ nvlink q: 1 of 2 nodes", "└─ nvlink p: 1 node"]
    assert "├─ rack r1, r2 (2 alike): 1 node each" in lines


def test_remarks_stand_beside_their_nodes_and_make_racks_unequal() -> None:
    labels = {f"{rack}{n}": {T0: rack} for rack in "ab" for n in range(3)}
    text = draw(build(labels), notes={"b1": "2 of 8 GPUs free"})
    assert "alike" not in text
    assert "   ├─ b0, b2\n   └─ b1  2 of 8 GPUs free" in text


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(build({})) == "no nodes"
