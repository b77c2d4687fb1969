"""Names, nearest spellings, wider levels, common levels and distances."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import pytest

import topology as package
from topology import HOSTNAME, REGION, ZONE, Topology, build
from topology.generate import fabric

T0, T1, T2 = (f"fabric.topograph.run/tier-{n}" for n in range(3))
CLIQUE = "nvidia.com/gpu.clique"


def small() -> Topology:
    """Two zones; zone z1 with two spines of two racks; nodes a1 and b1 share a clique over two racks."""
    return build(
        {
            "a1": {ZONE: "z1", T1: "s1", T0: "r1", CLIQUE: "q.1"},
            "a2": {ZONE: "z1", T1: "s1", T0: "r1", "acme.io/row": "7"},
            "b1": {ZONE: "z1", T1: "s1", T0: "r2", CLIQUE: "q.1"},
            "c1": {ZONE: "z1", T1: "s2", T0: "r3"},
            "d1": {ZONE: "z2", T1: "s3", T0: "r4"},
            "lost": {},
        }
    )


def test_a_name_a_known_key_and_any_carried_key_resolve_and_nothing_else_does() -> None:
    topology = small()
    assert [getattr(topology.resolve(x), "key", None) for x in ("rack", T0, "host", HOSTNAME)] == [T0, T0, HOSTNAME, HOSTNAME]
    row = topology.resolve("acme.io/row")
    assert row is not None
    assert (row.name, row.dimension) == ("acme.io/row", "custom")
    assert [topology.resolve(x) for x in ("core", T2, "region", REGION, "Rack", "", "acme.io/ro")] == [None] * 7


def test_a_bare_label_that_is_called_like_a_level_counts_only_where_no_level_has_the_name() -> None:
    with_level = build({"a": {"rack": "x", T0: "r"}})
    without = build({"a": {"rack": "x"}})
    assert with_level.resolve("rack") == with_level.resolve(T0)
    assert getattr(without.resolve("rack"), "key", None) == "rack"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("rak", "rack"),
        ("Rack", "rack"),
        ("topology.kubernetes.io/zome", ZONE),
        ("acme.io/Row", "acme.io/row"),
        ("core", "zone"),
        ("tier-4", "zone"),
        ("region", "zone"),
        ("nvlink-sub", "nvlink"),
        ("network.topology.nvidia.com/leaf", T0),
        ("topology.k8s.aws/ultraserver-id", CLIQUE),
        ("xyz", None),
        ("", None),
    ],
)
def test_the_nearest_level_or_spelling_that_exists_is_offered(asked: str, found: str | None) -> None:
    assert small().nearest(asked) == found


def test_wider_levels_come_nearest_first() -> None:
    topology = small()
    assert [level.name for level in topology.wider(HOSTNAME)] == ["nvlink", "rack", "spine", "zone"]
    assert [level.name for level in topology.wider(T0)] == ["spine", "zone"]
    assert topology.wider(ZONE) == ()


def test_levels_of_nodes_elsewhere_are_not_wider() -> None:
    topology = build({"a": {T0: "r", T1: "s"}, "b": {"crusoe.ai/pod.id": "p", "crusoe.ai/ib.partition.id": "i"}})
    assert [level.key for level in topology.wider(T0)] == [T1]


def test_the_levels_wider_than_an_unknown_key_are_those_that_contain_its_domains() -> None:
    rows = {"a1": "1", "a2": "1", "b1": "2", "c1": "3"}
    topology = small()
    labels = {node: {**topology.labels[node], "acme.io/row": rows.get(node, "")} for node in topology.nodes}
    assert [level.name for level in build(labels).wider("acme.io/row")] == ["spine", "zone"]


@pytest.mark.parametrize(
    ("a", "b", "level", "hops"),
    [
        ("a1", "a1", "host", 0),
        ("a1", "b1", "nvlink", 1),
        ("a1", "a2", "rack", 1),
        ("a2", "b1", "spine", 3),
        ("a1", "c1", "zone", 5),
        ("a1", "d1", None, 7),
        ("a1", "lost", None, 7),
        ("lost", "lost", "host", 0),
    ],
)
def test_two_nodes_meet_at_their_narrowest_common_level(a: str, b: str, level: str | None, hops: int) -> None:
    topology = small()
    assert getattr(topology.lowest_common_level(a, b), "name", None) == level
    assert topology.distance(a, b) == topology.distance(b, a) == hops


def test_a_node_that_is_not_there_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        small().distance("a1", "nobody")


def test_domains_of_a_node_leave_out_what_it_does_not_carry() -> None:
    topology = small()
    assert topology.domains_of("a2") == {ZONE: "z1", T1: "s1", T0: "r1", HOSTNAME: "a2"}
    assert topology.domains_of("lost") == {HOSTNAME: "lost"}
    assert topology.nodes_without(CLIQUE) == 4
    assert topology.nodes_without("acme.io/nothing") == 6


def test_columns_are_read_once_and_cannot_be_changed() -> None:
    topology = small()
    assert topology.column("acme.io/row") is topology.column("acme.io/row")
    with pytest.raises(ValueError, match="read-only"):
        topology.column(T0).index[0] = 5


def test_the_graph_of_a_fabric_has_the_distances_of_the_topology() -> None:
    made = build(fabric(nodes=48, rack_size=4, racks_per_spine=2, spines_per_core=2).labels())
    graph = made.graph()
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    for a in made.nodes[::5]:
        for b in made.nodes:
            if a != b:
                assert hops[a][b] - 1 == made.distance(a, b), (a, b)
    assert nx.is_forest(graph)


def test_the_graph_names_nodes_switches_and_nvlink_domains() -> None:
    graph = small().graph()
    kinds = nx.get_node_attributes(graph, "kind")
    assert [n for n, kind in kinds.items() if kind == "node"] == ["a1", "a2", "b1", "c1", "d1", "lost"]
    assert [n for n, kind in kinds.items() if kind == "nvlink"] == [(CLIQUE, "q.1")]
    assert graph.nodes[T0, "r1"] == {"kind": "switch", "level": "rack", "domain": "r1"}
    assert set(graph["a1"]) == {(T0, "r1"), (CLIQUE, "q.1")}
    assert set(graph[(T1, "s1")]) == {(T0, "r1"), (T0, "r2"), (ZONE, "z1")}
    assert graph.degree("lost") == 0


def test_a_node_without_rack_hangs_below_its_spine_and_one_of_no_fabric_below_its_zone() -> None:
    graph = build({"a": {T0: "r", T1: "s", ZONE: "z"}, "b": {T1: "s", ZONE: "z"}, "c": {ZONE: "z"}}).graph()
    assert set(graph["b"]) == {(T1, "s")}
    assert set(graph["c"]) == {(ZONE, "z")}


def test_a_custom_level_lies_between_its_neighbours_in_the_graph() -> None:
    custom = [package.CustomLevel(key=T1), package.CustomLevel(key="acme.io/row")]
    graph = build({"a": {T0: "r", T1: "s", "acme.io/row": "7"}}, custom=custom).graph()
    assert set(graph[("acme.io/row", "7")]) == {(T0, "r"), (T1, "s")}


def test_importing_topology_does_not_load_the_graph_library() -> None:
    """The command line starts with this import."""
    code = "import sys, topology; sys.exit('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
