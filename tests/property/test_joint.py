"""Gangs that compete are placed jointly as trying everything would place them, and nobody of higher priority pays for it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from scheduler.decide import filters, verify
from scheduler.decide.cycle import Step, decide, steps
from scheduler.decide.place import Checks
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang
from scheduler.state.ids import GangKey
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot
from tests import builders
from tests.builders import RACK
from tests.property.joint_worlds import Brute, Round, Value, drawn, value_of

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
WORLDS = 400


def judge(snapshot: Snapshot, plan: Plan) -> tuple[str, ...]:
    return verify.verify(snapshot, plan, filters.allowed)


def decided(round_: Round) -> list[Step]:
    return list(
        steps(
            round_.snapshot,
            round_.gangs,
            solver=engines.default,
            budget=Budget(),
            checks=CHECKS,
            verify=judge,
            joint=engines.joint,
        )
    )


def compare(round_: Round) -> int:
    """Follow a round step by step, and try everything wherever a gang is refused or others are moved for it; return how often they are."""
    brute, now, moves = Brute(round_), dict[GangKey, Placed](), 0
    for at, step in enumerate(decided(round_)):
        gang, plan = round_.gangs[at], step.plan
        before = [i for i in range(at) if round_.gangs[i].key in now]
        held = {i: value_of(round_, now[round_.gangs[i].key]) for i in before if round_.gangs[i].priority > gang.priority}
        if isinstance(plan, Unplaced):
            assert plan.status == "INFEASIBLE", plan
            assert brute.best([*before, at], held) is None, plan
            continue
        now.update({p.gang.key: p for p in (*step.moved, plan)})
        if step.moved:
            moves += 1
            assert tuple(value_of(round_, now[round_.gangs[i].key]) for i in [*before, at]) == brute.best([*before, at], held)
            assert all(p.optimal for p in (*step.moved, plan))
    for key, plan in now.items():
        world = round_.snapshot
        for other in (p for k, p in now.items() if k != key):
            world = world.with_plan(other)
        assert judge(world, plan) == ()
    return moves


@pytest.mark.parametrize("first", range(0, WORLDS, 100))
def test_joint_placements_are_what_trying_everything_finds(first: int) -> None:
    """Who is placed, at what cost each, and no UNKNOWN; every plan holds beside the seats of all others."""
    assert sum(compare(drawn(seed)) for seed in range(first, first + 100)) > 0, "in no world did gangs compete: nothing was tested"


def test_counting_nodes_one_by_one_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.solve.joint.loads.MOST_LOADS", 0)
    assert sum(compare(drawn(seed)) for seed in range(1000, 1200)) > 0


def values(round_: Round, plans: tuple[Plan, ...]) -> list[Value | None]:
    return [value_of(round_, p) if isinstance(p, Placed) else None for p in plans]


def all_of(round_: Round, gangs: tuple[Gang, ...]) -> tuple[Plan, ...]:
    return decide(round_.snapshot, gangs, solver=engines.default, budget=Budget(), checks=CHECKS, verify=judge, joint=engines.joint)


def test_gangs_of_lower_priority_never_cost_those_above_them_anything() -> None:
    """What the upper ones get is the same with and without the lower ones."""
    for seed in range(2000, 2080):
        round_ = drawn(seed)
        upper = tuple(g for g in round_.gangs if g.priority == 5)
        assert values(round_, all_of(round_, round_.gangs))[: len(upper)] == values(round_, all_of(round_, upper)), seed


def test_the_order_of_nodes_and_gangs_in_the_input_changes_nothing() -> None:
    for seed in range(3000, 3060):
        round_, random_ = drawn(seed), random.Random(seed)  # noqa: S311 - worlds, not secrets
        nodes, gangs = list(round_.snapshot.nodes.values()), list(round_.gangs)
        random_.shuffle(nodes)
        random_.shuffle(gangs)
        other = Round(snapshot=builders.snapshot(nodes, round_.snapshot.pods.values()), gangs=tuple(gangs))
        assert all_of(other, other.gangs) == all_of(round_, round_.gangs), seed


def planted(seed: int) -> Round:
    """Gangs that fill a cluster to the last GPU, each in one rack: made from their solution."""
    random_ = random.Random(seed)  # noqa: S311 - worlds, not secrets
    nodes, gangs = [], []
    for rack in range(random_.randint(2, 3)):
        sizes = [random_.choice([2, 4]) for _ in range(2)]
        for i, size in enumerate(sizes):
            nodes.append(builders.node(f"r{rack}n{i}", rack=f"r{rack}", spine="s0", gpus=size))
            left = size
            while left:
                take = random_.randint(1, left)
                left -= take
                gangs.append((rack, take))
    joined: dict[int, list[int]] = {}
    for rack, take in gangs:
        joined.setdefault(rack * 2 + random_.randint(0, 1), []).append(take)
    found = []
    for at, (_, takes) in enumerate(sorted(joined.items(), key=lambda _: random_.random())):
        one = builders.gang(f"g{at}", pods=len(takes), demand=Demand(required=RACK))
        members = tuple(replace(m, role=f"of {n}", pod=builders.pod(m.pod.name, gpus=n)) for m, n in zip(one.members, takes, strict=True))
        found.append(replace(one, members=members, created=float(at)))
    return Round(snapshot=builders.snapshot(nodes), gangs=tuple(found))


def test_gangs_that_fill_the_cluster_exactly_are_all_placed() -> None:
    moved = 0
    for seed in range(24):
        round_ = planted(seed)
        plans = all_of(round_, round_.gangs)
        assert all(isinstance(p, Placed) for p in plans), (seed, plans)
        moved += sum("jointly" in p.decision.why for p in plans)
    assert moved
