"""What `plan` makes of a manifest is what the real controllers make of it: pods, labels, annotations, environment, owners, shapes."""

from typing import Any

import pytest

from scheduler.kube.parse import wire
from scheduler.kube.parse.expand import pods_of
from tests.controlplane import ControlPlane

pytestmark = pytest.mark.live

LWS = "leaderworkerset.sigs.k8s.io/"
UNKNOWABLE = frozenset(
    {f"{LWS}template-revision-hash", "controller-revision-hash", "pod-template-hash", "batch.kubernetes.io/controller-uid", "controller-uid"}
)
"""Labels whose values exist only after the objects do."""

CONTAINER = {
    "name": "main",
    "image": "example.test/main:1",
    "env": [{"name": "OWN", "value": "1"}, {"name": "LWS_GROUP_SIZE", "value": "9"}],
    "ports": [{"containerPort": 8000}],
    "resources": {"limits": {"nvidia.com/gpu": "8", "memory": "2Gi"}, "requests": {"cpu": "1500m"}},
}
SPEC = {
    "schedulerName": "by-hand",
    "containers": [CONTAINER],
    "initContainers": [{"name": "side", "image": "example.test/side:1", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}],
    "nodeSelector": {"pool": "a"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
}


def template(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": name}, "annotations": {"coterie.dev/nvlink": "required"}}, "spec": {**SPEC, **spec}}


def lws(name: str, *, annotations: dict[str, str] | None = None, spec: dict[str, Any] | None = None, **inner: Any) -> dict[str, Any]:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"replicas": 2, **(spec or {}), "leaderWorkerTemplate": {"size": 3, "workerTemplate": template(name), **inner}},
    }


def controller(kind: str, version: str, **spec: Any) -> dict[str, Any]:
    selector = {} if kind == "Job" else {"selector": {"matchLabels": {"app": "x"}}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": {**selector, **spec}}


SETS = (
    lws("plain"),
    lws("two", leaderTemplate=template("leader", hostNetwork=True)),
    lws("apart", spec={"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}),
    lws("groups", size=5, subGroupPolicy={"subGroupSize": 2}),
    lws("workers", size=5, subGroupPolicy={"subGroupSize": 2, "subGroupPolicyType": "LeaderExcluded"}),
    lws("halves", annotations={f"{LWS}subgroup-exclusive-topology": "rack"}, size=4, subGroupPolicy={"subGroupSize": 2}),
    lws(
        "claims",
        volumeClaimTemplates=[
            {"metadata": {"name": "cache"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
        ],
    ),
    lws("alone", annotations={f"{LWS}exclusive-topology": "rack"}),
)
OTHERS = (
    controller("StatefulSet", "apps/v1", replicas=2, serviceName="x", template=template("x"), ordinals={"start": 3}, podManagementPolicy="Parallel"),
    controller("Deployment", "apps/v1", replicas=2, template=template("x")),
    controller("ReplicaSet", "apps/v1", replicas=2, template=template("x")),
    controller("Job", "batch/v1", parallelism=2, completions=2, completionMode="Indexed", template=template("x", restartPolicy="Never")),
    controller("Job", "batch/v1", parallelism=2, template=template("x", restartPolicy="Never")),
)


def made(control_plane: ControlPlane, namespace: str, raw: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Apply a manifest and return the pods that the controllers make of it, once there are enough."""
    admin = control_plane.admin
    admin.apply(raw, namespace=namespace)
    path = f"/api/v1/namespaces/{namespace}/pods"
    admin.wait(lambda: len(admin.get(path)["items"]) >= count, what=f"{count} pods of {raw['kind']}")
    return sorted(admin.get(path)["items"], key=lambda pod: str(pod["metadata"]["name"]))


def known(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in UNKNOWABLE}


def environment(pod: dict[str, Any]) -> list[list[Any]]:
    return [c.get("env") or [] for field in ("containers", "initContainers") for c in pod["spec"].get(field) or ()]


@pytest.mark.parametrize("raw", SETS, ids=lambda raw: raw["metadata"]["name"])
def test_the_pods_of_a_leader_worker_set_are_those_of_the_real_controller(control_plane: ControlPlane, namespace: str, raw: dict[str, Any]) -> None:
    planned = sorted(pods_of(raw, namespace), key=lambda pod: str(pod["metadata"]["name"]))
    if raw["metadata"]["name"] == "alone":  # the real workers follow when their leader is bound
        planned = [pod for pod in planned if pod["metadata"]["labels"][f"{LWS}worker-index"] == "0"]
    real = made(control_plane, namespace, raw, len(planned))
    assert [p["metadata"]["name"] for p in real] == [p["metadata"]["name"] for p in planned]
    for found, expected in zip(planned, real, strict=True):
        assert known(found["metadata"]["labels"]) == known(expected["metadata"]["labels"])
        assert found["metadata"]["annotations"] == expected["metadata"]["annotations"]
        assert environment(found) == environment(expected)
        assert (found["spec"]["hostname"], found["spec"]["subdomain"]) == (expected["spec"]["hostname"], expected["spec"]["subdomain"])
        check_values(found, expected)


@pytest.mark.parametrize("raw", OTHERS, ids=lambda raw: f"{raw['kind']} {raw['spec'].get('completionMode', '')}")
def test_the_pods_of_other_controllers_are_theirs_but_for_what_they_make_up(control_plane: ControlPlane, namespace: str, raw: dict[str, Any]) -> None:
    planned = pods_of(raw, namespace)
    real = made(control_plane, namespace, raw, len(planned))
    assert len(real) == len(planned)
    for found, expected in zip(planned, real, strict=True):
        assert known(found["metadata"]["labels"]) == known(expected["metadata"]["labels"])
        assert set(found["metadata"]["labels"]) >= set(expected["metadata"]["labels"]) - {"batch.kubernetes.io/controller-uid", "controller-uid"}
        check_values(found, expected)


def check_values(planned: dict[str, Any], real: dict[str, Any]) -> None:
    """Compare what a decision reads of the two pods."""
    found, expected = wire.pod(planned, planned=True), wire.pod(real, planned=True)
    assert found.shape == expected.shape
    assert (found.scheduler_name, found.annotations) == (expected.scheduler_name, expected.annotations)
    assert found.owner is not None
    assert expected.owner is not None
    assert (found.owner.kind, found.owner.api_version) == (expected.owner.kind, expected.owner.api_version)
    assert "pod-template-hash" in planned["metadata"]["labels"] or found.owner.name == expected.owner.name
