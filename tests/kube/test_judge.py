"""What is to be done with a record that was found: decided from plain values."""

from dataclasses import replace

import pytest

from scheduler.kube.bindings.judge import Verdict, judge
from scheduler.state.gang import Demand, Gang, Member
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod, Taint, Toleration
from scheduler.state.record import Record, RecordSeat
from tests.builders import gang, node, pod, shape, snapshot

NODES = (node("n0"), node("n1"), node("n2", unschedulable=True))


def member(number: int, *, on: str | None = None, gpus: int = 4) -> Pod:
    return pod(f"train-{number}", on=on, gpus=gpus, namespace="ai")


def coming(number: int) -> Pod:
    return replace(member(number), uid=PodUid(f"seat:ai/train-{number}"))


def record(*nodes: str, held: int = 0, **changes: object) -> Record:
    """Return an open record; the last ``held`` seats are for pods that did not exist when it was written."""
    seats = tuple(
        RecordSeat(pod=f"train-{n}", uid=PodUid("") if n >= len(nodes) - held else member(n).uid, node=NodeName(where), rank=n)
        for n, where in enumerate(nodes)
    )
    plain = Record(namespace="ai", name="train-x", uid="r", resource_version="1", gang=gang().owner, epoch=1, deadline=100.0, seats=seats)
    return replace(plain, **changes)  # type: ignore[arg-type] # fields of a record


def of(*pods: Pod) -> Gang:
    return replace(gang("train", pods=len(pods)), members=tuple(Member(pod=p, role="worker", rank=n) for n, p in enumerate(pods)))


def judged(
    what: Record, *pods: Pod, of_gang: Gang | None = None, nodes: tuple[Node, ...] = NODES, others: tuple[Pod, ...] = (), now: float = 0.0
) -> Verdict:
    named = {p.name: p for p in pods}
    view = snapshot(nodes, (*others, *(p for p in pods if p.node and not p.finished)))
    return judge(what, of_gang if of_gang is not None else of(*pods) if pods else None, lambda _, name: named.get(name), view, now=now)


def test_members_that_wait_are_bound_where_the_record_says() -> None:
    verdict = judged(record("n0", "n1"), member(0), member(1))
    assert (verdict.action, [c.node for c in verdict.claims]) == ("forward", ["n0", "n1"])


def test_bound_members_are_left_and_claim_nothing_more() -> None:
    verdict = judged(record("n0", "n1"), member(0, on="n0"), member(1))
    assert (verdict.action, [c.node for c in verdict.claims]) == ("forward", ["n1"])


def test_a_record_whose_members_are_all_bound_is_only_settled_even_where_a_node_is_cordoned_or_gone() -> None:
    verdict = judged(record("n2", "n9"), member(0, on="n2"), member(1, on="n9"))
    assert (verdict.action, verdict.claims) == ("forward", ())


def test_a_pod_that_failed_after_its_bind_was_bound() -> None:
    assert judged(record("n0"), replace(member(0, on="n0"), phase="Failed")).action == "forward"


IMPOSSIBLE = [
    (("n9", "n0"), (member(0), member(1)), "the node n9 does not exist any more"),
    (("n2", "n0"), (member(0), member(1)), "the node n2 is cordoned"),
    (("n0", "n0"), (member(0, gpus=5), member(1)), "the node n0 has no room: needs 9 nvidia.com/gpu of 8 free"),
    (("n0", "n1"), (member(0),), "the pod train-1 (UID uid-ai-train-1) does not exist any more"),
    (("n0", "n1"), (member(0), replace(member(1), uid=PodUid("new"))), "the pod train-1 was replaced: UID new, recorded uid-ai-train-1"),
    (("n0", "n1"), (member(0), member(1, on="n0")), "the pod train-1 is bound to n0, recorded n1"),
    (("n0", "n1"), (member(0), replace(member(1), terminating=True)), "the pod train-1 is being deleted"),
]


@pytest.mark.parametrize(("nodes", "pods", "why"), IMPOSSIBLE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_seat_that_became_impossible_supersedes_the_record_and_says_why(nodes: tuple[str, ...], pods: tuple[Pod, ...], why: str) -> None:
    verdict = judged(record(*nodes), *pods)
    assert (verdict.action, verdict.why) == ("supersede", why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"taints": (Taint(key="gone", effect="NoSchedule"),)}, "TaintToleration: untolerated taint {gone: }"),
        ({"taints": (Taint(key="gone", value="now", effect="NoExecute"),)}, "TaintToleration: untolerated taint {gone: now}"),
        ({"labels": {"pool": "b"}}, "NodeAffinity: node(s) didn't match Pod's node affinity/selector"),
    ],
    ids=["NoSchedule", "NoExecute", "label of the selector"],
)
def test_a_node_that_a_check_refuses_by_now_supersedes_the_record_for_members_that_are_not_bound(changes: dict[str, object], why: str) -> None:
    looks = shape(gpus=4, node_selector=(("pool", "a"),))
    nodes = tuple(replace(n, labels={**n.labels, "pool": "a"}) for n in (NODES[0], NODES[1]))
    pods = [replace(member(n), shape=looks) for n in range(2)]
    assert judged(record("n0", "n1"), *pods, nodes=nodes).action == "forward"
    after = (nodes[0], replace(nodes[1], **{"labels": nodes[1].labels, **changes}))  # type: ignore[arg-type] # fields of a node
    verdict = judged(record("n0", "n1"), *pods, nodes=after)
    assert (verdict.action, verdict.why) == ("supersede", f"the node n1 does not take the pod train-1 any more: {why}")
    running = replace(pods[1], node=NodeName("n1"), phase="Running")
    assert judged(record("n0", "n1"), pods[0], running, nodes=after).action == "forward", "a member that is bound runs where it runs"


def test_a_taint_that_the_pod_tolerates_and_one_that_only_asks_change_nothing() -> None:
    looks = shape(gpus=4, tolerations=(Toleration(key="maintenance", operator="Exists"),))
    taints = (Taint(key="maintenance", effect="NoSchedule"), Taint(key="other", effect="PreferNoSchedule"))
    pods = [replace(member(n), shape=looks) for n in range(2)]
    assert judged(record("n0", "n1"), *pods, nodes=(NODES[0], replace(NODES[1], taints=taints))).action == "forward"


def test_a_label_that_changed_supersedes_the_record_only_where_a_required_level_is_torn_by_it() -> None:
    seats = tuple(replace(seat, domains={"rack": "r1"}) for seat in record("n0", "n1").seats)
    what = replace(record("n0", "n1"), seats=seats)
    plain = of(member(0), member(1))
    bound_one = of(member(0, on="n0"), member(1))
    torn = (node("n0", rack="r1"), node("n1", rack="r2"))
    needs = replace(plain, demand=Demand(required="rack"))
    assert judged(what, member(0), member(1), of_gang=needs, nodes=(node("n0", rack="r1"), node("n1", rack="r1"))).action == "forward"
    assert judged(what, member(0), member(1), of_gang=needs, nodes=(node("n0", rack="r9"), node("n1", rack="r9"))).action == "forward", "still one"
    assert judged(what, member(0), member(1), of_gang=plain, nodes=torn).action == "forward", "nobody requires it"
    for found in (needs, replace(bound_one, demand=Demand(required="rack"))):
        verdict = judged(what, *(m.pod for m in found.members), of_gang=found, nodes=torn)
        assert (verdict.action, verdict.why) == (
            "supersede",
            "the members that the record puts into rack r1 do not lie in one rack any more: n0 in r1, n1 in r2",
        )
    whole = replace(of(member(0, on="n0"), member(1, on="n1")), demand=Demand(required="rack"))
    assert judged(what, member(0, on="n0"), member(1, on="n1"), of_gang=whole, nodes=torn).action == "forward", "all are bound"


def test_room_that_others_took_meanwhile_is_counted() -> None:
    verdict = judged(record("n0", "n1"), member(0), member(1), others=(pod("other", on="n0", gpus=6),))
    assert verdict.why == "the node n0 has no room: needs 4 nvidia.com/gpu of 2 free"


def test_seats_are_held_for_pods_that_do_not_exist_yet_until_the_deadline() -> None:
    whole = of(member(0, on="n0"), coming(1), coming(2))
    waiting = judged(record("n0", "n1", "n1", held=2), member(0, on="n0"), of_gang=whole)
    assert (waiting.action, [(c.node, c.held) for c in waiting.claims]) == ("wait", [("n1", True), ("n1", True)])
    late = judged(record("n0", "n1", "n1", held=2), member(0, on="n0"), of_gang=whole, now=101.0)
    assert (late.action, late.why) == ("release", "2 of 3 members were not created before the deadline")


def test_a_record_that_would_leave_its_gang_short_of_minmember_is_superseded_and_says_the_numbers() -> None:
    everyone = (member(0), member(1), member(2), member(3))
    short = judged(record("n0", "n1"), *everyone, nodes=NODES[:2])
    assert (short.finding, short.action, short.why) == ("TooFew", "supersede", "the record seats 2 members, minMember is 4")
    beside = judged(record("n0", "n1"), member(0, on="n0"), member(1, on="n1"), member(2, on="n0", gpus=0), member(3))
    assert (beside.action, beside.why) == ("supersede", "the record seats 2 members and 1 more is bound, minMember is 4")
    assert judged(record("n0", "n1", terminating=True), *everyone).action == "release"


def test_members_that_are_bound_beside_the_record_and_elastic_ones_do_not_make_it_too_short() -> None:
    assert judged(record("n0", "n1"), member(0), member(1), member(2, on="n0", gpus=0)).action == "forward"
    elastic = replace(of(member(0), member(1), member(2)), min_member=2)
    assert judged(record("n0", "n1"), member(0), member(1), of_gang=elastic).action == "forward"


def test_minmember_raised_above_the_pods_that_exist_changes_nothing_about_a_record() -> None:
    for pods in ((member(0), member(1)), (member(0, on="n0"), member(1))):
        assert judged(record("n0", "n1"), *pods, of_gang=replace(of(*pods), min_member=3)).action == "forward"


def test_a_held_seat_takes_the_pod_of_its_name_only_if_that_belongs_to_the_gang() -> None:
    former = replace(member(1, on="n0"), uid=PodUid("former"))
    whole = of(member(0, on="n0"), coming(1))
    assert judged(record("n0", "n1", held=1), member(0, on="n0"), former, of_gang=whole).action == "wait"
    assert judged(record("n0", "n1", held=1), member(0, on="n0"), member(1)).action == "forward"


def test_a_record_none_of_whose_pods_exists_is_given_up_without_an_eviction() -> None:
    assert judged(record("n0", "n1")).action == "drop"
    assert judged(record("n0", "n1", terminating=True)).action == "drop"


def test_a_record_whose_owner_is_gone_is_still_carried_out_while_its_pods_wait() -> None:
    found = {"train-0": member(0)}
    verdict = judge(record("n0", terminating=True), None, lambda _, name: found.get(name), snapshot(NODES), now=0.0)
    assert verdict.action == "forward"


def test_a_record_whose_owner_is_gone_is_released_when_it_cannot_be_carried_out() -> None:
    assert judged(record("n9", terminating=True), member(0)).action == "release"


def test_a_settled_record_is_left_alone_and_closed_when_it_goes_away() -> None:
    settled = record("n9", observed_epoch=1)
    assert judged(settled, member(0)).action == "nothing"
    assert judged(replace(settled, terminating=True), member(0)).action == "close"
    assert judged(replace(settled, terminating=True, guarded=False), member(0)).action == "nothing"
