"""The shipped clusters show what their drawings say."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml

from tests.conformance import ROOT
from topology import GPU_PRODUCT, HOSTNAME, VOCABULARIES, ZONE, Topology, build

FOLDER = ROOT / "fixtures" / "clusters"
GPU = "nvidia.com/gpu"

SHOWN: tuple[tuple[str, int, dict[str, int], tuple[str, ...]], ...] = (
    # cluster, nodes, domains by level name, codes of the warnings
    ("h100-box", 1, {"zone": 1, "host": 1}, ()),
    ("h100-three-tier", 16, {"zone": 1, "core": 1, "spine": 2, "rack": 4, "host": 16}, ()),
    ("gb200-nvl72x4", 72, {"zone": 1, "core": 1, "spine": 2, "rack": 4, "nvlink": 4, "host": 72}, ()),
    ("two-cliques-one-rack", 18, {"region": 1, "zone": 1, "core": 1, "spine": 1, "rack": 1, "nvlink": 2, "host": 18}, ()),
    ("two-racks-one-clique", 22, {"zone": 1, "spine": 1, "rack": 3, "nvlink": 2, "host": 22}, ()),
    ("mixed-vendors", 19, {"zone": 3, "core": 1, "spine": 1, "rack": 2, "nvlink": 2, "host": 19}, ("MissingLabel",) * 4),
    (
        "ragged-labels",
        12,
        {"zone": 2, "core": 1, "spine": 3, "rack": 5, "host": 12},
        ("EmptyLabel", *("MissingLabel",) * 4, "SharedHostname", "SplitDomain"),
    ),
    ("full-with-one-hole", 16, {"zone": 1, "spine": 1, "rack": 2, "host": 16}, ()),
    ("main-test", 32, {"zone": 2, "spine": 2, "rack": 4, "host": 32}, ()),
    ("demo", 68, {"zone": 2, "spine": 2, "rack": 6, "nvlink": 2, "host": 68}, ("MissingLabel",)),
    ("gke-a4x", 12, {"region": 1, "zone": 1, "spine": 2, "rack": 3, "nvlink": 3, "host": 12}, ()),
    ("oci-gb200", 6, {"region": 1, "zone": 1, "spine": 1, "rack": 2, "nvlink": 2, "host": 6}, ()),
    ("nebius", 4, {"zone": 1, "core": 1, "spine": 1, "rack": 2, "nvlink": 1, "host": 4}, ("MissingLabel",)),
    ("crusoe", 6, {"zone": 1, "core": 2, "rack": 3, "host": 6}, ()),
    ("coreweave", 4, {"zone": 1, "core": 1, "rack": 2, "host": 4}, ()),
)


@cache
def items(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["items"]
    return found


def nodes_of(name: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in items(name) if item["kind"] == "Node"}


def topology_of(name: str) -> Topology:
    return build({node: item["metadata"]["labels"] for node, item in nodes_of(name).items()})


def used(name: str) -> dict[str, int]:
    """GPUs that running pods take, by node."""
    taken = dict.fromkeys(nodes_of(name), 0)
    for item in items(name):
        if item["kind"] == "Pod":
            requests = item["spec"]["containers"][0]["resources"]["requests"]
            taken[item["spec"]["nodeName"]] += int(requests.get(GPU, 0))
    return taken


@pytest.mark.parametrize(("name", "nodes", "domains", "codes"), SHOWN, ids=[row[0] for row in SHOWN])
def test_a_cluster_has_the_levels_of_its_drawing(name: str, nodes: int, domains: dict[str, int], codes: tuple[str, ...]) -> None:
    topology = topology_of(name)
    assert len(topology.nodes) == nodes
    levels = {level: topology.resolve(level) for level in dict.fromkeys(x.name for x in topology.levels)}
    assert {level: len(topology.column(found.key).domains) for level, found in levels.items() if found} == domains
    assert tuple(sorted(w.code for w in topology.warnings)) == codes


def test_every_cluster_file_is_checked_here_small_and_opens_with_a_drawing() -> None:
    files = sorted(FOLDER.glob("*.yaml"))
    assert {path.stem for path in files} == {row[0] for row in SHOWN}
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert len(text) < 60_000


def test_every_vocabulary_is_used_by_a_cluster() -> None:
    found = {level.vocabulary for name, *_ in SHOWN for level in topology_of(name).levels}
    assert found == {v.name for v in VOCABULARIES}


def test_nodes_name_their_amounts_and_pods_fit_their_nodes() -> None:
    for name, *_ in SHOWN:
        nodes = nodes_of(name)
        for item in nodes.values():
            assert set(item["status"]["allocatable"]) == {"cpu", "memory", "pods", "ephemeral-storage", GPU}
        for node, gpus in used(name).items():
            assert gpus <= int(nodes[node]["status"]["allocatable"][GPU]), (name, node)


@pytest.mark.parametrize("name", ["demo", "main-test"])
def test_the_drawing_counts_the_gpus_in_use(name: str) -> None:
    """Each rack's row of numbers, a dot for a free node, c for CPU work and x for a cordoned node."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    drawn = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    topology, taken = topology_of(name), used(name)
    rack = topology.resolve("rack")
    assert rack is not None
    column = topology.column(rack.key)
    for number, domain in enumerate(column.domains):
        members = [node for node, at in zip(topology.nodes, column.index.tolist(), strict=True) if at == number]
        signs = [str(taken[node] or ".") for node in members]
        row = next(row for row in rows(drawn, domain, len(members)))
        assert ["." if sign in "cx" else sign for sign in row] == signs, domain


def rows(drawn: str, domain: str, size: int) -> list[list[str]]:
    """Return the numbers below a rack's name (main-test) or beside it (demo)."""
    lines = drawn.splitlines()
    at = next(i for i, line in enumerate(lines) if domain in line)
    start = lines[at].index(domain)
    beside = lines[at][start + len(domain) :].split()[:size]
    below = lines[at + 1][start:].split()[:size]
    return [row for row in (beside, below) if len(row) == size and all(sign in "0123456789.cx" for sign in row)]


@pytest.mark.parametrize("name", ["demo", "main-test"])
def test_two_pods_of_eight_gpus_fit_together_in_one_zone_only(name: str) -> None:
    nodes, taken = nodes_of(name), used(name)
    cpu = {item["spec"]["nodeName"] for item in items(name) if item["kind"] == "Pod" and item["metadata"]["name"].startswith("tokenize")}
    free = [
        node
        for node, item in nodes.items()
        if item["metadata"]["labels"][GPU_PRODUCT] == "NVIDIA-H100-80GB-HBM3"
        and not item.get("spec", {}).get("unschedulable")
        and not taken[node]
        and node not in cpu
    ]
    zones = [nodes[node]["metadata"]["labels"][ZONE] for node in free]
    assert zones.count("zone-a") == 1
    assert zones.count("zone-b") >= 2
    assert all(nodes[node]["metadata"]["labels"][HOSTNAME] == node for node in free)


def test_the_full_cluster_has_one_free_node_and_no_other_free_gpu() -> None:
    taken = used("full-with-one-hole")
    assert {gpus for node, gpus in taken.items() if node != "n25"} == {8}
    assert taken["n25"] == 0


def test_two_racks_share_a_clique_and_two_cliques_share_a_rack() -> None:
    over, within = topology_of("two-racks-one-clique"), topology_of("two-cliques-one-rack")
    assert getattr(over.lowest_common_level("r1t1", "r2t9"), "name", None) == "nvlink"
    assert getattr(over.lowest_common_level("r1t1", "r3t1"), "name", None) == "spine"
    assert getattr(within.lowest_common_level("u01", "u09"), "name", None) == "nvlink"
    assert getattr(within.lowest_common_level("u09", "u10"), "name", None) == "rack"
