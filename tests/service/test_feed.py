"""What a change can help: room, nodes, nothing; and that the index of groups outlives a bug."""

import asyncio
from dataclasses import replace

import pytest

from scheduler.kube.group.grouping import Index, gangs
from scheduler.metrics import Metrics
from scheduler.service.feed import Feed, newer
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, Id, Put, Removed
from scheduler.state.objects import Node, Pod, Ref
from scheduler.state.record import Record
from tests.builders import node, pod


class World:
    """A feed with its cache, fed by hand."""

    def __init__(self) -> None:
        """Begin empty."""
        self.cache = ClusterCache()
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.metrics = Metrics()
        self.feed = Feed(self.cache, Index(), self.queue, self.metrics, clock=lambda: 7.0)

    def put(self, value: Node | Pod) -> bool:
        source = "nodes" if isinstance(value, Node) else "pods"
        namespace = "" if isinstance(value, Node) else value.namespace
        self.queue.put_nowait(Put(id=Id(source=source, namespace=namespace, name=value.name, uid=value.uid), value=value))
        return self.feed.drain()

    def remove(self, value: Pod) -> bool:
        self.queue.put_nowait(Removed(id=Id(source="pods", namespace=value.namespace, name=value.name, uid=value.uid)))
        return self.feed.drain()


def ours(name: str, *, on: str | None = None) -> Pod:
    return replace(pod(name, on=on), scheduler_name="coterie")


def test_a_node_that_changes_visibly_counts_and_a_heartbeat_does_not() -> None:
    world = World()
    world.put(node("n1"))
    assert world.feed.nodes == 1
    assert not world.put(node("n1"))
    assert world.feed.nodes == 1
    world.put(node("n1", unschedulable=True))
    assert world.feed.nodes == 2


def test_an_event_that_cannot_be_taken_in_costs_no_other_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world, take = World(), ClusterCache.apply
    monkeypatch.setattr(ClusterCache, "apply", lambda cache, event: 1 // 0 if event.id.name == "bad" else take(cache, event))
    for name in ("bad", "good"):
        made = ours(name)
        world.queue.put_nowait(Put(id=Id(source="pods", namespace=made.namespace, name=name, uid=made.uid), value=made))
    assert world.feed.drain()
    assert world.cache.pod(ours("good").uid) is not None
    assert "could not be taken in" in caplog.text
    assert b'coterie_errors_total{where="feed"} 1.0' in world.metrics.expose()


def test_a_refusal_of_a_lone_pod_is_remembered_for_the_controller_that_makes_the_next_one() -> None:
    world, owner = World(), Ref(kind="ReplicaSet", name="web", uid="rs")
    bound = replace(ours("web-1", on="n1"), owner=owner)
    world.put(bound)
    world.feed.reindex()
    world.put(replace(bound, phase="Failed", reason="OutOfcpu"))
    (refusal,) = world.feed.refusals
    assert (refusal.group.kind, refusal.group.name, refusal.group.uid) == ("ReplicaSet", "web", "rs")


def test_pods_of_ours_are_remembered_from_when_they_were_seen_first() -> None:
    world = World()
    world.put(ours("a"))
    world.put(pod("of-another-scheduler"))
    assert world.feed.first_seen == {ours("a").uid: 7.0}
    world.remove(ours("a"))
    assert world.feed.first_seen == {}


def test_what_was_taken_in_during_a_decision_is_news_until_the_index_is_brought_up_to_date() -> None:
    world = World()
    assert world.put(ours("a"))
    assert not world.feed.drain()
    assert world.feed.news
    world.feed.reindex()
    assert not world.feed.news


def test_a_kubelet_that_does_not_take_a_pod_is_noted_once() -> None:
    world = World()
    bound = ours("a", on="n1")
    world.put(bound)
    world.feed.reindex()
    failed = replace(bound, phase="Failed", reason="OutOfnvidia.com/gpu")
    world.put(failed)
    world.put(replace(failed, labels={"some": "change"}))
    assert [(refusal.group.name, refusal.node) for refusal in world.feed.refusals] == [("a", "n1")]


def test_an_older_word_about_a_record_does_not_replace_a_newer_one() -> None:
    world = World()
    record = Record(namespace="ai", name="r", uid="u", resource_version="9", gang=Ref(kind="Pod", name="g"), epoch=1, deadline=0, seats=(), bound=2)
    world.feed.put_record(record, "placements.coterie.dev")
    world.feed.put_record(replace(record, resource_version="8", bound=1), "placements.coterie.dev")
    assert world.cache.records["ai", "r"].bound == 2
    world.feed.put_record(replace(record, resource_version="10", bound=3), "placements.coterie.dev")
    assert world.cache.records["ai", "r"].bound == 3


def test_a_late_word_about_a_record_that_is_gone_does_not_bring_it_back() -> None:
    world = World()
    record = Record(namespace="ai", name="r", uid="u", resource_version="9", gang=Ref(kind="Pod", name="g"), epoch=1, deadline=0, seats=())
    world.feed.put_record(record, "placements.coterie.dev")
    world.feed.drop_record(record, "placements.coterie.dev")
    world.feed.put_record(replace(record, resource_version="10"), "placements.coterie.dev")
    assert world.cache.records == {}
    world.feed.put_record(replace(record, uid="another"), "placements.coterie.dev")
    assert world.cache.records["ai", "r"].uid == "another"


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("10", "9", True), ("9", "10", False), ("9", "9", False), ("a", "9", False), ("", "9", False)]
)
def test_versions_are_compared_as_numbers_where_they_are_numbers(one: str, other: str, expected: bool) -> None:
    assert newer(one, other) is expected


def test_a_bug_in_the_index_costs_a_new_index_and_no_gang(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.put(ours("a"))
    world.feed.reindex()
    first = world.feed.index
    monkeypatch.setattr(first, "apply", lambda *_: 1 / 0)
    world.put(ours("b"))
    world.feed.reindex()
    assert world.feed.index is not first
    assert [gang.name for gang in gangs(world.cache.world(), index=world.feed.index).gangs] == ["a", "b"]
    assert "made anew" in caplog.text
    assert b'coterie_errors_total{where="group"} 1.0' in world.metrics.expose()
