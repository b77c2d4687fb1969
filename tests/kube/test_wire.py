"""The parser of nodes, pods, PodGroups, policies and workloads: what is kept, what is refused, and what live watches get instead."""

import json
from typing import Any

import pytest

from scheduler.kube.group import names
from scheduler.kube.parse import wire
from scheduler.kube.parse.shape import RESTRICTING_VOLUMES
from scheduler.state.gang import Preference, Segment
from scheduler.state.objects import HostPort, NodeSelectorTerm, PodTerm, Ref, Requirement
from scheduler.state.problems import BadInput
from scheduler.state.resources import Resources

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def raw_pod(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ml", **metadata}, "spec": spec or {}, "status": status or {}}


def raw_group(spec: dict[str, Any], api_version: str = "scheduling.run.ai/v1") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "PodGroup", "metadata": {"name": "g"}, "spec": spec}


def raw_policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": {"name": "t"}, "spec": spec}


def field_of(error: pytest.ExceptionInfo[BadInput]) -> str:
    return error.value.problems[0].field


def test_bytes_and_mappings_read_alike() -> None:
    raw = raw_pod({"nodeName": "n", "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 8}}}]}, uid="u", labels={"a": "b"})
    assert wire.pod(json.dumps(raw).encode()) == wire.pod(raw)


def test_a_node_offers_its_allocatable_and_its_capacity_only_where_that_is_absent() -> None:
    status = {"allocatable": {"cpu": "63500m", "pods": "110"}, "capacity": {"cpu": "64"}}
    assert wire.node({"metadata": {"name": "n"}, "status": status}).allocatable == Resources({"cpu": 63500, "pods": 110})
    assert wire.node({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "64"}}}).allocatable == Resources({"cpu": 64000})
    assert wire.node({"metadata": {"name": "n"}, "status": {"allocatable": {}, "capacity": {"cpu": "64"}}}).allocatable == Resources()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": {"allocatable": {"nvidia.com/gpu": "-8"}}}, "status.allocatable.nvidia.com/gpu"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": {"name": "No_Name"}}, "metadata.name"),
        ({"metadata": {"name": "n", "labels": {"rack": "x" * 64}}}, "metadata.labels.rack"),
        ({"metadata": {"name": "n", "labels": {"x" * 64: "r"}}}, "metadata.labels"),
        ({"metadata": {"name": "n", "labels": {"rack": 7}}}, "metadata.labels.rack"),
        ({"spec": {"taints": [{"key": "k", "effect": "Sometimes"}]}}, "spec.taints[0].effect"),
        ({"spec": {"unschedulable": "yes"}}, "spec.unschedulable"),
        ({"metadata": {"name": "n", "creationTimestamp": "yesterday"}}, "metadata.creationTimestamp"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_a_node_that_no_api_server_would_hold_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as error:
        wire.node({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "1"}}, **change})
    assert field_of(error) == field


@pytest.mark.parametrize("change", [{"status": {"allocatable": {"cpu": "-1"}}}, {"spec": {"unschedulable": "yes"}}])
def test_an_unreadable_live_node_offers_nothing_and_says_why(change: dict[str, Any]) -> None:
    found = wire.node({"metadata": {"name": "n", "uid": "u"}, "status": {"allocatable": {"cpu": "1"}}, **change}, strict=False)
    assert (found.name, found.uid, found.allocatable, found.unschedulable) == ("n", "u", Resources(), True)
    assert found.problem is not None


def test_a_pod_keeps_its_controller_among_several_owners() -> None:
    owners = [{"kind": "Foo", "name": "f", "uid": "1"}, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "2", "controller": True}]
    assert wire.pod(raw_pod(ownerReferences=owners)).owner == Ref(kind="ReplicaSet", name="r", uid="2", api_version="apps/v1")
    assert wire.pod(raw_pod(ownerReferences=owners[:1])).owner is None


def test_only_annotations_that_name_a_group_or_a_demand_are_kept() -> None:
    given = {"kubectl.kubernetes.io/last-applied-configuration": "x", "coterie.dev/min-member": "2", "pod-group-name": "g"}
    assert wire.pod(raw_pod(annotations=given)).annotations == {"coterie.dev/min-member": "2", "pod-group-name": "g"}


def test_every_annotation_that_grouping_reads_is_kept() -> None:
    assert [key for key in sorted(names.KEPT_ANNOTATIONS) if not key.startswith(wire.ANNOTATIONS)] == []


def test_the_state_of_a_pod_is_read_from_its_status() -> None:
    status = {"phase": "Failed", "reason": "OutOfcpu", "conditions": [{"type": "Ready", "status": "True"}], "nominatedNodeName": "n2"}
    found = wire.pod(raw_pod({"nodeName": "n1", "schedulingGates": [{"name": "g"}], "priority": 7, "priorityClassName": "high"}, status))
    assert (found.node, found.nominated_node, found.phase, found.reason) == ("n1", "n2", "Failed", "OutOfcpu")
    assert (found.ready, found.gates, found.priority, found.priority_class) == (True, ("g",), 7, "high")
    assert wire.pod(raw_pod(deletionTimestamp="2026-01-01T00:00:00Z")).terminating


def test_a_node_name_is_a_fact_of_a_live_pod_and_a_wish_of_a_planned_one() -> None:
    live, planned = (wire.pod(raw_pod({"nodeName": "n"}), planned=p) for p in (False, True))
    assert (live.node, live.shape.node_name) == ("n", None)
    assert (planned.node, planned.shape.node_name) == (None, "n")


def test_times_are_seconds_since_the_epoch() -> None:
    assert wire.pod(raw_pod(creationTimestamp="1970-01-01T00:01:00Z")).created == 60
    assert wire.pod(raw_pod(creationTimestamp=None)).created == 0


def test_required_node_affinity_is_read_term_by_term_and_the_preferred_is_not() -> None:
    expression = {"key": "rack", "operator": "In", "values": ["r1"]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [expression]}, {}]}, "preferred": [{"weight": "x"}]}}
    assert wire.pod(raw_pod({"affinity": affinity})).shape.affinity == (
        NodeSelectorTerm(expressions=(Requirement(key="rack", operator="In", values=("r1",)),)),
        NodeSelectorTerm(),
    )


@pytest.mark.parametrize(
    ("expression", "field"),
    [
        ({"key": "rack", "operator": "in", "values": ["r1"]}, "operator"),
        ({"key": "rack", "operator": "In"}, "values"),
        ({"key": "rack", "operator": "Exists", "values": ["x"]}, "values"),
        ({"key": "rack", "operator": "Gt", "values": ["many"]}, "values"),
        ({"key": "rack", "operator": "Lt", "values": ["1", "2"]}, "values"),
        ({"operator": "Exists"}, "key"),
    ],
)
def test_an_expression_that_the_api_server_refuses_is_refused(expression: dict[str, Any], field: str) -> None:
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}
    with pytest.raises(BadInput) as error:
        wire.pod(raw_pod({"affinity": affinity}))
    assert field_of(error) == f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].{field}"


def test_host_ports_come_from_containers_and_sidecars_and_on_the_host_network_from_every_container_port() -> None:
    containers = [{"name": "c", "ports": [{"containerPort": 80}, {"containerPort": 8080, "hostPort": 9090, "hostIP": "10.0.0.1", "protocol": "UDP"}]}]
    init = [
        {"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 1, "hostPort": 1}]},
        {"name": "i", "ports": [{"containerPort": 2, "hostPort": 2}]},
    ]
    spec = {"containers": containers, "initContainers": init}
    given = HostPort(port=9090, protocol="UDP", ip="10.0.0.1")
    assert wire.pod(raw_pod(spec)).shape.ports == (HostPort(port=1), given)
    assert wire.pod(raw_pod({**spec, "hostNetwork": True})).shape.ports == (HostPort(port=1), HostPort(port=80), given)


@pytest.mark.parametrize("toleration", [{"operator": "Equal", "value": "x"}, {"key": "k", "operator": "Gt", "value": "1"}])
def test_a_toleration_that_the_api_server_refuses_is_refused(toleration: dict[str, str]) -> None:
    with pytest.raises(BadInput) as error:
        wire.pod(raw_pod({"tolerations": [toleration]}))
    assert field_of(error) == "spec.tolerations[0].operator"


TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}


@pytest.mark.parametrize(
    ("spec", "field", "check"),
    [
        ({"affinity": {"podAffinity": {REQUIRED: [TERM]}}}, f"spec.affinity.podAffinity.{REQUIRED}[0]", "InterPodAffinity"),
        ({"affinity": {"podAntiAffinity": {REQUIRED: [TERM]}}}, f"spec.affinity.podAntiAffinity.{REQUIRED}[0]", "InterPodAffinity"),
        ({"topologySpreadConstraints": [{"topologyKey": "zone"}]}, "spec.topologySpreadConstraints[0]", "PodTopologySpread"),
        ({"resourceClaims": [{"name": "gpu"}]}, "spec.resourceClaims[0]", "DynamicResources"),
        *(({"volumes": [{"name": "v", kind: {}}]}, f"spec.volumes[0].{kind}", check) for kind, check in RESTRICTING_VOLUMES),
    ],
)
def test_what_restricts_nodes_and_is_not_checked_blocks_the_pod_by_name(spec: dict[str, Any], field: str, check: str) -> None:
    (found,) = wire.pod(raw_pod(spec)).shape.unsupported
    assert (found.field, found.check) == (field, check)


@pytest.mark.parametrize(
    "spec",
    [
        {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": TERM}]}}},
        {"topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]},
        {"volumes": [{"name": k, k: {}} for k in ("emptyDir", "configMap", "secret", "projected", "downwardAPI", "hostPath", "nfs", "csi", "image")]},
    ],
)
def test_soft_terms_and_volumes_without_a_placement_do_not_block(spec: dict[str, Any]) -> None:
    assert wire.pod(raw_pod(spec)).shape.unsupported == ()


def test_a_bound_pod_repels_by_its_required_anti_affinity_and_a_waiting_one_does_not() -> None:
    everywhere = {"topologyKey": "rack", "labelSelector": {}, "namespaceSelector": {}}
    affinity = {"podAntiAffinity": {REQUIRED: [TERM, everywhere]}}
    assert wire.pod(raw_pod({"nodeName": "n", "affinity": affinity})).repels == (
        PodTerm(topology_key="zone", selector=(Requirement(key="app", operator="In", values=("x",)),), namespaces=("ml",)),
        PodTerm(topology_key="rack", selector=(), namespaces=(), namespace_selector=()),
    )
    assert wire.pod(raw_pod({"affinity": affinity})).repels == ()


def test_an_unreadable_live_pod_is_kept_blocked_and_named() -> None:
    raw = raw_pod({"nodeName": "n", "schedulerName": "coterie", "containers": [{"name": "c", "resources": {"requests": {"cpu": "two"}}}]}, uid="u")
    for form in (raw, json.dumps(raw).encode()):
        found = wire.pod(form, strict=False)
        assert (found.key, found.uid, found.node, found.scheduler_name) == ("ml/p", "u", "n", "coterie")
        assert found.shape.unsupported[0].field == "spec.containers[0].resources.requests.cpu"
        assert found.problem is not None
        assert "'two'" in found.problem


def test_bytes_that_are_no_json_are_a_problem_and_not_a_crash() -> None:
    with pytest.raises(BadInput, match="one JSON object"):
        wire.pod(b'{"metadata": ')
    assert wire.pod(b'{"metadata": ', strict=False).problem is not None


def test_objects_without_a_uid_get_one_that_says_so() -> None:
    assert wire.pod(raw_pod()).uid == "manifest:ml/p"
    assert wire.node({"metadata": {"name": "n"}}).uid == "manifest:n"


def test_the_pod_group_of_the_seed_reads_with_its_optional_fields() -> None:
    spec = {
        "minMember": 2,
        "scheduleTimeoutSeconds": 300,
        "priorityClassName": "high",
        "project": "ml",
        "topologyPolicy": "t",
        "requiredTopology": "rack",
        "segments": [{"size": 4, "requiredTopology": "nvlink"}],
    }
    found = wire.pod_group(raw_group(spec), namespace="ml")
    assert (found.namespace, found.min_member, found.timeout_seconds, found.priority_class, found.project) == ("ml", 2, 300, "high", "ml")
    assert (found.topology_policy, found.required, found.segments) == ("t", "rack", (Segment(size=4, required="nvlink"),))


@pytest.mark.parametrize(
    ("api_version", "spec", "min_member", "required"),
    [
        ("scheduling.k8s.io/v1alpha2", {"schedulingPolicy": {"gang": {"minCount": 3}}}, 3, None),
        ("scheduling.k8s.io/v1beta1", {"schedulingPolicy": {"basic": {}}}, 1, None),
        (
            "scheduling.k8s.io/v1beta1",
            {"schedulingPolicy": {"gang": {"minCount": 3}}, "schedulingConstraints": {"topology": [{"key": "rack"}]}},
            3,
            "rack",
        ),
        ("scheduling.x-k8s.io/v1alpha1", {"minMember": 3}, 3, None),
        ("scheduling.volcano.sh/v1beta1", {"minMember": 3, "queue": "q"}, 3, None),
        ("scheduling.run.ai/v2alpha2", {"minMember": 3, "topologyConstraint": {"requiredTopologyLevel": "rack"}}, 3, "rack"),
    ],
)
def test_pod_groups_of_every_api_group_read_in_our_words(api_version: str, spec: dict[str, Any], min_member: int, required: str | None) -> None:
    found = wire.pod_group(raw_group(spec, api_version))
    assert (found.api_version, found.min_member, found.required, found.problem) == (api_version, min_member, required, None)


@pytest.mark.parametrize(
    ("api_version", "spec", "field"),
    [
        ("scheduling.run.ai/v2alpha2", {"minMember": 1, "subGroups": [{"name": "a"}]}, "spec.subGroups"),
        ("scheduling.volcano.sh/v1beta1", {"minMember": 1, "networkTopology": {"mode": "hard"}}, "spec.networkTopology"),
        ("scheduling.k8s.io/v1beta1", {"resourceClaims": [{"name": "c"}]}, "spec.resourceClaims"),
        ("scheduling.k8s.io/v1beta1", {"schedulingConstraints": {"topology": [{"key": "a"}, {"key": "b"}]}}, "spec.schedulingConstraints"),
    ],
)
def test_what_another_pod_group_asks_and_we_do_not_do_is_a_problem_of_that_group(api_version: str, spec: dict[str, Any], field: str) -> None:
    problem = wire.pod_group(raw_group(spec, api_version)).problem
    assert problem is not None
    assert problem.startswith(field)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"minMember": 0}, "spec.minMember"),
        ({"minMember": "two"}, "spec.minMember"),
        ({"scheduleTimeoutSeconds": -1}, "spec.scheduleTimeoutSeconds"),
        ({"requiredTopology": "ra ck"}, "spec.requiredTopology"),
        ({"requiredTopology": ["rack"]}, "spec.requiredTopology"),
        ({"segments": [{"requiredTopology": "rack"}]}, "spec.segments[0].size"),
        ({"segments": [{"size": 0}]}, "spec.segments[0].size"),
    ],
)
def test_a_bad_pod_group_is_refused_by_field_and_live_it_carries_its_problem(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as error:
        wire.pod_group(raw_group(spec))
    assert field_of(error) == field
    live = wire.pod_group(raw_group(spec), strict=False)
    assert live.name == "g"
    assert live.problem is not None
    assert live.problem.startswith(f"{field}: found ")


def test_a_pod_group_of_an_unknown_version_is_refused_with_the_versions_that_are_read() -> None:
    with pytest.raises(BadInput, match=r"scheduling\.run\.ai/v1, scheduling\.run\.ai/v2alpha2"):
        wire.pod_group(raw_group({}, "scheduling.run.ai/v9"))


def test_a_policy_reads_weights_requirement_and_selector() -> None:
    spec = {"preferredTopology": [{"topologyKey": "zone", "weight": 100}], "requiredTopology": "rack", "selector": {"matchLabels": {"app": "x"}}}
    found = wire.topology_policy(raw_policy(spec))
    assert (found.preferred, found.required) == ((Preference(level="zone", weight=100),), "rack")
    assert found.selector == (Requirement(key="app", operator="In", values=("x",)),)
    assert wire.topology_policy(raw_policy({})).selector is None
    assert wire.topology_policy(raw_policy({"selector": {}})).selector == ()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"preferredTopology": [{"topologyKey": "zone", "weight": "heavy"}]}, "spec.preferredTopology[0].weight"),
        ({"preferredTopology": [{"topologyKey": "zone", "weight": 0}]}, "spec.preferredTopology[0].weight"),
        ({"preferredTopology": [{"topologyKey": "zone", "weight": -5}]}, "spec.preferredTopology[0].weight"),
        ({"preferredTopology": [{"topologyKey": "zone", "weight": 1_000_001}]}, "spec.preferredTopology[0].weight"),
        ({"preferredTopology": [{"topologyKey": "zone", "weight": 1.5}]}, "spec.preferredTopology[0].weight"),
        ({"preferredTopology": [{"weight": 5}]}, "spec.preferredTopology[0].topologyKey"),
        ({"preferredTopology": [{"topologyKey": "a", "weight": 1}, {"topologyKey": "a", "weight": 2}]}, "spec.preferredTopology[1].topologyKey"),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "spec.selector.matchExpressions[0].values"),
    ],
)
def test_a_bad_policy_is_refused_by_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as error:
        wire.topology_policy(raw_policy(spec))
    assert field_of(error) == field


def test_a_bad_live_policy_stays_meant_for_those_that_its_selector_names() -> None:
    weights = [{"topologyKey": "zone", "weight": 0}]
    named = wire.topology_policy(raw_policy({"preferredTopology": weights, "selector": {"matchLabels": {"app": "x"}}}), strict=False)
    assert named.selector == (Requirement(key="app", operator="In", values=("x",)),)
    assert wire.topology_policy(raw_policy({"preferredTopology": weights}), strict=False).selector is None
    nobody = wire.topology_policy(raw_policy({"selector": {"matchLabels": 5}}), strict=False).selector
    assert nobody is not None
    assert nobody[0].values == ()


def test_a_problem_shows_at_most_80_characters_of_what_was_found_and_never_walks_all_of_it() -> None:
    bomb: list[Any] = ["x"] * 10
    for _ in range(40):
        bomb = [bomb] * 10
    with pytest.raises(BadInput) as error:
        wire.pod_group(raw_group({"minMember": bomb}))
    assert len(error.value.problems[0].found) <= 80


def test_a_workload_carries_its_own_annotations_over_those_of_its_template() -> None:
    template = {"metadata": {"annotations": {"coterie.dev/nvlink": "ignore", "coterie.dev/min-member": "2"}}, "spec": {"containers": []}}
    raw = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"coterie.dev/nvlink": "required"}},
        "spec": {"replicas": 3, "template": template},
    }
    found = wire.workload(raw)
    assert found.annotations == {"coterie.dev/nvlink": "required", "coterie.dev/min-member": "2"}
    assert (found.replicas, sorted(found.templates)) == (3, ["pod"])


def test_a_stateful_set_with_claim_templates_has_a_template_that_needs_a_volume() -> None:
    spec = {"template": {"spec": {"containers": []}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    raw = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec}
    assert wire.workload(raw).templates["pod"].shape.unsupported[0].check == "VolumeBinding"


def test_a_bad_live_workload_carries_its_problem() -> None:
    raw = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": "many", "template": {"spec": {}}}}
    found = wire.workload(raw, strict=False)
    assert (found.kind, found.name, found.templates) == ("Deployment", "web", {})
    assert found.problem is not None
    assert found.problem.startswith("spec.replicas: found 'many'")


def test_a_problem_in_a_template_is_told_at_its_place_in_the_workload() -> None:
    template = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "all"}}}]}}
    raw = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "l"},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": template}},
    }
    with pytest.raises(BadInput) as error:
        wire.workload(raw)
    assert error.value.problems[0].object == "LeaderWorkerSet/default/l"
    assert field_of(error) == "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0].resources.limits.nvidia.com/gpu"


def test_a_priority_class_gives_name_value_and_whether_it_is_the_default() -> None:
    assert wire.priority_class({"metadata": {"name": "high"}, "value": 7, "globalDefault": True}) == ("high", 7, True)
