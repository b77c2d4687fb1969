"""What is remembered about a gang: when it is decided again, and when it has waited too long."""

from dataclasses import replace

from scheduler.config import BackoffConfig
from scheduler.service.attempts import RIPE_SECONDS, SPREAD, Attempts, Look
from scheduler.service.questions import Question, Questions
from scheduler.state.gang import Gang, Waiting
from scheduler.state.plan import Decision, Placed, Plan, Unplaced
from tests.builders import gang, node, snapshot

TRAIN = gang("train", pods=2)


def look(now: float, *, calendar: float = 0.0) -> Look:
    return Look(now=now, calendar=calendar)


def question() -> Question:
    return Questions(seed=1).refused(no(), snapshot([node("n1")]), 0.0)


def no(asked: Gang = TRAIN, *, status: str = "INFEASIBLE", reason: str = "NotEnoughRoom") -> Unplaced:
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
    asked = question()
    memory.answered(no(), look(0), question=asked)
    assert not memory.due(TRAIN, look(59))
    asked.open = True
    assert memory.due(TRAIN, look(1))


def test_a_gang_that_got_all_that_there_is_is_not_due_again_before_something_changes() -> None:
    memory, asked = attempts(), question()
    memory.answered(yes(), look(0), question=asked, final=True)
    assert not memory.due(TRAIN, look(59))
    asked.open = True
    assert memory.due(TRAIN, look(60))


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


def test_what_passes_by_itself_is_no_trouble_before_it_went_wrong_several_times_and_each_trouble_is_new_once() -> None:
    memory = attempts(TRAIN)
    said = [memory.failed(TRAIN.key, 0.0, "Somebody else wrote.", code="CommitFailed", passing=True) for _ in range(5)]
    assert said == [False, False, False, True, False]
    memory.answered(yes(), look(1))
    assert not memory.failed(TRAIN.key, 2.0, "Somebody else wrote.", code="CommitFailed")
    attempt = memory.of(TRAIN.key)
    assert attempt is not None
    assert (attempt.trouble, attempt.trouble_code) == ("Somebody else wrote.", "CommitFailed")
    memory.succeeded(TRAIN.key)
    assert memory.failed(TRAIN.key, 3.0, "Somebody else wrote.", code="CommitFailed")


def test_a_gang_times_out_once_and_not_before_it_was_answered() -> None:
    late = replace(TRAIN, created=1000.0, timeout_seconds=300)
    memory = attempts(late)
    assert not memory.time_out(late, look(0, calendar=5000))
    memory.answered(no(late), look(0))
    assert not memory.time_out(late, look(0, calendar=1299))
    assert memory.time_out(late, look(0, calendar=1300))
    assert not memory.time_out(late, look(9, calendar=1400))
    assert memory.refused_since(late) is None


def test_a_gang_that_has_timed_out_is_tried_when_that_can_help_after_pauses_that_double() -> None:
    late, asked = replace(TRAIN, created=1000.0, timeout_seconds=300), question()
    memory = attempts(late)
    memory.answered(no(late), look(0), question=asked)
    assert memory.time_out(late, look(0, calendar=1300))
    assert not memory.due(late, look(9)), "nothing has changed"
    asked.open = True
    now, pauses = 0.0, []
    for _ in range(5):
        until = memory.wake_at(late, look(now, calendar=2000))
        assert not memory.due(late, look(until - 0.001))
        assert memory.due(late, look(until))
        pauses.append(until - now)
        now = until
        memory.answered(no(late), look(now), question=asked)
    for pause, mean in zip(pauses, (1, 2, 4, 8, 8), strict=True):
        assert SPREAD[0] * mean <= pause <= SPREAD[1] * mean


def test_what_was_said_when_the_time_was_over_is_kept_for_the_one_event_about_it() -> None:
    late = replace(TRAIN, created=1000.0, timeout_seconds=300)
    memory = attempts(late)
    memory.answered(replace(no(late), message="first"), look(0))
    assert memory.time_out(late, look(0, calendar=1300))
    memory.answered(replace(no(late), message="second"), look(9))
    attempt = memory.of(late.key)
    assert attempt is not None
    assert attempt.late == "first"


def test_no_time_runs_while_a_gate_holds_a_gang_up() -> None:
    late = replace(TRAIN, created=1000.0, timeout_seconds=300)
    memory = attempts(replace(late, waiting=Waiting(code="Gated", message="")))
    memory.keep([late], 500.0)
    memory.answered(no(late), look(500, calendar=1500))
    assert not memory.time_out(late, look(799, calendar=1799))
    assert memory.wake_at(late, look(799, calendar=1799)) == 800
    assert memory.time_out(late, look(800, calendar=1800))


def test_since_when_a_gang_is_refused_outlasts_noes_that_prove_nothing_and_ends_when_it_is_bound() -> None:
    memory = attempts()
    assert memory.refused_since(TRAIN) is None
    memory.answered(no(), look(5))
    memory.answered(no(status="UNKNOWN", reason="PlanRefused"), look(6))
    assert memory.refused_since(TRAIN) is None
    memory.answered(no(), look(7))
    assert memory.refused_since(TRAIN) == 5
    memory.succeeded(TRAIN.key)
    memory.answered(no(), look(9))
    assert memory.refused_since(TRAIN) == 9


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


def test_a_gang_that_is_gone_is_forgotten() -> None:
    memory = attempts()
    memory.answered(no(), look(0))
    memory.keep([], 1.0)
    memory.keep([TRAIN], 2.0)
    assert memory.due(TRAIN, look(2))
