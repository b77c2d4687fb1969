"""What is said about gangs, PodGroups, policies and bad objects: values, made from what is known."""

from collections.abc import Iterable
from dataclasses import replace

from scheduler.kube.group import names
from scheduler.kube.group.grouping import gangs
from scheduler.kube.group.podgroups import Condition
from scheduler.kube.publish.gangs import of_gang, placed, sentence
from scheduler.kube.publish.groups import of_groups
from scheduler.kube.publish.objects import of_bad_objects, of_policies
from scheduler.kube.publish.said import EventSaid, PodSaid, Said, StatusSaid, Told
from scheduler.state.events import Id
from scheduler.state.gang import Gang, Preference, Waiting
from scheduler.state.ids import NodeName
from scheduler.state.objects import Pod, Ref
from scheduler.state.plan import Decision, LevelCount, Placed, Plan, Seat, Unplaced
from scheduler.state.world import PodGroup, TopologyPolicy, World
from tests.builders import gang, node
from tests.kube.worlds import NS, loose

GROUP = Ref(kind="PodGroup", name="pg", uid="pg-uid", api_version="scheduling.run.ai/v1")
PROVED = ("core", "extras", "cost")
MESSAGE = "2 members of 8 GPUs needed, 1 fits: rack r1 has 8 of 16 GPUs."


def refused(asked: Gang, *, status: str = "INFEASIBLE", reason: str = "NotEnoughRoom", message: str = MESSAGE) -> Unplaced:
    return Unplaced(gang=asked, status=status, reason=reason, message=message, decision=Decision(engine="counting"))  # type: ignore[arg-type]  # one of four words


def given(asked: Gang, *, cost: int = 50, bound: int = 50, engine: str = "bound") -> Placed:
    seats = tuple(Seat(member=m, node=m.pod.node or NodeName(f"n{m.rank}"), bound=m.pod.node is not None) for m in asked.members)
    level = LevelCount(key="zone-key", name="zone", required=False, weight=100, count=1, domains=("zone-b",))
    return Placed(gang=asked, seats=seats, cost=cost, bound=bound, levels=(level,), decision=Decision(engine=engine, proved=PROVED))


def of(kind: type[PodSaid] | type[EventSaid], said: Iterable[Said]) -> list[tuple[str, str, str]]:
    """Return name, reason and words."""
    chosen = [each for each in said if isinstance(each, kind)]
    return [(e.regarding.kind, e.reason, e.note) if isinstance(e, EventSaid) else (e.name, e.reason, e.message) for e in chosen]


def told(asked: Gang, plan: Plan | None = None, **fields: object) -> Told:
    return Told(gang=asked, plan=plan, **{"group": GROUP, **fields})  # type: ignore[arg-type]  # fields of Told


def test_every_pending_pod_of_a_refused_gang_is_unschedulable_with_the_sentence_of_the_report() -> None:
    asked = gang(pods=3, on={0: "n1"})
    said = list(of_gang(told(asked, refused(asked))))
    assert of(PodSaid, said) == [("train-1", "Unschedulable", MESSAGE), ("train-2", "Unschedulable", MESSAGE)]
    assert of(EventSaid, said) == [
        ("Pod", "FailedScheduling", f"NotEnoughRoom: {MESSAGE}"),
        ("PodGroup", "FailedScheduling", f"NotEnoughRoom: {MESSAGE}"),
    ]


def test_a_wait_that_new_nodes_would_not_end_is_not_called_unschedulable() -> None:
    asked = gang()
    unsupported = told(asked, refused(asked, status="UNSUPPORTED", reason="NotChecked"))
    assert [row[1] for row in of(PodSaid, of_gang(unsupported))] == ["NotChecked", "NotChecked"]
    waits = told(replace(asked, waiting=Waiting(code="PodGroupMissing", message="none")))
    assert [row[1] for row in of(PodSaid, of_gang(waits))] == ["PodGroupMissing", "PodGroupMissing"]


def test_a_wait_is_told_when_it_is_ripe_and_missing_members_are_no_event() -> None:
    waits = replace(gang(), waiting=Waiting(code="MembersMissing", message="1 of 2 members exist."))
    assert list(of_gang(told(waits, ripe=False))) == []
    said = list(of_gang(told(waits)))
    assert len(of(PodSaid, said)) == 2
    assert of(EventSaid, said) == []


def test_a_time_out_is_one_event_and_stays_unschedulable_where_nodes_would_help() -> None:
    asked = gang()
    said = list(of_gang(told(asked, refused(asked), timed_out=True)))
    assert [row[:2] for row in of(EventSaid, said)] == [("PodGroup", "ScheduleTimeout")]
    name, reason, message = of(PodSaid, said)[0]
    assert (name, reason) == ("train-0", "Unschedulable")
    assert message == f"ScheduleTimeout: The gang has waited longer than 600 seconds for a placement. {MESSAGE}"


def test_the_event_of_a_time_out_keeps_its_words_while_the_condition_follows_later_answers() -> None:
    asked = gang()
    said = [list(of_gang(told(asked, refused(asked), timed_out=True, late="Said then.", decisions=times))) for times in (1, 9)]
    assert of(EventSaid, said[0])[0][2] == "The gang has waited longer than 600 seconds for a placement. Said then."
    assert [each for each in said[0] if isinstance(each, EventSaid)] == [each for each in said[1] if isinstance(each, EventSaid)]
    assert MESSAGE in of(PodSaid, said[1])[0][2]


def test_a_gang_with_trouble_says_what_failed_and_a_placed_or_new_one_says_nothing() -> None:
    asked = gang()
    assert [row[1:] for row in of(PodSaid, of_gang(told(asked, given(asked), trouble="it broke")))] == [("SchedulerError", "it broke")] * 2
    assert list(of_gang(told(asked, given(asked)))) == []
    assert list(of_gang(told(asked))) == []


def test_a_member_beyond_min_member_that_a_placement_leaves_out_is_told_the_numbers_and_the_others_nothing() -> None:
    asked = replace(gang(pods=5, on={0: "n1", 1: "n2"}), min_member=2)
    whole = given(asked)
    rack = LevelCount(key="rack-key", name="rack", required=True, weight=0, count=1, domains=("r1",))
    plan = replace(whole, seats=whole.seats[:3], left_out=asked.members[3:], levels=(*whole.levels, rack))
    words = "There is no room in rack r1, which holds the gang, for 2 of 5 members: 3 have a node, and minMember is 2."
    said = list(of_gang(told(asked, plan)))
    assert of(PodSaid, said) == [("train-3", "Unschedulable", words), ("train-4", "Unschedulable", words)]
    assert of(EventSaid, said) == [
        ("Pod", "FailedScheduling", f"Unschedulable: {words}"),
        ("PodGroup", "FailedScheduling", f"Unschedulable: {words}"),
    ]
    unproved = replace(plan, levels=(), decision=Decision(engine="cpsat", proved=("core",)))
    assert [row[1:] for row in of(PodSaid, of_gang(told(asked, unproved)))] == [
        ("BudgetExhausted", "The solver's budget ended before room was found for 2 of 5 members: 3 have a node, and minMember is 2.")
    ] * 2
    came = replace(asked, members=(*asked.members[:3], *gang(pods=5, on={3: "n4", 4: "n5"}).members[3:]))
    assert list(of_gang(told(came, plan))) == [], "the plan is old: they have a node"


def test_gated_pods_are_left_to_the_api_server() -> None:
    asked = gang()
    first = asked.members[0]
    gated = replace(asked, members=(replace(first, pod=replace(first.pod, gates=("hold",))), asked.members[1]))
    assert [row[0] for row in of(PodSaid, of_gang(told(gated, refused(gated))))] == ["train-1"]


def test_a_placement_is_told_with_its_cost_its_proof_and_its_domains() -> None:
    asked = gang()
    assert sentence(given(asked)) == "2 of 2 members have a node; cost 50, the least possible (zone: zone-b)."
    assert "at least 20 is needed" in sentence(given(asked, bound=20))
    (event,) = placed(told(asked), given(asked), bound=1)
    assert (event.regarding, event.reason, event.type) == (GROUP, "Scheduled", "Normal")
    assert "1 seats are held" in event.note


def world(*pods: Pod, policies: Iterable[TopologyPolicy] = (), **group: object) -> World:
    made = PodGroup(**{"namespace": NS, "name": "pg", "uid": "pg-uid", "min_member": 2, "generation": 3, **group})  # type: ignore[arg-type]  # fields of PodGroup
    return World(pods={p.uid: p for p in pods}, pod_groups={(NS, "pg"): made}, policies={(NS, p.name): p for p in policies})


def status(seen: World, plan: str = "", **fields: object) -> StatusSaid:
    """Return the status of the one PodGroup; ``plan`` is what was decided for its gang."""
    grouping = gangs(seen)
    known = {}
    for asked in (*grouping.gangs, *grouping.settled):
        decided = {"": None, "no": refused(asked), "yes": given(asked), "counted": given(asked, engine="none")}[plan]
        known[asked.key] = told(asked, decided, **fields)
    (found,) = of_groups(seen, grouping, known)
    assert isinstance(found, StatusSaid)
    return found


def scheduled(said: StatusSaid) -> Condition:
    (found,) = (each for each in said.conditions if each.type == "Scheduled")
    return found


PENDING = (loose("a", group="pg"), loose("b", group="pg"))
BOUND = (loose("a", group="pg", on="n1"), loose("b", group="pg", on="n2"))


def test_a_bound_group_runs_with_counts_cost_and_proof() -> None:
    said = status(world(*BOUND), "yes")
    assert {key: said.fields[key] for key in ("phase", "desired", "scheduled", "running", "cost", "proof")} == {
        "phase": "Running",
        "desired": 2,
        "scheduled": 2,
        "running": 2,
        "cost": 50,
        "proof": "OPTIMAL",
    }
    assert scheduled(said).status
    assert said.generation == 3


def test_a_refused_group_is_unschedulable_with_the_reason_and_has_no_cost() -> None:
    said = status(world(*PENDING), "no")
    assert (said.fields["phase"], said.fields["cost"], said.fields["proof"]) == ("Unschedulable", None, "INFEASIBLE")
    assert (scheduled(said).status, scheduled(said).reason) == (False, "NotEnoughRoom")
    assert MESSAGE in scheduled(said).message
    assert said.fields["message"] == scheduled(said).message


def test_a_group_that_timed_out_says_so() -> None:
    said = status(world(*PENDING), "no", timed_out=True)
    assert said.fields["phase"] == "TimedOut"
    assert scheduled(said).reason == "ScheduleTimeout"


def test_a_group_whose_commit_failed_says_why_and_proves_nothing() -> None:
    said = status(world(*PENDING), "yes", trouble="The record ai/pg-x cannot be used.", trouble_code="RecordUnreadable")
    assert (said.fields["phase"], said.fields["proof"], scheduled(said).reason) == ("Scheduling", "WAITING", "RecordUnreadable")
    assert said.fields["message"] == "pg: The record ai/pg-x cannot be used."


def test_members_that_run_keep_their_phase_when_more_do_not_fit() -> None:
    said = status(world(*BOUND, loose("c", group="pg")), "no")
    assert said.fields["phase"] == "Running"
    assert scheduled(said).status


def test_a_scheduler_that_has_just_started_takes_no_proof_back() -> None:
    assert "proof" not in status(world(*BOUND)).fields
    counted = status(world(*BOUND), "counted").fields
    assert counted["cost"] == 50
    assert "proof" not in counted


def test_a_group_that_nobody_joined_has_neither_cost_nor_proof() -> None:
    said = status(world())
    assert (said.fields["phase"], said.fields["cost"], said.fields["proof"]) == ("Pending", None, None)


def test_groups_of_another_owner_are_never_written() -> None:
    seen = world(*PENDING, api_version="scheduling.run.ai/v2alpha2")
    assert list(of_groups(seen, gangs(seen), {})) == []


def test_two_default_policies_are_told_on_both_and_a_bad_one_on_itself() -> None:
    rows = [TopologyPolicy(namespace=NS, name=name, preferred=(Preference(level="zone", weight=1),), created=at) for at, name in enumerate("ab")]
    bad = TopologyPolicy(namespace=NS, name="c", selector=(), problem="spec.preferredTopology[0].weight: found 'much', expected a whole number")
    said = {each.name: {c.type: c for c in each.conditions} for each in of_policies(world(policies=[*rows, bad]))}
    assert [said[name]["Consistent"].status for name in "abc"] == [False, False, True]
    assert [said[name]["Accepted"].status for name in "abc"] == [True, True, False]
    assert "much" in said["c"]["Accepted"].message


def test_an_object_that_cannot_be_used_gets_an_event_that_says_why() -> None:
    bad = replace(node("n1"), problem="status.allocatable.cpu: found -1")
    unreadable = {Id(source="podgroups.scheduling.k8s.io", namespace=NS, name="scheduling.k8s.io/odd", uid="u"): "spec: found a word"}
    said = [(e.namespace, e.regarding.kind, e.regarding.name, e.note) for e in of_bad_objects(world(problem="odd"), {bad.name: bad}, unreadable)]
    assert said == [
        (NS, "PodGroup", "odd", "spec: found a word"),
        ("default", "Node", "n1", "status.allocatable.cpu: found -1"),
        (NS, "PodGroup", "pg", "odd"),
    ]


def test_a_record_that_cannot_be_used_gets_an_event_that_says_where_such_records_come_from_and_what_to_do() -> None:
    about = Id(source="placements.coterie.dev", namespace=NS, name="pg-x", uid="u")
    (event,) = of_bad_objects(world(), {}, {about: "Placement/ai/pg-x, spec.protocol: found 2, expected no such field"})
    assert event.regarding.kind == "Placement"
    assert event.note == (
        "Placement/ai/pg-x, spec.protocol: found 2, expected no such field. It was edited, or written by a newer version of Coterie. "
        "Correct or delete it; until then its gang is not bound."
    )


def test_pods_whose_annotation_and_label_name_different_pod_groups_are_an_event_on_the_pod_group() -> None:
    seen = world(loose("p-0", group="pg", annotations={names.KAI_POD_GROUP: "h"}), loose("p-1", group="pg"))
    ((kind, reason, note),) = of(EventSaid, of_groups(seen, gangs(seen), {}))
    assert (kind, reason) == ("PodGroup", "SeveralPodGroups")
    assert note.startswith("Pod p-0 names PodGroup pg (label ")
