"""What-ifs: a snapshot after any chain of them says what one made anew says, and shares what did not change."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod, PodTerm
from scheduler.state.snapshot import Snapshot
from tests.builders import node, pod, snapshot
from tests.state.caching import plan

NODES = ("n1", "n2", "n3")
NAMES = ("a", "b", "c", "d", "e")
TERM = PodTerm(topology_key="kubernetes.io/hostname", selector=())


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    made = pod(draw(st.sampled_from(NAMES)), on=draw(st.sampled_from(NODES)), gpus=draw(st.integers(0, 3)), namespace=draw(st.sampled_from("xy")))
    return replace(made, repels=draw(st.sampled_from(((), (TERM,)))))


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, list[Pod]]:
    kind = draw(st.sampled_from(("plan", "without", "beside", "read")))
    return kind, draw(st.lists(pods(), max_size=4, unique_by=lambda p: p.uid))


def after(before: Snapshot, kind: str, found: list[Pod]) -> Snapshot:
    match kind:
        case "plan":
            return before.with_plan(plan([replace(p, node=None) for p in found], [str(p.node) for p in found]))
        case "without":
            return before.without({p.uid for p in found})
        case "beside":
            return before.beside([replace(p, node=None, nominated_node=p.node) for p in found], 0)
        case _:
            assert (len(before.used), len(before.repelling)) <= (len(NODES), len(before.pods))  # reads all tables: they are known from here on
            return before


def by_hand(pods: dict[PodUid, Pod], kind: str, found: list[Pod]) -> dict[PodUid, Pod]:
    match kind:
        case "plan":
            return pods | {p.uid: p for p in found}
        case "without":
            return {uid: p for uid, p in pods.items() if uid not in {p.uid for p in found}}
        case "beside":
            return pods | {p.uid: replace(p, nominated_node=p.node) for p in found if p.uid not in pods}
        case _:
            return pods


@given(st.lists(pods(), max_size=8, unique_by=lambda p: p.uid), st.lists(steps(), max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_chain_of_what_ifs_says_what_a_snapshot_made_anew_says(first: list[Pod], chain: list[tuple[str, list[Pod]]]) -> None:
    world = snapshot([node(name) for name in NODES], first)
    expected = dict(world.pods)
    for kind, found in chain:
        world, expected = after(world, kind, found), by_hand(expected, kind, found)
        fresh = Snapshot(topology=world.topology, nodes=world.nodes, pods=expected)
        assert world.pods == expected
        assert (world.pods_on, world.used) == (fresh.pods_on, fresh.used)
        assert sorted(p.uid for p in world.repelling) == sorted(p.uid for p in fresh.repelling)
        assert [world.free(NodeName(name)) for name in NODES] == [fresh.free(NodeName(name)) for name in NODES]


def test_a_what_if_leaves_the_snapshot_that_it_was_asked_of_as_it_is() -> None:
    world = snapshot([node(name) for name in NODES], [pod("a", on="n1"), pod("b", on="n2")])
    before = (dict(world.pods), dict(world.pods_on), dict(world.used), world.repelling)
    other = world.without([pod("a").uid]).with_plan(plan([pod("c")], ["n2"]))
    assert (dict(world.pods), dict(world.pods_on), dict(world.used), world.repelling) == before
    assert set(other.pods) == {pod("b").uid, pod("c").uid}


def test_nodes_that_a_what_if_does_not_touch_keep_their_very_rows() -> None:
    world = snapshot([node(name) for name in NODES], [pod("a", on="n1"), pod("b", on="n2")])
    used = world.used
    other = world.without([pod("a").uid])
    assert other.pods_on[NodeName("n2")] is world.pods_on[NodeName("n2")]
    assert other.used[NodeName("n2")] is used[NodeName("n2")]
    assert other.memo is world.memo
    assert NodeName("n1") not in other.pods_on
