"""`coterie explain` on clusters as API servers tell them: rooms, relaxations that can be applied, promised seats, budgets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from scheduler.dryexplain import explain
from scheduler.dryrun import Question
from scheduler.replay import documents
from scheduler.report import GangReport
from tests.builders import RACK
from tests.changes import applied

Json = dict[str, Any]


def _node(name: str, rack: str, gpus: int = 8) -> Json:
    amounts = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    metadata = {"name": name, "uid": f"uid-{name}", "labels": {RACK: rack, "kubernetes.io/hostname": name}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": {"allocatable": amounts}}


def _pod(name: str, *, gpus: int = 8, on: str = "", group: str = "", namespace: str = "ai", **status: Any) -> Json:
    requests = {"resources": {"requests": {"nvidia.com/gpu": str(gpus), "cpu": "1"}}}
    labels = {"app": name.rsplit("-", 1)[0], **({"coterie.dev/pod-group": group} if group else {})}
    spec: Json = {"schedulerName": "coterie", "containers": [{"name": "main", "image": "model", **requests}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels},
        "spec": spec | ({"nodeName": on} if on else {}),
        "status": {"phase": "Running" if on else "Pending", **status},
    }


def _group(name: str, least: int, **spec: Any) -> Json:
    about = {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": name, "namespace": "ai", "uid": f"uid-{name}"}}
    return {**about, "spec": {"minMember": least, **spec}}


def _budget(app: str, **spec: Any) -> Json:
    about = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app, "namespace": "ai"}}
    return {**about, "spec": {"selector": {"matchLabels": {"app": app}}, **spec}}


def _explained(cluster: Sequence[Mapping[str, Any]], name: str = "train", now: float = 0.0) -> GangReport:
    question = Question(objects=(), cluster=tuple(documents(cluster, file="cluster")), namespace="ai")
    (row,) = explain(name, question, now=now).report.gangs
    return row


NODES = [_node("n0", "r0"), _node("n1", "r0"), _node("n2", "r1"), _node("n3", "r1")]
TRAIN = [_group("train", 2, requiredTopology="rack"), _pod("train-0", group="train"), _pod("train-1", group="train")]


def test_a_pending_gang_is_told_its_rooms_and_changes_that_make_it_fit_when_they_are_made() -> None:
    cluster = [*NODES, *TRAIN, _pod("old-0", on="n0"), _pod("old-1", gpus=2, on="n2")]
    row = _explained(cluster)
    assert row.status == "INFEASIBLE"
    assert row.unplaced is not None
    assert {room.domain: room.room for room in row.unplaced.rooms} == {"r0": 1, "r1": 1}
    kinds = [one.kind for one in row.unplaced.relaxations]
    assert kinds == ["widen", "lowerMinMember", "free", "free", "addNodes"]
    assert row.unplaced.relaxations[2].summary == "free 2 GPUs on n2 (pod ai/old-1)"
    for one in row.unplaced.relaxations:
        assert _explained(applied(cluster, one.changes)).status == "OPTIMAL", one.summary


def test_a_gang_that_runs_is_named_whole_and_only_where_no_other_choice_disturbs_fewer_gpus() -> None:
    other = [_group("serve", 2), _pod("serve-0", gpus=2, on="n0", group="serve"), _pod("serve-1", gpus=4, on="n1", group="serve")]
    cluster = [*NODES[:2], *TRAIN, *other]
    row = _explained(cluster)
    assert row.unplaced is not None
    (found,) = [one for one in row.unplaced.relaxations if one.kind == "free"]
    assert found.summary == "free 6 GPUs on n0, n1 (gang ai/serve with all its 2 pods: ai/serve-0, ai/serve-1)"
    wide = [*NODES, *TRAIN, *other[:1], _pod("serve-0", gpus=1, on="n0", group="serve"), _pod("serve-1", gpus=7, on="n2", group="serve")]
    row = _explained([*wide, _pod("old-0", gpus=6, on="n3"), _pod("old-1", gpus=1, on="n1")])
    assert row.unplaced is not None
    first, *_ = [one for one in row.unplaced.relaxations if one.kind == "free"]
    assert [change["delete"]["name"] for change in first.changes] == ["old-1", "serve-0", "serve-1"]
    assert first.summary.startswith("free 9 GPUs")


@pytest.mark.parametrize(
    ("spec", "status"),
    [({"minAvailable": 2}, None), ({"maxUnavailable": "0%"}, None), ({"minAvailable": 1}, {"disruptionsAllowed": 0})],
)
def test_pods_that_a_budget_protects_are_not_named_and_the_budget_is(spec: Json, status: Json | None) -> None:
    cluster = [*NODES[:2], *TRAIN, _pod("old-0", on="n0"), _pod("old-1", gpus=0, on="n1"), {**_budget("old", **spec), "status": status}]
    row = _explained(cluster)
    assert row.unplaced is not None
    assert [one for one in row.unplaced.relaxations if one.kind == "free"] == []
    protected = "PodDisruptionBudget ai/old (which allows 0 more disruptions)"
    assert row.unplaced.message.endswith(f"Deleting running pods would make room, but only against {protected}.")
    freed = _explained([o for o in cluster if o["kind"] != "PodDisruptionBudget"])
    assert freed.unplaced is not None
    assert [one.summary for one in freed.unplaced.relaxations if one.kind == "free"] == ["free 8 GPUs on n0 (pod ai/old-0)"]


def test_seats_that_an_open_record_promises_are_taken_until_their_deadline() -> None:
    first = [_group("first", 2), _pod("first-0", group="first")]
    owner = {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "name": "first", "uid": "uid-first"}
    seats = [{"pod": f"first-{i}", "uid": "uid-first-0" if i == 0 else "", "node": f"n{i}", "rank": i} for i in range(2)]
    record = {
        "apiVersion": "coterie.dev/v1alpha1",
        "kind": "Placement",
        "metadata": {"name": "first-record", "namespace": "ai", "uid": "uid-record"},
        "spec": {"gang": owner, "epoch": 1, "deadline": "2026-01-01T00:00:00Z", "members": seats[:1]},
    }
    cluster = [*NODES[:2], *TRAIN, *first]
    assert _explained(cluster).status == "OPTIMAL"
    assert _explained([*cluster, record]).status == "INFEASIBLE"
    settled = {**record, "status": {"observedEpoch": 1, "phase": "Released"}}
    assert _explained([*cluster, settled]).status == "OPTIMAL"


def test_a_record_that_cannot_be_used_is_a_warning_and_only_its_own_gang_is_told_of_it() -> None:
    def unusable(name: str, namespace: str) -> Json:
        spec = {"gang": {"kind": "PodGroup", "name": "train", "uid": "u"}, "epoch": 1, "deadline": "soon", "members": [], "protocol": 3}
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
        return {"apiVersion": "coterie.dev/v1alpha1", "kind": "Placement", "metadata": metadata, "spec": spec}

    def answers(*records: Json) -> tuple[list[str], list[str]]:
        cluster = tuple(documents([*NODES[:2], *TRAIN, *records], file="cluster"))
        report = explain("train", Question(objects=(), cluster=cluster, namespace="ai")).report
        (row,) = report.gangs
        assert row.status == "OPTIMAL"
        return [each.message for each in report.advice], [each.message for each in row.advice]

    own = f"train-{hashlib.sha256(b'PodGroup/uid-train').hexdigest()[:10]}"
    elsewhere, nothing = answers(unusable("zz", "other"))
    none, told = answers(unusable(own, "ai"))
    assert any(said.startswith("The record cannot be used") for said in elsewhere)
    assert not any("record" in said for said in (*nothing, *none))
    assert any(said.startswith("The record cannot be used") for said in told)


def test_pods_for_which_a_node_is_being_emptied_hold_room_there() -> None:
    coming = _pod("coming-0", namespace="other", nominatedNodeName="n0")
    assert _explained([*NODES[:2], *TRAIN]).status == "OPTIMAL"
    assert _explained([*NODES[:2], *TRAIN, coming]).status == "INFEASIBLE"
