"""Questions that were answered with no: when they are asked again, and who gets the same answer."""

from dataclasses import replace

from scheduler.service.questions import LONGEST_SWEEP, SWEEP_SECONDS, Question, Questions
from scheduler.state.gang import Advice, Demand, Gang, Segment
from scheduler.state.ids import GangKey, NodeName
from scheduler.state.objects import PodTerm, Ref, Taint
from scheduler.state.plan import Decision, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, pod, snapshot

FULL = snapshot([node("n1"), node("n2")], [pod("a", on="n1", gpus=8), pod("b", on="n2", gpus=4)])
TRAIN = gang("train", pods=2, gpus=8)


def named(name: str, **fields: object) -> Gang:
    """Return a gang that asks what TRAIN asks, under another name."""
    made = gang(name, pods=2, gpus=8)
    return replace(made, key=GangKey(name), workload=Ref(kind="LeaderWorkerSet", name=name), **fields)  # type: ignore[arg-type]  # fields of Gang


def no(asked: Gang, status: str = "INFEASIBLE") -> Unplaced:
    about = Advice(level="info", object=f"LeaderWorkerSet/{asked.name}", field="", message="")
    message = f"2 members are needed ({asked.demand.source})."
    decision = Decision(engine="none")
    return Unplaced(gang=asked, status=status, reason="NotEnoughRoom", message=message, decision=decision, advice=(about,))  # type: ignore[arg-type]  # a status


def asked(seen: Snapshot = FULL, gang_: Gang = TRAIN) -> tuple[Questions, Question]:
    questions = Questions(seed=1)
    return questions, questions.refused(no(gang_), seen, 0.0)


def helped(now: Snapshot, gang_: Gang = TRAIN) -> bool:
    questions, question = asked(gang_=gang_)
    questions.update(lambda _: now, 1.0)
    return question.open


def test_room_that_a_role_can_use_opens_a_question_and_room_that_it_cannot_does_not() -> None:
    assert helped(FULL.without([pod("a").uid]))
    assert not helped(FULL.without([pod("b").uid]), gang("train", pods=2, gpus=9))
    less = FULL.changed({pod("a").uid: pod("a", on="n1", gpus=1)})
    assert not helped(less), "7 GPUs are free now where each member wants 8"


def test_a_pod_that_comes_and_goes_gives_nothing_that_was_not_there() -> None:
    half = snapshot([node("n1")], [])
    questions, question = asked(half, gang("train", pods=2, gpus=8))
    visitor = pod("visitor", on="n1", gpus=8)
    for _ in range(3):
        questions.update(lambda _: half.changed({visitor.uid: visitor}), 1.0)
        questions.update(lambda _: half, 1.0)
    assert not question.open


def test_a_new_node_helps_if_a_role_passes_there() -> None:
    nodes = [*FULL.nodes.values()]
    assert helped(snapshot([*nodes, node("n3")], FULL.pods.values()))
    assert not helped(snapshot([*nodes, node("n3", gpus=4)], FULL.pods.values()))
    assert not helped(snapshot([*nodes, node("n3", taints=[Taint(key="reserved")])], FULL.pods.values()))


def test_a_node_that_is_uncordoned_helps() -> None:
    cordoned = snapshot([node("n1", unschedulable=True)])
    questions, question = asked(cordoned)
    questions.update(lambda _: snapshot([node("n1")]), 1.0)
    assert question.open


def test_a_pod_that_kept_the_gang_away_helps_when_it_goes_and_one_that_meant_others_does_not() -> None:
    for namespace, expected in (("ai", True), ("web", False)):
        keeps = replace(pod("keeps", on="n1", gpus=0), repels=(PodTerm(topology_key="kubernetes.io/hostname", selector=(), namespaces=(namespace,)),))
        world = snapshot([node("n1")], [keeps, pod("full", on="n1", gpus=1)])
        questions, question = asked(world)
        questions.update(lambda _, world=world, keeps=keeps: world.without([keeps.uid]), 1.0)  # type: ignore[misc]  # bound early
        assert question.open is expected


def test_gangs_that_ask_the_same_get_the_same_answer_under_their_own_names() -> None:
    questions, question = asked(gang_=named("first", demand=Demand(source="TopologyPolicy ai/one")))
    found = questions.same(named("second", demand=Demand(source="TopologyPolicy ai/two")), FULL)
    assert found is not None
    assert found[0] is question
    assert (found[1].gang.name, found[1].message) == ("second", "2 members are needed (TopologyPolicy ai/two).")
    assert [each.object for each in found[1].advice] == ["LeaderWorkerSet/second"]


def test_gangs_that_ask_something_else_are_decided() -> None:
    questions, question = asked(gang_=named("first"))
    assert questions.same(named("second", priority=1), FULL) is None
    assert questions.same(named("second", min_member=1), FULL) is None
    assert questions.same(named("second", demand=Demand(segments=(Segment(size=1, required="rack"),))), FULL) is None
    assert questions.same(named("second"), FULL, without=[NodeName("n1")]) is None
    assert questions.same(named("second"), FULL, held=("somebody",)) is None
    question.open = True
    assert questions.same(named("second"), FULL) is None


def test_an_answer_that_proves_nothing_is_nobody_elses() -> None:
    questions = Questions(seed=1)
    questions.refused(no(named("first"), "UNKNOWN"), FULL, 0.0)
    assert questions.same(named("second"), FULL) is None


def test_a_question_that_is_answered_anew_opens_the_former_one_for_those_who_wait_for_it() -> None:
    questions, before = asked(gang_=named("first"))
    after = questions.refused(no(named("second")), FULL, 1.0)
    assert before.open
    assert not after.open


def test_every_question_is_asked_again_at_moments_that_are_spread_and_become_rarer() -> None:
    questions = Questions(seed=1)
    many = [questions.refused(no(gang(f"g{at}", pods=2, gpus=8 + at)), FULL, 0.0) for at in range(500)]
    moments = sorted(question.sweep_at for question in many)
    assert 0.5 * SWEEP_SECONDS <= moments[0] < moments[-1] <= 1.5 * SWEEP_SECONDS
    assert max(sum(at <= moment < at + 10 for moment in moments) for at in range(int(1.5 * SWEEP_SECONDS))) < 50
    assert questions.next_sweep() == moments[0]
    questions.update(lambda _: FULL, moments[0])
    assert [question.open for question in many].count(True) == 1
    pauses = [questions.refused(no(TRAIN), FULL, 0.0).sweep_at for _ in range(8)]
    assert pauses[-1] >= 0.5 * LONGEST_SWEEP > pauses[0]


def test_a_question_that_nobody_waits_for_is_forgotten() -> None:
    questions, question = asked()
    questions.keep([question, None])
    assert questions.same(TRAIN, FULL) is not None
    questions.keep([None])
    assert questions.same(TRAIN, FULL) is None
