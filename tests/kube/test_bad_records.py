"""Placements that this version did not write so: edited, cut off, from a newer version or another cluster; and gangs that change in mid-commit."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from scheduler.kube.bindings.commit import Bound, Committer, Refused
from scheduler.kube.bindings.outcomes import Recovered, Released
from scheduler.kube.bindings.records import body, new_record, placement, record_name, seats_of
from scheduler.kube.bindings.recover import Recovery
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Unreadable
from scheduler.state.gang import Gang, Member, Waiting
from scheduler.state.objects import Ref
from scheduler.state.plan import Placed, Plan
from scheduler.state.problems import BadInput
from tests.builders import gang, node
from tests.kube.memory import RECORDS, Leading, Memory, Object
from tests.state.caching import plan

NODES = tuple(node(f"n{n}") for n in range(3))


def the_gang(cache: ClusterCache, *names: str, owner: str = "uid-pg") -> Gang:
    pods = [pod for name in names if (pod := cache.pod_named("ai", name)) is not None]
    members = tuple(Member(pod=pod, role="worker", rank=rank) for rank, pod in enumerate(pods))
    return replace(gang("train", pods=2), members=members, owner=Ref(kind="PodGroup", name="train", uid=owner))


def planned(memory: Memory, *where: str, owner: str = "uid-pg") -> Placed:
    cache = ClusterCache()
    memory.tell(cache, *NODES)
    found = the_gang(cache, "train-0", "train-1", owner=owner)
    return replace(plan([m.pod for m in found.members], where), gang=found)


def left_behind(memory: Memory, *where: str, owner: str = "uid-pg", made: str = "2026-01-01T00:00:00Z") -> Object:
    """Leave a record that nobody has carried out."""
    what = planned(memory, *where, owner=owner)
    record = new_record(what.gang, seats_of(what), deadline=2e9, written_by="dead/1")
    raw = cast("Object", body(record, what.gang.owner))
    raw["metadata"] |= {"uid": f"uid-of-{record.name}", "creationTimestamp": made}
    memory.put(f"{RECORDS}/{record.name}", raw)
    return raw


def scene() -> Memory:
    memory = Memory()
    for number in range(2):
        memory.pod(f"train-{number}")
    return memory


async def tend(memory: Memory, *gangs: Gang, cache: ClusterCache | None = None) -> dict[str, Recovered]:
    known = cache or ClusterCache()
    if cache is None:
        memory.tell(known, *NODES)

    async def replan(_: Gang) -> Plan:
        raise AssertionError("nothing is to be planned here")

    return await Recovery(Committer(memory.api, Leading()), known, replan, clock=lambda: 0.0).tend(gangs)


def current(memory: Memory, **more: Any) -> Gang:
    cache = ClusterCache()
    memory.tell(cache, *NODES)
    return the_gang(cache, "train-0", "train-1", **more)


# --- objects that cannot be used


def _set(*path: str | int, to: object) -> Callable[[Object], None]:
    def change(raw: Object) -> None:
        place: Any = raw
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


UNUSABLE: list[tuple[str, Callable[[Object], None], str]] = [
    ("a member twice", lambda raw: raw["spec"]["members"].append(raw["spec"]["members"][0]), "spec.members: found 'train-0', expected each pod once"),
    ("no members", _set("spec", "members", to=[]), "spec.members"),
    ("a rank missing", _set("spec", "members", 1, "rank", to=None), "spec.members[1].rank: found nothing"),
    ("a negative rank", _set("spec", "members", 1, "rank", to=-1), "spec.members[1].rank: found -1, expected a number of at least 0"),
    ("an empty node", _set("spec", "members", 0, "node", to=""), "spec.members[0].node: found '', expected a string that is not empty"),
    ("epoch zero", _set("spec", "epoch", to=0), "spec.epoch: found 0, expected a number of at least 1"),
    ("an epoch that was lowered", _set("status", to={"observedEpoch": 3}), "spec.epoch: found 1, expected at least 3"),
    ("a moment that is none", _set("spec", "deadline", to="soon"), "spec.deadline: found 'soon', expected a time"),
    ("cut off", _set("spec", "members", to=None), "spec.members: found nothing"),
    ("a newer apiVersion", _set("apiVersion", to="coterie.dev/v2"), "apiVersion: found 'coterie.dev/v2', expected coterie.dev/v1alpha1"),
    ("a field of a newer version", _set("spec", "version", to=2), "spec.version: found 2, expected no such field"),
    ("a member's field of a newer version", _set("spec", "members", 0, "device", to="gpu-3"), "spec.members[0].device"),
    ("a phase of a newer version", _set("status", to={"phase": "Suspended"}), "status.phase: found 'Suspended'"),
]


@pytest.mark.parametrize(("change", "says"), [pytest.param(c, s, id=name) for name, c, s in UNUSABLE])
def test_a_record_that_cannot_be_carried_out_is_refused_with_field_found_and_expected(change: Callable[[Object], None], says: str) -> None:
    raw = copy.deepcopy(left_behind(scene(), "n0", "n1"))
    change(raw)
    with pytest.raises(BadInput) as refused:
        placement(raw)
    assert f"Placement/ai/{raw['metadata']['name']}, {says}" in str(refused.value)


@pytest.mark.parametrize("change", [pytest.param(c, id=name) for name, c, _ in UNUSABLE])
async def test_a_gang_whose_record_cannot_be_read_is_not_bound_beside_it_and_the_record_is_not_overwritten(change: Callable[[Object], None]) -> None:
    memory = scene()
    wanted = planned(memory, "n2", "n2")
    change(left_behind(memory, "n0", "n1"))
    before = copy.deepcopy(memory.objects)
    outcome = await Committer(memory.api, Leading()).commit(wanted)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, memory.objects == before) == ("RecordUnreadable", True)
    said = (
        "cannot be used: ",
        ". It was edited, or written by a newer version of Coterie. Correct or delete the Placement; until then the gang is not bound.",
    )
    assert outcome.message.startswith(f"The record ai/{record_name(wanted.gang)} {said[0]}")
    assert outcome.message.endswith(said[1])


async def test_a_record_that_became_unreadable_is_left_alone() -> None:
    memory = scene()
    raw = left_behind(memory, "n0", "n1")
    cache = ClusterCache()
    memory.tell(cache, *NODES)
    cache.apply(Unreadable(id=Id(source="placements", namespace="ai", name=raw["metadata"]["name"], uid=raw["metadata"]["uid"]), problem="cut off"))
    memory.asked.clear()
    assert await tend(memory, the_gang(cache, "train-0", "train-1"), cache=cache) == {}
    assert memory.asked == []


async def test_a_record_whose_finalizer_somebody_took_off_is_carried_out_all_the_same() -> None:
    memory = scene()
    left_behind(memory, "n0", "n1")["metadata"]["finalizers"] = []
    (outcome,) = (await tend(memory, current(memory))).values()
    assert (isinstance(outcome, Bound), memory.nodes_of()) == (True, {"train-0": "n0", "train-1": "n1"})


# --- records without a gang


async def test_a_record_of_another_cluster_is_released_and_touches_nobody() -> None:
    memory = scene()
    left_behind(memory, "n0", "n1")
    for number in range(2):
        memory.pod(f"train-{number}", uid=f"uid-of-this-cluster-{number}", owner="ReplicaSet")
    (outcome,) = (await tend(memory)).values()
    assert isinstance(outcome, Released)
    assert (outcome.why, outcome.evicted) == ("Given up: none of its pods exists any more. No pod was touched.", False)
    assert memory.nodes_of() == {"train-0": None, "train-1": None}
    assert not [call for call in memory.asked if "eviction" in call or "binding" in call]


async def test_a_record_whose_pods_and_owner_are_gone_is_released() -> None:
    memory = scene()
    left_behind(memory, "n0", "n1")
    for path in [path for path in memory.objects if "/pods/" in path]:
        del memory.objects[path]
    (outcome,) = (await tend(memory)).values()
    assert (isinstance(outcome, Released), memory.records()[0].phase) == (True, "Released")


# --- gangs that change in mid-commit


async def test_a_gang_whose_pod_group_was_deleted_after_the_commit_is_bound_as_recorded() -> None:
    memory = scene()
    left_behind(memory, "n0", "n1")
    (outcome,) = (await tend(memory)).values()
    assert (isinstance(outcome, Bound), memory.nodes_of()) == (True, {"train-0": "n0", "train-1": "n1"})


async def test_a_gang_whose_min_member_was_raised_after_the_commit_is_bound_as_recorded() -> None:
    memory = scene()
    left_behind(memory, "n0", "n1")
    waits = replace(current(memory), min_member=5, waiting=Waiting(code="MembersMissing", message="2 of 5 members exist"))
    (outcome,) = (await tend(memory, waits)).values()
    assert (isinstance(outcome, Bound), memory.nodes_of()) == (True, {"train-0": "n0", "train-1": "n1"})


async def test_of_two_records_that_name_one_pod_the_older_one_holds_and_the_other_is_given_up_without_an_eviction() -> None:
    memory = scene()
    left_behind(memory, "n2", "n2", owner="uid-later", made="2026-01-01T00:00:09Z")
    left_behind(memory, "n0", "n1", owner="uid-first", made="2026-01-01T00:00:01Z")
    done = await tend(memory, current(memory, owner="uid-later"))
    by_owner = {record.gang.uid: done[record.key] for record in memory.records()}
    assert (type(by_owner["uid-first"]), type(by_owner["uid-later"])) == (Bound, Released)
    assert memory.nodes_of() == {"train-0": "n0", "train-1": "n1"}
    assert {record.gang.uid: (record.phase, record.open) for record in memory.records()} == {
        "uid-first": ("Bound", False),
        "uid-later": ("Released", False),
    }


async def test_a_seat_on_a_node_that_somebody_wrote_in_and_that_does_not_exist_is_never_bound() -> None:
    memory = scene()
    left_behind(memory, "n0", "no-such-node")
    (outcome,) = (await tend(memory)).values()
    assert (isinstance(outcome, Released), memory.nodes_of()) == (True, {"train-0": None, "train-1": None})


@pytest.mark.parametrize("epoch", [2, "cut off"])
async def test_a_bind_for_a_record_that_somebody_edited_meanwhile_does_not_follow_its_conflict(epoch: object) -> None:
    memory = scene()
    raw = left_behind(memory, "n0", "n1")
    record = placement(raw)
    cache = ClusterCache()
    memory.tell(cache, *NODES)
    raw["spec"]["epoch"] = epoch
    known = cache.pod_named("ai", "train-0")
    assert known is not None
    found = await Committer(memory.api, Leading()).binder.bind(replace(known, resource_version="1"), record.seats[0], record)
    assert (found.state, memory.nodes_of()["train-0"]) == ("superseded", None)


def test_a_record_that_is_mended_counts_again() -> None:
    memory = scene()
    raw = left_behind(memory, "n0", "n1")
    about = Id(source="placements", namespace="ai", name=raw["metadata"]["name"], uid=raw["metadata"]["uid"])
    cache = ClusterCache()
    cache.apply(Unreadable(id=about, problem="cut off"))
    assert (list(cache.records), list(cache.problems.values())) == ([], ["cut off"])
    cache.apply(Put(id=about, value=placement(raw)))
    assert (list(cache.records), dict(cache.problems)) == ([("ai", record_name(current(memory)))], {})
