"""Gangs of which a part runs already: a relaxation that is applied makes them fit, although running pods say too what is demanded."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from scheduler.dryrun import plan
from tests.builders import CLIQUE, RACK
from tests.changes import applied

DEMANDS: tuple[dict[str, str], ...] = (
    {"coterie.dev/required-topology": "rack"},
    {"kai.scheduler/topology-required-placement": RACK},
    {"coterie.dev/nvlink": "required"},
    {"coterie.dev/segment-size": "2", "coterie.dev/segment-required-topology": "rack"},
    {"kai.scheduler/segment-size": "2", "kai.scheduler/segment-topology-required-placement": CLIQUE},
    {"coterie.dev/required-topology": "rack", "coterie.dev/min-member": "2"},
)
SEEDS = 30


def _node(draw: Random, at: int) -> dict[str, Any]:
    labels = {RACK: draw.choice(["r0", "r1"]), CLIQUE: draw.choice(["c0", "c1"])}
    room = {"cpu": "64", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": str(draw.randint(1, 3))}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{at}", "labels": labels}, "spec": {}, "status": {"allocatable": room}}


def _pod(name: str, annotations: dict[str, str], on: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "ai", "labels": {"coterie.dev/pod-group": "group"}, "annotations": dict(annotations)}
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "model", "resources": {"requests": {"nvidia.com/gpu": "1"}}}]}
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return found if on is None else {**found, "spec": {**spec, "nodeName": on}, "status": {"phase": "Running"}}


def _question(seed: int, annotations: dict[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    draw = Random(seed)  # noqa: S311 - worlds, not secrets
    nodes = [_node(draw, at) for at in range(draw.randint(2, 4))]
    pods = [_pod(f"p{at}", annotations, "n0" if at == 0 else None) for at in range(draw.randint(2, 4))]
    group = {"minMember": len(pods)}
    metadata = {"name": "group", "namespace": "ai"}
    return [{"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": metadata, "spec": group}, *pods[1:]], [*nodes, pods[0]]


@pytest.mark.parametrize("annotations", DEMANDS, ids=lambda found: "+".join(sorted(found)))
def test_a_relaxation_changes_what_running_pods_say_too(annotations: dict[str, str]) -> None:
    refused = 0
    for seed in range(SEEDS):
        objects, cluster = _question(seed, annotations)
        (row,) = plan(objects, cluster=cluster).gangs
        if row.status != "INFEASIBLE" or row.unplaced is None:
            continue
        refused += 1
        for one in row.unplaced.relaxations:
            changed = applied([*objects, *cluster], one.changes)
            ours = [o for o in changed if o["kind"] != "Node" and not o.get("spec", {}).get("nodeName")]
            (again,) = plan(ours, cluster=[o for o in changed if o not in ours]).gangs
            assert again.status in ("OPTIMAL", "FEASIBLE"), (seed, one, again.unplaced)
    assert refused > 1
