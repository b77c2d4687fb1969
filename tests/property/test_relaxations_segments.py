"""Pods to delete and nodes to add where segments decide: what is offered is enough, and small worlds show that nothing smaller was overlooked."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from random import Random

import pytest

from scheduler.decide import filters
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import relax
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Pod, Ref
from scheduler.state.plan import Placed, Plan, Relaxation
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, SPINE, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
BLOCK = 40


def _again(world: Snapshot, who: Gang) -> Plan:
    return place(world, who, engines.default, Budget(), CHECKS, explained=False)


def _fits(world: Snapshot, who: Gang) -> bool:
    return isinstance(_again(world, who), Placed)


def _case(seed: int) -> tuple[list[Node], list[Pod], Gang]:
    draw = Random(seed)  # noqa: S311 - worlds, not secrets
    racks = {"r0": "s0", "r1": "s0", "r2": "s1"}
    homes = [draw.choice(sorted(racks)) for _ in range(draw.randint(2, 4))]
    nodes = [node(f"n{at}", rack=rack, spine=racks[rack], gpus=draw.randint(1, 4)) for at, rack in enumerate(homes)]
    pods = [pod(f"p{at}", on=draw.choice(nodes).name, gpus=draw.randint(1, 2)) for at in range(draw.randint(1, 4))]
    inner = Segment(size=draw.randint(1, 3), required=draw.choice(["rack", "rack", "host"]))
    layers = (Segment(size=2 * inner.size, required="spine"), inner) if draw.random() < 0.2 else (inner,)
    who = gang(
        pods=draw.randint(1, 5), worker=shape(gpus=draw.randint(1, 2)), demand=Demand(required=draw.choice([None, None, "spine"]), segments=layers)
    )
    who = replace(who, min_member=draw.randint(max(1, len(who.members) - 1), len(who.members)), workload=Ref(kind="PodGroup", name="train"))
    if draw.random() < 0.3:
        at = draw.randrange(len(who.members))
        members = (replace(m, pod=replace(m.pod, node=NodeName("n0"))) if i == at else m for i, m in enumerate(who.members))
        who = replace(who, members=tuple(members))
    return nodes, pods, who


def _refused(start: int) -> list[tuple[int, list[Node], list[Pod], Gang]]:
    found = []
    for seed in range(start, start + BLOCK):
        nodes, pods, who = _case(seed)
        plan = _again(snapshot(nodes, [*pods, *(m.pod for m in who.fixed)]), who)
        if not isinstance(plan, Placed) and plan.status == "INFEASIBLE" and plan.reason != "MembersSplit":
            found.append((seed, nodes, pods, who))
    assert found
    return found


def _offers(nodes: list[Node], pods: list[Pod], who: Gang, kind: str) -> list[Relaxation]:
    world = snapshot(nodes, [*pods, *(m.pod for m in who.fixed)])
    return [r for r in relax(world, who, _again).relaxations if r.kind == kind]


@pytest.mark.parametrize("start", range(0, 6 * BLOCK, BLOCK))
def test_where_deleting_pods_is_enough_for_segments_it_is_offered_and_enough(start: int) -> None:
    for seed, nodes, pods, who in _refused(start):
        offers = _offers(nodes, pods, who, "free")

        def enough(gone: set[str], nodes: list[Node] = nodes, pods: list[Pod] = pods, who: Gang = who) -> bool:
            return _fits(snapshot(nodes, [*(p for p in pods if p.name not in gone), *(m.pod for m in who.fixed)]), who)

        for one in offers:
            assert enough({change["delete"]["name"] for change in one.changes}), (seed, one)
        sets = chain.from_iterable(combinations(pods, size) for size in range(1, len(pods) + 1))
        least = min((sum(p.used.amount(GPU) for p in gone) for gone in sets if enough({p.name for p in gone})), default=None)
        if least is None:
            assert not offers, seed
            continue
        assert offers, (seed, least)
        if "fewer may do" not in offers[0].summary:
            assert offers[0].harm[1] == least, (seed, offers[0].summary)


@pytest.mark.parametrize("start", range(0, 6 * BLOCK, BLOCK))
def test_one_node_is_offered_where_one_like_another_is_enough_for_segments(start: int) -> None:
    for seed, nodes, pods, who in _refused(start):
        if who.demand.segments[-1].required != "rack":
            continue
        homes = {(n.labels[RACK], n.labels[SPINE]) for n in nodes} | {("new", spine) for spine in ("s0", "s1", "new")}
        kinds = {n.allocatable: n for n in nodes}.values()
        single = any(
            _fits(snapshot([*nodes, _like(kind, rack, spine)], [*pods, *(m.pod for m in who.fixed)]), who)
            for kind in kinds
            for rack, spine in sorted(homes)
        )
        offers = _offers(nodes, pods, who, "addNodes")
        assert not single or (offers and len(offers[0].changes) == 1), (seed, [one.summary for one in offers])


def _like(kind: Node, rack: str, spine: str) -> Node:
    return replace(kind, name=NodeName("new"), labels={**kind.labels, RACK: rack, SPINE: spine, "kubernetes.io/hostname": "new"})
