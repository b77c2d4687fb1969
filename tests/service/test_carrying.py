"""Which records are looked after and when, and which gangs must not be decided meanwhile; on an API server in memory."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

import pytest

from scheduler.kube.bindings.commit import Committer, Outcome
from scheduler.kube.bindings.outcomes import Stuck
from scheduler.kube.bindings.records import body, new_record, placement, seats_of
from scheduler.kube.bindings.recover import Recovery
from scheduler.kube.errors import Denied, TooMany, Unreachable
from scheduler.kube.group.grouping import Index
from scheduler.kube.publish.said import EventSaid
from scheduler.metrics import Metrics
from scheduler.service.carrying import SOURCE, Carrier
from scheduler.service.feed import Feed
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Event, Id, Put, Removed
from scheduler.state.gang import Gang, Member
from scheduler.state.objects import Ref
from scheduler.state.plan import Decision, Placed, Plan, Unplaced
from tests.builders import gang, node
from tests.kube.memory import PODS, RECORDS, Leading, Memory, Object, refuses
from tests.state.caching import plan

NODES = tuple(node(f"n{n}") for n in range(3))


class World:
    """A carrier, what it believes, and a clock that only a test moves."""

    def __init__(self, *, owner: str = "") -> None:
        """Make two pods that are no gang's yet."""
        self.memory, self.lease, self.now = Memory(), Leading(), 0.0
        for number in range(2):
            self.memory.pod(f"train-{number}", owner=owner)
        self.cache = ClusterCache()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.feed = Feed(self.cache, Index(), self.events, Metrics(), clock=lambda: self.now)
        self.status = "UNKNOWN"
        self.said: list[EventSaid] = []
        self.carrier = Carrier(Committer(self.memory.api, self.lease), self.cache, self.feed, self.replan, Metrics(), clock=lambda: self.now)
        self.carrier.tell = self.hear
        self.memory.tell(self.cache, *NODES)

    def hear(self, events: Iterable[EventSaid]) -> None:
        self.said.extend(events)

    async def replan(self, about: Gang) -> Plan:
        return Unplaced(gang=about, status=self.status, reason="NotEnoughRoom", message="no room", decision=Decision(engine="none"))  # type: ignore[arg-type] # one of the words

    def gang(self, *, owner: str = "uid-pg") -> Gang:
        pods = [pod for n in range(2) if (pod := self.cache.pod_named("ai", f"train-{n}")) is not None and not pod.finished]
        members = tuple(Member(pod=pod, role="worker", rank=rank) for rank, pod in enumerate(pods))
        return replace(gang("train", pods=2), members=members, owner=Ref(kind="PodGroup", name="train", uid=owner))

    def planned(self, *where: str) -> Placed:
        return replace(plan([m.pod for m in self.gang().members], where), gang=self.gang())

    def left_behind(self, *where: str, settled: bool = False) -> None:
        planned = self.planned(*where)
        record = new_record(planned.gang, seats_of(planned), deadline=4e9, written_by="dead/1")
        raw = cast("Object", body(record, planned.gang.owner))
        raw["metadata"]["uid"] = "uid-record"
        if settled:
            raw["status"] = {"phase": "Bound", "observedEpoch": 1, "bound": 2}
        self.memory.put(f"{RECORDS}/{record.name}", raw)
        self.sync()

    def turn_away(self) -> None:
        """Let the kubelet refuse the second pod, and its controller make it anew."""
        pod = self.cache.pod_named("ai", "train-1")
        assert pod is not None
        self.feed.turned_away.append(replace(pod, phase="Failed", reason="OutOfcpu"))
        self.memory.pod("train-1", uid="uid-anew", owner="StatefulSet")
        self.sync()

    def sync(self, **changes: object) -> None:
        """Let the cache know everything; ``changes`` of the last node."""
        self.memory.tell(self.cache, *NODES[:2], replace(NODES[2], **changes))  # type: ignore[arg-type] # fields of a node

    def due(self) -> list[str]:
        return [key[1] for key in self.carrier.due([self.gang()], namespaces=lambda _: True)]

    async def tend(self) -> object:
        done = await self.carrier.tend(self.carrier.due([self.gang()], namespaces=lambda _: True))
        self.sync(unschedulable=True)
        return next(iter(done.values()), None)

    async def committed(self, planned: Placed) -> Outcome | None:
        found: list[Outcome | None] = []
        self.cache.assume(planned)
        self.carrier.commit(planned, lambda _, outcome: found.append(outcome))
        await self.carrier.finish(5.0)
        return found[0]


async def test_what_we_wrote_ourselves_does_not_make_a_record_due_that_can_only_wait() -> None:
    world = World()
    world.left_behind("n0", "n2")
    world.sync(unschedulable=True)
    assert isinstance(await world.tend(), Stuck)
    epoch = world.memory.records()[0].epoch
    assert (epoch, world.due()) == (2, []), "the epoch was raised and the pods were touched, by us"
    world.feed.nodes += 1
    assert world.due() == [], "a node elsewhere changed: what is stuck waits for its pause"
    assert 0.25 <= world.carrier.next_look() <= 0.75
    world.now = world.carrier.next_look()
    assert len(world.due()) == 1
    pauses = []
    for _ in range(12):
        await world.tend()
        pauses.append(world.carrier.next_look() - world.now)
        world.now = world.carrier.next_look()
    assert (pauses[-1] > 10 * pauses[0], max(pauses) <= 45.0) == (True, True), pauses


async def test_the_seats_of_a_record_that_somebody_deletes_are_given_back() -> None:
    world = World()
    world.left_behind("n0", "n2")
    world.memory.before = refuses("POST", "/binding", Unreachable("lost"))
    await world.tend()
    assert world.cache.assuming, "the record is open: its seats count"
    (record,) = world.memory.records()
    world.feed.drop_record(record, SOURCE)
    assert (world.due(), world.cache.assuming) == ([], frozenset())


async def test_a_new_term_looks_at_every_open_record_at_once() -> None:
    world = World()
    world.left_behind("n0", "n2")
    world.sync(unschedulable=True)
    await world.tend()
    assert world.due() == []
    world.lease.term += 1
    assert len(world.due()) == 1


async def test_seats_are_given_back_whose_record_another_leader_has_settled_before_our_commit_had_ended() -> None:
    world = World()

    def settled(method: str, path: str) -> None:
        if method == "POST" and path.endswith("train-0/binding"):
            (record,) = world.memory.records()
            raw = world.memory.objects[f"{RECORDS}/{record.name}"]
            world.memory.put(f"{RECORDS}/{record.name}", {**raw, "status": {"phase": "Released", "observedEpoch": 1, "bound": 0}})
            world.sync()
        if path.endswith("/binding"):
            raise Denied("not any more", status=403)

    world.memory.before = settled
    await world.committed(world.planned("n0", "n1"))
    assert (world.cache.assuming, world.carrier.occupied(world.gang())) == (frozenset(), False)


async def test_a_new_term_begins_without_the_seats_that_the_former_one_assumed() -> None:
    world = World()
    world.due()
    world.cache.assume(world.planned("n0", "n1"))
    world.lease.term += 1
    world.due()
    assert world.cache.assuming == frozenset()


async def test_a_gang_is_not_decided_while_an_open_record_names_one_of_its_pods_whoever_the_record_is_about() -> None:
    world = World()
    later = world.gang(owner="uid-of-another-pod-group")
    assert not world.carrier.occupied(later)
    world.left_behind("n0", "n1")
    assert world.carrier.occupied(later)
    await world.tend()
    assert not world.carrier.occupied(world.gang(owner="uid-of-another-pod-group"))


async def test_a_group_that_was_made_anew_under_the_same_names_does_not_wait_for_the_record_of_its_former_life() -> None:
    world = World()
    world.left_behind("n0", "n1")
    for number in range(2):
        world.memory.pod(f"train-{number}", uid=f"uid-anew-{number}")
    world.sync()
    assert not world.carrier.occupied(world.gang(owner="uid-of-the-new-leader"))
    assert world.carrier.occupied(world.gang()), "the same owner's record has to be superseded first"


async def test_a_gang_that_a_kubelet_refused_is_not_decided_before_it_is_given_up_and_is_then_evicted() -> None:
    world = World(owner="StatefulSet")
    world.left_behind("n0", "n1", settled=True)
    for number in range(2):
        found = world.memory.objects[f"{PODS}/train-{number}"]
        world.memory.put(f"{PODS}/train-{number}", {**found, "spec": {**found["spec"], "nodeName": f"n{number}"}})
    world.sync()
    world.turn_away()
    assert len(world.due()) == 1
    assert world.carrier.occupied(world.gang())
    await world.tend()
    assert [call for call in world.memory.asked if call.endswith("/eviction")] == ["POST /train-0/eviction"]
    assert [(said.reason, said.regarding.kind, said.type) for said in world.said] == [
        ("Released", "Placement", "Normal"),
        ("Released", "PodGroup", "Normal"),
    ]
    assert not world.carrier.occupied(world.gang())


async def test_a_group_that_a_budget_keeps_from_being_given_up_is_told_to_its_gang_and_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    world = World(owner="StatefulSet")
    world.left_behind("n0", "n1", settled=True)
    found = world.memory.objects[f"{PODS}/train-0"]
    world.memory.put(f"{PODS}/train-0", {**found, "spec": {**found["spec"], "nodeName": "n0"}})
    world.sync()
    world.turn_away()
    world.memory.before = refuses("POST", "train-0/eviction", TooMany("POST /x: no", status=429, words="The disruption budget train needs 2."))
    heard: list[tuple[str, str]] = []
    world.carrier.tended = lambda gang, outcome: heard.append((gang.name if gang else "", getattr(outcome, "why", "")))
    await world.tend()
    ((name, why),) = heard
    assert name == "train"
    assert why.startswith("Being given up: the kubelet of n1 did not take the pod train-1")
    assert why.endswith("Not yet: the pod train-0 could not be evicted: a disruption budget forbids it for now: The disruption budget train needs 2.")
    assert [each.levelname for each in caplog.records if each.name == "scheduler.service.record_words"] == ["WARNING"]


async def test_a_commit_answers_when_its_members_are_bound_and_settles_its_record_after_that() -> None:
    world = World()
    outcome = await world.committed(world.planned("n0", "n1"))
    assert type(outcome).__name__ == "Bound"
    assert [call.split()[0] for call in world.memory.asked] == ["POST", "POST", "POST", "PATCH"]
    assert not world.memory.records()[0].open
    assert not world.cache.records["ai", world.memory.records()[0].name].open, "believed without waiting for the watch"


async def test_a_node_that_is_cordoned_while_the_record_is_written_gets_nobody() -> None:
    world = World()
    planned = world.planned("n0", "n2")

    def cordon(method: str, path: str) -> None:
        if (method, path) == ("POST", RECORDS):
            late = replace(NODES[2], unschedulable=True)
            world.events.put_nowait(Put(id=Id(source="nodes", namespace="", name="n2", uid=""), value=late))

    world.memory.before = cordon
    await world.committed(planned)
    assert world.memory.nodes_of() == {"train-0": None, "train-1": None}
    assert len(world.due()) == 1, "the record is open and is judged anew"


async def test_a_record_whose_bind_the_server_will_never_take_is_superseded_and_not_tried_for_ever() -> None:
    world = World()
    world.memory.before = refuses("POST", "train-1/binding", Denied("a webhook says no", status=403))
    await world.committed(world.planned("n0", "n1"))
    world.sync()
    assert (world.memory.nodes_of(), world.memory.records()[0].epoch) == ({"train-0": "n0", "train-1": None}, 1)
    outcome = await world.tend()
    assert isinstance(outcome, Stuck)
    assert world.memory.records()[0].epoch == 2


async def test_a_take_over_counts_the_seats_of_open_records_and_does_not_wait_for_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.service.carrying.TAKE_OVER_SECONDS", 0.01)
    world = World()
    world.left_behind("n0", "n1")
    hangs = asyncio.Event()

    async def post(*_: object, **__: object) -> bytes:
        await hangs.wait()
        raise AssertionError

    world.memory.post = post  # type: ignore[method-assign] # the server hangs
    due = world.carrier.due([world.gang()], namespaces=lambda _: True)
    await world.carrier.take_over(due)
    assert {pod.name: pod.node for pod in world.cache.snapshot().pods.values()} == {"train-0": "n0", "train-1": "n1"}
    await world.carrier.finish(0.0)


def test_the_carrier_reads_what_the_watch_calls_records() -> None:
    world = World()
    world.left_behind("n0", "n1")
    (raw,) = [each for path, each in world.memory.objects.items() if path.startswith(RECORDS)]
    world.feed.put_record(placement(raw), SOURCE)
    assert len(world.carrier.open_records()) == 1


async def test_a_turn_of_the_loop_while_a_record_is_looked_after_does_not_cost_it_its_pause() -> None:
    world = World()
    world.left_behind("n0", "n2")
    world.sync(unschedulable=True)
    seen: list[tuple[list[str], float]] = []
    world.memory.before = lambda _, __: seen.append((world.due(), world.carrier.next_look()))
    assert isinstance(await world.tend(), Stuck)
    assert set(map(str, seen)) == {"([], inf)"}, "nobody else looks after it meanwhile, nor wakes for it"
    assert world.due() == []


async def test_a_record_that_was_heard_of_is_not_let_go_by_the_end_of_a_longer_look_at_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.left_behind("n0", "n1", settled=True)
    (key,) = world.cache.records

    async def longer(*_: object, heard: Callable[[tuple[str, str], None], None], **__: object) -> dict[str, object]:
        heard(key, None)
        world.carrier.commit(world.planned("n0", "n1"), lambda _, __: None)
        return {}  # the look at other records ends only now

    monkeypatch.setattr(Recovery, "tend", longer)
    await world.carrier.tend({key: world.gang()})
    world.left_behind("n0", "n1")
    assert world.due() == [], "the commit is working on it"
    await world.carrier.finish(5.0)


async def test_a_record_that_goes_between_being_due_and_being_looked_after_is_no_bug_and_leaves_nothing_behind() -> None:
    world = World()
    world.left_behind("n0", "n1")
    due = world.carrier.due([world.gang()], namespaces=lambda _: True)
    (record,) = world.cache.records.values()
    world.cache.apply(Removed(id=Id(source="placements", namespace="ai", name=record.name, uid=record.uid)))
    assert await world.carrier.tend(due) == {}
    world.left_behind("n0", "n1")
    assert len(world.due()) == 1


async def test_a_bug_at_the_end_of_a_commit_leaves_its_gang_and_record_free() -> None:
    world = World()

    def bug(_: Placed, __: Outcome | None) -> None:
        raise RuntimeError("a bug")

    planned = world.planned("n0", "n1")
    world.cache.assume(planned)
    world.carrier.commit(planned, bug)
    await world.carrier.finish(5.0)
    assert world.carrier.busy == set()
    assert len(world.due()) == 1, "the record is still to be settled"
