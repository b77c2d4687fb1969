"""What the API server does with one call: a pure function from a cluster and a call to a cluster and an answer.

Only what the commit protocol uses is served, with the semantics of the real server that the protocol leans on: create by name, merge patches
and subresources with UID and resourceVersion preconditions, finalizers, the rules of the Placement's schema, the binding's refusals, an
eviction with preconditions. A write that changes nothing keeps the resourceVersion. Any other call fails the test loudly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from scheduler.kube.api import PLACEMENTS, PODS
from scheduler.kube.bindings.bind import PLACEMENT
from scheduler.kube.bindings.settle import TOUCHED
from tests.model.cluster import NS, Cluster, ModelPod, canonical, name_of, pod_json

OK, CREATED, NOT_FOUND, CONFLICT, INVALID, TOO_MANY = 200, 201, 404, 409, 422, 429
_REASONS: Final = {NOT_FOUND: "NotFound", CONFLICT: "Conflict", INVALID: "Invalid", TOO_MANY: "TooManyRequests"}
_POD: Final = PODS.path(NS) + "/"
_RECORDS: Final = PLACEMENTS.path(NS)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a leader, as it stands on the wire."""

    method: str
    path: str
    body: str = ""
    """JSON with sorted keys; moments in conditions are left out."""

    def __str__(self) -> str:
        """Say it in one line, for the list of steps."""
        return _said(self)


@cache
def _said(call: Call) -> str:
    path = call.path.removeprefix(_POD).removeprefix(_RECORDS)
    body = json.loads(call.body) if call.body else {}
    said = [f"-> {body['target']['name']} at version {body['metadata'].get('resourceVersion')}"] if "target" in body else []
    spec, status = body.get("spec") or {}, body.get("status") or {}
    said += [f"epoch {spec['epoch']}: " + ", ".join(f"{m['pod']} on {m['node']}" for m in spec["members"])] if "epoch" in spec else []
    said += [f"{status.get('phase')}, observed {status.get('observedEpoch')}, bound {status.get('bound')}"] if "phase" in status else []
    return " ".join([call.method, path.strip("/") or "placements", *said])


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back: an HTTP status (0: the answer is lost) and a body."""

    status: int
    text: str = ""


LOST: Final = Answer(0)


def serve(cluster: Cluster, call: Call) -> tuple[Cluster, Answer]:
    """Do what the call asks, or refuse it."""
    body = json.loads(call.body) if call.body else {}
    if call.path.startswith(_POD):
        name, _, sub = call.path.removeprefix(_POD).partition("/")
        pod = cluster.pod(name)
        if pod is None:
            return cluster, refusal(NOT_FOUND, f"pod {name} not found")
        return _POD_CALLS[call.method, sub](cluster, pod, body)
    name, _, sub = call.path.removeprefix(_RECORDS).strip("/").partition("/")
    if (call.method, name) == ("POST", ""):
        return _create(cluster, body)
    text = cluster.record(name)
    if text is None:
        return cluster, refusal(NOT_FOUND, f"placement {name} not found")
    return _RECORD_CALLS[call.method, sub](cluster, text, body)


def refusal(status: int, message: str) -> Answer:
    """Return a Status object as the server sends it."""
    return Answer(status, canonical({"kind": "Status", "code": status, "reason": _REASONS[status], "message": message}))


def _get_pod(cluster: Cluster, pod: ModelPod, _: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    return cluster, Answer(OK, pod_json(pod))


def _bind(cluster: Cluster, pod: ModelPod, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    about = body["metadata"]
    wrong = _unlike(about, pod.uid, str(pod.version))
    if wrong or pod.terminating or pod.node:
        return cluster, refusal(CONFLICT, wrong or ("the pod is being deleted" if pod.terminating else f"already assigned to {pod.node}"))
    record_named = about.get("annotations", {}).get(PLACEMENT, "")
    bound = replace(pod, node=body["target"]["name"], record=record_named, version=pod.version + 1)
    return cluster.with_pod(pod.name, bound), Answer(CREATED, '{"kind":"Status","status":"Success"}')


def _touch(cluster: Cluster, pod: ModelPod, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    wrong = _unlike(body["metadata"], pod.uid, str(pod.version))
    if wrong:
        return cluster, refusal(CONFLICT, wrong)
    said = next(c for c in body["status"]["conditions"] if c["type"] == TOUCHED)["message"]
    changed = pod if said == pod.touched else replace(pod, touched=said, version=pod.version + 1)
    return cluster.with_pod(pod.name, changed), Answer(OK, pod_json(changed))


def _evict(cluster: Cluster, pod: ModelPod, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    wrong = _unlike((body.get("deleteOptions") or {}).get("preconditions") or {}, pod.uid, str(pod.version))
    if wrong:
        return cluster, refusal(CONFLICT, wrong)
    if pod.name in cluster.budget and not pod.failed:
        return cluster, refusal(TOO_MANY, "the disruption budget allows no eviction")
    changed = pod if pod.terminating else replace(pod, terminating=True, version=pod.version + 1)
    return cluster.with_pod(pod.name, changed), Answer(CREATED, '{"kind":"Status","status":"Success"}')


def _create(cluster: Cluster, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    about = body["metadata"]
    if cluster.record(about["name"]) is not None:
        return cluster, refusal(CONFLICT, f"placement {about['name']} exists already")
    stored = {**body, "metadata": {**about, "uid": f"record.{cluster.made}", "resourceVersion": "1"}}
    made = replace(cluster, made=cluster.made + 1).with_record(about["name"], canonical(stored))
    return made, Answer(CREATED, canonical(stored))


def _get_record(cluster: Cluster, text: str, _: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    return cluster, Answer(OK, text)


def _patch_record(cluster: Cluster, text: str, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    return _patched(cluster, text, {key: value for key, value in body.items() if key != "status"})


def _patch_status(cluster: Cluster, text: str, body: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    about = {key: value for key, value in body["metadata"].items() if key in ("uid", "resourceVersion")}
    return _patched(cluster, text, {"metadata": about, "status": body["status"]})


def _patched(cluster: Cluster, text: str, patch: Mapping[str, Any]) -> tuple[Cluster, Answer]:
    old = json.loads(text)
    about = old["metadata"]
    wrong = _unlike(patch.get("metadata") or {}, about["uid"], about["resourceVersion"])
    if wrong:
        return cluster, refusal(CONFLICT, wrong)
    new = _merged(old, patch)
    broken = _against_the_rules(old, new)
    if broken:
        return cluster, refusal(INVALID, broken)
    if new == old:
        return cluster, Answer(OK, text)
    new["metadata"]["resourceVersion"] = str(int(about["resourceVersion"]) + 1)
    over = bool(new["metadata"].get("deletionTimestamp")) and not new["metadata"].get("finalizers")
    after = cluster.with_record(about["name"], None if over else canonical(new))
    return after, Answer(OK, canonical(new))


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    new = dict(old)
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        elif isinstance(value, Mapping):
            new[key] = _merged(new.get(key) or {}, value)
        else:
            new[key] = value
    return new


def _against_the_rules(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Check what the Placement's schema says; see scheduler/kube/crd/celrules.py."""
    before, after = old["spec"], new["spec"]
    seen_before, seen_after = ((each.get("status") or {}).get("observedEpoch") or 0 for each in (old, new))
    rules = (
        (after["epoch"] >= before["epoch"], "epoch may only rise"),
        (after["epoch"] > before["epoch"] or after["members"] == before["members"], "members can change only together with a higher epoch"),
        (after["gang"] == before["gang"], "gang cannot change"),
        (seen_after >= seen_before, "observedEpoch may only rise"),
        (seen_after <= after["epoch"], "status.observedEpoch cannot be ahead of spec.epoch"),
    )
    return next((message for good, message in rules if not good), "")


def _unlike(asked: Mapping[str, Any], uid: str, version: str) -> str:
    """Say which precondition does not hold; empty: all do."""
    if asked.get("uid") not in (None, uid):
        return f"the UID in the precondition is {asked['uid']}, the UID of the object is {uid}"
    if asked.get("resourceVersion") not in (None, version):
        return f"the resourceVersion in the precondition is {asked['resourceVersion']}, that of the object is {version}"
    return ""


def collected(cluster: Cluster) -> Cluster:
    """Do what the garbage collector does with records whose owner is gone: delete them, as far as their finalizers allow."""
    living = {pod.uid for pod in cluster.pods} | {f"uid-{pod.gang}" for pod in cluster.pods if pod.grouped}
    for text in cluster.records:
        raw = json.loads(text)
        if raw["metadata"]["ownerReferences"][0]["uid"] in living or raw["metadata"].get("deletionTimestamp"):
            continue
        raw["metadata"] |= {"deletionTimestamp": "2026-01-01T01:00:00Z", "resourceVersion": str(int(raw["metadata"]["resourceVersion"]) + 1)}
        cluster = cluster.with_record(name_of(text), canonical(raw) if raw["metadata"].get("finalizers") else None)
    return cluster


_POD_CALLS: Final = {("GET", ""): _get_pod, ("POST", "binding"): _bind, ("PATCH", "status"): _touch, ("POST", "eviction"): _evict}
_RECORD_CALLS: Final = {("GET", ""): _get_record, ("PATCH", ""): _patch_record, ("PATCH", "status"): _patch_status}
