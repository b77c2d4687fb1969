"""How a pod finds its group: each way alone, and which speaks first."""

from __future__ import annotations

import pytest

from scheduler.kube.group import names
from scheduler.kube.group.grouping import group_key
from scheduler.kube.group.workloads import WORKLOADS, in_rank_order
from scheduler.state.objects import Pod, Ref
from scheduler.state.world import Workload
from tests.kube.worlds import NS, deployed, deployment, loose, lws_pod, world

EMPTY = world([])


def _key(pod: Pod, *workloads: Workload) -> tuple[str, str]:
    ref = group_key(pod, world([pod], workloads=workloads))
    return ref.kind, ref.name


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (loose("p", group="g"), ("PodGroup", "g")),
        (loose("p", annotations={names.KAI_POD_GROUP: "kai"}), ("PodGroup", "kai")),
        (loose("p", scheduling_group="native"), ("PodGroup", "native")),
        (loose("p", labels={names.GROVE_POD_GANG: "gang"}), ("PodGang", "gang")),
        (lws_pod(1), ("LeaderWorkerSet", "r1-0")),
        (loose("p", annotations={names.VOLCANO_POD_GROUP: "volcano"}), ("PodGroup", "volcano")),
        (loose("p", labels={names.X_K8S_POD_GROUP: "x"}), ("PodGroup", "x")),
        (loose("p", labels={names.KNATIVE_REVISION: "rev-1"}), ("Revision", "rev-1")),
        (deployed(1, annotations={names.MIN_MEMBER: "2"}), ("Deployment", "web")),
        (loose("p"), ("Pod", "p")),
    ],
)
def test_each_way_alone_finds_its_group(pod: Pod, expected: tuple[str, str]) -> None:
    assert _key(pod) == expected


def test_the_ways_speak_in_the_documented_order() -> None:
    everything = loose(
        "p",
        group="label",
        scheduling_group="native",
        labels={names.X_K8S_POD_GROUP: "x", names.KNATIVE_REVISION: "rev"},
        annotations={names.KAI_POD_GROUP: "kai", names.VOLCANO_POD_GROUP: "volcano", names.MIN_MEMBER: "2"},
        owner=Ref(kind="Job", name="job"),
    )
    found = [ref for way in WORKLOADS if (ref := way.find(everything, EMPTY)) is not None]
    assert [ref.name for ref in found] == ["label", "kai", "native", "volcano", "x", "rev", "job", "p"]
    assert group_key(everything, EMPTY) == found[0]


@pytest.mark.parametrize(
    "pod", [lws_pod(0, labels={names.POD_GROUP: "g"}), lws_pod(0, annotations={names.VOLCANO_POD_GROUP: "v"}, scheduling_group="n")]
)
def test_a_label_does_not_take_a_pod_out_of_its_leader_worker_set_group(pod: Pod) -> None:
    assert _key(pod) == ("LeaderWorkerSet", "r1-0")


def test_a_label_does_not_take_a_pod_out_of_its_grove_gang() -> None:
    assert _key(loose("p", group="g", labels={names.GROVE_POD_GANG: "gang"})) == ("PodGang", "gang")


def test_a_label_does_take_a_pod_out_of_its_revision() -> None:
    assert _key(loose("p", group="g", labels={names.KNATIVE_REVISION: "rev"})) == ("PodGroup", "g")


def test_two_groups_of_one_leader_worker_set_are_two() -> None:
    assert _key(lws_pod(1, group=0)) != _key(lws_pod(1, group=1))


def test_pod_groups_of_one_name_in_two_api_groups_are_two() -> None:
    assert group_key(loose("p", scheduling_group="g"), EMPTY) != group_key(loose("q", group="g"), EMPTY)


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "set"), ("Job", "job"), ("RayCluster", "ray"), ("ReplicaSet", "rs")])
def test_a_pod_of_a_controller_is_alone_without_a_word_from_the_user(kind: str, name: str) -> None:
    pod = loose("p", owner=Ref(kind=kind, name=name, uid="u"))
    assert _key(pod, Workload(kind=kind, namespace=NS, name=name, uid="u")) == ("Pod", "p")


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "set"), ("Job", "job"), ("RayCluster", "ray")])
def test_min_member_on_the_workload_makes_a_gang_of_all_its_pods(kind: str, name: str) -> None:
    pod = loose("p", owner=Ref(kind=kind, name=name, uid="u"))
    assert _key(pod, Workload(kind=kind, namespace=NS, name=name, uid="u", annotations={names.MIN_MEMBER: "2"})) == (kind, name)


def test_min_member_on_a_deployment_reaches_its_pods_through_the_replica_set() -> None:
    assert _key(deployed(1), *deployment(annotations={names.MIN_MEMBER: "2"})) == ("Deployment", "web")


def test_the_deployment_is_found_by_the_template_hash_where_the_replica_set_is_unknown() -> None:
    assert _key(deployed(1), deployment(annotations={names.MIN_MEMBER: "2"})[0]) == ("Deployment", "web")


def test_a_replica_set_without_a_deployment_is_the_workload_itself() -> None:
    pod = loose("p", owner=Ref(kind="ReplicaSet", name="rs", uid="u"), annotations={names.MIN_MEMBER: "2"})
    assert _key(pod, Workload(kind="ReplicaSet", namespace=NS, name="rs", uid="u")) == ("ReplicaSet", "rs")


def test_jobs_of_a_job_set_are_one_group_and_jobs_of_a_cron_job_are_not() -> None:
    pod = loose("p", owner=Ref(kind="Job", name="j-0", uid="u"), annotations={names.MIN_MEMBER: "2"})
    for kind, expected in (("JobSet", ("JobSet", "above")), ("CronJob", ("Job", "j-0"))):
        assert _key(pod, Workload(kind="Job", namespace=NS, name="j-0", uid="u", owner=Ref(kind=kind, name="above"))) == expected


def test_a_workload_of_the_same_name_and_another_uid_does_not_speak_for_the_pod() -> None:
    pod = loose("p", owner=Ref(kind="Job", name="job", uid="old"))
    assert _key(pod, Workload(kind="Job", namespace=NS, name="job", uid="new", annotations={names.MIN_MEMBER: "2"})) == ("Pod", "p")


def test_the_key_of_a_lone_pod_holds_its_uid() -> None:
    assert group_key(loose("p", uid="1"), EMPTY) != group_key(loose("p", uid="2"), EMPTY)


def _order(*pods: Pod) -> list[tuple[int, str]]:
    return [(rank, pod.name) for rank, pod in in_rank_order(pods)]


def test_ranks_follow_the_completion_index_of_a_job() -> None:
    owner = Ref(kind="Job", name="job", uid="u")
    pods = [loose(name, owner=owner, labels={names.JOB_INDEX: index}) for name, index in (("job-x", "2"), ("job-y", "0"))]
    assert _order(*pods) == [(0, "job-y"), (2, "job-x")]


def test_ranks_follow_the_ordinal_of_a_stateful_set() -> None:
    owner = Ref(kind="StatefulSet", name="set", uid="u")
    assert _order(*(loose(f"set-{n}", owner=owner) for n in (10, 2, 5))) == [(2, "set-2"), (5, "set-5"), (10, "set-10")]


def test_ranks_of_other_pods_follow_their_names_with_numbers_as_numbers() -> None:
    assert _order(*(loose(f"pod-{n}") for n in (10, 2, 1))) == [(0, "pod-1"), (1, "pod-2"), (2, "pod-10")]


def test_ordinals_of_several_stateful_sets_in_one_gang_do_not_clash() -> None:
    pods = [loose(f"{s}-{n}", owner=Ref(kind="StatefulSet", name=s, uid=s)) for s in ("a", "b") for n in (0, 1)]
    assert _order(*pods) == [(0, "a-0"), (1, "a-1"), (2, "b-0"), (3, "b-1")]


def test_every_way_says_where_it_is_written() -> None:
    assert len({way.said_by for way in WORKLOADS}) == len(WORKLOADS)
