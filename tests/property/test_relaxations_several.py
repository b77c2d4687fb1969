"""What is offered for a gang holds for the whole question: applied to the input and planned again, with every gang in it, the gang is placed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from scheduler.dryrun import plan
from tests.builders import RACK, SPINE
from tests.changes import applied

TAINT = {"key": "gpu", "value": "reserved", "effect": "NoSchedule"}
PLACED = ("OPTIMAL", "FEASIBLE")
STEP = 20
Objects = list[dict[str, Any]]


def _containers(gpus: int) -> Objects:
    return [{"name": "main", "image": "model", "resources": {"requests": {"nvidia.com/gpu": str(gpus), "cpu": "1"}}}]


def _node(draw: Random, index: int) -> dict[str, Any]:
    labels = {RACK: draw.choice(["r0", "r1", "r1", ""]), SPINE: "s0", "pool": draw.choice(["a", "b", ""])}
    spec: dict[str, Any] = {"taints": [TAINT]} if draw.random() < 0.2 else {}
    if draw.random() < 0.25:
        spec["unschedulable"] = True
    amounts = {"cpu": "16", "memory": "64Gi", "pods": draw.choice(["3", "110"]), "nvidia.com/gpu": str(draw.randint(1, 4))}
    metadata = {"name": f"n{index}", "labels": {key: value for key, value in labels.items() if value}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": {"allocatable": amounts}}


def _running(draw: Random, index: int, nodes: int) -> dict[str, Any]:
    spec = {"nodeName": f"n{draw.randrange(nodes)}", "priority": draw.choice([0, 10]), "containers": _containers(draw.randint(0, 3))}
    metadata = {"name": f"busy-{index}", "namespace": draw.choice(["batch", "batch", "batch", "kube-system"])}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


def _gang(draw: Random, name: str) -> Objects:
    """Draw one or two groups of a LeaderWorkerSet, or loose pods of a PodGroup of which some may be left out."""
    size, spec = draw.randint(1, 3), {"priority": draw.choice([0, 0, 0, 10]), "containers": _containers(draw.randint(0, 3))}
    if draw.random() < 0.2:
        spec["nodeSelector"] = {"pool": draw.choice(["a", "c"])}
    if draw.random() < 0.2:
        spec["tolerations"] = [TAINT | {"operator": "Equal"}]
    level = draw.choice([None, None, None, "rack", "rack", "host"])
    wanted = {"coterie.dev/required-topology": level} if level else {}
    if draw.random() < 0.15:
        wanted |= {"coterie.dev/segment-size": "2", "coterie.dev/segment-required-topology": draw.choice(["rack", "host"])}
    if draw.random() < 0.3:
        group = {"minMember": draw.randint(1, size), **({"requiredTopology": level} if level else {})}
        labels = {"coterie.dev/pod-group": name}
        pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{i}", "namespace": "ai", "labels": labels}} for i in range(size)]
        metadata = {"name": name, "namespace": "ai"}
        return [{"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": metadata, "spec": group}, *({**p, "spec": spec} for p in pods)]
    template = {"size": size, "workerTemplate": {"spec": spec}}
    return [
        {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": name, "namespace": "ai", "annotations": wanted},
            "spec": {"replicas": draw.choice([1, 1, 1, 2]), "leaderWorkerTemplate": template},
        }
    ]


def question(seed: int) -> tuple[Objects, Objects]:
    """Draw two or three gangs, and a cluster that is too small for all of them more often than not."""
    draw = Random(seed)  # noqa: S311 - worlds, not secrets
    nodes = [_node(draw, index) for index in range(draw.randint(1, 4))]
    running = [_running(draw, index, len(nodes)) for index in range(draw.randint(0, 5))]
    objects = [one for name in "abc"[: draw.randint(2, 3)] for one in _gang(draw, name)]
    return objects, [*nodes, *running]


def _statuses(world: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Plan the whole question again."""
    ours = [one for one in world if one["metadata"].get("namespace") == "ai"]
    return {row.name: row.status for row in plan(ours, cluster=[one for one in world if one not in ours]).gangs}


def _offers(seed: int) -> Iterator[tuple[str, Any, str]]:
    """Give every relaxation of every refused gang, and how the gang fares when it is applied."""
    objects, cluster = question(seed)
    for row in plan(objects, cluster=cluster).gangs:
        if row.status == "INFEASIBLE":
            assert row.unplaced is not None
            assert row.unplaced.relaxations, (seed, row.name)
            for one in row.unplaced.relaxations:
                yield row.name, one, _statuses(applied([*objects, *cluster], one.changes)).get(row.name, "gone")


@pytest.mark.parametrize("start", range(0, 80, STEP))
def test_what_is_offered_for_a_gang_places_it_when_all_gangs_are_planned_again(start: int) -> None:
    offered = 0
    for seed in range(start, start + STEP):
        for name, one, status in _offers(seed):
            assert status in PLACED, (seed, name, one)
            offered += 1
    assert offered > STEP
