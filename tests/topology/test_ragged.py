"""Ragged labels become warnings and are never merged silently."""

from __future__ import annotations

from collections.abc import Mapping

from topology import HOSTNAME, ZONE, Topology, build

T0, T1, T2 = (f"fabric.topograph.run/tier-{n}" for n in range(3))


def labelled(**nodes: str) -> dict[str, Mapping[str, str]]:
    """``a="r1 s1 c1"``: tiers 0, 1, 2; ``-`` leaves a tier out."""
    return {name: {key: value for key, value in zip((T0, T1, T2), text.split(), strict=False) if value != "-"} for name, text in nodes.items()}


def racks(topology: Topology) -> dict[str, str | None]:
    return {node: topology.domains_of(node).get(T0) for node in topology.nodes}


def codes(topology: Topology) -> list[tuple[str, str, int]]:
    return [(w.code, w.level, w.count) for w in topology.warnings]


def test_equal_racks_under_different_spines_are_kept_apart_and_said() -> None:
    topology = build(labelled(a="r1 s1", b="r1 s2", c="r2 s2"))
    assert racks(topology) == {"a": "s1/r1", "b": "s2/r1", "c": "r2"}
    (warning,) = topology.warnings
    assert (warning.code, warning.level, warning.nodes, warning.count) == ("SplitDomain", T0, ("a", "b"), 2)
    assert "s1/r1, s2/r1" in warning.message


def test_a_rack_whose_parents_are_one_value_and_missing_is_not_split() -> None:
    topology = build(labelled(a="r1 s1", b="r1 -", c="r1 s1"))
    assert racks(topology) == {"a": "r1", "b": "r1", "c": "r1"}
    assert codes(topology) == [("MissingLabel", T1, 1)]


def test_a_node_without_spine_belongs_to_neither_of_two_equal_racks() -> None:
    topology = build(labelled(a="r1 s1", b="r1 s2", c="r1 -", d="r1"))
    assert racks(topology) == {"a": "s1/r1", "b": "s2/r1", "c": "r1", "d": "r1"}


def test_two_tiers_up_is_seen_too() -> None:
    """The spine label is missing on both nodes; the cores differ."""
    topology = build(labelled(a="r1 - c1", b="r1 - c2", c="- s1 c1"))
    assert racks(topology) == {"a": "c1/r1", "b": "c2/r1", "c": None}


def test_a_split_spine_qualifies_the_racks_below_it() -> None:
    topology = build(labelled(a="r1 s1 c1", b="r1 s1 c2", c="r2 s1 c2"))
    assert topology.column(T1).domains == ("c1/s1", "c2/s1")
    assert racks(topology) == {"a": "c1/s1/r1", "b": "c2/s1/r1", "c": "r2"}


def test_a_parent_known_from_other_nodes_of_the_spine_counts_as_a_parent() -> None:
    """A says r1 under s1; s1 lies in c1 as d tells; b says r1 in c2: these are two racks."""
    topology = build(labelled(a="r1 s1 -", b="r1 - c2", d="r9 s1 c1"))
    assert racks(topology) == {"a": "c1/r1", "b": "c2/r1", "d": "r9"}


def test_equality_across_vocabularies_counts_as_it_is() -> None:
    """A rack in two zones is odd, but zone is another vocabulary: the rack stays one."""
    topology = build({"a": {T0: "r1", ZONE: "z1"}, "b": {T0: "r1", ZONE: "z2"}})
    assert topology.column(T0).domains == ("r1",)
    assert topology.warnings == ()


def test_an_nvlink_domain_may_lie_in_two_racks_and_a_rack_may_hold_two() -> None:
    clique = "nvidia.com/gpu.clique"
    topology = build({"a": {T0: "r1", clique: "x.1"}, "b": {T0: "r2", clique: "x.1"}, "c": {T0: "r2", clique: "x.2"}})
    assert topology.column(clique).domains == ("x.1", "x.2")
    assert topology.column(T0).domains == ("r1", "r2")
    assert topology.warnings == ()


def test_equal_sub_domains_of_different_nvlink_domains_are_kept_apart_and_are_optional() -> None:
    domain, sub = "accelerator.topograph.run/domain", "accelerator.topograph.run/sub-domain"
    topology = build({"a": {domain: "d1", sub: "s"}, "b": {domain: "d2", sub: "s"}, "c": {}})
    assert topology.column(sub).domains == ("d1/s", "d2/s")
    assert codes(topology) == [("MissingLabel", domain, 1), ("SplitDomain", sub, 2)]


def test_nodes_without_a_label_are_named_once_per_level_with_their_count() -> None:
    nodes = {f"n{i}": ({T0: "r", T1: "s"} if i == 0 else {}) for i in range(8)}
    topology = build(nodes)
    assert codes(topology) == [("MissingLabel", T1, 7), ("MissingLabel", T0, 7)]
    assert topology.warnings[0].nodes == ("n1", "n2", "n3", "n4", "n5")
    assert "7 of 8 nodes" in topology.warnings[0].message


def test_a_node_that_another_vendor_places_is_not_missing_a_rack() -> None:
    topology = build({"a": {T0: "r"}, "b": {"crusoe.ai/pod.id": "p"}, "c": {}})
    assert codes(topology) == [("MissingLabel", T0, 1)]
    assert topology.warnings[0].nodes == ("c",)


def test_an_empty_value_is_no_domain() -> None:
    topology = build({"a": {T0: ""}, "b": {T0: ""}, "c": {T0: "r"}})
    assert racks(topology) == {"a": None, "b": None, "c": "r"}
    assert codes(topology) == [("EmptyLabel", T0, 2)]


def test_a_key_with_nothing_but_empty_values_is_no_level() -> None:
    topology = build({"a": {T0: ""}, "b": {T0: ""}})
    assert [level.name for level in topology.levels] == ["host"]
    assert topology.resolve(T0) is None


def test_every_node_is_its_own_host_whatever_the_host_labels_say() -> None:
    topology = build({"a": {HOSTNAME: "h"}, "b": {HOSTNAME: "h"}, "c": {}, "d": {HOSTNAME: "e"}, "e": {}})
    assert sorted(topology.column(HOSTNAME).index.tolist()) == [0, 1, 2, 3, 4]
    assert topology.domains_of("c")[HOSTNAME] == "c"
    shared = [w for w in topology.warnings if w.code == "SharedHostname"]
    assert [(w.nodes, w.count) for w in shared] == [(("a", "b", "d"), 3)]


def test_host_labels_that_name_other_nodes_are_given_up_altogether() -> None:
    """Mending only the doubles would call a and c alike."""
    topology = build({"a": {HOSTNAME: "h"}, "b": {HOSTNAME: "h"}, "c": {HOSTNAME: "a"}})
    assert topology.column(HOSTNAME).domains == ("a", "b", "c")
    assert topology.domains_of("c")[HOSTNAME] == "c"


def test_host_labels_that_are_unique_name_the_hosts() -> None:
    topology = build({"ip-1": {HOSTNAME: "host-1"}, "ip-2": {}})
    assert topology.column(HOSTNAME).domains == ("host-1", "ip-2")


def test_a_cluster_without_any_topology_label_is_said_once() -> None:
    topology = build({"a": {"x": "y"}, "b": {}})
    assert [w.code for w in topology.warnings] == ["NoLevels"]
    assert build({"a": {}}).warnings == ()


def test_no_nodes_are_a_topology_too() -> None:
    topology = build({})
    assert topology.nodes == ()
    assert [level.name for level in topology.levels] == ["host"]
    assert topology.column(HOSTNAME).domains == ()
    assert topology.nearest("rack") == "host"
    assert list(topology.graph()) == []
