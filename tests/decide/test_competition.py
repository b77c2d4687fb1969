"""Who is asked jointly, what is said when that does not settle it, and what a joint plan tells."""

from __future__ import annotations

from dataclasses import replace

from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide
from scheduler.decide.place import Checks
from scheduler.solve import engines
from scheduler.solve.joint.window import Answer, Joint, Window
from scheduler.solve.solution import SolveStatus
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Preference, Segment
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
CHOOSY = shape(gpus=8, node_selector=(("kind", "new"),))


def judge(world: Snapshot, plan: Plan) -> tuple[str, ...]:
    return verify.verify(world, plan, filters.allowed)


def asked(world: Snapshot, *gangs: Gang, joint: Joint | None = engines.joint, nominated: tuple[str, ...] = ()) -> tuple[Plan, ...]:
    """Decide the gangs in this order; ``nominated`` names nodes that a pod of priority 5 is to get."""
    coming = [replace(pod(f"coming-{n}", gpus=1, priority=5), nominated_node=NodeName(n)) for n in nominated]
    queue = [replace(g, created=float(at)) for at, g in enumerate(gangs)]
    return decide(world, queue, solver=engines.default, budget=Budget(), checks=CHECKS, verify=judge, joint=joint, nominated=coming)


def rivals(**fields: object) -> tuple[Gang, Gang]:
    """Return a gang that may run anywhere and takes the fuller node, and one that may run there alone."""
    return replace(gang("first", pods=1), **fields), gang("second", pods=1, worker=CHOOSY)  # type: ignore[arg-type]  # fields of Gang


WORLD = snapshot([node("a", labels={"kind": "new"}), node("b", gpus=9)])


def on(plan: Plan) -> list[str]:
    assert isinstance(plan, Placed), plan
    return [str(s.node) for s in plan.seats]


class Ends:
    """A joint engine that answers with a status and remembers what it was asked."""

    def __init__(self, status: SolveStatus) -> None:
        """Answer so."""
        self.status = status
        self.asked: list[Window] = []

    def __call__(self, window: Window, budget: Budget) -> Answer:
        self.asked.append(window)
        return Answer(status=self.status, deterministic=budget.deterministic_seconds)


def test_the_first_gang_makes_room_and_both_say_with_whom_they_were_placed() -> None:
    first, second = asked(WORLD, *rivals())
    assert (on(first), on(second)) == (["b"], ["a"])
    assert (first.decision.engine, first.decision.why) == ("cpsat", "placed jointly with ai/second")
    assert second.decision.why == "placed jointly with ai/first"
    assert isinstance(first, Placed)
    assert first.optimal


def test_without_a_joint_engine_nobody_is_moved() -> None:
    first, second = asked(WORLD, *rivals(), joint=None)
    assert on(first) == ["a"]
    assert isinstance(second, Unplaced)


def test_nobody_is_asked_jointly_where_the_gang_would_not_fit_alone() -> None:
    never = Ends(SolveStatus.INFEASIBLE)
    _, second = asked(WORLD, gang("first", pods=1), gang("second", pods=1, worker=shape(gpus=10)), joint=never)
    assert isinstance(second, Unplaced)
    assert (second.status, never.asked) == ("INFEASIBLE", [])


def test_a_joint_search_that_ends_too_early_is_unknown_and_says_so() -> None:
    first, second = asked(WORLD, *rivals(), joint=Ends(SolveStatus.UNKNOWN))
    assert on(first) == ["a"]
    assert isinstance(second, Unplaced)
    assert (second.status, second.reason) == ("UNKNOWN", "BudgetExhausted")
    assert "Whether it fits when the gang before it may move too was neither shown nor ruled out within the 5 deterministic seconds" in second.message


def test_joint_questions_of_one_round_share_one_budget() -> None:
    """The stand-in uses up all it gets; each question gets a part of what is left, so that the total stays below the budget."""
    ends = Ends(SolveStatus.UNKNOWN)
    more = gang("third", pods=1, worker=shape(gpus=7, node_selector=(("kind", "new"),)))
    plans = asked(WORLD, *rivals(), more, joint=ends)
    assert [p.status for p in plans if isinstance(p, Unplaced)] == ["UNKNOWN", "UNKNOWN"]
    assert len(ends.asked) == 2


def test_a_model_that_would_be_too_large_leaves_the_answer_and_says_that_alone_it_would_fit() -> None:
    _, second = asked(WORLD, *rivals(), joint=Ends(SolveStatus.INEXPRESSIBLE))
    assert isinstance(second, Unplaced)
    assert second.status == "INFEASIBLE"
    assert second.advice[-1].message == "Alone it would fit. But ai/first keeps its seats, because the joint model would be too large."


def test_gangs_with_segments_keep_their_seats_and_that_is_said() -> None:
    demand = Demand(segments=(Segment(size=1, required="rack"),))
    world = snapshot([node("a", rack="r0", labels={"kind": "new"}), node("b", rack="r1", gpus=9)])
    first, second = asked(world, *rivals(demand=demand))
    assert on(first) == ["a"]
    assert isinstance(second, Unplaced)
    kept = "Alone it would fit. But ai/first keeps its seats, because gangs with segments are not decided jointly."
    assert second.advice[-1].message == kept


def test_a_gang_with_segments_is_told_that_it_is_itself_not_decided_jointly() -> None:
    world = snapshot([node("a", rack="r0", labels={"kind": "new"}), node("b", rack="r1", gpus=9)])
    first, second = rivals()
    _, found = asked(world, first, replace(second, demand=Demand(segments=(Segment(size=1, required="rack"),))))
    said = "Alone it would fit, but it is not decided together with ai/first: gangs with segments are not decided jointly."
    assert isinstance(found, Unplaced)
    assert found.advice[-1].message == said


def test_a_gang_that_sees_another_cluster_keeps_its_seats() -> None:
    """A pod of priority 5 is to get node b: the first gang is above it and does not see it, the second one does."""
    world = snapshot([node("a", labels={"kind": "new"}), node("b", gpus=9), node("c", gpus=9)])
    first, second = asked(world, *rivals(priority=10), nominated=("b",))
    assert on(first) == ["a"]
    assert isinstance(second, Unplaced)
    first, second = asked(world, *rivals(), nominated=("b",))
    assert (on(first), on(second)) == (["b"], ["a"])


def test_gangs_that_share_no_node_with_it_are_not_in_the_window() -> None:
    far = gang("far", pods=1, worker=shape(gpus=1, node_selector=(("kind", "far"),)))
    ends = Ends(SolveStatus.INFEASIBLE)
    asked(snapshot([*WORLD.nodes.values(), node("z", gpus=1, labels={"kind": "far"})]), far, *rivals(), joint=ends)
    assert [len(window.contenders) for window in ends.asked] == [2]


def test_equal_gangs_are_asked_about_once() -> None:
    """What is proved not to fit together does not fit together with more either."""
    ends = Ends(SolveStatus.INFEASIBLE)
    again = gang("third", pods=1, worker=CHOOSY)
    plans = asked(WORLD, *rivals(), again, joint=ends)
    assert [type(p).__name__ for p in plans] == ["Placed", "Unplaced", "Unplaced"]
    assert len(ends.asked) == 1


def test_a_running_member_counts_for_its_own_gang_alone() -> None:
    """The pending member leaves the host of the running one, which costs 5; without it node a is new to the other gang too."""
    nodes = [node("a", gpus=3, labels={"kind": "new"}), node("b", gpus=3)]
    by_host = Demand(preferred=(Preference(level="host", weight=5),))
    restarted = gang("restarted", pods=2, leader=shape(gpus=1), worker=shape(gpus=2), on={0: "a"}, demand=by_host)
    choosy = gang("choosy", pods=2, worker=shape(gpus=1, node_selector=(("kind", "new"),)), demand=by_host)
    first, second = asked(snapshot(nodes, [m.pod for m in restarted.fixed]), restarted, choosy)
    assert (on(first), on(second)) == (["a", "b"], ["a", "a"])
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert (first.cost, first.bound, second.cost) == (5, 5, 0)
    assert "costs 5 and not 0, so that it fits together with ai/choosy" in first.advice[-1].message
