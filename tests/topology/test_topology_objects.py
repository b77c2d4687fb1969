"""Topology objects of Kueue and Grove become custom levels."""

from __future__ import annotations

import pytest

from topology import HOSTNAME, ZONE, CustomLevel, build, levels_of


def kueue(*levels: object) -> dict[str, object]:
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Topology", "spec": {"levels": list(levels)}}


def grove(*levels: object) -> dict[str, object]:
    return {"apiVersion": "grove.io/v1alpha1", "kind": "ClusterTopologyBinding", "spec": {"levels": list(levels)}}


def test_kueue_levels_keep_their_order_and_hosts_are_left_out() -> None:
    found = levels_of(kueue({"nodeLabel": ZONE}, {"nodeLabel": "acme.io/block"}, {"nodeLabel": "acme.io/rack"}, {"nodeLabel": HOSTNAME}))
    assert [level.key for level in found] == [ZONE, "acme.io/block", "acme.io/rack"]
    topology = build({"a": {ZONE: "z", "acme.io/block": "b", "acme.io/rack": "r"}}, custom=found)
    assert [level.key for level in topology.levels] == [ZONE, "acme.io/block", "acme.io/rack", HOSTNAME]


def test_grove_words_become_our_level_names() -> None:
    words = ("region", "zone", "datacenter", "block", "rack", "host", "numa")
    found = levels_of(grove(*({"domain": word, "key": f"acme.io/{word}"} for word in words)))
    assert [(level.key, level.name) for level in found] == [
        ("acme.io/region", "region"),
        ("acme.io/zone", "zone"),
        ("acme.io/datacenter", "core"),
        ("acme.io/block", "spine"),
        ("acme.io/rack", "rack"),
    ]


def test_equal_racks_under_different_blocks_of_kueue_are_kept_apart() -> None:
    """Kueue itself knows a domain by the values of all its levels."""
    custom = levels_of(kueue({"nodeLabel": "acme.io/block"}, {"nodeLabel": "acme.io/rack"}))
    topology = build({n: {"acme.io/block": n, "acme.io/rack": "r1"} for n in ("b1", "b2")}, custom=custom)
    assert topology.column("acme.io/rack").domains == ("b1/r1", "b2/r1")


def test_a_level_named_twice_counts_once() -> None:
    topology = build({"a": {"acme.io/x": "1"}}, custom=[CustomLevel(key="acme.io/x", name="rack"), CustomLevel(key="acme.io/x", name="spine")])
    assert [level.name for level in topology.levels] == ["rack", "host"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"apiVersion": "v1", "kind": "Pod"}, "found Pod of v1, expected one of Topology"),
        ({"apiVersion": "other.io/v1", "kind": "Topology", "spec": {}}, "found Topology of other.io"),
        ({"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Topology"}, r"spec\.levels: found NoneType"),
        ({"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Topology", "spec": {"levels": "x"}}, r"spec\.levels: found str"),
        (kueue({"nodeLabel": ZONE}, {"label": "x"}), r"spec\.levels\[1\]\.nodeLabel: found None"),
        (kueue("zone"), r"spec\.levels\[0\]\.nodeLabel"),
        (grove({"domain": "rack", "key": 3}), r"spec\.levels\[0\]\.key: found 3"),
        (kueue({"nodeLabel": "no key"}), "no label key"),
    ],
)
def test_an_object_that_cannot_be_read_is_named_with_its_field(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        levels_of(document)
