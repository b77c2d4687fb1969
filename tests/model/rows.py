"""The scenarios that `make test` explores, one row each: small clusters in which everything that can go wrong does, one or two things at a time."""

from __future__ import annotations

from typing import Final

from tests.model.cluster import JOB, SET, Cluster, leader_first, lone_pod, loose_gang, lws_gang
from tests.model.scenarios import (
    Scenario,
    cordon,
    delete_pod,
    delete_record,
    edit_record,
    nodes,
    pass_deadline,
    refuse,
    remove_node,
    replaced,
    row,
    take_room,
    touch_pod,
    uncordon,
    ungroup,
)

_LWS, _BARE, _SET = lws_gang("train", 2), loose_gang("train", 2), loose_gang("train", 2, kind=SET)
_FIVE, _FOUR, _THREE = nodes("a0", "a1", "a2", "b0", "b1"), nodes("a0", "a1", "b0", "b1"), nodes("a0", "a1", "b0")
_NODES = (
    *row("node {} is cordoned", cordon, "a0", "a1"),
    *row("node {} is deleted", remove_node, "a0"),
    *row("a stranger takes {}", take_room, "a0"),
)
_OPENED = (*row("node {} is cordoned", cordon, "a0"), *row("node {} is opened again", uncordon, "a0"))
_PODS = (*row("pod {} is deleted", delete_pod, "train-0", "train-0-1"), *row("somebody writes on {}", touch_pod, "train-0"))
_BARE_PODS = (
    *row("pod {} is deleted", delete_pod, "train-0"),
    *row("pod {} is replaced", replaced, "train-1"),
    ("the deadline passes", pass_deadline),
)
_COMING = (*row("pod {} is deleted", delete_pod, "train-0", "train-0-1"), ("the deadline passes", pass_deadline))
_REFUSED, _REFUSED_LWS = row("the kubelet refuses {}", refuse, "train-0", "train-1"), row("the kubelet refuses {}", refuse, "train-0", "train-0-1")
_EDITS = (
    ("somebody edits the record", edit_record),
    ("somebody deletes the edited record", delete_record),
)
_UNGROUPED = row("the PodGroup {} is deleted", ungroup, "train")
_SIX = nodes("a0", "a1", "a2", "b0", "b1", "b2")

ROWS: Final = (
    Scenario(
        name="lost answers and a second leader",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=3_700,
        lost=1,
        handovers=1,
    ),
    Scenario(
        name="a leader dies, answers are lost, watches lag",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=700,
        lost=1,
        crashes=1,
        lags=1,
    ),
    Scenario(
        name="three members",
        start=Cluster(nodes=_FIVE, pods=lws_gang("train", 3)),
        least=1_300,
        handovers=1,
    ),
    Scenario(
        name="the Lease comes back",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=11_000,
        handovers=2,
        lags=1,
    ),
    Scenario(
        name="two gangs, room for one",
        start=Cluster(nodes=_THREE, pods=(*_LWS, *lws_gang("other", 2))),
        least=200,
        handovers=1,
    ),
    Scenario(
        name="a gang and a lone pod for one room",
        start=Cluster(nodes=_THREE, pods=(*_LWS, lone_pod("solo"))),
        least=50,
        handovers=1,
    ),
    Scenario(
        name="a node changes and there is room beside it",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=5_000,
        handovers=1,
        most_events=1,
        events=_NODES,
    ),
    Scenario(
        name="a node changes, LeaderWorkerSet",
        start=Cluster(nodes=_FOUR, pods=_LWS),
        least=8_500,
        handovers=1,
        most_events=1,
        events=_NODES,
    ),
    Scenario(
        name="a node changes, bare pods",
        start=Cluster(nodes=_FOUR, pods=_BARE),
        least=4_800,
        handovers=1,
        most_events=1,
        events=_NODES,
    ),
    Scenario(
        name="a node changes, StatefulSet",
        start=Cluster(nodes=_FOUR, pods=_SET),
        least=5_500,
        handovers=1,
        most_events=1,
        events=_NODES,
    ),
    Scenario(
        name="a node changes, a leader dies",
        start=Cluster(nodes=_FOUR, pods=_LWS),
        least=1_500,
        crashes=1,
        lost=1,
        most_events=1,
        events=_NODES[:1],
    ),
    Scenario(
        name="a node changes, watches lag",
        start=Cluster(nodes=_FOUR, pods=_LWS),
        least=13_000,
        handovers=1,
        lags=1,
        most_events=1,
        events=_NODES[:1],
    ),
    Scenario(
        name="a node closes and opens",
        start=Cluster(nodes=_FOUR, pods=_SET),
        least=8_000,
        handovers=2,
        most_events=2,
        events=_OPENED,
        most=8_000,
    ),
    Scenario(
        name="members come and go, bare pods",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=9_000,
        handovers=1,
        most_events=1,
        events=_BARE_PODS,
        most=9_000,
    ),
    Scenario(
        name="members come and go, LeaderWorkerSet",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=8_000,
        handovers=1,
        most_events=1,
        events=_PODS,
        most=8_000,
    ),
    Scenario(
        name="leader first",
        start=Cluster(nodes=_FIVE, pods=leader_first("train", 3)),
        least=1500,
        handovers=1,
    ),
    Scenario(
        name="leader first, members go or come too late",
        start=Cluster(nodes=_FIVE, pods=leader_first("train", 2)),
        least=6_000,
        handovers=1,
        most_events=1,
        events=_COMING,
        most=6_000,
    ),
    Scenario(
        name="leader first, a node changes",
        start=Cluster(nodes=_FIVE, pods=leader_first("train", 2)),
        least=3_000,
        handovers=1,
        most_events=1,
        events=_NODES,
        most=3_000,
    ),
    Scenario(
        name="a kubelet refuses, LeaderWorkerSet",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=4_000,
        handovers=1,
        most_events=1,
        events=_REFUSED_LWS,
        most=4_000,
    ),
    Scenario(
        name="a kubelet refuses, StatefulSet",
        start=Cluster(nodes=_FIVE, pods=_SET),
        least=4_000,
        handovers=1,
        most_events=1,
        events=_REFUSED,
        most=4_000,
    ),
    Scenario(
        name="a kubelet refuses, Job",
        start=Cluster(nodes=_FIVE, pods=loose_gang("train", 2, kind=JOB)),
        least=5000,
        handovers=1,
        most_events=1,
        events=_REFUSED,
    ),
    Scenario(
        name="a kubelet refuses, bare pods",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=4000,
        handovers=1,
        most_events=1,
        events=_REFUSED,
    ),
    Scenario(
        name="a disruption budget forbids evictions",
        start=Cluster(nodes=_SIX, pods=loose_gang("train", 3, kind=SET), budget=("train-1",)),
        least=3_500,
        crashes=1,
        most_events=1,
        events=_REFUSED[:1] + row("the kubelet refuses {}", refuse, "train-2"),
        most=3_500,
    ),
    Scenario(
        name="somebody edits the record and mends it",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=4000,
        handovers=1,
        most_events=1,
        events=_EDITS[:1],
    ),
    Scenario(
        name="somebody edits the record and deletes it",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=45,
        most_events=2,
        events=_EDITS,
    ),
    Scenario(
        name="writes are done twice",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=4200,
        twice=2,
        handovers=1,
    ),
    Scenario(
        name="writes are done twice, a node changes",
        start=Cluster(nodes=_FOUR, pods=_SET),
        least=4_000,
        twice=1,
        handovers=1,
        most_events=1,
        events=_NODES[:1],
        most=4_000,
    ),
    Scenario(
        name="the PodGroup is deleted",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=200,
        most_events=1,
        events=_UNGROUPED,
        lost=1,
    ),
    Scenario(
        name="the PodGroup of a StatefulSet is deleted",
        start=Cluster(nodes=_FOUR, pods=_SET),
        least=100,
        most_events=2,
        events=(*_UNGROUPED, *_NODES[:1]),
        most=6000,
    ),
)
