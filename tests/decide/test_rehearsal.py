"""Gangs before the one that asks: what they take of a change, whose pods are not deleted for it, and when nobody is asked any more."""

from __future__ import annotations

from typing import Any

from scheduler.decide.rehearsal import MOST
from scheduler.dryrun import plan

Objects = list[dict[str, Any]]


def _nodes(number: int, **labels: str) -> Objects:
    amounts = {"nvidia.com/gpu": "8", "pods": "110"}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{at}", "labels": labels}, "status": {"allocatable": amounts}}
        for at in range(number)
    ]


def _spec(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"nvidia.com/gpu": "8"}}}], **fields}


def _groups(replicas: int, **fields: Any) -> dict[str, Any]:
    template = {"size": 1, "workerTemplate": {"spec": _spec(**fields)}}
    metadata = {"name": "serve", "namespace": "ai"}
    spec = {"replicas": replicas, "leaderWorkerTemplate": template}
    return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": metadata, "spec": spec}


def _told(objects: Objects, cluster: Objects) -> list[tuple[list[str], list[str]]]:
    """Give the summaries of what is offered, and the advice, gang by gang."""
    rows = plan(objects, cluster=cluster).gangs
    return [([one.summary for one in row.unplaced.relaxations] if row.unplaced else [], [a.message for a in row.advice]) for row in rows]


def test_a_change_of_the_manifest_that_serves_the_group_before_only_is_not_offered_alone() -> None:
    wrong = _groups(2, nodeSelector={"pool": "h10O"})
    first, second = _told([wrong], _nodes(1, pool="h100"))
    assert any(said.startswith("select pool=h100") for said in first[0])
    assert not any(said.startswith("select pool=h100") for said in second[0])
    first, second = _told([wrong], _nodes(2, pool="h100"))
    assert any(said.startswith("select pool=h100") for said in second[0])


def test_pods_that_the_same_plan_has_placed_are_not_offered_for_deletion() -> None:
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{at}", "namespace": "ai"}, "spec": _spec()} for at in range(2)]
    placed, refused = _told(pods, _nodes(1))
    assert placed == ([], [])
    assert refused[0] == ["add 1 node with 8 nvidia.com/gpu (added-1)"]


def test_behind_more_refused_gangs_than_are_decided_again_the_offer_is_for_the_gang_alone_and_says_so() -> None:
    rows = _told([_groups(MOST + 3)], _nodes(1))
    within, beyond = rows[MOST + 1], rows[MOST + 2]
    assert within[0][0].startswith(f"add {MOST + 1} nodes")
    assert within[1] == []
    assert beyond[0] == ["add 1 node with 8 nvidia.com/gpu (added-1)"]
    assert any(f"{MOST + 1} gangs before it in the queue" in message for message in beyond[1])
