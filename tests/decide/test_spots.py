"""Of equal nodes those that lie close together are taken, and only equal nodes change places."""

import numpy as np

from scheduler.decide.spots import spots
from topology import Topology, build

RACK = "fabric.topograph.run/tier-0"
SPINE = "fabric.topograph.run/tier-1"


def fabric(**racks: str) -> Topology:
    """Nodes by name; ``n1="s1/r1"`` lies in that spine and rack, ``n1=""`` carries no label."""
    return build({node: dict(zip((SPINE, RACK), place.split("/"), strict=True)) if place else {} for node, place in racks.items()})


def chosen(topology: Topology, wanted: int, worth: dict[str, int] | None = None) -> set[str]:
    order = sorted(topology.nodes, key=lambda n: ((worth or {}).get(n, 0), n))
    nodes = np.array([topology.position[n] for n in order])
    found = spots(topology, nodes, np.array([(worth or {}).get(n, 0) for n in order]), wanted)
    return {topology.nodes[int(at)] for at in found}


def test_two_nodes_of_one_rack_are_taken_before_the_first_by_name() -> None:
    assert chosen(fabric(a="s1/r1", b="s1/r2", c="s1/r2"), 2) == {"b", "c"}


def test_a_border_between_spines_is_worse_than_one_between_racks() -> None:
    assert chosen(fabric(a="s1/r1", b="s2/r2", c="s2/r3"), 2) == {"b", "c"}


def test_nodes_without_labels_are_close_to_nobody() -> None:
    assert chosen(fabric(a="", b="", c="s1/r1", d="s1/r1"), 2) == {"c", "d"}


def test_a_fuller_node_is_taken_even_where_it_lies_apart() -> None:
    assert chosen(fabric(a="s1/r1", b="s1/r1", c="s2/r2"), 2, worth={"a": 8, "b": 8, "c": 4}) == {"c", "a"}


def test_all_or_none_of_the_nodes_need_no_choice() -> None:
    topology = fabric(a="s1/r1", b="s2/r2")
    assert chosen(topology, 2) == {"a", "b"}
    assert chosen(topology, 0) == set()
