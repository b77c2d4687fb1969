"""The oracle is itself held against trying every placement member by member, and knows the answers that a person can work out."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from scheduler.bench.families import ELASTIC_LEADER, FAMILIES, Family, draw, worlds
from scheduler.bench.oracle import Best, most, optimum
from scheduler.bench.small import HOST, PODS, RACK, SPINE, SmallMember, SmallNode, SmallShape, SmallWorld
from tests.property.naive import everything

ALL = (*FAMILIES, ELASTIC_LEADER)


def tiny(family: Family) -> list[SmallWorld]:
    """Return worlds in which member by member there is little to try."""
    drawn = (draw(1, number, family) for number in range(1000))
    return list(islice((w for w in drawn if (len(w.nodes) + 1) ** sum(m.node is None for m in w.members) <= 1500), 25))


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_the_oracle_finds_what_trying_member_by_member_finds(family: Family) -> None:
    chosen = tiny(family)
    assert len(chosen) == 25
    for world in chosen:
        assert optimum(world) == everything(world), world


def test_every_family_is_often_placed_and_often_refused() -> None:
    for family in ALL:
        answers = [optimum(draw(0, number, family)) for number in range(60)]
        placed = sum(answer is not None for answer in answers)
        assert 12 <= placed <= 50, (family.name, placed)


def test_the_same_seed_gives_the_same_worlds_and_another_seed_others() -> None:
    assert list(worlds(3, 30)) == list(worlds(3, 30))
    assert list(worlds(3, 30)) != list(worlds(4, 30))


def two_racks(**fields: object) -> SmallWorld:
    """Return four members of one GPU, and two racks of two nodes with two GPUs each."""
    nodes = [SmallNode(name=f"n{i}", labels={RACK: f"r{i // 2}", SPINE: "s"}, room={"nvidia.com/gpu": 2, PODS: 110}) for i in range(4)]
    base = SmallWorld(
        family="by hand",
        number=0,
        nodes=tuple(nodes),
        others=(),
        shapes=(SmallShape(asks={"nvidia.com/gpu": 1}),),
        members=(SmallMember(shape=0),) * 4,
        least=4,
        weights={RACK: 10, HOST: 1},
    )
    return replace(base, **fields)  # type: ignore[arg-type]  # fields by name


def test_four_members_share_two_nodes_of_one_rack() -> None:
    assert optimum(two_racks()) == Best(core=1, placed=4, cost=1)


def test_segments_of_two_fill_a_node_each_where_the_host_is_their_level() -> None:
    assert optimum(two_racks(segments=((2, HOST),), weights={SPINE: 1})) == Best(core=0, placed=4, cost=0)
    assert optimum(two_racks(segments=((3, HOST),), weights={SPINE: 1})) is None


def test_a_running_member_pins_its_segment_and_its_required_level() -> None:
    running = (SmallMember(shape=0), SmallMember(shape=0), SmallMember(shape=0, node="n0"), SmallMember(shape=0, node="n2"))
    assert optimum(two_racks(members=running, segments=((2, RACK),))) is None
    assert optimum(two_racks(members=running, required=RACK)) is None
    assert optimum(two_racks(members=running, segments=((2, SPINE),), required=SPINE)) == Best(core=11, placed=4, cost=11)


def test_members_beyond_the_core_are_placed_at_any_price_but_the_core_stays_cheapest() -> None:
    assert optimum(two_racks(members=(SmallMember(shape=0),) * 6, least=2)) == Best(core=0, placed=6, cost=12)


def test_the_most_that_fit_is_counted_under_the_same_demands() -> None:
    six = two_racks(members=(SmallMember(shape=0),) * 6, least=6, required=RACK)
    assert optimum(six) is None
    assert most(six) == 4
