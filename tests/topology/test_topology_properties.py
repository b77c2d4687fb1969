"""Laws that hold for any labels, found ragged or not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from topology import HOSTNAME, ZONE, Topology, build, default_weights

TIERS = tuple(f"fabric.topograph.run/tier-{n}" for n in range(3))
KEYS = (*TIERS, ZONE, "nvidia.com/gpu.clique", "crusoe.ai/pod.id", "acme.io/row")
Labels = Mapping[str, Mapping[str, str]]

values = st.sampled_from(["", "x", "y", "z"])
node_labels = st.dictionaries(st.sampled_from(KEYS), values, max_size=len(KEYS))
clusters = st.dictionaries(st.sampled_from([f"n{i}" for i in range(10)]), node_labels, max_size=10)


def partition(topology: Topology, key: str, names: Mapping[str, str]) -> set[frozenset[str]]:
    column = topology.column(key)
    groups: dict[int, set[str]] = {}
    for node, index in zip(topology.nodes, column.index.tolist(), strict=True):
        if index >= 0:
            groups.setdefault(index, set()).add(names[node])
    return {frozenset(group) for group in groups.values()}


@given(labels=clusters, order=st.randoms(use_true_random=False))
def test_renaming_and_shuffling_nodes_keeps_every_partition(labels: Labels, order: object) -> None:
    names = list(labels)
    order.shuffle(names)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    new_name = {old: f"renamed-{i}" for i, old in enumerate(names)}
    before, after = build(labels), build({new_name[old]: labels[old] for old in names})
    old_name = {new: old for old, new in new_name.items()}
    assert before.levels == after.levels
    for key in (*KEYS, HOSTNAME):
        assert partition(before, key, {n: n for n in labels}) == partition(after, key, old_name)
    assert default_weights(before) == default_weights(after)
    assert [(w.code, w.level, w.count) for w in before.warnings] == [(w.code, w.level, w.count) for w in after.warnings]


@given(labels=clusters)
def test_columns_are_dense_sorted_and_agree_with_the_nodes_domains(labels: Labels) -> None:
    topology = build(labels)
    assert list(topology.nodes) == sorted(labels)
    for level in topology.levels:
        column = topology.column(level.key)
        assert list(column.domains) == sorted(set(column.domains))
        assert set(column.index.tolist()) - {-1} == set(range(len(column.domains)))
        assert topology.nodes_without(level.key) == column.index.tolist().count(-1)
        for node in topology.nodes:
            index = column.index[topology.position[node]]
            assert topology.domains_of(node).get(level.key) == (column.domains[index] if index >= 0 else None)


@given(labels=clusters)
def test_nodes_of_one_domain_never_name_two_parents_and_always_carry_one_value(labels: Labels) -> None:
    topology = build(labels)
    for narrow, key in enumerate(TIERS):
        for group in partition(topology, key, {n: n for n in labels}):
            assert len({labels[node][key] for node in group}) == 1
            for wider in TIERS[narrow + 1 :]:
                assert len({labels[node].get(wider) or None for node in group} - {None}) <= 1


@given(labels=clusters)
def test_a_rack_under_two_tiers_is_split_only_where_its_nodes_name_two_spines(labels: Labels) -> None:
    two_tiers = {node: {k: v for k, v in found.items() if k in TIERS[:2]} for node, found in labels.items()}
    topology = build(two_tiers)
    for value in {found.get(TIERS[0], "") for found in two_tiers.values()} - {""}:
        nodes = [node for node, found in two_tiers.items() if found.get(TIERS[0]) == value]
        spines = {two_tiers[node].get(TIERS[1]) or None for node in nodes}
        expected = 1 if len(spines - {None}) < 2 else len(spines)
        assert len({topology.domains_of(node)[TIERS[0]] for node in nodes}) == expected


@given(labels=clusters)
def test_the_lowest_common_level_and_the_distance_agree_with_the_domains(labels: Labels) -> None:
    topology = build(labels)
    for a, b in combinations(topology.nodes, 2):
        level = topology.lowest_common_level(a, b)
        common = [x for x in topology.levels if x.key in topology.domains_of(a).keys() & topology.domains_of(b).keys()]
        common = [x for x in common if topology.domains_of(a)[x.key] == topology.domains_of(b)[x.key]]
        assert level == (common[-1] if common else None)
        assert topology.lowest_common_level(b, a) == level
        assert topology.distance(a, b) == topology.distance(b, a) > 0
        assert topology.distance(a, a) == 0


@given(labels=clusters)
def test_nodes_with_a_common_domain_are_connected_in_the_graph(labels: Labels) -> None:
    topology = build(labels)
    graph = topology.graph()
    for a, b in combinations(topology.nodes, 2):
        if topology.lowest_common_level(a, b) is not None:
            assert nx.has_path(graph, a, b)
    kinds = nx.get_node_attributes(graph, "kind")
    assert {n for n, kind in kinds.items() if kind == "node"} == set(labels)


@given(labels=clusters)
def test_wider_levels_are_wider(labels: Labels) -> None:
    topology = build(labels)
    for level in topology.levels:
        found = topology.wider(level.key)
        assert [x.width for x in found] == sorted(x.width for x in found)
        assert all(x.width > level.width for x in found)
