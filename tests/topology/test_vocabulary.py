"""Each vocabulary is detected from the labels that nodes carry, in the right order, under the right names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from topology import HOSTNAME, REGION, VOCABULARIES, ZONE, CustomLevel, Topology, Vocabulary, build
from topology.vocabulary import level_width, spoken, validate

V1 = "fabric.topograph.run/tier-"
AWS = "topology.k8s.aws/network-node-layer-"

DETECTED: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "topograph v0.1",
        ("network.topology.nvidia.com/block", "network.topology.nvidia.com/datacenter", "network.topology.nvidia.com/spine"),
        ("core=network.topology.nvidia.com/datacenter", "spine=network.topology.nvidia.com/spine", "rack=network.topology.nvidia.com/block"),
    ),
    (
        "topograph v0.3",
        (
            "network.topology.nvidia.com/leaf",
            "network.topology.nvidia.com/core",
            "network.topology.nvidia.com/spine",
            "network.topology.nvidia.com/accelerator",
        ),
        (
            "core=network.topology.nvidia.com/core",
            "spine=network.topology.nvidia.com/spine",
            "rack=network.topology.nvidia.com/leaf",
            "nvlink=network.topology.nvidia.com/accelerator",
        ),
    ),
    (
        "topograph v1",
        (
            f"{V1}0",
            f"{V1}1",
            f"{V1}2",
            f"{V1}3",
            f"{V1}10",
            "accelerator.topograph.run/domain",
            "accelerator.topograph.run/sub-domain",
        ),
        (
            f"tier-10={V1}10",
            f"tier-3={V1}3",
            f"core={V1}2",
            f"spine={V1}1",
            f"rack={V1}0",
            "nvlink=accelerator.topograph.run/domain",
            "nvlink-sub=accelerator.topograph.run/sub-domain",
        ),
    ),
    ("GFD", ("nvidia.com/gpu.clique",), ("nvlink=nvidia.com/gpu.clique",)),
    (
        "AWS",
        (f"{AWS}1", f"{AWS}2", f"{AWS}3", f"{AWS}4", "topology.k8s.aws/ultraserver-id"),
        (
            f"tier-3={AWS}1",
            f"core={AWS}2",
            f"spine={AWS}3",
            f"rack={AWS}4",
            "nvlink=topology.k8s.aws/ultraserver-id",
        ),
    ),
    (
        "GKE",
        ("cloud.google.com/gce-topology-subblock", "cloud.google.com/gce-topology-block"),
        ("spine=cloud.google.com/gce-topology-block", "rack=cloud.google.com/gce-topology-subblock"),
    ),
    (
        "OCI",
        ("oci.oraclecloud.com/rdma.local_block_id", "oci.oraclecloud.com/rdma.network_block_id", "oci.oraclecloud.com/host.gpu_memory_fabric_id"),
        (
            "spine=oci.oraclecloud.com/rdma.network_block_id",
            "rack=oci.oraclecloud.com/rdma.local_block_id",
            "nvlink=oci.oraclecloud.com/host.gpu_memory_fabric_id",
        ),
    ),
    (
        "CoreWeave",
        ("ib.coreweave.cloud/fabric", "ib.coreweave.cloud/superpod", "ib.coreweave.cloud/leafgroup", "ds.coreweave.com/nvlink.domain"),
        (
            "core=ib.coreweave.cloud/fabric",
            "spine=ib.coreweave.cloud/superpod",
            "rack=ib.coreweave.cloud/leafgroup",
            "nvlink=ds.coreweave.com/nvlink.domain",
        ),
    ),
    (
        "CoreWeave backend",
        ("backend.coreweave.cloud/fabric", "backend.coreweave.cloud/leafgroup"),
        ("core=backend.coreweave.cloud/fabric", "rack=backend.coreweave.cloud/leafgroup"),
    ),
    (
        "Nebius",
        ("topology.nebius.com/tier-0", "topology.nebius.com/tier-1", "topology.nebius.com/tier-2", "topology.nebius.com/gpu-cluster-id"),
        (
            "core=topology.nebius.com/gpu-cluster-id",
            "spine=topology.nebius.com/tier-2",
            "rack=topology.nebius.com/tier-1",
            "nvlink=topology.nebius.com/tier-0",
        ),
    ),
    ("Crusoe", ("crusoe.ai/pod.id", "crusoe.ai/ib.partition.id"), ("core=crusoe.ai/ib.partition.id", "rack=crusoe.ai/pod.id")),
    ("well known", (ZONE, REGION), (f"region={REGION}", f"zone={ZONE}")),
)


def carrying(*keys: str, nodes: int = 2) -> Topology:
    return build({f"n{i}": dict.fromkeys(keys, "x") for i in range(nodes)})


def shown(topology: Topology) -> tuple[str, ...]:
    return tuple(f"{level.name}={level.key}" for level in topology.levels)


@pytest.mark.parametrize(("vocabulary", "keys", "expected"), DETECTED, ids=[row[0] for row in DETECTED])
def test_a_vocabulary_is_detected_widest_first_with_hosts_last(vocabulary: str, keys: tuple[str, ...], expected: tuple[str, ...]) -> None:
    topology = carrying(*keys)
    assert shown(topology) == (*expected, f"host={HOSTNAME}")
    assert {level.vocabulary for level in topology.levels[:-1]} == {vocabulary}


def test_every_vocabulary_of_the_table_has_a_row_in_the_test_above() -> None:
    assert {v.name for v in VOCABULARIES} == {name for name, _, _ in DETECTED}


def test_the_deepest_layer_that_nodes_carry_is_the_rack_of_aws() -> None:
    assert shown(carrying(f"{AWS}1", f"{AWS}2")) == (f"spine={AWS}1", f"rack={AWS}2", f"host={HOSTNAME}")
    assert shown(carrying(f"{AWS}1")) == (f"rack={AWS}1", f"host={HOSTNAME}")


def test_keys_that_only_look_like_a_tier_are_no_levels() -> None:
    assert shown(carrying(f"{V1}x", f"{V1}01", f"{V1}-1", f"{AWS}", f"{V1}1234567")) == (f"host={HOSTNAME}",)


def test_several_vocabularies_at_once_keep_their_places() -> None:
    topology = carrying(ZONE, "nvidia.com/gpu.clique", "crusoe.ai/pod.id", f"{V1}1", f"{V1}0")
    assert [level.name for level in topology.levels] == ["zone", "spine", "rack", "rack", "nvlink", "host"]
    assert [level.dimension for level in topology.levels] == ["place", "fabric", "fabric", "fabric", "nvlink", "host"]


def test_a_key_of_two_generations_belongs_to_the_one_with_more_labels() -> None:
    spine = "network.topology.nvidia.com/spine"
    old = build({"a": {spine: "s", "network.topology.nvidia.com/block": "b"}})
    new = build({"a": {spine: "s", "network.topology.nvidia.com/leaf": "b"}})
    assert [level.vocabulary for level in old.levels] == ["topograph v0.1", "topograph v0.1", "well known"]
    assert [level.vocabulary for level in new.levels] == ["topograph v0.3", "topograph v0.3", "well known"]


def test_both_vendors_of_a_mixed_cluster_are_levels_and_a_name_means_the_key_that_most_nodes_carry() -> None:
    labels: dict[str, Mapping[str, str]] = {f"c{i}": {"crusoe.ai/pod.id": "p"} for i in range(3)}
    labels |= {f"t{i}": {f"{V1}0": "r"} for i in range(2)}
    topology = build(labels)
    assert shown(topology) == (f"rack={V1}0", "rack=crusoe.ai/pod.id", f"host={HOSTNAME}")
    rack = topology.resolve("rack")
    assert rack is not None
    assert rack.key == "crusoe.ai/pod.id"


def test_a_tie_between_keys_of_one_name_goes_by_the_order_of_the_table() -> None:
    rack = carrying("crusoe.ai/pod.id", f"{V1}0").resolve("rack")
    assert rack is not None
    assert rack.vocabulary == "topograph v1"


def test_custom_levels_stand_below_the_row_before_them_or_at_the_place_of_their_name() -> None:
    keys = ("acme.io/hall", "acme.io/row", f"{V1}1", f"{V1}0", ZONE)
    custom = [CustomLevel(key="acme.io/hall"), CustomLevel(key=f"{V1}1"), CustomLevel(key="acme.io/row", name="row"), CustomLevel(key="acme.io/none")]
    topology = build({"n": dict.fromkeys(keys, "x")}, custom=custom)
    assert [level.name for level in topology.levels] == ["zone", "acme.io/hall", "spine", "row", "rack", "host"]
    assert [level.dimension for level in topology.levels] == ["place", "custom", "fabric", "custom", "fabric", "host"]


def test_a_custom_name_overrules_what_the_vocabulary_says_of_the_key() -> None:
    key = "cloud.google.com/gce-topology-subblock"
    topology = build({"n": {key: "x"}}, custom=[CustomLevel(key=key, name="nvlink")])
    assert [(level.name, level.dimension) for level in topology.levels] == [("nvlink", "nvlink"), ("host", "host")]


@pytest.mark.parametrize(("key", "name"), [("no key", ""), ("", ""), ("acme.io/x", "host")])
def test_a_custom_level_that_cannot_be_one_is_refused(key: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"label key|told apart"):
        CustomLevel(key=key, name=name)


def test_level_names_are_ordered_from_host_to_region() -> None:
    names = ["host", "nvlink-sub", "nvlink", "rack", "spine", "core", "tier-3", "tier-4", "tier-999", "zone", "region"]
    widths = [level_width(name) for name in names]
    assert None not in widths
    assert widths == sorted(w for w in widths if w is not None)
    assert [level_width(name) for name in ("tier-0", "tier-2", "tier-1000", "row", "")] == [None] * 5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((("rack", "a.io/rack"), ("spine", "a.io/spine")), "not ordered"),
        ((("rack", "a.io/one"), ("rack", "a.io/two")), "not ordered"),
        ((("rack", "not a key"),), "no label key"),
        ((("shelf", "a.io/shelf"),), "no level name"),
        ((("spine", "crusoe.ai/pod.id"),), "elsewhere"),
    ],
)
def test_the_table_is_checked_when_it_is_loaded(rows: tuple[tuple[str, str], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate((*VOCABULARIES, Vocabulary(name="new", rows=rows)))


def test_two_vocabularies_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        validate((*VOCABULARIES, VOCABULARIES[0]))


def test_a_sentence_calls_a_level_by_its_name_but_for_nvlink_which_is_no_thing() -> None:
    named = [spoken(name) for name in ("rack", "nvlink", "nvlink-sub", "example.com/nvlink", "host")]
    assert named == ["rack", "NVLink domain", "NVLink-sub domain", "example.com/nvlink", "host"]
