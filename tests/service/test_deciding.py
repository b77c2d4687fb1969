"""A decision in the worker thread, while the cluster goes on."""

import asyncio
from dataclasses import replace

from scheduler.service.deciding import REFUSED_BEFORE, Decider, checks
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Removed
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Pod
from scheduler.state.plan import Placed, Unplaced
from tests.builders import gang, node, pod, snapshot


def put(cache: ClusterCache, value: Node | Pod) -> None:
    source, namespace = ("nodes", "") if isinstance(value, Node) else ("pods", value.namespace)
    cache.apply(Put(id=Id(source=source, namespace=namespace, name=value.name, uid=value.uid), value=value))


def cluster(asked: Gang, *nodes: str) -> ClusterCache:
    cache = ClusterCache()
    for name in nodes:
        put(cache, node(name))
    for member in asked.members:
        put(cache, member.pod)
    return cache


class Once:
    """Something that happens while the first decision is made."""

    def __init__(self, cache: ClusterCache, *happens: Node | Pod | str) -> None:
        """Take what happens: an object comes, or the pod of a name goes."""
        self.asked = 0
        self._cache = cache
        self._happens = list(happens)

    def solve(self, problem: Problem, budget: Budget) -> Solution:
        self.asked += 1
        return engines.default(problem, budget)

    def drain(self) -> bool:
        for each in self._happens:
            if isinstance(each, str):
                self._cache.apply(Removed(id=Id(source="pods", namespace="ai", name=each, uid=f"uid-ai-{each}")))
            else:
                put(self._cache, each)
        self._happens.clear()
        return True


def decide(cache: ClusterCache, once: Once, asked: Gang, *without: str) -> Placed | Unplaced:
    decider = Decider(cache, once.solve, Budget(), drain=once.drain)
    return asyncio.run(decider.decide(asked, without=[NodeName(name) for name in without])).plan


def test_a_plan_that_still_holds_after_a_change_is_kept() -> None:
    asked = gang(pods=2)
    cache = cluster(asked, "n1", "n2", "n3")
    once = Once(cache, node("n4"))
    assert isinstance(decide(cache, once, asked), Placed)
    assert once.asked == 1


def test_a_plan_whose_room_was_taken_meanwhile_is_made_anew_on_the_newest_snapshot() -> None:
    asked = gang(pods=2)
    cache = cluster(asked, "n1", "n2", "n3")
    once = Once(cache, pod("thief", on="n1", gpus=8), pod("thief-2", on="n2", gpus=1))
    plan = decide(cache, once, asked)
    assert isinstance(plan, Unplaced)
    assert plan.reason == "NotEnoughRoom"
    assert once.asked > 1


def test_a_gang_whose_member_went_meanwhile_is_not_placed() -> None:
    asked = gang(pods=2)
    cache = cluster(asked, "n1", "n2")
    plan = decide(cache, Once(cache, "train-1"), asked)
    assert isinstance(plan, Unplaced)
    assert (plan.status, plan.reason) == ("UNKNOWN", "PlanRefused")


def test_nodes_that_refused_are_not_proposed_and_are_named_when_nothing_else_is_left() -> None:
    asked = gang(pods=2)
    cache = cluster(asked, "n1", "n2", "n3")
    plan = decide(cache, Once(cache), asked, "n2")
    assert isinstance(plan, Placed)
    assert {seat.node for seat in plan.seats} == {"n1", "n3"}
    refused = decide(cache, Once(cache), asked, "n2", "n3")
    assert isinstance(refused, Unplaced)
    assert refused.status == "INFEASIBLE"


def test_the_additional_check_refuses_first_only_where_no_other_does() -> None:
    world = snapshot([node("n1", unschedulable=True), node("n2"), node("n3")])
    shape = gang().members[0].pod.shape
    rows = dict(checks(frozenset({NodeName("n1"), NodeName("n2")})).refusals(world, shape, ()))
    assert rows[REFUSED_BEFORE].tolist() == [False, True, False]
    assert checks().allowed(world, shape, ()).tolist() == [False, True, True]


def test_members_that_are_bound_stay_where_they_are() -> None:
    asked = gang(pods=2, on={0: "n1"})
    cache = cluster(asked, "n1", "n2")
    plan = decide(cache, Once(cache), asked)
    assert isinstance(plan, Placed)
    assert [(seat.node, seat.bound) for seat in plan.seats] == [("n1", True), ("n2", False)]
    assert plan.gang == asked


def test_a_node_that_is_being_emptied_for_a_pod_of_no_lower_priority_is_left_to_it() -> None:
    asked = gang(pods=1)
    cache = cluster(asked, "n1")
    put(cache, replace(pod("coming", gpus=8), nominated_node=NodeName("n1"), priority=asked.priority))
    assert isinstance(decide(cache, Once(cache), asked), Unplaced)
    put(cache, replace(pod("coming", gpus=8), nominated_node=NodeName("n1"), priority=asked.priority - 1))
    assert isinstance(decide(cache, Once(cache), asked), Placed)
