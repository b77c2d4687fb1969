"""Synthetic fabrics have the promised shape, for every vocabulary, and depend on the seed alone."""

from __future__ import annotations

import json

import pytest

from topology import HOSTNAME, VOCABULARIES, build
from topology.generate import fabric

WITH_TIERS = [v.name for v in VOCABULARIES if v.series is not None or any(name == "rack" for name, _ in v.rows)]


@pytest.mark.parametrize("vocabulary", WITH_TIERS)
def test_a_fabric_shows_its_racks_in_the_words_of_its_vocabulary(vocabulary: str) -> None:
    topology = build(fabric(nodes=40, rack_size=4, racks_per_spine=5, vocabulary=vocabulary).labels())
    rack = topology.resolve("rack")
    assert rack is not None
    assert rack.vocabulary == vocabulary
    assert len(topology.column(rack.key).domains) == 10
    spine = topology.resolve("spine")
    assert spine is None or len(topology.column(spine.key).domains) == 2
    assert not [w for w in topology.warnings if w.code != "MissingLabel"]


def test_an_nvl72_fabric_has_a_clique_of_72_gpus_in_each_rack() -> None:
    made = fabric(nodes=54, nvl72=True)
    topology = build(made.labels())
    nvlink, rack = topology.resolve("nvlink"), topology.resolve("rack")
    assert nvlink is not None
    assert rack is not None
    pairs = set(zip(topology.column(nvlink.key).index.tolist(), topology.column(rack.key).index.tolist(), strict=True))
    assert len(pairs) == len({domain for domain, _ in pairs}) == len({domain for _, domain in pairs}) == 3
    gpus = [int(node["status"]["allocatable"]["nvidia.com/gpu"]) for node in made.nodes]
    assert sum(gpus[:18]) == 72


def test_the_seed_alone_decides() -> None:
    one, again, other = (fabric(nodes=30, used=0.5, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_nodes_are_about_as_large_as_real_ones_and_names_are_unique() -> None:
    made = fabric(nodes=200)
    size = sum(len(json.dumps(node)) for node in made.nodes) / 200
    assert 900 < size < 1300
    assert len({node["metadata"]["name"] for node in made.nodes}) == 200
    assert all(node["metadata"]["labels"][HOSTNAME] == node["metadata"]["name"] for node in made.nodes)


@pytest.mark.parametrize("used", [0.0, 0.3, 1.0])
def test_pods_take_the_share_of_gpus_that_was_asked_for_and_never_more_than_a_node_has(used: float) -> None:
    made = fabric(nodes=500, used=used)
    taken: dict[str, int] = {}
    for pod in made.pods:
        gpus = int(pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
        taken[pod["spec"]["nodeName"]] = taken.get(pod["spec"]["nodeName"], 0) + gpus
    assert max(taken.values(), default=0) <= 8
    assert sum(taken.values()) / 4000 == pytest.approx(used, abs=0.03)
    assert len({pod["metadata"]["name"] for pod in made.pods}) == len(made.pods)


def test_a_list_object_holds_nodes_and_pods() -> None:
    made = fabric(nodes=2, used=1.0)
    kinds = [item["kind"] for item in made.as_list()["items"]]
    assert kinds == ["Node", "Node", "Pod", "Pod"]


def test_a_vocabulary_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        fabric(nodes=1, vocabulary="runes")
