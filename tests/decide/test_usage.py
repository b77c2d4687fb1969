"""What nodes have left: a table that is brought up to date says what one made anew says, and what adding up by hand says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.decide.usage import LARGEST, NodeTable, table
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod
from scheduler.state.resources import CPU, GPU, PODS, Resources
from scheduler.state.snapshot import Snapshot
from topology import build

NAMES = ("n1", "n2", "n3")
AMOUNTS = st.dictionaries(st.sampled_from((CPU, GPU, "example.com/wire")), st.sampled_from((0, 1, 5, 2**40, 2**60, 2**62)), max_size=3).map(Resources)


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    name = draw(st.sampled_from("abcdef"))
    where = draw(st.sampled_from((*NAMES, "elsewhere", None)))
    return Pod(namespace="ai", name=name, uid=PodUid(name), node=None if where is None else NodeName(where), used=draw(AMOUNTS))


def said(found: NodeTable) -> dict[str, tuple[list[int], list[int], list[bool]]]:
    return {
        name: (found.total(name).tolist(), found.free(name).tolist(), found.overcommitted(name).tolist())
        for name in (CPU, GPU, PODS, "example.com/wire", "nobody.example/has")
    }


def by_hand(snapshot: Snapshot) -> dict[str, tuple[list[int], list[int], list[bool]]]:
    found = {}
    for name in (CPU, GPU, PODS, "example.com/wire", "nobody.example/has"):
        total = [min(LARGEST, snapshot.nodes[NodeName(n)].allocatable.amount(name)) for n in snapshot.topology.nodes]
        used = []
        for node in snapshot.topology.nodes:
            here = [p for p in snapshot.pods.values() if p.node == node]
            used.append(len(here) if name == PODS else min(LARGEST, sum(min(LARGEST, p.used.amount(name)) for p in here)))
        free = [max(0, t - u) for t, u in zip(total, used, strict=True)]
        found[name] = (total, free, [t < u for t, u in zip(total, used, strict=True)])
    return found


@given(st.lists(AMOUNTS, min_size=3, max_size=3), st.lists(st.tuples(st.booleans(), st.lists(pods(), max_size=4)), max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_table_brought_up_to_date_is_one_made_anew(offers: list[Resources], steps: list[tuple[bool, list[Pod]]]) -> None:
    nodes = {NodeName(n): Node(name=NodeName(n), allocatable=offer) for n, offer in zip(NAMES, offers, strict=True)}
    topology = build({name: {} for name in NAMES})
    warm = Snapshot(topology=topology, nodes=nodes)
    for gone, found in steps:
        warm = warm.without({p.uid for p in found}) if gone else replace(warm, pods={**warm.pods, **{p.uid: p for p in found}})
        cold = Snapshot(topology=topology, nodes=nodes, pods=dict(warm.pods))
        assert said(table(warm)) == said(table(cold)) == by_hand(cold)


def test_a_table_that_was_given_out_does_not_change_when_the_next_one_is_made() -> None:
    nodes = {NodeName("n1"): Node(name=NodeName("n1"), allocatable=Resources({GPU: 8, PODS: 9}))}
    pod = Pod(namespace="ai", name="a", uid=PodUid("a"), node=NodeName("n1"), used=Resources({GPU: 3}))
    snapshot = Snapshot(topology=build({"n1": {}}), nodes=nodes, pods={pod.uid: pod})
    before = table(snapshot)
    free = before.free(GPU)
    assert table(snapshot.without({pod.uid})).free(GPU).tolist() == [8]
    assert (before.free(GPU) is free, free.tolist(), np.asarray(before.used[GPU]).tolist()) == (True, [5], [3])
