"""No set of pods that may go, and makes the gang fit, disturbs fewer GPUs than the first offer: shown by trying every set on small worlds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from random import Random
from typing import Any

import pytest

from scheduler.decide import filters
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import Neighbours, relax
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.disruption import DisruptionBudget, Share
from scheduler.state.gang import Demand, Gang, Member
from scheduler.state.ids import GangKey
from scheduler.state.objects import HostPort, Pod, PodTerm, Requirement
from scheduler.state.plan import Placed, Plan
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
HOST = "kubernetes.io/hostname"
PORTS = (HostPort(port=80),)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A gang, a small world around it, and who binds its pods together."""

    world: Snapshot
    gang: Gang
    neighbours: Neighbours


def _again(world: Snapshot, who: Gang) -> Plan:
    return place(world, who, engines.default, Budget(), CHECKS, explained=False)


def case(seed: int) -> Case:
    """Make a case from a seed."""
    draw = Random(seed)  # noqa: S311 - worlds, not secrets
    nodes = [
        node(f"n{i}", rack=draw.choice(["r0", "r1", "r1", ""]), gpus=draw.randint(1, 6), pods=draw.choice([3, 110]))
        for i in range(draw.randint(1, 4))
    ]
    wanted = {"ports": PORTS} if draw.random() < 0.25 else {}
    who = gang(
        pods=draw.randint(1, 4),
        worker=shape(gpus=draw.randint(0, 3), **wanted),
        leader=shape(gpus=draw.randint(0, 2)) if draw.random() < 0.4 else None,
        demand=Demand(required=draw.choice([None, "rack", "rack", "host"])),
    )
    who = replace(who, min_member=draw.randint(1, len(who.members)))
    pods = [_pod(draw, index, [str(n.name) for n in nodes]) for index in range(draw.randint(1, 7))]
    return Case(world=snapshot(nodes, pods), gang=who, neighbours=Neighbours(gangs=_gangs(draw, pods), budgets=_budgets(draw)))


def _pod(draw: Random, index: int, nodes: Sequence[str]) -> Pod:
    used = shape(gpus=draw.choice([0, 1, 1, 2, 2, 3]), ports=PORTS if draw.random() < 0.2 else ())
    found = pod(f"p{index}", on=draw.choice(nodes), namespace=draw.choice(["batch"] * 7 + ["kube-system"]), priority=draw.choice([0, 0, 5]), of=used)
    if draw.random() < 0.12:
        term = PodTerm(topology_key=draw.choice([HOST, RACK]), selector=(), namespaces=("ai",))
        found = replace(found, repels=(term,))
    return replace(found, labels={"app": draw.choice(["a", "b", "c"])})


def _gangs(draw: Random, pods: Sequence[Pod]) -> tuple[Gang, ...]:
    free = [p for p in pods if p.namespace == "batch"]
    found = []
    for number in range(draw.randint(0, 2)):
        members = [Member(pod=free.pop(), role="worker", rank=rank) for rank in range(min(len(free), draw.randint(1, 3)))]
        if members:
            about = gang(f"other-{number}", pods=1)
            least = draw.randint(1, len(members))
            found.append(replace(about, key=GangKey(f"batch/{number}"), namespace="batch", members=tuple(members), min_member=least))
    return tuple(found)


def _budgets(draw: Random) -> tuple[DisruptionBudget, ...]:
    found = []
    for number in range(draw.choice([0, 0, 1, 2])):
        share = Share(amount=draw.randint(0, 2)) if draw.random() < 0.7 else Share(amount=50, percent=True)
        numbers: dict[str, Any] = draw.choice([{"min_available": share}, {"max_unavailable": share}, {"allowed": draw.randint(0, 2)}])
        selector = draw.choice([(), (Requirement(key="app", operator="In", values=(draw.choice("abc"),)),)])
        found.append(DisruptionBudget(namespace="batch", name=f"b{number}", selector=selector, **numbers))
    return tuple(found)


# The answer by trying every set, without a line of the code that is tested.


def _sets(one: Case) -> Iterator[frozenset[str]]:
    """Give every set of pods that may go, gangs completed."""
    names = sorted(p.name for p in one.world.pods.values() if p.namespace == "batch")
    for chosen in chain.from_iterable(combinations(names, size) for size in range(1, len(names) + 1)):
        gone = frozenset(chosen)
        if _whole(one, gone) and _within(one, gone):
            yield gone


def _whole(one: Case, gone: frozenset[str]) -> bool:
    """Tell whether every gang keeps enough members or goes with all."""
    for other in one.neighbours.gangs:
        members = {m.pod.name for m in other.members}
        left = len(members - gone)
        if other.min_member > 1 and members & gone and 0 < left < other.min_member:
            return False
    return True


def _within(one: Case, gone: frozenset[str]) -> bool:
    for budget in one.neighbours.budgets:
        meant = [
            p
            for p in one.world.pods.values()
            if p.namespace == budget.namespace and (not budget.selector or p.labels["app"] in budget.selector[0].values)
        ]
        lost = sum(p.name in gone for p in meant)
        if budget.allowed is not None:
            if lost > budget.allowed:
                return False
        elif budget.min_available is not None:
            share = budget.min_available
            least = -(-share.amount * len(meant) // 100) if share.percent else share.amount
            if lost and len(meant) - lost < least:
                return False
        elif budget.max_unavailable is not None:
            share = budget.max_unavailable
            if lost > (-(-share.amount * len(meant) // 100) if share.percent else share.amount):
                return False
    return True


def _harm(one: Case, gone: frozenset[str]) -> tuple[int, int]:
    pods = [p for p in one.world.pods.values() if p.name in gone]
    return sum(p.used.amount(GPU) for p in pods), max(p.priority for p in pods)


def _fits(one: Case, gone: frozenset[str]) -> bool:
    """Tell whether the gang fits without these pods, by trying every node for every member."""
    left = [p for p in one.world.pods.values() if p.name not in gone]
    free = {n.name: (n.allocatable.amount(GPU), n.allocatable.amount("pods")) for n in one.world.nodes.values()}
    ports = {str(p.node) for p in left if p.shape.ports}
    for p in left:
        gpus, slots = free[p.node]  # type: ignore[index]  # every pod of these worlds runs
        free[p.node] = (gpus - p.used.amount(GPU), slots - 1)  # type: ignore[index]
    usable = [str(n) for n in one.world.nodes if not any(_repelled(one, p, str(n)) for p in left)]
    demand = one.gang.demand.required
    domains = [usable] if demand is None else [[n] for n in usable] if demand == "host" else _racks(one, usable)
    leaders = [m.pod for m in one.gang.members if m.role == "leader"]
    workers = [m.pod for m in one.gang.members if m.role != "leader"]
    core = max(one.gang.min_member, len(leaders))
    members = [*leaders, *workers[: core - len(leaders)]]
    return any(_seated(members, domain, {str(n): f for n, f in free.items()}, ports) for domain in domains)


def _racks(one: Case, nodes: Sequence[str]) -> list[list[str]]:
    racks: dict[str, list[str]] = {}
    for name in nodes:
        rack = one.world.nodes[name].labels.get(RACK)  # type: ignore[index]  # plain names
        if rack:
            racks.setdefault(rack, []).append(name)
    return list(racks.values())


def _repelled(one: Case, holder: Pod, name: str) -> bool:
    at, here = one.world.nodes[holder.node].labels, one.world.nodes[name].labels  # type: ignore[index]
    return any(t.topology_key in at and at[t.topology_key] == here.get(t.topology_key) for t in holder.repels)


def _seated(members: Sequence[Pod], nodes: Sequence[str], free: Mapping[str, tuple[int, int]], ports: set[str]) -> bool:
    if not members:
        return True
    first, *others = members
    asked = first.shape.requests.amount(GPU)
    for name in nodes:
        gpus, slots = free[name]
        if (asked and gpus < asked) or slots < 1 or (first.shape.ports and name in ports):
            continue
        taken = ports | {name} if first.shape.ports else ports
        if _seated(others, nodes, {**free, name: (gpus - asked, slots - 1)}, taken):
            return True
    return False


@pytest.mark.parametrize("start", range(0, 1200, 100))
def test_the_first_offer_to_free_is_the_smallest_of_all_sets_that_may_go(start: int) -> None:
    for seed in range(start, start + 100):
        one = case(seed)
        if isinstance(_again(one.world, one.gang), Placed):
            continue
        found = relax(one.world, one.gang, _again, neighbours=one.neighbours)
        offers = [{change["delete"]["name"] for change in r.changes} for r in found.relaxations if r.kind == "free"]
        enough = [_harm(one, gone) for gone in _sets(one) if _fits(one, gone)]
        if not enough:
            assert offers == [], (seed, offers)
            continue
        assert offers, seed
        for gone in map(frozenset, offers):
            assert gone in set(_sets(one)), (seed, gone)
            assert _fits(one, gone), (seed, gone)
        assert _harm(one, frozenset(offers[0])) == min(enough), (seed, offers[0])
