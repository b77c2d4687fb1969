"""Our filters answer kube-scheduler's own unit tests as kube-scheduler does, reason for reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scheduler.decide import filters
from scheduler.kube.parse import wire
from scheduler.state.objects import Node, Pod
from scheduler.state.resources import total
from tests.conformance import shared

FILES = {
    "nodeunschedulable": "NodeUnschedulable",
    "nodename": "NodeName",
    "tainttoleration": "TaintToleration",
    "nodeaffinity": "NodeAffinity",
    "nodeports": "NodePorts",
    "noderesources": "NodeResourcesFit",
}
RECORDS = 132

_GATED = "runs with the feature gate for Gt and Lt tolerations, which is off by default"
_NO_SUCH_OPERATOR = "a pod with the operator Gt is refused at the edge, as by an API server without the feature gate"
_DEVICE_CLASS = "needs a DeviceClass with this extendedResourceName, which the record does not carry"
NOT_JUDGED = {
    "TestNodeAffinity/Doesn't_match_added_affinity": "runs with the plugin argument addedAffinity, which the record does not carry",
    "TestEnoughRequests/skip_checking_ignored_extended_resource": "runs with the plugin argument ignoredResources",
    "TestEnoughRequests/skip_checking_ignored_extended_resource_via_resource_groups": "runs with the plugin argument ignoredResourceGroups",
    "TestEnoughRequests/extended_resource_backed_by_DRA": _DEVICE_CLASS,
    "TestEnoughRequests/extended_resource_was_backed_by_Device_Plugin_(Allocatable:_0)": _DEVICE_CLASS,
    "TestTaintTolerationFilter/Pod_with_Gt_toleration_can_be_scheduled_on_node_when_taint_value_is_higher_than_threshold": _GATED,
    "TestTaintTolerationFilter/Pod_with_Lt_toleration_can_be_scheduled_on_node_when_taint_value_is_lower_than_threshold": _GATED,
    "TestTaintTolerationFilterWithFeatureGate/Pod_with_Gt_toleration_can_be_scheduled_when_feature_gate_is_enabled_and_taint_value_is_higher": _GATED,
    "TestTaintTolerationFilterWithFeatureGate/Pod_with_mixed_tolerations_(Equal_and_Gt)_when_feature_gate_is_disabled_-_only_Equal_is_honored": (
        _NO_SUCH_OPERATOR
    ),
    "TestTaintTolerationFilterWithFeatureGate/Pod_with_Lt_toleration_can_be_scheduled_when_feature_gate_is_enabled_and_taint_value_is_lower": _GATED,
}
"""Records that cannot be judged, with the reason."""


def _records(name: str) -> list[dict[str, Any]]:
    lines = shared(f"conformance/node-checks/{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _pod(raw: dict[str, Any], name: str) -> Pod:
    spec = raw.get("spec") or {}
    return wire.pod(
        {**raw, "metadata": {"name": name, **(raw.get("metadata") or {})}, "spec": {"containers": [], **spec}}, strict=False, planned=True
    )


def _node(raw: dict[str, Any]) -> Node:
    return wire.node({**raw, "metadata": {"name": "unnamed", **(raw.get("metadata") or {})}}, strict=False)


def _refusal(record: dict[str, Any], check: str) -> str | None:
    target = record.get("target") or {}
    node = _node(target.get("node") or {})
    pods = tuple(_pod(raw, f"running-{i}") for i, raw in enumerate(target.get("pods") or []))
    newcomer = _pod(record["pod"], "newcomer")
    if newcomer.problem is not None:
        return f"refused at the edge: {newcomer.problem}"
    seen = filters.Seen(node=node, pods=pods, free=node.allocatable - total(p.used for p in pods))
    row = next(f for f in filters.FILTERS if f.check == check)
    return row.refuse(seen, newcomer.shape)


def _as_kube_says(message: str) -> list[str]:
    """Cut our message to kube-scheduler's reasons: it has no numbers and does not name the taint."""
    if message.startswith("untolerated taint") or re.match(r"refused at the edge: .*tolerations\[\d+\]\.operator", message):
        return ["node(s) had untolerated taint(s)"]
    return [re.sub(r" \(.*", "", part) for part in re.split(r"(?<=\)), ", message)]


@pytest.mark.parametrize("file", FILES)
def test_every_record_that_can_be_judged_is_answered_with_the_same_verdict_and_reasons(file: str) -> None:
    wrong = []
    for record in _records(file):
        if record["case"] in NOT_JUDGED:
            continue
        message = _refusal(record, FILES[file])
        found = [] if message is None else _as_kube_says(message)
        if found != record.get("reasons", []) or (message is None) != (record["code"] == "Success"):
            wrong.append((record["case"], record["code"], record.get("reasons"), message))
    assert wrong == []


def test_the_list_of_records_that_cannot_be_judged_names_only_records_that_exist_and_is_short() -> None:
    cases = [record["case"] for file in FILES for record in _records(file)]
    assert len(cases) == RECORDS
    assert set(NOT_JUDGED) <= set(cases)
    assert len(NOT_JUDGED) == 10
