"""A hint is never too narrow: where a change of the cluster makes room for a gang that was refused, the hint said that it may."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.decide import filters
from scheduler.decide.demand import weightless
from scheduler.decide.hints import Refusal, difference, need_of
from scheduler.decide.place import Checks, place
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Gang, Segment
from scheduler.state.objects import HostPort, Node, Pod, PodTerm, Taint
from scheduler.state.plan import Placed
from scheduler.state.snapshot import Snapshot
from tests import builders
from tests.builders import RACK, SPINE
from tests.property.worlds import Case, cases

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
Nodes = dict[str, Node]
Pods = dict[str, Pod]
Event = Callable[[random.Random, Nodes, Pods], None]


def _pod_goes(chance: random.Random, _: Nodes, pods: Pods) -> None:
    for name in [n for n in sorted(pods) if n.startswith("other")][: chance.randint(1, 2)]:
        del pods[name]


def _pod_comes(chance: random.Random, nodes: Nodes, pods: Pods) -> None:
    made = builders.pod(f"other-new-{chance.randint(0, 99)}", on=chance.choice(sorted(nodes)), gpus=chance.randint(0, 2))
    if chance.random() < 0.3:
        made = replace(made, shape=builders.shape(gpus=0, ports=(HostPort(port=80),)))
    if chance.random() < 0.3:
        made = replace(made, repels=(PodTerm(topology_key=chance.choice([RACK, "kubernetes.io/hostname"]), selector=(), namespaces=("ai",)),))
    pods[made.name] = made


def _pod_changes(chance: random.Random, nodes: Nodes, pods: Pods) -> None:
    for name in [n for n in sorted(pods) if n.startswith("other")][:1]:
        pods[name] = replace(pods[name], used=builders.resources(gpus=chance.randint(0, 3)), repels=())
        if chance.random() < 0.3:
            pods[name] = replace(pods[name], node=nodes[chance.choice(sorted(nodes))].name)


def _node_changes(chance: random.Random, nodes: Nodes, _: Pods) -> None:
    name = chance.choice(sorted(nodes))
    found = nodes[name]
    labels = dict(found.labels)
    match chance.randint(0, 4):
        case 0:
            found = replace(found, taints=() if found.taints else (Taint(key="reserved"),))
        case 1:
            found = replace(found, unschedulable=not found.unschedulable)
        case 2:
            found = replace(found, allocatable=builders.resources(gpus=chance.randint(0, 6), cpu=64_000, memory=2**40, pods=chance.randint(1, 4)))
        case _:
            labels[chance.choice([RACK, SPINE])] = chance.choice(["r0", "r1", "s0", "s1"])
            found = replace(found, labels=labels)
    nodes[name] = found


def _node_comes(chance: random.Random, nodes: Nodes, _: Pods) -> None:
    made = builders.node(
        f"new-{chance.randint(0, 9)}", rack=chance.choice(["", "r0", "r1"]), spine=chance.choice(["", "s0"]), gpus=chance.randint(1, 4)
    )
    nodes[made.name] = made


def _node_goes(chance: random.Random, nodes: Nodes, _: Pods) -> None:
    if len(nodes) > 1:
        del nodes[chance.choice(sorted(nodes))]


EVENTS: tuple[Event, ...] = (_pod_goes, _pod_goes, _pod_comes, _pod_changes, _node_changes, _node_changes, _node_comes, _node_goes)


def fits(snapshot: Snapshot, gang: Gang) -> int:
    """Return how many members have a node, none where the gang is refused."""
    plan = place(snapshot, weightless(gang), engines.default, Budget(), CHECKS, explained=False)
    return len(plan.seats) if isinstance(plan, Placed) else 0


def after(snapshot: Snapshot, event: Event, chance: random.Random) -> Snapshot:
    """Return the cluster after an event; what the event does not touch stays the same objects."""
    nodes, pods = {str(n): node for n, node in snapshot.nodes.items()}, {pod.name: pod for pod in snapshot.pods.values()}
    event(chance, nodes, pods)
    changed = builders.snapshot(nodes.values(), pods.values())
    if all(nodes.get(str(n)) is node for n, node in snapshot.nodes.items()) and len(nodes) == len(snapshot.nodes):
        return replace(changed, nodes=snapshot.nodes, topology=snapshot.topology, memo={})
    return changed


SEEN = {"helps": 0, "fits": 0, "spared": 0}
"""What the examples of one run were, so that the test is known to ask something."""


def play(case: Case, seed: int, events: int) -> None:
    """Refuse the gang, let things happen, and compare what the hint says with another decision."""
    chance, gang, now = random.Random(seed), case.gang, case.snapshot  # noqa: S311 - worlds, not secrets
    if not gang.pending:
        return
    if chance.random() < 0.2:
        gang = replace(gang, demand=replace(gang.demand, segments=(Segment(size=chance.randint(1, 2), required=chance.choice([RACK, SPINE])),)))
    before = fits(now, gang)
    refusal = Refusal(need=need_of(gang), seen=now)
    for _ in range(events):
        later = after(now, chance.choice(EVENTS), chance)
        helped = refusal.helped(difference(now, later))
        now, found = later, fits(later, gang)
        SEEN["helps"] += helped
        SEEN["fits"] += found > before
        assert helped or found <= before, (gang, difference(refusal.seen, later).looks)
        if helped:
            return
        SEEN["spared"] += 1


@given(cases(), st.integers(0, 2**30), st.integers(1, 4))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whenever_a_gang_fits_that_did_not_the_hint_said_that_it_may(case: Case, seed: int, events: int) -> None:
    play(case, seed, events)


def test_the_examples_hold_changes_that_help_changes_that_only_may_and_changes_that_cannot() -> None:
    if not sum(SEEN.values()):
        test_whenever_a_gang_fits_that_did_not_the_hint_said_that_it_may()
    assert min(SEEN.values()) > 20, SEEN
