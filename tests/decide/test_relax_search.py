"""The search for pods to delete: what budgets allow, tables of nodes combined, answers in clusters full of gangs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.decide import filters
from scheduler.decide import relax_tables as tables
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import Neighbours, relax
from scheduler.decide.relax_disturb import Ledger, allowed
from scheduler.decide.relax_search import Search
from scheduler.decide.relax_site import Site
from scheduler.decide.survey import survey_of
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.disruption import DisruptionBudget, Share
from scheduler.state.gang import Gang, Member
from scheduler.state.ids import GangKey
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, pod, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
HALF = Share(amount=50, percent=True)


def _again(world: Snapshot, who: Gang) -> Plan:
    return place(world, who, engines.default, Budget(), CHECKS, explained=False)


@pytest.mark.parametrize(
    ("budget", "most"),
    [
        (DisruptionBudget(namespace="a", name="b", min_available=Share(amount=2), allowed=7), 7),
        (DisruptionBudget(namespace="a", name="b", min_available=Share(amount=2)), 2),
        (DisruptionBudget(namespace="a", name="b", min_available=HALF), 1),
        (DisruptionBudget(namespace="a", name="b", max_unavailable=Share(amount=1)), 0),
        (DisruptionBudget(namespace="a", name="b", max_unavailable=HALF), 2),
        (DisruptionBudget(namespace="a", name="b"), 0),
    ],
)
def test_a_budget_allows_what_its_status_says_else_what_its_numbers_leave(budget: DisruptionBudget, most: int) -> None:
    pods = [pod(f"p{index}", on="n1") for index in range(5)]
    pods[0] = replace(pods[0], terminating=True)
    assert allowed(budget, pods) == most


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=1, max_size=9), st.data())
def test_groups_combined_at_once_are_what_each_is_alone_and_parts_add_up(rows: list[list[int]], data: st.DataObject) -> None:
    priced = np.array(rows, dtype=np.int64).reshape(-1, 2, 3)
    priced[:, 0, 0] = 0
    priced[priced == 9] = tables.NEVER
    of = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    groups = [np.flatnonzero(np.array(of) == group) for group in range(3)]
    groups = [group for group in groups if len(group)]
    for group, whole in zip(groups, tables.together(priced, groups), strict=True):
        levels = tables.combined(priced[group])
        assert levels[-1][0].tolist() == whole.tolist()
        if whole[1, 2] < tables.NEVER:
            parts = tables.split(levels, (1, 2))
            assert tuple(map(sum, zip(*parts.values(), strict=True))) == (1, 2)
            assert sum(int(priced[group[row]][part]) for row, part in parts.items()) == whole[1, 2]


def _full_of_gangs(size: int) -> tuple[Snapshot, Neighbours]:
    """Return 24 nodes full of gangs of so many one-GPU pods, each gang on as many nodes."""
    nodes = [node(f"n{index:02}", gpus=4) for index in range(24)]
    pods = [pod(f"p{number:03}", on=f"n{number % 24:02}", gpus=1, namespace="batch") for number in range(96)]
    gangs = []
    for first in range(0, 96, size):
        members = tuple(Member(pod=one, role="worker", rank=rank) for rank, one in enumerate(pods[first : first + size]))
        gangs.append(replace(gang(f"g{first}", pods=1), key=GangKey(f"batch/{first}"), namespace="batch", members=members, min_member=size))
    return snapshot(nodes, pods), Neighbours(gangs=tuple(gangs))


@pytest.mark.parametrize("size", [2, 3, 8])
def test_a_cluster_full_of_gangs_gets_an_offer_with_whole_gangs_that_makes_the_gang_fit(size: int) -> None:
    world, neighbours = _full_of_gangs(size)
    who = gang(pods=3, gpus=4)
    (found,) = [r for r in relax(world, who, _again, neighbours=neighbours).relaxations if r.kind == "free"]
    gone = {change["delete"]["name"] for change in found.changes}
    for other in neighbours.gangs:
        assert len({m.pod.name for m in other.members} & gone) in (0, size)
    left = world.without([uid for uid, one in world.pods.items() if one.name in gone])
    assert isinstance(_again(left, who), Placed)


def test_an_answer_whose_proof_is_cut_short_is_told_apart_from_a_proved_one() -> None:
    world, neighbours = _full_of_gangs(8)
    who = gang(pods=3, gpus=4)
    ledger = Ledger(snapshot=world, gang=who, neighbours=neighbours, raw=None)
    site = Site(survey=survey_of(world, who, CHECKS), ledger=ledger)
    short, whole = Search(site=site, ledger=ledger, left=0).smallest(), Search(site=site, ledger=ledger, left=100_000).smallest()
    assert short is not None
    assert whole is not None
    assert (short.proved, whole.proved) == (False, True)
    assert short.gpus >= whole.gpus
