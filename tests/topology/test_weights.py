"""The default weights follow the bandwidths of the hardware."""

from __future__ import annotations

from topology import HOSTNAME, REGION, ZONE, CustomLevel, build, default_weights

T = "fabric.topograph.run/tier-"
CLIQUE = "nvidia.com/gpu.clique"


def weights(*keys: str) -> dict[str, int]:
    return dict(default_weights(build({"a": dict.fromkeys(keys, "x")})))


def test_hosts_are_the_nvlink_domains_where_no_other_is_shown() -> None:
    assert weights() == {HOSTNAME: 170}
    assert weights(CLIQUE) == {CLIQUE: 169, HOSTNAME: 1}
    assert weights("accelerator.topograph.run/domain", "accelerator.topograph.run/sub-domain") == {
        "accelerator.topograph.run/domain": 169,
        "accelerator.topograph.run/sub-domain": 1,
        HOSTNAME: 1,
    }


def test_the_slope_through_the_fabric_is_gentle_and_its_edge_is_a_cliff() -> None:
    assert weights(f"{T}0", f"{T}1", f"{T}2") == {f"{T}2": 2430, f"{T}1": 60, f"{T}0": 30, HOSTNAME: 170}
    assert weights(f"{T}0", f"{T}1") == {f"{T}1": 60, f"{T}0": 30, HOSTNAME: 170}
    assert weights(f"{T}0", f"{T}1", f"{T}2", f"{T}3", f"{T}4") == {
        f"{T}4": 2430,
        f"{T}3": 90,
        f"{T}2": 90,
        f"{T}1": 60,
        f"{T}0": 30,
        HOSTNAME: 170,
    }
    assert weights(ZONE, REGION) == {REGION: 2430, ZONE: 2430, HOSTNAME: 170}


def test_sums_of_weights_are_the_published_ratios() -> None:
    """What two pods pay that meet only at a level, plus the host's own 10, is the time per byte in tenths."""
    w = weights(f"{T}0", f"{T}1", f"{T}2", CLIQUE)
    narrow_to_wide = (HOSTNAME, CLIQUE, f"{T}0", f"{T}1", f"{T}2")
    sums = [10 + sum(w[key] for key in narrow_to_wide[:n]) for n in range(len(narrow_to_wide) + 1)]
    assert sums == [10, 11, 180, 210, 270, 2700]


def test_the_widest_weight_comes_first() -> None:
    topology = build({"a": dict.fromkeys((f"{T}0", f"{T}1", ZONE), "x")})
    assert [key for key, _ in default_weights(topology)] == [ZONE, f"{T}1", f"{T}0", HOSTNAME]


def test_of_two_keys_with_one_name_only_the_one_that_most_nodes_carry_weighs() -> None:
    both = build({"a": {f"{T}0": "r", "crusoe.ai/pod.id": "p"}, "b": {"crusoe.ai/pod.id": "p"}, "c": {"nvidia.com/gpu.clique": "x.1"}})
    assert dict(default_weights(both)) == {"crusoe.ai/pod.id": 30, CLIQUE: 169, HOSTNAME: 1}


def test_a_custom_level_weighs_only_under_a_level_name() -> None:
    labels = {"a": {"acme.io/row": "1", "acme.io/leaf": "2"}}
    topology = build(labels, custom=[CustomLevel(key="acme.io/row"), CustomLevel(key="acme.io/leaf", name="rack")])
    assert dict(default_weights(topology)) == {"acme.io/leaf": 30, HOSTNAME: 170}
