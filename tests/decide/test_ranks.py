"""Ranks only permute equal pods, and neighbours in rank are as close as the plan allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.decide import ranks
from scheduler.state.gang import Gang, Member
from scheduler.state.ids import NodeName
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, shape, snapshot

Chosen = list[tuple[tuple[Member, ...], Mapping[NodeName, int]]]


def world() -> Snapshot:
    """Two spines of two racks of two nodes: s0r0n0 and so on."""
    return snapshot([node(f"s{s}r{r}n{n}", spine=f"s{s}", rack=f"r{s}{r}") for s in (0, 1) for r in (0, 1) for n in (0, 1)])


def by_role(who: Gang, nodes: Sequence[str]) -> Chosen:
    """Give each pending member's role the nodes of its members, as a plan would."""
    roles = list(dict.fromkeys(m.role for m in who.pending))
    found: Chosen = []
    for role in roles:
        members = tuple(m for m in who.pending if m.role == role)
        taken = Counter(NodeName(n) for m, n in zip(who.pending, nodes, strict=True) if m.role == role)
        found.append((members, taken))
    return found


def in_rank_order(found: Mapping[str, NodeName], who: Gang) -> list[str]:
    return [str(found[m.pod.key]) for m in sorted(who.members, key=lambda m: m.rank)]


def crossings(where: Snapshot, nodes: Sequence[str]) -> tuple[int, ...]:
    """Count for each level, widest first, how often neighbours lie in different domains."""
    topology = where.topology
    columns = [topology.column(level.key).index for level in topology.levels]
    at = [topology.position[n] for n in nodes]
    return tuple(sum(c[a] != c[b] for a, b in pairwise(at)) for c in columns)


def test_consecutive_ranks_share_the_narrowest_domain_that_they_can() -> None:
    who = gang(pods=6, gpus=1)
    nodes = ["s1r0n0", "s0r0n0", "s1r0n0", "s0r1n0", "s0r0n1", "s0r0n0"]
    found = in_rank_order(ranks.order(world().topology, (), by_role(who, nodes)), who)
    assert found == ["s0r0n0", "s0r0n0", "s0r0n1", "s0r1n0", "s1r0n0", "s1r0n0"]


def test_the_leaders_domain_comes_first() -> None:
    who = gang(pods=5, gpus=1, leader=shape(gpus=4))
    nodes = ["s1r1n0", "s0r0n0", "s1r1n1", "s1r0n0", "s1r1n0"]
    found = in_rank_order(ranks.order(world().topology, (), by_role(who, nodes)), who)
    assert found == ["s1r1n0", "s1r1n0", "s1r1n1", "s1r0n0", "s0r0n0"]


def test_running_members_keep_their_nodes_and_draw_their_neighbours() -> None:
    who = gang(pods=4, gpus=1, on={0: "s1r0n0", 3: "s0r0n0"})
    found = in_rank_order(ranks.order(world().topology, who.fixed, by_role(who, ["s0r0n1", "s1r0n1"])), who)
    assert found == ["s1r0n0", "s1r0n1", "s0r0n1", "s0r0n0"]


def test_the_ranks_before_a_running_member_are_drawn_to_it() -> None:
    who = gang(pods=3, gpus=1, on={2: "s1r0n0"})
    found = in_rank_order(ranks.order(world().topology, who.fixed, by_role(who, ["s0r0n0", "s1r0n1"])), who)
    assert found == ["s0r0n0", "s1r0n1", "s1r0n0"]


@st.composite
def plans(draw: st.DrawFn) -> tuple[Gang, list[str]]:
    count = draw(st.integers(1, 6))
    leader = shape(gpus=4) if draw(st.booleans()) else None
    nodes = [draw(st.sampled_from(world().topology.nodes)) for _ in range(count)]
    return gang(pods=count, gpus=1, leader=leader), nodes


@given(plans())
@settings(max_examples=60, deadline=None)
def test_no_order_crosses_fewer_boundaries_and_every_node_keeps_its_pods(case: tuple[Gang, list[str]]) -> None:
    who, nodes = case
    where = world()
    chosen = by_role(who, nodes)
    order = ranks.order(where.topology, (), chosen)
    found = in_rank_order(order, who)
    for members, taken in chosen:
        assert Counter(order[m.pod.key] for m in members) == taken
    first = 1 if who.members[0].role == "leader" else 0
    every = {(*nodes[:first], *rest) for rest in permutations(nodes[first:])}
    assert crossings(where, found) == min(crossings(where, one) for one in every)
