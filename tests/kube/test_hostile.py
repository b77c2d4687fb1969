"""Whatever stands in whatever field of an object: it is read or refused as bad input, and a live watch never stops for it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scheduler import replay
from scheduler.kube.parse import wire
from scheduler.state.problems import BadInput, InputProblem

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
JUNK: tuple[Any, ...] = (None, 0, -1, 2**70, 1.5, True, "x", "\ud800", [], [None], {}, {"a": 1})
TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}}
CONTAINER = {
    "name": "c",
    "env": [{"name": "x", "value": "y"}],
    "ports": [{"hostPort": 1, "containerPort": 2}],
    "resources": {"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 8}},
}
SPEC = {
    "nodeName": "n",
    "nodeSelector": {"a": "b"},
    "affinity": {
        "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}]}},
        "podAntiAffinity": {REQUIRED: [TERM]},
    },
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "containers": [CONTAINER],
    "initContainers": [{"name": "i", "restartPolicy": "Always"}],
    "overhead": {"cpu": "1"},
    "resources": {"limits": {"memory": "1"}},
    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}],
    "resourceClaims": [{"name": "x"}],
    "topologySpreadConstraints": [{"topologyKey": "zone"}],
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}, "annotations": {"autoscaling.knative.dev/min-scale": "2"}}, "spec": SPEC}
STATUS = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "2"}}],
}
INNER = {"size": 2, "workerTemplate": TEMPLATE, "subGroupPolicy": {"subGroupSize": 1}, "volumeClaimTemplates": [{"metadata": {"name": "c"}}]}
POLICY = {
    "preferredTopology": [{"topologyKey": "a", "weight": 1}],
    "selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]},
}


def whole(kind: str, version: str, spec: dict[str, Any], **parts: Any) -> dict[str, Any]:
    about = {"name": "x", "namespace": "ns", "labels": {"a": "b"}, "annotations": {"leaderworkerset.sigs.k8s.io/exclusive-topology": "rack"}}
    return copy.deepcopy({"apiVersion": version, "kind": kind, "metadata": about, "spec": spec, **parts})


OBJECTS = (
    whole("Node", "v1", {"taints": [{"key": "a", "effect": "NoSchedule"}]}, status={"allocatable": {"cpu": "1"}}),
    whole("Pod", "v1", SPEC, status=STATUS),
    whole("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1", {"replicas": 1, "leaderWorkerTemplate": INNER}),
    whole("StatefulSet", "apps/v1", {"replicas": 1, "template": TEMPLATE, "ordinals": {"start": 1}}),
    whole("Job", "batch/v1", {"parallelism": 1, "template": TEMPLATE}),
    whole("Service", "serving.knative.dev/v1", {"template": TEMPLATE}),
    whole("PodGroup", "scheduling.run.ai/v1", {"minMember": 1, "segments": [{"size": 1, "requiredTopology": "rack"}]}),
    whole("PodGroup", "scheduling.k8s.io/v1beta1", {"schedulingPolicy": {"gang": {"minCount": 1}}}),
    whole("TopologyPolicy", "scheduling.run.ai/v1", POLICY),
    {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]},
)
LIVE: dict[str, Callable[..., Any]] = {
    "Node": wire.node,
    "Pod": wire.pod,
    "PodGroup": wire.pod_group,
    "TopologyPolicy": wire.topology_policy,
    "LeaderWorkerSet": wire.workload,
}


def spoiled(value: Any) -> Iterator[Any]:
    """Yield copies of a value with each part of it replaced by each piece of junk."""
    yield from JUNK
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: other} for other in spoiled(value[key]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in spoiled(item))


@pytest.mark.parametrize("raw", OBJECTS, ids=lambda raw: f"{raw['kind']} {raw['apiVersion']}")
@pytest.mark.parametrize("planned", [True, False])
def test_a_spoiled_object_is_read_or_refused_as_bad_input(raw: dict[str, Any], planned: bool) -> None:
    problems: list[InputProblem] = []
    for other in spoiled(raw):
        try:
            replay.world(replay.documents([other]), planned=planned)
        except BadInput as error:
            problems.extend(error.problems)
    assert len(problems) > 10
    assert all(len(problem.found) < 130 and str(problem).encode() for problem in problems)


@pytest.mark.parametrize("raw", [o for o in OBJECTS if o["kind"] in LIVE], ids=lambda raw: f"{raw['kind']} {raw['apiVersion']}")
def test_a_spoiled_live_object_comes_back_with_its_problem(raw: dict[str, Any]) -> None:
    read: Callable[..., Any] = LIVE[raw["kind"]]
    found = [read(other, strict=False) for other in spoiled(raw) if isinstance(other, dict) and other.get("kind") == raw["kind"]]
    assert sum(value.problem is not None for value in found) > 10
