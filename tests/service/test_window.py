"""Turns of the loop over gangs that wait together: whom it decides in one go, what it commits, and what it does when that does not hold."""

import time
from dataclasses import replace

from scheduler.kube.group.groups import GroupRef
from scheduler.kube.group.workloads import ALONE
from scheduler.service.feed import Refusal
from scheduler.service.window import GANGS
from scheduler.solve.joint.window import Window
from scheduler.solve.problem import Problem
from scheduler.solve.solver import Budget
from scheduler.state.ids import NodeName
from tests.builders import node, pod, shape
from tests.service.loops import Solvers, World, carried, ours, played, said

NEW = {"kind": "new"}
SMALL, LARGE = node("a", labels=NEW), node("b", gpus=9)
"""A pod of eight GPUs that may go anywhere takes the fuller node, the one that others need."""


RIVALS = (ours("first", 1), ours("second", 2, picky=True))


def test_gangs_of_one_priority_that_wait_together_are_placed_jointly_and_committed_in_their_order() -> None:
    solvers = Solvers()
    world = played(solvers, SMALL, LARGE, *RIVALS, decisions=2)
    assert carried(world) == [("first", "b"), ("second", "a")]
    assert [plan.decision.why for plan in world.commits.plans] == ["placed jointly with default/second", "placed jointly with default/first"]
    assert said(world) == [("first", "placed", 2), ("second", "placed", 2)]
    assert solvers.joint_asked == 1


def test_without_a_joint_solver_the_first_takes_what_the_second_needs() -> None:
    world = played(Solvers(), SMALL, LARGE, *RIVALS, decisions=2, joint=False)
    assert carried(world) == [("first", "a")]
    assert said(world) == [("first", "placed", 1), ("second", "INFEASIBLE", 1)]


def test_a_gang_that_nobody_waits_behind_is_decided_alone_and_once() -> None:
    solvers = Solvers()
    world = played(solvers, SMALL, LARGE, RIVALS[0], decisions=1)
    assert said(world) == [("first", "placed", 1)]
    assert (solvers.asked, solvers.joint_asked) == (1, 0)


def test_a_gang_of_higher_priority_does_not_wait_for_others() -> None:
    world = played(Solvers(), SMALL, LARGE, ours("first", 1, priority=5), RIVALS[1], decisions=2)
    assert said(world) == [("first", "placed", 1), ("second", "INFEASIBLE", 1)]


def test_a_window_holds_at_most_so_many_gangs_and_the_next_ones_come_in_the_next_turn() -> None:
    nodes = [node(f"n{number:02}") for number in range(GANGS + 2)]
    pods = [ours(f"pod-{at:02}", at) for at in range(GANGS + 2)]
    world = played(Solvers(), *nodes, *pods, decisions=GANGS + 2)
    assert [window for _, _, window in said(world)] == [GANGS] * GANGS + [2, 2]
    assert [name for name, _ in carried(world)] == [each.name for each in pods]


def test_a_gang_that_a_node_has_refused_ends_the_window_and_keeps_off_that_node() -> None:
    """Node n1 refused the second one a moment ago; nobody behind it is decided before it."""
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)
    pods = [ours(f"pod-{at}", at) for at in range(4)]
    group = GroupRef(kind=ALONE, namespace=pods[1].namespace, name=pods[1].name, uid=pods[1].uid)
    world.feed.refusals.append(Refusal(group=group, node=NodeName("n1")))
    played(solvers, *(node(f"n{number}") for number in range(4)), *pods, decisions=4, world=world)
    assert carried(world) == [("pod-0", "n0"), ("pod-1", "n2"), ("pod-2", "n1"), ("pod-3", "n3")]
    assert [window for _, _, window in said(world)] == [1, 1, 2, 2]


def test_a_node_that_is_being_emptied_for_another_pod_is_left_to_it_by_a_window_too() -> None:
    coming = replace(pod("coming", gpus=8), nominated_node=NodeName("n0"))
    world = played(Solvers(), *(node(f"n{number}") for number in range(3)), coming, ours("first", 1), ours("second", 2), decisions=2)
    assert carried(world) == [("first", "n1"), ("second", "n2")]
    assert [window for _, _, window in said(world)] == [2, 2]


def test_when_somebody_takes_a_seat_of_a_window_with_moved_gangs_all_are_decided_one_by_one() -> None:
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)
    solvers.before_joint = lambda _: world.put(pod("thief", on="b", gpus=9))
    played(solvers, SMALL, LARGE, *RIVALS, decisions=2, world=world)
    assert carried(world) == [("first", "a")]
    assert said(world) == [("first", "placed", 1), ("second", "INFEASIBLE", 1)]


def test_a_gang_does_not_pay_for_one_that_went_while_they_were_placed_jointly() -> None:
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)
    solvers.before_joint = lambda _: world.remove(RIVALS[1])
    played(solvers, SMALL, LARGE, *RIVALS, decisions=1, world=world)
    assert carried(world) == [("first", "a")]


def test_plans_before_the_first_that_no_longer_holds_are_carried_out_and_the_others_are_decided_one_by_one() -> None:
    """Node n2 is taken while the last of four is decided: it was to be the third one's."""
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)

    def steal(_: Problem) -> None:
        if solvers.asked == 4:
            world.put(pod("thief", on="n2", gpus=8))

    solvers.before = steal
    nodes = [node(f"n{number}") for number in range(5)]
    played(solvers, *nodes, *(ours(f"pod-{at}", at) for at in range(4)), decisions=4, world=world)
    assert carried(world) == [("pod-0", "n0"), ("pod-1", "n1"), ("pod-2", "n3"), ("pod-3", "n4")]
    assert said(world) == [("pod-0", "placed", 4), ("pod-1", "placed", 4), ("pod-2", "placed", 1), ("pod-3", "placed", 1)]


def test_a_change_that_spares_the_plans_of_a_window_leaves_them_as_they_are() -> None:
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint)
    solvers.before_joint = lambda _: world.put(node("c", gpus=1))
    played(solvers, SMALL, LARGE, *RIVALS, decisions=2, world=world)
    assert carried(world) == [("first", "b"), ("second", "a")]
    assert said(world) == [("first", "placed", 2), ("second", "placed", 2)]


def test_a_bug_in_the_joint_search_costs_the_window_and_no_gang() -> None:
    def fail(_: Window) -> None:
        raise ZeroDivisionError

    world = played(Solvers(before_joint=fail), SMALL, LARGE, *RIVALS, decisions=2)
    assert carried(world) == [("first", "a")]
    assert said(world) == [("first", "placed", 1), ("second", "INFEASIBLE", 1)]
    assert b'coterie_errors_total{where="decide"} 1.0' in world.metrics.expose()


def test_a_bug_about_one_gang_of_a_window_is_that_gangs_alone() -> None:
    def fail(problem: Problem) -> None:
        if int(problem.request.max()) == 7:
            raise ZeroDivisionError

    odd = replace(ours("odd", 1), shape=shape(gpus=7), used=shape(gpus=7).requests)
    world = played(Solvers(before=fail), SMALL, LARGE, ours("first", 0), odd, ours("last", 2), decisions=2)
    assert carried(world) == [("first", "a"), ("last", "b")]
    assert "ZeroDivisionError" in world.attempt("odd").trouble


def test_no_gang_is_begun_when_the_wall_seconds_are_over_and_those_before_it_do_not_wait() -> None:
    solvers = Solvers()
    world = World(solvers.solver, solvers.joint, Budget(wall_seconds=0.2))

    def dawdle(_: Problem) -> None:
        if solvers.asked == 2:
            time.sleep(0.2)

    solvers.before = dawdle
    played(solvers, *(node(f"n{number}") for number in range(3)), *(ours(f"pod-{at}", at) for at in range(3)), decisions=3, world=world)
    assert said(world) == [("pod-0", "placed", 2), ("pod-1", "placed", 2), ("pod-2", "placed", 1)]
