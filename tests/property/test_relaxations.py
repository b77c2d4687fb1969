"""Whoever applies a relaxation to the input and plans again finds that the gang fits; and there is always one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.dryrun import plan
from tests.builders import RACK, SPINE
from tests.changes import applied

TAINT = {"key": "gpu", "value": "reserved", "effect": "NoSchedule"}
PLACED = ("OPTIMAL", "FEASIBLE")


def _container(gpus: int, port: int = 0) -> dict[str, Any]:
    ports = {"ports": [{"containerPort": port, "hostPort": port}]} if port else {}
    return {"name": "main", "image": "model", "resources": {"requests": {"nvidia.com/gpu": str(gpus), "cpu": "1"}}, **ports}


@st.composite
def _nodes(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for index in range(draw(st.integers(1, 6))):
        labels = {RACK: draw(st.sampled_from(["r0", "r1", ""])), SPINE: "s0", "accelerator": draw(st.sampled_from(["h100", "a100"]))}
        spec: dict[str, Any] = {"taints": [TAINT]} if draw(st.integers(0, 3)) == 0 else {}
        if draw(st.integers(0, 4)) == 0:
            spec["unschedulable"] = True
        gpus = draw(st.integers(1, 4))
        found.append(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"n{index}", "labels": {k: v for k, v in labels.items() if v}},
                "spec": spec,
                "status": {"allocatable": {"cpu": "8", "memory": "64Gi", "pods": str(draw(st.sampled_from([2, 110]))), "nvidia.com/gpu": str(gpus)}},
            }
        )
    return found


@st.composite
def _pods(draw: st.DrawFn, nodes: int) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"busy-{index}", "namespace": draw(st.sampled_from(["batch", "batch", "kube-system"]))},
            "spec": {
                "nodeName": f"n{draw(st.integers(0, nodes - 1))}",
                "priority": draw(st.sampled_from([0, 10])),
                "containers": [_container(draw(st.integers(0, 3)), draw(st.sampled_from([0, 0, 8080])))],
            },
            "status": {"phase": "Running"},
        }
        for index in range(draw(st.integers(0, 5)))
    ]


@st.composite
def _pod_spec(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [_container(draw(st.integers(0, 4)), draw(st.sampled_from([0, 0, 0, 8080])))]}
    selector = draw(st.sampled_from([None, None, None, {"accelerator": "h10O"}, {"acelerator": "h100"}, {"accelerator": "tpu"}]))
    if selector:
        spec["nodeSelector"] = selector
    if draw(st.integers(0, 5)) == 0:
        spec["nodeName"] = draw(st.sampled_from(["n0", "nowhere"]))
    if draw(st.integers(0, 5)) == 0:
        expression = {"key": "accelerator", "operator": "In", "values": [draw(st.sampled_from(["h10", "a100"]))]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    if draw(st.integers(0, 3)) == 0:
        spec["tolerations"] = [{"key": "other", "operator": "Exists"}]
    return spec


def _leader_worker_set(size: int, spec: dict[str, Any], annotations: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "model", "namespace": "ai", **({"annotations": annotations} if annotations else {})},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": size, "workerTemplate": {"metadata": {"labels": labels}, "spec": spec}}},
    }


def _loose_pods(size: int, spec: dict[str, Any], labels: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"loose-{i}", "namespace": "ai", "labels": labels}, "spec": spec}
        for i in range(size)
    ]


@st.composite
def _segments(draw: st.DrawFn, objects: list[dict[str, Any]]) -> dict[str, str]:
    """Draw annotations that cut segments, or write them into the PodGroup where there is one; mostly none."""
    level = draw(st.sampled_from(["rack", "host", RACK, "raack"]))
    rows = draw(st.sampled_from([[(2, level)], [(4, "rack"), (2, level)]]))
    match draw(st.sampled_from(["", "", "", "ours", "kai", "slices", "PodGroup"])):
        case "ours":
            return {"coterie.dev/segment-size": "2", "coterie.dev/segment-required-topology": level}
        case "kai":
            return {"kai.scheduler/segment-size": "2", "kai.scheduler/segment-topology-required-placement": level}
        case "slices":
            slices = [{"topology": name, "size": size} for size, name in rows]
            return {"kueue.x-k8s.io/podset-slice-required-topology-constraints": json.dumps(slices)}
        case "PodGroup" if objects and objects[0]["kind"] == "PodGroup":
            objects[0]["spec"]["segments"] = [{"size": size, "requiredTopology": name} for size, name in rows]
    return {}


@st.composite
def _objects(draw: st.DrawFn) -> list[dict[str, Any]]:
    size, spec = draw(st.integers(1, 4)), draw(_pod_spec())
    level = draw(st.sampled_from([None, "rack", RACK, "raack", "example.com/row", "host"]))
    source = draw(st.sampled_from(["annotation", "PodGroup", "TopologyPolicy"])) if level else ""
    loose = draw(st.booleans())
    labels = {"coterie.dev/pod-group": "group"} if loose or source in ("PodGroup", "TopologyPolicy") else {}
    found: list[dict[str, Any]] = []
    if labels:
        group: dict[str, Any] = {"minMember": draw(st.integers(1, size)) if loose else size}
        group |= {"requiredTopology": level} if source == "PodGroup" else {}
        group |= {"topologyPolicy": "close"} if source == "TopologyPolicy" else {}
        metadata = {"name": "group", "namespace": "ai"}
        found.append({"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": metadata, "spec": group})
    if source == "TopologyPolicy":
        policy = {"requiredTopology": level, "preferredTopology": [{"topologyKey": "host", "weight": 3}], "selector": {"matchLabels": {"no": "pod"}}}
        found.append(
            {
                "apiVersion": "scheduling.run.ai/v1",
                "kind": "TopologyPolicy",
                "metadata": {"name": "close", "namespace": "ai"},
                "spec": policy,
            }
        )
    annotations = {"coterie.dev/required-topology": str(level)} if source == "annotation" else {}
    annotations |= draw(_segments(found))
    if not loose:
        return [*found, _leader_worker_set(size, spec, annotations, labels)]
    pods = _loose_pods(size, spec, labels)
    if annotations:
        pods[0]["metadata"]["annotations"] = annotations
    return [*found, *pods]


@st.composite
def _questions(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    nodes = draw(_nodes())
    return draw(_objects()), [*nodes, *draw(_pods(len(nodes)))]


@settings(max_examples=200, deadline=None)
@given(_questions())
def test_every_infeasible_gang_has_a_relaxation_and_each_one_makes_it_fit(question: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    objects, cluster = question
    (row,) = plan(objects, cluster=cluster).gangs
    if row.status != "INFEASIBLE":
        return
    assert row.unplaced is not None
    relaxations = row.unplaced.relaxations
    assert relaxations, row.unplaced
    for one in relaxations:
        changed = applied([*objects, *cluster], one.changes)
        ours = [o for o in changed if o["metadata"].get("namespace") == "ai"]
        (again,) = plan(ours, cluster=[o for o in changed if o not in ours]).gangs
        assert again.status in PLACED, (one, row.unplaced, again.unplaced)


@settings(max_examples=40, deadline=None)
@given(_questions())
def test_relaxations_are_sorted_by_harm_and_never_touch_the_system_or_the_gang(
    question: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    objects, cluster = question
    (row,) = plan(objects, cluster=cluster).gangs
    order = ["relabel", "tolerate", "uncordon", "widenSegments", "dropSegments", "widen", "lowerMinMember", "free", "restart", "addNodes"]
    found = row.unplaced.relaxations if row.unplaced is not None else []
    assert [order.index(one.kind) for one in found] == sorted(order.index(one.kind) for one in found)
    deleted = [change["delete"] for one in found if one.kind == "free" for change in one.changes]
    assert all(one["namespace"] == "batch" for one in deleted)
