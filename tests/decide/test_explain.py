"""The sentence of a pending pod's condition opens as kube-scheduler's does and counts the nodes by what refuses them."""

from __future__ import annotations

from dataclasses import replace

from scheduler.decide import filters
from scheduler.decide.explain import sentence
from scheduler.decide.place import Checks, place
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang
from scheduler.state.objects import Taint
from scheduler.state.plan import Decision, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


def _refused(world: Snapshot, who: Gang) -> Unplaced:
    plan = place(world, who, engines.default, Budget(), CHECKS)
    assert isinstance(plan, Unplaced)
    return plan


def _world() -> Snapshot:
    nodes = [node(f"n{i}", rack=f"r{i // 3}", taints=[Taint(key="gpu", value="reserved")] if i == 5 else []) for i in range(6)]
    return snapshot(nodes, [pod("a", on="n0", gpus=2), pod("b", on="n1", gpus=1)])


def test_it_says_how_many_nodes_for_how_many_members_and_counts_refusals_in_words() -> None:
    who = gang(pods=4, gpus=8, demand=Demand(required="rack"))
    plan = _refused(_world(), who)
    said = sentence(_world(), plan, filters.summary)
    assert said.startswith("0/6 nodes are available for all 4 members of gang ai/train: ")
    assert plan.message.rstrip(".") in said
    assert said.endswith("; nodes for one worker: 2 Insufficient nvidia.com/gpu, 1 untolerated taint {gpu: reserved}.")


def test_elastic_gangs_name_the_minimum_and_lone_pods_the_one_member() -> None:
    elastic = sentence(_world(), _refused(_world(), gang(pods=7, min_member=6)), filters.summary)
    assert "for 6 of the 7 members of gang ai/train" in elastic
    lone = sentence(_world(), _refused(_world(), gang(pods=1, gpus=9)), filters.summary)
    assert lone.startswith("0/6 nodes are available for the one member of gang ai/train: ")


def test_of_two_roles_the_one_that_checks_keep_out_is_counted() -> None:
    who = gang(pods=3, leader=shape(gpus=1, node_selector=(("disk", "fast"),)), worker=shape(gpus=1))
    said = sentence(_world(), _refused(_world(), who), filters.summary)
    assert "nodes for one leader: 5 node(s) didn't match Pod's node affinity/selector, 1 untolerated taint {gpu: reserved}." in said


def test_what_is_no_proved_no_keeps_the_message_of_the_report() -> None:
    waiting = Unplaced(gang=gang(), status="WAITING", reason="MembersMissing", message="1 of 2 members exist.", decision=Decision(engine="none"))
    assert sentence(_world(), waiting, filters.summary) == "1 of 2 members exist."
    unknown = replace(waiting, status="UNKNOWN", reason="BudgetExhausted", message="No answer in time.")
    assert sentence(_world(), unknown, filters.summary) == "No answer in time."
