"""Manifests become the pods that their controllers would create."""

import hashlib
from typing import Any

import pytest

from scheduler.kube.parse import wire
from scheduler.kube.parse.expand import pods_of
from scheduler.state.problems import BadInput

LWS = "leaderworkerset.sigs.k8s.io/"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def template(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels or {}, "annotations": annotations or {}}, "spec": {"containers": [{"name": "c"}], **spec}}


def lws(annotations: dict[str, str] | None = None, network: str = "", **inner: Any) -> dict[str, Any]:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "ds", "annotations": annotations or {}},
        "spec": {
            "replicas": 2,
            **({"networkConfig": {"subdomainPolicy": network}} if network else {}),
            "leaderWorkerTemplate": {"size": 3, "workerTemplate": template(), **inner},
        },
    }


def workload(kind: str, version: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web", **metadata}, "spec": spec}


def env(pod: dict[str, Any]) -> dict[str, str]:
    return {e["name"]: e["value"] for e in pod["spec"]["containers"][0]["env"]}


def owner(pod: dict[str, Any]) -> tuple[str, str]:
    (found,) = pod["metadata"]["ownerReferences"]
    assert found["controller"]
    return found["kind"], found["name"]


def test_a_leader_worker_set_makes_groups_of_a_leader_and_numbered_workers() -> None:
    found = pods_of(lws(), "ml")
    assert [p["metadata"]["name"] for p in found] == ["ds-0", "ds-0-1", "ds-0-2", "ds-1", "ds-1-1", "ds-1-2"]
    assert {p["metadata"]["namespace"] for p in found} == {"ml"}
    assert [owner(p) for p in found[3:5]] == [("StatefulSet", "ds"), ("StatefulSet", "ds-1")]


def test_labels_and_annotations_of_a_group_are_those_of_the_controller() -> None:
    leader, worker = (p["metadata"] for p in pods_of(lws(), "ml")[3:5])
    key = hashlib.sha1(b"ml/ds-1", usedforsecurity=False).hexdigest()
    common = {f"{LWS}name": "ds", f"{LWS}group-index": "1", f"{LWS}group-key": key}
    for found, index in ((leader, "0"), (worker, "1")):
        assert {k: found["labels"][k] for k in common} == common
        assert found["labels"][f"{LWS}worker-index"] == index
    assert leader["labels"][f"{LWS}template-revision-hash"] == worker["labels"][f"{LWS}template-revision-hash"]
    assert leader["annotations"] == {f"{LWS}size": "3"}
    assert worker["annotations"] == {f"{LWS}size": "3", f"{LWS}leader-name": "ds-1"}


def test_the_environment_of_a_group_comes_first_and_replaces_what_the_template_says() -> None:
    given = [{"name": "MINE", "value": "1"}, {"name": "LWS_GROUP_SIZE", "value": "99"}]
    worker = pods_of(lws(workerTemplate={"spec": {"containers": [{"name": "c", "env": given}]}}), "ml")[1]
    assert env(worker) == {"LWS_LEADER_ADDRESS": "ds-0.ds.ml", "LWS_GROUP_SIZE": "3", "LWS_WORKER_INDEX": "1", "MINE": "1"}
    assert list(env(worker)) == ["LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX", "MINE"]
    assert (worker["spec"]["hostname"], worker["spec"]["subdomain"]) == ("ds-0-1", "ds")


def test_a_subdomain_of_its_own_is_named_like_the_leader() -> None:
    leader, worker, *_ = pods_of(lws(network="UniquePerReplica"), "ml")
    assert (leader["spec"]["subdomain"], worker["spec"]["subdomain"]) == ("ds-0", "ds-0")
    assert env(worker)["LWS_LEADER_ADDRESS"] == "ds-0.ds-0.ml"
    assert leader["metadata"]["annotations"][f"{LWS}subdomainPolicy"] == "UniquePerReplica"
    assert f"{LWS}subdomainPolicy" not in worker["metadata"]["annotations"]


def test_without_a_leader_template_the_worker_template_makes_leaders_too() -> None:
    leader, worker, *_ = pods_of(lws(workerTemplate=template({"app": "x"}, {"note": "y"}, nodeSelector={"gpu": "h100"})))
    for pod in (leader, worker):
        assert pod["metadata"]["labels"]["app"] == "x"
        assert pod["metadata"]["annotations"]["note"] == "y"
        assert pod["spec"]["nodeSelector"] == {"gpu": "h100"}
    leader, worker, *_ = pods_of(lws(leaderTemplate=template({"role": "leader"})))
    assert leader["metadata"]["labels"]["role"] == "leader"
    assert "role" not in worker["metadata"]["labels"]


def test_size_and_replicas_are_one_where_nothing_is_written_and_a_group_of_one_has_no_workers() -> None:
    raw = lws()
    raw["spec"] = {"leaderWorkerTemplate": {"workerTemplate": template()}}
    assert [p["metadata"]["name"] for p in pods_of(raw)] == ["ds-0"]
    raw["spec"]["replicas"] = 0
    assert pods_of(raw) == ()


@pytest.mark.parametrize(
    ("size", "subgroup", "kind", "leader", "workers"),
    [
        (4, 2, "LeaderWorker", "0", ["0", "1", "1"]),
        (5, 2, "LeaderWorker", "0", ["0", "0", "1", "1"]),
        (5, 2, "LeaderExcluded", None, ["0", "0", "1", "1"]),
    ],
)
def test_subgroups_are_numbered_as_the_webhook_numbers_them(size: int, subgroup: int, kind: str, leader: str | None, workers: list[str]) -> None:
    policy = {"subGroupSize": subgroup, "subGroupPolicyType": kind}
    first, *others = pods_of(lws(size=size, subGroupPolicy=policy))[:size]
    key = f"{LWS}subgroup-index"
    assert first["metadata"]["labels"].get(key) == leader
    assert [p["metadata"]["labels"][key] for p in others] == workers
    assert first["metadata"]["annotations"][f"{LWS}subgroup-policy-type"] == kind
    assert {p["metadata"]["annotations"][f"{LWS}subgroup-size"] for p in (first, *others)} == {str(subgroup)}


def test_exclusive_topology_gives_leaders_required_affinities_and_they_are_told_as_not_checked() -> None:
    leader, worker, *_ = pods_of(lws({f"{LWS}exclusive-topology": "rack"}), "ml")
    key = leader["metadata"]["labels"][f"{LWS}group-key"]
    affinity = leader["spec"]["affinity"]
    (together,) = affinity["podAffinity"][REQUIRED]
    (apart,) = affinity["podAntiAffinity"][REQUIRED]
    assert together["topologyKey"] == apart["topologyKey"] == "rack"
    assert together["labelSelector"]["matchExpressions"] == [{"key": f"{LWS}group-key", "operator": "In", "values": [key]}]
    assert [e["operator"] for e in apart["labelSelector"]["matchExpressions"]] == ["Exists", "NotIn"]
    assert "affinity" not in worker["spec"]
    assert {u.check for u in wire.pod(leader, planned=True).shape.unsupported} == {"InterPodAffinity"}


def test_exclusive_topology_of_subgroups_holds_for_workers_too() -> None:
    raw = lws({f"{LWS}subgroup-exclusive-topology": "rack"}, size=4, subGroupPolicy={"subGroupSize": 2})
    for pod in pods_of(raw)[:4]:
        (term,) = pod["spec"]["affinity"]["podAffinity"][REQUIRED]
        (expression,) = term["labelSelector"]["matchExpressions"]
        assert expression["values"] == [pod["metadata"]["labels"][f"{LWS}subgroup-key"]]


def test_claim_templates_become_volumes_of_each_pod() -> None:
    (leader, *_) = pods_of(lws(volumeClaimTemplates=[{"metadata": {"name": "cache"}}]))
    assert leader["spec"]["volumes"] == [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache-ds-0"}}]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (lws(size=0), "spec.leaderWorkerTemplate.size"),
        (lws(size="three"), "spec.leaderWorkerTemplate.size"),
        (
            lws(size=4, subGroupPolicy={"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"}),
            "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize",
        ),
        (lws(size=6, subGroupPolicy={"subGroupSize": 4}), "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize"),
        (lws(size=2, subGroupPolicy={"subGroupSize": 4}), "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize"),
        (lws({f"{LWS}subgroup-exclusive-topology": "rack"}), f"metadata.annotations.{LWS}subgroup-exclusive-topology"),
        ({**lws(), "metadata": {"name": "9lives"}}, "metadata.name"),
        (workload("Deployment", "apps/v1", {"replicas": -1, "template": template()}), "spec.replicas"),
        (workload("Deployment", "apps/v1", {"replicas": 2_000_000_000, "template": template()}), "spec.replicas"),
        (workload("Deployment", "apps/v1", {"replicas": 1}), "spec.template"),
        (workload("Deployment", "apps/v1", {"template": {"spec": {"containers": []}}}), "spec.template.spec.containers"),
        (workload("Job", "batch/v1", {"parallelism": "many", "template": template()}), "spec.parallelism"),
        (workload("Pod", "v1", {}), "spec.containers"),
        (workload("CronJob", "batch/v1", {}), "kind"),
        (
            workload("Service", "serving.knative.dev/v1", {"template": template({}, {"autoscaling.knative.dev/min-scale": "two"})}),
            "spec.template.metadata.annotations.autoscaling.knative.dev/min-scale",
        ),
    ],
)
def test_what_the_controller_or_its_webhook_would_refuse_is_refused_by_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as error:
        pods_of(raw)
    assert error.value.problems[0].field == field


def test_a_deployment_makes_pods_of_a_replica_set_with_its_hash() -> None:
    found = pods_of(workload("Deployment", "apps/v1", {"replicas": 2, "template": template({"app": "web"})}, uid="u"))
    suffix = found[0]["metadata"]["labels"]["pod-template-hash"]
    assert [p["metadata"]["name"] for p in found] == [f"web-{suffix}-00000", f"web-{suffix}-00001"]
    assert owner(found[0]) == ("ReplicaSet", f"web-{suffix}")


def test_replica_sets_and_stateful_sets_own_their_pods_and_ordinals_start_where_they_are_told() -> None:
    (pod,) = pods_of(workload("ReplicaSet", "apps/v1", {"template": template()}, uid="u"))
    assert (pod["metadata"]["name"], owner(pod)) == ("web-00000", ("ReplicaSet", "web"))
    spec = {"replicas": 2, "ordinals": {"start": 5}, "template": template(), "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    found = pods_of(workload("StatefulSet", "apps/v1", spec))
    assert [p["metadata"]["name"] for p in found] == ["web-5", "web-6"]
    assert found[1]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "6"
    assert found[1]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data-web-6"


def test_a_job_runs_as_many_pods_as_its_parallelism_and_never_more_than_its_completions() -> None:
    def count(**spec: Any) -> int:
        return len(pods_of(workload("Job", "batch/v1", {"template": template(), **spec})))

    assert [count(), count(parallelism=4), count(parallelism=4, completions=2), count(completions=5), count(parallelism=3, suspend=True)] == [
        1,
        4,
        2,
        1,
        0,
    ]


def test_an_indexed_job_numbers_its_pods() -> None:
    found = pods_of(workload("Job", "batch/v1", {"parallelism": 2, "completions": 2, "completionMode": "Indexed", "template": template()}))
    assert [p["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] for p in found] == ["0", "1"]
    assert {p["metadata"]["labels"]["batch.kubernetes.io/job-name"] for p in found} == {"web"}


def test_a_knative_service_starts_its_first_revision_with_the_queue_proxy_beside_the_container() -> None:
    annotations = {"autoscaling.knative.dev/min-scale": "3", "coterie.dev/nvlink": "required"}
    found = pods_of(workload("Service", "serving.knative.dev/v1", {"template": template({"team": "a"}, annotations)}))
    assert len(found) == 3
    about = found[0]["metadata"]
    assert {k: about["labels"][k] for k in ("app", "serving.knative.dev/revision", "serving.knative.dev/service", "team")} == {
        "app": "web-00001",
        "serving.knative.dev/revision": "web-00001",
        "serving.knative.dev/service": "web",
        "team": "a",
    }
    assert about["annotations"] == {"coterie.dev/nvlink": "required"}
    assert wire.pod(found[0], planned=True).shape.requests.amount("cpu") == 25
    assert owner(found[0])[0] == "ReplicaSet"


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, 1),
        ({"autoscaling.knative.dev/minScale": "2"}, 2),
        ({"autoscaling.knative.dev/initial-scale": "4"}, 4),
        ({"autoscaling.knative.dev/initial-scale": "0"}, 0),
        ({"autoscaling.knative.dev/initial-scale": "2", "autoscaling.knative.dev/min-scale": "3"}, 3),
    ],
)
def test_a_revision_starts_with_its_initial_scale_and_never_below_its_minimal_scale(annotations: dict[str, str], expected: int) -> None:
    assert len(pods_of(workload("Service", "serving.knative.dev/v1", {"template": template({}, annotations)}))) == expected
    assert len(pods_of(workload("Revision", "serving.knative.dev/v1", {"containers": [{"image": "i"}]}, annotations=annotations))) == expected


def test_the_queue_proxy_takes_what_its_annotations_say() -> None:
    annotations = {"queue.sidecar.serving.knative.dev/cpu-resource-request": "1", "queue.sidecar.serving.knative.dev/memory-resource-limit": "1Gi"}
    (pod,) = pods_of(workload("Service", "serving.knative.dev/v1", {"template": template({}, annotations)}))
    assert wire.pod(pod).shape.requests.amount("cpu") == 1000
    assert wire.pod(pod).shape.requests.amount("memory") == 2**30


def test_a_bare_pod_keeps_what_it_says_and_gets_a_name_where_the_server_would_make_one() -> None:
    raw = workload("Pod", "v1", {"containers": [{"name": "c"}], "nodeName": "n"}, labels={"a": "b"}, annotations={"note": "x"})
    (pod,) = pods_of(raw, "ml")
    assert pod["metadata"] == {"name": "web", "labels": {"a": "b"}, "annotations": {"note": "x"}, "namespace": "ml", "uid": "manifest:ml/web"}
    raw["metadata"] = {"generateName": "web-"}
    assert pods_of(raw)[0]["metadata"]["name"] == "web-00000"


def test_pods_get_the_tolerations_of_outages_unless_they_have_them() -> None:
    (pod,) = pods_of(workload("Pod", "v1", {"containers": [{"name": "c"}]}))
    assert [t["key"] for t in pod["spec"]["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    own = [{"operator": "Exists"}]
    (pod,) = pods_of(workload("Pod", "v1", {"containers": [{"name": "c"}], "tolerations": own}))
    assert pod["spec"]["tolerations"] == own


def test_the_same_manifest_gives_the_same_pods_whatever_the_order_of_its_keys() -> None:
    raw = workload("Deployment", "apps/v1", {"replicas": 2, "template": template({"a": "1", "b": "2"})})
    turned = {key: raw[key] for key in reversed(raw)}
    turned["spec"] = {key: raw["spec"][key] for key in reversed(raw["spec"])}
    assert pods_of(raw) == pods_of(turned)


def test_expanding_leaves_the_manifest_as_it_was() -> None:
    raw = lws({f"{LWS}exclusive-topology": "rack"}, volumeClaimTemplates=[{"metadata": {"name": "cache"}}])
    before = repr(raw)
    pods_of(raw)
    assert repr(raw) == before
