"""What is planned goes into the cluster that exists: it replaces its namesakes, and bound pods stay as they are."""

from typing import Any

from scheduler import replay
from scheduler.kube.group import grouping

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "8", "pods": "110"}}}
LWS = "leaderworkerset.sigs.k8s.io/"
SPEC = {"containers": [{"name": "c"}], "schedulerName": "coterie"}


def existing(
    name: str, *, on: str | None = "n1", owner: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **about: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", **about}
    if owner:
        metadata["ownerReferences"] = [{"controller": True, **owner}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**SPEC, **({"nodeName": on} if on else {})}, "status": status or {}}


def lws(replicas: int = 1, size: int = 3) -> dict[str, Any]:
    inner = {"size": size, "workerTemplate": {"spec": SPEC}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "ds"},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": inner},
    }


def deployment(replicas: int) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas, "template": {"spec": SPEC}}}


def merged(cluster: list[dict[str, Any]], objects: list[dict[str, Any]]) -> replay.Sorted:
    return replay.merged(
        replay.world(replay.documents([NODE, *cluster]), planned=False),
        replay.world(replay.documents(objects)),
    )


def pods(found: replay.Sorted) -> dict[str, str | None]:
    return {pod.name: pod.node for pod in found.world.pods.values()}


def member(name: str, index: int, **fields: Any) -> dict[str, Any]:
    labels = {f"{LWS}name": "ds", f"{LWS}group-index": "0", f"{LWS}worker-index": str(index)}
    return existing(name, labels=labels, annotations={f"{LWS}size": "3"}, **fields)


def test_bound_members_stay_and_the_missing_ones_are_planned_into_the_same_gang() -> None:
    worker = member("ds-0-2", 2, owner={"kind": "StatefulSet", "name": "ds-0", "uid": "sts"})
    found = merged([member("ds-0", 0, owner={"kind": "StatefulSet", "name": "ds", "uid": "top"}), worker], [lws()])
    assert pods(found) == {"ds-0": "n1", "ds-0-1": None, "ds-0-2": "n1"}
    (gang,) = grouping.gangs(found.world, scheduler_name=None).gangs
    assert [(m.rank, m.pod.node) for m in gang.members] == [(0, "n1"), (1, None), (2, "n1")]


def test_with_the_stateful_sets_known_a_planned_worker_still_belongs_to_the_leader_that_exists() -> None:
    top = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "ds", "namespace": "default", "uid": "top"},
        "spec": {"template": {"spec": SPEC}},
    }
    found = merged([top, member("ds-0", 0, owner={"kind": "StatefulSet", "name": "ds", "uid": "top"})], [lws(replicas=2)])
    gangs = grouping.gangs(found.world, scheduler_name=None).gangs
    assert sorted((g.name, len(g.members)) for g in gangs) == [("ds-0", 3), ("ds-1", 3)]


def test_pods_of_the_cluster_without_a_node_are_planned_anew_or_left_out_and_nominated_ones_are_named() -> None:
    waiting = [existing("loose", on=None), existing("chosen", on=None, status={"nominatedNodeName": "n1"}), member("ds-0-1", 1, on=None)]
    found = merged(waiting, [lws()])
    assert pods(found) == {"ds-0": None, "ds-0-1": None, "ds-0-2": None}
    assert [pod.name for pod in found.nominated] == ["chosen"]


def test_a_terminating_or_finished_namesake_is_no_member_but_a_terminating_one_still_holds_room() -> None:
    cluster = [member("ds-0", 0, deletionTimestamp="2026-01-01T00:00:00Z"), member("ds-0-1", 1, status={"phase": "Failed"})]
    found = merged(cluster, [lws()])
    assert sorted((pod.name, pod.node) for pod in found.world.pods.values() if pod.node is None) == [
        ("ds-0", None),
        ("ds-0-1", None),
        ("ds-0-2", None),
    ]


def test_pods_with_random_names_stand_for_as_many_planned_ones() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "uid": "rs"}
    running = [existing(f"web-abc-{i}", owner=owner, labels={"pod-template-hash": "abc"}) for i in ("x", "y")]
    found = merged(running, [deployment(3)])
    assert sorted(node or "" for node in pods(found).values()) == ["", "n1", "n1"]
    assert len(pods(merged(running, [deployment(1)]))) == 2


def test_a_replaced_object_keeps_the_uid_that_others_refer_to() -> None:
    old = {
        "apiVersion": "scheduling.run.ai/v1",
        "kind": "PodGroup",
        "metadata": {"name": "g", "namespace": "default", "uid": "old"},
        "spec": {"minMember": 1},
    }
    new = {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": "g"}, "spec": {"minMember": 2}}
    group = merged([old], [new]).world.pod_groups["default", "g"]
    assert (group.uid, group.min_member) == ("old", 2)
