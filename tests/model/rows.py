"""The scenarios that `make test` explores, one row each: small clusters in which everything that can go wrong does, one or two things at a time."""

from __future__ import annotations

from typing import Final

from tests.model.cluster import SET, Cluster, lone_pod, loose_gang, lws_gang
from tests.model.scenarios import Scenario, cordon, delete_pod, nodes, pass_deadline, remove_node, replaced, row, take_room, touch_pod, uncordon

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
        least=15_000,
        handovers=1,
        lags=1,
        most_events=1,
        events=_NODES[:1],
    ),
    Scenario(
        name="a node closes and opens",
        start=Cluster(nodes=_FOUR, pods=_SET),
        least=3_800,
        handovers=1,
        most_events=2,
        events=_OPENED,
    ),
    Scenario(
        name="members come and go, bare pods",
        start=Cluster(nodes=_FIVE, pods=_BARE),
        least=14_000,
        handovers=1,
        most_events=1,
        events=_BARE_PODS,
    ),
    Scenario(
        name="members come and go, LeaderWorkerSet",
        start=Cluster(nodes=_FIVE, pods=_LWS),
        least=12_000,
        handovers=1,
        most_events=1,
        events=_PODS,
        most=12_000,
    ),
)
