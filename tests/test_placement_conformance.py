"""Known answers of others through `plan`: Kueue's own unit tests of its topology assignment, and knavigator's network topology benchmark."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

import yaml

from scheduler import plan
from scheduler.report import GangReport
from tests.conformance import shared
from tests.raw import Raw, pod, spec

RECORDS = 140
PARTS = "several pod sets are placed as one by Kueue alone"
BEFORE = "an assignment made before is no input of ours"
NOT_JUDGED = {
    "only nodes with matching levels are considered; no host label on node; BestFit": "a node without the host label is its own host to us",
    "no assignment as node is not ready; BestFit": "conditions of a node do not count, taints do, as in kube-scheduler",
    "slice required topology level cannot be above the main required topology level": "a segment in a wider domain than its gang is no mistake to us",
    "slice size is required when slice topology is requested": "a level without a size is bad input to us",
}
"""Records that mean something else here, with the reason."""
JUDGED = {PARTS: 31, BEFORE: 4, "by name": 4, "": 101}


@functools.cache
def _records() -> list[dict[str, Any]]:
    lines = shared("conformance/placements/kueue-tas.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _reason(record: dict[str, Any]) -> str:
    """Say why a record is not judged; empty where it is."""
    asked = record["podSets"][0]
    rows = (
        (len(record["podSets"]) > 1, PARTS),
        ("previousAssignment" in asked, BEFORE),
        (record["name"] in NOT_JUDGED, "by name"),
    )
    return next((reason for wrong, reason in rows if wrong), "")


def _amounts(requests: dict[str, Any]) -> Raw:
    return {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in requests.items() if name != "pods"}


def _job(count: int, pods: Raw, **annotations: str) -> Raw:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "job", "annotations": {f"coterie.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}},
        "spec": {"parallelism": count, "completions": count, "template": {"spec": {**pods, "restartPolicy": "Never"}}},
    }


def _slices(request: dict[str, Any]) -> dict[str, str]:
    """Give Kueue's slices by Kueue's own annotations."""
    layers = request.get("podsetSliceRequiredTopologyConstraints")
    if layers:
        return {"kueue.x-k8s.io/podset-slice-required-topology-constraints": json.dumps(layers)}
    if "podSetSliceRequiredTopology" not in request:
        return {}
    return {
        "kueue.x-k8s.io/podset-slice-required-topology": request["podSetSliceRequiredTopology"],
        "kueue.x-k8s.io/podset-slice-size": str(request["podSetSliceSize"]),
    }


def _planned(record: dict[str, Any]) -> GangReport:
    """Ask what Kueue was asked: its Topology gives the levels, each a thousandfold of the next in weight."""
    asked, levels = record["podSets"][0], record["levels"]
    selector = {**(asked.get("nodeSelector") or {}), **(record.get("flavorNodeLabels") or {})}
    optional = {
        "nodeSelector": selector,
        "affinity": {"nodeAffinity": asked["nodeAffinity"]} if asked.get("nodeAffinity") else {},
        "tolerations": asked.get("tolerations"),
    }
    amounts = _amounts(asked["requests"])
    resources = {"requests": amounts, "limits": {name: amount for name, amount in amounts.items() if "/" in name}}
    pods = {
        "schedulerName": "coterie",
        "containers": [{"name": "c", "image": "i", "resources": resources}],
        **{key: value for key, value in optional.items() if value},
    }
    required = (asked.get("topologyRequest") or {}).get("required")
    job = _job(asked["count"], pods, min_member=str(asked["count"]), **({"required_topology": required} if required else {}))
    job["metadata"]["annotations"] |= _slices(asked.get("topologyRequest") or {})
    rows = [{"topologyKey": key, "weight": 10 ** (len(levels) - 1 - at)} for at, key in enumerate(levels)]
    policy = {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": {"name": "p"}, "spec": {"preferredTopology": rows}}
    topology = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Topology",
        "metadata": {"name": "default"},
        "spec": {"levels": [{"nodeLabel": key} for key in levels]},
    }
    nodes = [{"apiVersion": "v1", "kind": "Node", **node} for node in record["nodes"]]
    running = [
        {"apiVersion": "v1", "kind": "Pod", **raw, "metadata": {"name": f"p{at}", **(raw.get("metadata") or {})}}
        for at, raw in enumerate(record.get("pods") or [])
    ]
    (gang,) = plan([job, policy], cluster=[topology, *nodes, *running]).gangs
    return gang


def test_every_record_is_judged_or_has_its_reason() -> None:
    assert len(_records()) == RECORDS
    assert Counter(map(_reason, _records())) == JUDGED


def test_verdicts_are_kueues_and_no_more_domains_are_used() -> None:
    judged = [record for record in _records() if not _reason(record)]
    assert [(record["name"], wrong) for record in judged if (wrong := _compared(record, _planned(record)))] == []


def _compared(record: dict[str, Any], gang: GangReport) -> str:
    """Say in what the answer differs from Kueue's to its disadvantage; empty where in nothing."""
    if gang.status != ("OPTIMAL" if record["peer"]["verdict"] == "fits" else "INFEASIBLE"):
        return f"{gang.status}, but Kueue says {record['peer']['verdict']}"
    if gang.status == "INFEASIBLE":
        return ""
    (assigned,) = record["peer"]["assignment"].values()
    narrowest = next(level for level in gang.levels if level.key == assigned["levels"][-1])
    more = narrowest.count > len(assigned["domains"])
    return f"{narrowest.count} domains of {narrowest.key}, but Kueue uses {len(assigned['domains'])}" if more else ""


def _fabric(file: str) -> list[Raw]:
    tasks = yaml.safe_load(shared(f"data/fabrics/{file}").read_text(encoding="utf-8"))["tasks"]
    rows = [node for task in tasks for node in task["params"].get("nodes") or []]
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": row["labels"]["node-id"], "labels": {k: str(v) for k, v in row["labels"].items() if k != "net-optimal"}},
            "status": {"allocatable": {"nvidia.com/gpu": "8", "pods": "110"}},
        }
        for row in rows
    ]


def test_three_pods_find_the_only_best_three_of_seven_free_nodes() -> None:
    busy = [pod(f"busy-{name}", on=name) for name in ("n1", "n3", "n6", "n11", "n12")]
    (gang,) = plan([_job(3, spec(), min_member="3")], cluster=[*_fabric("nwtopo-config-nodes.yaml"), *busy]).gangs
    assert (gang.status, sorted(str(m.node) for m in gang.members)) == ("OPTIMAL", ["n5", "n7", "n8"])


def test_two_jobs_of_six_fill_one_nvlink_domain_each() -> None:
    jobs = [_job(6, spec(), min_member="6"), _job(6, spec(), min_member="6")]
    jobs[1]["metadata"]["name"] = "other"
    report = plan(jobs, cluster=_fabric("nwtopo-config-nodes-acc.yaml"))
    assert sorted([gang.status, *[level.domains for level in gang.levels if level.name == "nvlink"]] for gang in report.gangs) == [
        ["OPTIMAL", ["nvl1"]],
        ["OPTIMAL", ["nvl2"]],
    ]
