"""What must not change a report: names, order, other worlds before it, the process and its hash seed; and what must never make it worse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from scheduler import plan
from scheduler.bench.exact import decided
from scheduler.bench.families import ELASTIC_LEADER, FAMILIES, Family, draw
from scheduler.bench.small import HOST, SmallNode, SmallWorld, cluster, objects
from scheduler.state.plan import Placed, Plan

ROOT = Path(__file__).parents[2]
ALL = (*FAMILIES, ELASTIC_LEADER)
SEED = 7


def drawn(family: Family, count: int) -> Iterator[SmallWorld]:
    return (draw(SEED, number, family) for number in range(count))


def answer(found: Plan) -> tuple[object, ...]:
    if isinstance(found, Placed):
        return (found.cost, found.bound, len(found.seats), [(v.key, v.count) for v in found.levels])
    return (found.status, found.reason, found.fits, sorted((r.room, r.needed) for r in found.rooms))


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_renaming_and_shuffling_the_nodes_changes_no_cost_and_no_status(family: Family) -> None:
    for world in drawn(family, 12):
        assert answer(decided(renamed(world))) == answer(decided(world)), world


def renamed(world: SmallWorld) -> SmallWorld:
    """Return the world with other names for nodes, racks and all domains, in another order, and other pods in another order too."""
    rng = Random(world.number)  # noqa: S311 - names to try, no secrets
    old = [node.name for node in world.nodes]
    new = dict(zip(old, rng.sample([f"x{i}" for i in range(20)], len(old)), strict=True))
    nodes = [
        replace(node, name=new[node.name], labels={key: mirrored(key, value, new) for key, value in node.labels.items()}) for node in world.nodes
    ]
    others = [replace(pod, node=new[pod.node]) for pod in world.others]
    rng.shuffle(nodes)
    rng.shuffle(others)
    members = tuple(replace(m, node=None if m.node is None else new[m.node]) for m in world.members)
    return replace(world, nodes=tuple(nodes), others=tuple(others), members=members)


def mirrored(key: str, value: str, names: dict[str, str]) -> str:
    """Return another name for a domain, such that the order of domains is another too."""
    if key == HOST:
        return names[value]
    return value if key == "kind" else f"{value[0]}{9 - int(value[1:])}"


@pytest.mark.parametrize("family", [f for f in ALL if not f.leads], ids=lambda family: family.name)
def test_the_order_of_members_changes_nothing_where_there_are_no_segments(family: Family) -> None:
    for world in drawn(family, 12):
        if not world.segments:
            other = replace(world, members=tuple(reversed(world.members)), shapes=world.shapes)
            assert answer(decided(other)) == answer(decided(world)), world


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_one_more_node_never_makes_a_gang_dearer_or_impossible(family: Family) -> None:
    """With explicit weights and all or none: what is placed stays possible at its cost. The new node lies beside one that is there."""
    for world in drawn(family, 25):
        if world.weights is None:
            continue
        whole = replace(world, least=len(world.members))
        beside = world.nodes[world.number % len(world.nodes)]
        labels = {key: value for key, value in beside.labels.items() if key != HOST}
        more = SmallNode(name="added", labels=labels, room=world.nodes[0].room)
        before, after = decided(whole), decided(replace(whole, nodes=(*world.nodes, more)))
        if isinstance(before, Placed):
            assert isinstance(after, Placed), world
            assert after.cost <= before.cost, world


def report(world: SmallWorld) -> str:
    """Return the report of a world as bytes would be written, without the time that it took."""
    found = plan(objects(world), cluster=cluster(world)).model_dump(mode="json", by_alias=True)
    for gang in found["gangs"]:
        del gang["decision"]["milliseconds"]
    return json.dumps(found)


def reports() -> list[str]:
    """Return the reports of some worlds of every family."""
    return [report(world) for family in FAMILIES for world in drawn(family, 3)]


def test_a_report_does_not_depend_on_what_was_planned_before() -> None:
    cold = reports()
    assert [report(world) for family in reversed(FAMILIES) for world in reversed(list(drawn(family, 3)))] == cold[::-1]
    assert reports() == cold


def test_reports_are_the_same_bytes_in_every_process_whatever_its_hash_seed() -> None:
    code = "import sys; sys.path.insert(0, '.'); from tests.property.test_same_answer import reports; print('\\n'.join(reports()))"
    written = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert written[0] == written[1] == reports()
