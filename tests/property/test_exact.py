"""Through `scheduler.plan`, five hundred small worlds are answered with the optimum that trying every placement finds."""

from __future__ import annotations

import pytest

from scheduler import plan
from scheduler.bench.exact import decided, judged
from scheduler.bench.families import ELASTIC_LEADER, FAMILIES, Family, draw
from scheduler.bench.oracle import Best, most, optimum
from scheduler.bench.small import (
    CLIQUE,
    GPU,
    PODS,
    SPINE,
    SmallMember,
    SmallNode,
    SmallShape,
    SmallWorld,
    cluster,
    objects,
    pod_name,
)
from scheduler.report import GangReport
from scheduler.solve import engines
from scheduler.state.plan import Unplaced
from tests.property.naive import broken, cost

WORLDS = 500
EACH = -(-WORLDS // len(FAMILIES))
CONTRADICTED = ("MembersSplit", "UnknownLevel")


def planned(world: SmallWorld) -> GangReport:
    (row,) = plan(objects(world), cluster=cluster(world)).gangs
    return row


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_plan_is_the_optimum_and_a_refusal_is_confirmed(family: Family) -> None:
    for number in range(EACH):
        world = draw(0, number, family)
        row, best = planned(world), optimum(world)
        if best is None:
            assert row.status == "INFEASIBLE", (world, row)
            assert row.unplaced is not None
            assert row.unplaced.relaxations, world
            if row.unplaced.reason not in CONTRADICTED:
                assert row.unplaced.fits == most(world), world
        else:
            assert row.status == "OPTIMAL", (world, row)
            placed = [m for m in row.members if m.node is not None]
            assert (len(placed), row.cost, row.bound) == (best.placed, best.cost, best.cost), world
            keeps_the_rules(world, row)


def keeps_the_rules(world: SmallWorld, row: GangReport) -> None:
    """Judge the seats with rules that share nothing with the referee of the plan."""
    node_of = {m.pod: m.node for m in row.members}
    assert set(node_of) == {pod_name(world, at) for at in range(len(world.members))}
    seats = {at: node for at in range(len(world.members)) if (node := node_of[pod_name(world, at)]) is not None}
    assert broken(world, seats) == [], world
    assert cost(world, seats) == row.cost, world


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_either_engine_alone_finds_the_optimum_where_it_has_words(family: Family) -> None:
    """The tree programme keeps its curves from world to world, and says of few worlds that it cannot."""
    forced = {engine: engines.solver(engine) for engine in engines.ENGINES if engine != "auto"}
    lacking = dict.fromkeys(forced, 0)
    for number in range(EACH):
        world = draw(0, number, family)
        best = optimum(world)
        for engine, solver in forced.items():
            found = decided(world, solver)
            if isinstance(found, Unplaced) and found.reason == "EngineCannot":
                lacking[engine] += 1
            elif isinstance(found, Unplaced):
                assert (found.status, best) == ("INFEASIBLE", None), (engine, world)
            else:
                assert best is not None, (engine, world)
                assert (len(found.seats), found.cost, found.bound) == (best.placed, best.cost, best.cost), (engine, world)
    assert lacking["cpsat"] == 0
    assert lacking["tree"] <= EACH // 2


def test_an_nvlink_domain_that_reaches_over_two_spines_is_counted_in_each() -> None:
    """Only spine s1 has room for two; the segments' domain c0 lies in both spines."""
    nodes = [SmallNode(name=f"n{i}", labels={SPINE: spine, CLIQUE: "c0"}, room={GPU: 1, PODS: 110}) for i, spine in enumerate(("s0", "s1", "s1"))]
    world = SmallWorld(
        family="by hand",
        number=0,
        nodes=tuple(nodes),
        others=(),
        shapes=(SmallShape(asks={GPU: 1}),),
        members=(SmallMember(shape=0),) * 2,
        least=2,
        required=SPINE,
        weights={CLIQUE: 1},
        segments=((1, CLIQUE),),
    )
    assert optimum(world) == Best(core=0, placed=2, cost=0)
    for engine in engines.ENGINES:
        assert judged(world, engines.solver(engine)).mismatch == ""


def test_a_leader_is_in_the_core_of_an_elastic_gang() -> None:
    for number in range(EACH):
        verdict = judged(draw(0, number, ELASTIC_LEADER))
        assert verdict.mismatch == ""
