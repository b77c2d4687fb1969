"""What is remembered about a gang: when it is decided again, when it has waited too long, which nodes it keeps off."""

from dataclasses import replace

from scheduler.config import BackoffConfig
from scheduler.kube.group.groups import GroupRef
from scheduler.service.attempts import REFUSED_SECONDS, RIPE_SECONDS, SPREAD, Attempts, Look
from scheduler.state.gang import Gang, Waiting
from scheduler.state.ids import NodeName
from scheduler.state.plan import Decision, Placed, Plan, Unplaced
from tests.builders import gang

TRAIN = gang("train", pods=2)
GROUP = GroupRef(kind="PodGroup", namespace="ai", name="train")


def look(now: float, *, help_seen: int = 0, calendar: float = 0.0) -> Look:
    return Look(now=now, calendar=calendar, help=help_seen)


def no(asked: Gang = TRAIN, *, status: str = "INFEASIBLE", reason: str = "NotEnoughRoom") -> Plan:
    return Unplaced(gang=asked, status=status, reason=reason, message="", decision=Decision(engine="none"))  # type: ignore[arg-type]  # one of four words


def yes() -> Plan:
    return Placed(gang=TRAIN, seats=(), cost=0, bound=0, levels=(), decision=Decision(engine="none"))


def attempts(*gangs: Gang) -> Attempts:
    made = Attempts(BackoffConfig(first_seconds=1, longest_seconds=8), seed=1)
    made.keep(gangs or (TRAIN,), 0.0)
    return made


def touched(asked: Gang, **change: object) -> Gang:
    first, *others = asked.members
    return replace(asked, members=(replace(first, pod=replace(first.pod, **change)), *others))  # type: ignore[arg-type]  # fields of Pod


def test_a_new_gang_is_due_at_once() -> None:
    assert attempts().due(TRAIN, look(0))


def test_a_gang_that_was_refused_is_due_again_only_when_the_cluster_changed_in_a_way_that_can_help() -> None:
    memory = attempts()
    memory.answered(no(), look(0, help_seen=3))
    assert not memory.due(TRAIN, look(59, help_seen=3))
    assert memory.due(TRAIN, look(1, help_seen=4))


def test_a_condition_that_is_written_on_a_pod_does_not_make_its_gang_due_but_another_demand_does() -> None:
    memory = attempts()
    memory.answered(no(), look(0))
    assert not memory.due(touched(TRAIN, resource_version="7"), look(1))
    assert memory.due(touched(TRAIN, labels={"new": "label"}), look(1))


def test_an_unknown_answer_is_asked_again_after_a_pause_that_doubles_and_is_bounded() -> None:
    memory = attempts()
    now, pauses = 0.0, []
    for _ in range(6):
        memory.answered(no(status="UNKNOWN", reason="BudgetExhausted"), look(now))
        until = memory.wake_at(TRAIN, look(now, calendar=-1e9))
        assert not memory.due(TRAIN, look(until - 0.001))
        assert memory.due(TRAIN, look(until))
        pauses.append(until - now)
        now = until
    for pause, mean in zip(pauses, (1, 2, 4, 8, 8, 8), strict=True):
        assert SPREAD[0] * mean <= pause <= SPREAD[1] * mean


def test_a_plan_that_no_longer_held_is_made_anew_much_sooner_than_a_budget_is_tried_again() -> None:
    memory = attempts()
    memory.answered(no(status="UNKNOWN", reason="PlanRefused"), look(0))
    assert memory.due(TRAIN, look(0.1))


def test_a_failed_commit_is_tried_again_after_a_pause_and_a_success_forgets_failures() -> None:
    memory = attempts()
    memory.answered(yes(), look(0))
    memory.failed(TRAIN.key, 0.0, "refused")
    assert not memory.due(TRAIN, look(0.4))
    assert memory.backing_off(TRAIN, 0.4)
    assert memory.due(TRAIN, look(1.6))
    memory.succeeded(TRAIN.key)
    assert not memory.backing_off(TRAIN, 0.4)


def test_a_gang_times_out_once_and_not_before_it_was_answered() -> None:
    late = replace(TRAIN, created=1000.0, timeout_seconds=300)
    memory = attempts(late)
    assert not memory.time_out(late, look(0, calendar=5000))
    memory.answered(no(late), look(0))
    assert not memory.time_out(late, look(0, calendar=1299))
    assert memory.time_out(late, look(0, calendar=1300))
    assert not memory.time_out(late, look(9, calendar=1400))
    assert not memory.due(late, look(0.1, help_seen=5))
    assert memory.due(late, look(2, help_seen=5))


def test_a_loop_is_woken_for_the_time_out_of_a_gang() -> None:
    late = replace(TRAIN, created=1000.0, timeout_seconds=300)
    memory = attempts(late)
    memory.answered(no(late), look(50, calendar=1100))
    assert memory.wake_at(late, look(50, calendar=1100)) == 250


def test_a_wait_is_ripe_after_a_while_and_a_new_reason_begins_a_new_wait() -> None:
    waits = replace(TRAIN, waiting=Waiting(code="MembersMissing", message=""))
    memory = attempts(waits)
    assert not memory.ripe(waits, RIPE_SECONDS / 2)
    assert memory.ripe(waits, RIPE_SECONDS)
    memory.keep([replace(TRAIN, waiting=Waiting(code="Gated", message=""))], RIPE_SECONDS)
    assert not memory.ripe(waits, RIPE_SECONDS)


def test_a_node_that_refused_is_kept_away_for_a_while_from_that_group_only() -> None:
    memory = attempts()
    memory.refuse(GROUP, NodeName("n1"), 0.0)
    assert set(memory.refused(GROUP, 1.0)) == {"n1"}
    assert memory.refused(replace(GROUP, name="other"), 1.0) == {}
    assert memory.refused(GROUP, REFUSED_SECONDS) == {}


def test_a_gang_that_is_gone_is_forgotten() -> None:
    memory = attempts()
    memory.answered(no(), look(0))
    memory.keep([], 1.0)
    memory.keep([TRAIN], 2.0)
    assert memory.due(TRAIN, look(2))
