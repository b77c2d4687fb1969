"""Published models of real fabrics: topograph's switch trees and knavigator's nodes with known answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance import shared
from topology import Topology, build, default_weights

MODELS = (
    # file, nodes, fabric domains from rack to the widest tier, NVLink domains and their sizes, sub-domains
    ("small-tree", 6, [2, 1], [3, 3], 0),
    ("medium", 8, [4, 2, 1], [2, 2, 2, 2], 0),
    ("large", 96, [12, 6, 1], [8] * 12, 0),
    ("nvl72", 72, [4, 2, 1], [18] * 4, 0),
    ("dual-xclr-regular", 96, [12, 6, 1], [48, 48], 12),
    ("dual-xclr-irregular", 255, [29, 2, 1], [124, 131], 29),
)


def expand(ranges: str) -> Iterator[str]:
    """``node[0001-0009]`` as topograph writes it."""
    found = re.fullmatch(r"(.*)\[(.*)\](.*)", ranges)
    if found is None:
        yield ranges
        return
    for part in found[2].split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{found[1]}{number:0{len(first)}}{found[3]}"


def read_model(path: Path) -> Topology:
    """Label nodes as topograph v1 would: one tier per switch on the way up, and the accelerator's domains."""
    model = yaml.safe_load(path.read_text(encoding="utf-8"))
    parent = {child: name for name, switch in model["switches"].items() for child in (switch or {}).get("switches", [])}
    labels: dict[str, Mapping[str, str]] = {}
    for block in model["blocks"]:
        way, switch = [], block["switch"]
        while switch is not None:
            way.append(switch)
            switch = parent.get(switch)
        found = {f"fabric.topograph.run/tier-{tier}": name for tier, name in enumerate(way)}
        for key, value in block["annotations"].items():
            found[f"accelerator.topograph.run/{key.rpartition('/')[2]}"] = value
        labels |= {node: found for nodes in block["nodes"] for node in expand(nodes)}
    return build(labels)


@pytest.mark.parametrize(("name", "nodes", "tiers", "domains", "subs"), MODELS, ids=[m[0] for m in MODELS])
def test_a_model_of_topograph_has_its_published_shape(name: str, nodes: int, tiers: list[int], domains: list[int], subs: int) -> None:
    topology = read_model(shared(f"data/fabrics/topograph-{name}.yaml"))
    assert len(topology.nodes) == nodes
    fabric = [level.key for level in reversed(topology.levels) if level.dimension == "fabric"]
    assert [len(topology.column(key).domains) for key in fabric] == tiers
    column = topology.column("accelerator.topograph.run/domain")
    assert sorted(column.index.tolist().count(i) for i in range(len(column.domains))) == domains
    assert len(topology.column("accelerator.topograph.run/sub-domain").domains) == subs
    assert topology.warnings == ()


def knavigator(path: Path) -> tuple[Topology, set[str]]:
    """Return the topology of a workflow's nodes, and the nodes that it marks as busy."""
    tasks = {task["id"]: task["params"] for task in yaml.safe_load(path.read_text(encoding="utf-8"))["tasks"]}
    labels: dict[str, Mapping[str, str]] = {}
    for node in tasks["configure"]["nodes"]:
        found: dict[str, Any] = node["labels"]
        labels[found["node-id"]] = {key: str(value) for key, value in found.items()}
    busy = {selector["node-id"] for selector in tasks.get("update", {}).get("selectors", [])}
    return build(labels), busy


def cheapest(topology: Topology, nodes: list[str], size: int) -> list[tuple[str, ...]]:
    """Try every set of nodes; the cost is the sum of weight times domains beyond the first."""

    def cost(chosen: tuple[str, ...]) -> int:
        places = [topology.domains_of(node) for node in chosen]
        return sum(weight * (len({p.get(key, n) for p, n in zip(places, chosen, strict=True)}) - 1) for key, weight in default_weights(topology))

    costs = {chosen: cost(chosen) for chosen in combinations(nodes, size)}
    return [chosen for chosen, found in costs.items() if found == min(costs.values())]


def test_the_default_weights_find_the_one_best_placement_of_knavigator() -> None:
    topology, busy = knavigator(shared("data/fabrics/nwtopo-config-nodes.yaml"))
    assert busy == {"n1", "n3", "n6", "n11", "n12"}
    free = sorted(set(topology.nodes) - busy)
    assert [set(nodes) for nodes in cheapest(topology, free, 3)] == [{"n5", "n7", "n8"}]
    assert topology.distance("n5", "n7") == 3
    assert topology.distance("n5", "n9") == 5


def test_the_default_weights_keep_six_pods_in_one_nvlink_domain_of_knavigator() -> None:
    topology, _ = knavigator(shared("data/fabrics/nwtopo-config-nodes-acc.yaml"))
    best = cheapest(topology, list(topology.nodes), 6)
    assert {frozenset(nodes) for nodes in best} == {frozenset(f"n{i}" for i in range(1, 7)), frozenset(f"n{i}" for i in range(7, 13))}
