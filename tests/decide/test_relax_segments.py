"""Relaxations of gangs with segments: domains that are partly free are joined, and few trials find how many nodes to add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scheduler.decide import filters
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import relax
from scheduler.decide.relax_ways import TRIALS
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Ref
from scheduler.state.plan import Placed, Plan, Relaxation
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


def _again(world: Snapshot, who: Gang) -> Plan:
    return place(world, who, engines.default, Budget(), CHECKS, explained=False)


def _gang(pods: int, gpus: int, *segments: Segment) -> Gang:
    found = gang(pods=pods, worker=shape(gpus=gpus), demand=Demand(segments=segments))
    return replace(found, workload=Ref(kind="PodGroup", name="train"))


def _offers(world: Snapshot, who: Gang, kind: str) -> Sequence[Relaxation]:
    return [r for r in relax(world, who, _again).relaxations if r.kind == kind]


def _added(offers: Sequence[Relaxation]) -> list[dict[str, str]]:
    assert len(offers) == 1
    return [change["create"]["metadata"]["labels"] for change in offers[0].changes]


def test_nodes_join_a_domain_that_lacks_least_of_a_segment() -> None:
    nodes = [node("a", rack="r0", gpus=4), node("b", rack="r1", gpus=2), node("c", rack="r1", gpus=4)]
    labels = _added(_offers(snapshot(nodes), _gang(4, 2, Segment(size=4, required="rack")), "addNodes"))
    assert [one[RACK] for one in labels] == ["r1"] * len(labels)


def test_one_node_beside_a_partly_free_one_is_enough_for_the_only_segment() -> None:
    labels = _added(_offers(snapshot([node("n7", rack="r1", gpus=4)]), _gang(3, 2, Segment(size=6, required="rack")), "addNodes"))
    assert [one[RACK] for one in labels] == ["r1"]


def test_a_running_member_draws_new_nodes_into_its_domain() -> None:
    nodes = [node("n0", rack="r0", gpus=1), node("n1", rack="r1", gpus=3)]
    who = _gang(4, 1, Segment(size=4, required="rack"))
    bound = pod(who.members[0].pod.name, on="n0", gpus=1)
    who = replace(who, members=(replace(who.members[0], pod=replace(who.members[0].pod, node=bound.node)), *who.members[1:]))
    labels = _added(_offers(snapshot(nodes, [who.members[0].pod]), who, "addNodes"))
    assert {one[RACK] for one in labels} == {"r0"}


def _racks(number: int) -> list[Node]:
    return [node(f"n{at}", rack=f"r{at // 2}", gpus=8) for at in range(number)]


@pytest.mark.parametrize("pods", [40, 160])
def test_few_trials_find_how_many_nodes_segments_need(pods: int) -> None:
    asked: list[int] = []

    def counted(world: Snapshot, who: Gang) -> Plan:
        asked.append(len(world.nodes))
        return _again(world, who)

    world, who = snapshot(_racks(20)), _gang(pods, 8, Segment(size=5, required="rack"))
    found = [r for r in relax(world, who, counted).relaxations if r.kind == "addNodes"]
    assert len(found) == 1
    assert sum(size > len(world.nodes) for size in asked) <= TRIALS + 1
    changed = relax_nodes(found[0], world)
    assert isinstance(_again(changed, who), Placed)


def relax_nodes(found: Relaxation, world: Snapshot) -> Snapshot:
    """Add the nodes of an offer to a world."""
    made = [change["create"]["metadata"] for change in found.changes]
    return snapshot([*world.nodes.values(), *(node(m["name"], gpus=8, labels=m["labels"]) for m in made)])


def test_pods_that_exist_are_changed_beside_the_workload_that_makes_them() -> None:
    said = {"annotations": {"coterie.dev/required-topology": "rack"}}
    who = replace(gang(pods=2, worker=shape(gpus=1)), demand=Demand(required="rack"))
    first = replace(who.members[0], pod=replace(who.members[0].pod, node=NodeName("n0")))
    who = replace(who, members=(first, *who.members[1:]))
    template: dict[str, object] = {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": []}}}}
    known: dict[tuple[str, str], dict[str, object]] = {
        (who.workload.kind, who.workload.name): {"kind": who.workload.kind, "metadata": {"name": who.workload.name, **said}, "spec": template},
        ("Pod", first.pod.name): {"kind": "Pod", "metadata": {"name": first.pod.name, **said}, "spec": {"containers": []}},
    }
    world = snapshot([node("n0", rack="r0", gpus=1), node("n1", rack="r1", gpus=1)], [first.pod])
    offers = relax(world, who, _again, lambda kind, _namespace, name: known.get((kind, name))).relaxations
    (widened,) = [one for one in offers if one.kind == "widen"]
    assert [change["patch"]["kind"] for change in widened.changes] == [who.workload.kind, "Pod"]


def test_nodes_are_spread_over_the_domains_that_lack_least_of_a_segment() -> None:
    nodes = [node(f"n{at}", rack=f"r{at}", gpus=gpus) for at, gpus in enumerate((6, 6, 6, 2))]
    (found,) = _offers(snapshot(nodes), _gang(12, 2, Segment(size=4, required="rack")), "addNodes")
    assert sorted(labels[RACK] for labels in _added([found])) == ["r0", "r1", "r2"]
    assert "in racks r0, r1, r2 (" in found.summary
