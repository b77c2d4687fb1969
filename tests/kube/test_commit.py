"""Commits whose answers are lost or refused on the way: what has happened is found out, never guessed."""

import json
from dataclasses import replace
from typing import Any

import pytest

from scheduler.kube.bindings.bind import Binder, domain_key
from scheduler.kube.bindings.commit import Bound, Committer, Partly, Refused
from scheduler.kube.bindings.records import placement, record_name, seats_of
from scheduler.kube.bindings.settle import Settler
from scheduler.kube.errors import from_answer
from scheduler.state.objects import Pod, Ref
from scheduler.state.plan import LevelCount, Placed
from tests.builders import pod
from tests.kube.faulty import Handler, Object, Script, answer, named, refuse, reset, serving
from tests.state.caching import plan

PODS = "/api/v1/namespaces/ai/pods"
RECORDS = "/apis/coterie.dev/v1alpha1/namespaces/ai/placements"


class Leading:
    identity = "coterie-0"
    term = 3

    def held(self) -> bool:
        return True


def members(count: int = 2) -> list[Pod]:
    return [replace(pod(f"train-{n}", namespace="ai"), uid=f"uid-train-{n}", resource_version="5") for n in range(count)]  # type: ignore[arg-type]


PLAN: Placed = plan(members(), ["n0", "n1"])
NAME = record_name(PLAN.gang)


def stored(*, epoch: int = 1, version: str = "10", written_by: str = "coterie-0/3", observed: int = 0) -> Object:
    seats = seats_of(PLAN)
    rows = [{"pod": s.pod, "uid": s.uid, "node": s.node, "rank": s.rank, "domains": {}} for s in seats]
    return {
        "metadata": {"name": NAME, "namespace": "ai", "uid": "r", "resourceVersion": version, "annotations": {"coterie.dev/written-by": written_by}},
        "spec": {"gang": {"kind": "Pod", "name": "train", "uid": "o"}, "epoch": epoch, "deadline": "2030-01-01T00:00:00Z", "members": rows},
        "status": {"observedEpoch": observed},
    }


def script(*, record: tuple[Handler, ...] = (), binds: tuple[Handler, ...] = ()) -> Script:
    """Return a server on which everything goes well but for what is named: writing the record, and binding the first member."""
    made = Script()
    made.on(f"POST {RECORDS}", *(record or (answer(stored()),)))
    made.on(f"GET {RECORDS}/{NAME}", answer(stored()))
    made.on(f"PATCH {RECORDS}/{NAME}/status", answer(stored(observed=1)))
    made.on(f"POST {PODS}/train-0/binding", *(binds or (answer({}),)))
    made.on(f"POST {PODS}/train-1/binding", answer({}))
    made.on(f"GET {PODS}/train-0", answer(named("train-0", "6")))
    return made


def asked(server: Script, what: str) -> int:
    return sum(each == what for each in server.asked)


async def commit(server: Script, planned: Placed = PLAN) -> Any:
    async with serving(server) as api:
        return await Committer(api, Leading()).commit(planned)


async def test_the_record_is_written_before_any_bind_and_settled_after_all() -> None:
    server = script()
    outcome = await commit(server)
    assert isinstance(outcome, Bound)
    first, *binds, last = server.asked
    assert (first, sorted(binds), last) == (
        f"POST {RECORDS}",
        [f"POST {PODS}/train-{n}/binding" for n in range(2)],
        f"PATCH {RECORDS}/{NAME}/status",
    )
    assert (server.bodies[0]["spec"]["epoch"], [m["node"] for m in server.bodies[0]["spec"]["members"]]) == (1, ["n0", "n1"])
    assert {b["metadata"]["resourceVersion"] for b in server.bodies[1:3]} == {"5"}, "the version from before the record was written"


async def test_a_record_whose_answer_was_lost_but_that_stands_is_carried_out() -> None:
    server = script(record=(reset,))
    assert isinstance(await commit(server), Bound)
    assert asked(server, f"POST {RECORDS}") == 1


async def test_a_record_whose_answer_was_lost_and_that_somebody_else_wrote_is_not_ours() -> None:
    server = script(record=(reset,))
    server.on(f"GET {RECORDS}/{NAME}", answer(stored(written_by="coterie-1/4")))
    outcome = await commit(server)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, [a for a in server.asked if "binding" in a]) == ("Unreachable", [])


async def test_a_record_that_the_server_was_asked_for_twice_is_ours_although_the_answer_is_a_conflict() -> None:
    server = script(record=(refuse(409, "AlreadyExists"),))
    assert isinstance(await commit(server), Bound)
    assert asked(server, f"POST {RECORDS}") == 1


@pytest.mark.parametrize("found", [stored(written_by="coterie-1/4"), stored(observed=1)], ids=["somebody else's", "settled long ago"])
async def test_a_conflict_with_another_record_is_no_record_of_this_commit(found: Object) -> None:
    server = script(record=(refuse(409, "AlreadyExists"),))
    server.on(f"GET {RECORDS}/{NAME}", answer(found))
    server.on(f"PATCH {RECORDS}/{NAME}", refuse(409, "Conflict"))
    outcome = await commit(server)
    assert isinstance(outcome, Refused)
    assert [a for a in server.asked if "binding" in a] == []


async def test_a_record_that_was_not_written_means_that_nothing_is_bound() -> None:
    for refusal, reason in ((refuse(403, "Forbidden"), "Forbidden"), (refuse(422, "Invalid"), "Invalid")):
        server = script(record=(refusal,))
        outcome = await commit(server)
        assert (outcome.reason, [a for a in server.asked if "binding" in a]) == (reason, [])


async def test_a_gang_of_more_members_than_one_record_holds_is_refused_with_numbers() -> None:
    server = script()
    outcome = await commit(server, plan(members(5001), ["n0"] * 5001))
    assert (outcome.reason, "5001 members" in outcome.message, server.asked) == ("TooLarge", True, [])


async def test_a_bind_whose_answer_was_lost_but_that_landed_is_bound_without_a_second_one() -> None:
    server = script(binds=(reset,))
    server.on(f"GET {PODS}/train-0", answer(named("train-0", "6", nodeName="n0")))
    assert isinstance(await commit(server), Bound)
    assert asked(server, f"POST {PODS}/train-0/binding") == 1


async def test_a_bind_whose_answer_was_lost_and_that_did_not_land_is_tried_again_with_what_was_read() -> None:
    server = script(binds=(reset, answer({})))
    assert isinstance(await commit(server), Bound)
    versions = [b["metadata"]["resourceVersion"] for b in server.bodies if b.get("kind") == "Binding" and b["metadata"]["name"] == "train-0"]
    assert versions == ["5", "6"]


async def test_a_bind_that_conflicts_after_the_record_was_superseded_is_not_tried_again() -> None:
    server = script(binds=(refuse(409, "Conflict"),))
    server.on(f"GET {RECORDS}/{NAME}", answer(stored(epoch=2)))
    outcome = await commit(server)
    assert isinstance(outcome, Partly)
    assert [(s.seat.pod, s.state) for s in outcome.failed] == [("train-0", "superseded")]
    assert asked(server, f"POST {PODS}/train-0/binding") == 1


async def test_a_bind_that_the_server_will_never_take_is_refused_with_its_words_and_the_others_stay_bound() -> None:
    outcome = await commit(script(binds=(refuse(403, "Forbidden"),)))
    assert [(s.state, s.message) for s in outcome.failed] == [("refused", "it is Forbidden")]
    assert [s.state for s in outcome.seats] == ["refused", "bound"]


async def test_a_bind_that_conflicts_for_ever_is_given_up_after_four_tries() -> None:
    server = script(binds=(refuse(409, "Conflict"),))
    outcome = await commit(server)
    assert [s.state for s in outcome.failed] == ["unreachable"]
    assert asked(server, f"POST {PODS}/train-0/binding") == 4


async def test_a_lone_pod_needs_one_call_in_all() -> None:
    server = script()
    assert isinstance(await commit(server, plan(members(1), ["n0"])), Bound)
    assert server.asked == [f"POST {PODS}/train-0/binding"]


# --- settling and releasing


async def test_a_status_that_met_a_newer_version_of_the_same_epoch_is_written_on_that() -> None:
    server = script()
    server.on(f"PATCH {RECORDS}/{NAME}/status", refuse(409, "Conflict"), answer(stored(observed=1)))
    server.on(f"GET {RECORDS}/{NAME}", answer(stored(version="11")))
    async with serving(server) as api:
        settled = await Settler(api).report(placement(stored()), bound=2)
    assert (settled.open, [b["metadata"]["resourceVersion"] for b in server.bodies]) == (False, ["10", "11"])


async def test_a_status_for_a_superseded_epoch_is_not_written() -> None:
    server = script()
    server.on(f"PATCH {RECORDS}/{NAME}/status", refuse(409, "Conflict"))
    server.on(f"GET {RECORDS}/{NAME}", answer(stored(epoch=2, version="11")))
    async with serving(server) as api:
        assert (await Settler(api).report(placement(stored()), bound=2)).open
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answer({}), None),
        (refuse(404, "NotFound"), None),
        (refuse(409, "Conflict"), None),
        (refuse(429, "TooManyRequests"), "a disruption budget forbids it for now"),
    ],
    ids=["evicted", "gone", "another one", "budget"],
)
async def test_a_leader_is_evicted_once_and_only_with_its_uid(handler: Handler, why: str | None) -> None:
    server = Script()
    server.on(f"POST {PODS}/llm-0/eviction", handler)
    async with serving(server) as api:
        refused = await Settler(api).evict("ai", Ref(kind="Pod", name="llm-0", uid="u"))
    assert (refused or "")[: len(why or "")] == (why or "")
    assert (refused is None, len(server.asked)) == (why is None, 1)
    assert server.bodies[0]["deleteOptions"] == {"preconditions": {"uid": "u"}}


def test_a_refused_eviction_names_the_budgets_for_people_and_the_call_for_the_log() -> None:
    cause = {"reason": "DisruptionBudget", "message": "The disruption budget llm needs 3 healthy pods and has 2 currently"}
    said = {"message": "Cannot evict pod.", "reason": "TooManyRequests", "code": 429, "details": {"causes": [cause]}}
    error = from_answer(429, json.dumps(said).encode(), what="POST /eviction")
    assert (error.words, error.message) == (f"{cause['message']}.", "POST /eviction: Cannot evict pod.")


async def test_our_finalizer_alone_is_taken_off() -> None:
    with_two = stored()
    with_two["metadata"]["finalizers"] = ["foregroundDeletion", "coterie.dev/placement"]
    server = Script()
    server.on(f"GET {RECORDS}/{NAME}", answer(with_two))
    server.on(f"PATCH {RECORDS}/{NAME}", refuse(409, "Conflict"), answer(stored()))
    async with serving(server) as api:
        assert await Settler(api).close(placement(stored()))
    assert [b["metadata"]["finalizers"] for b in server.bodies] == [["foregroundDeletion"]] * 2


# --- names


def test_a_record_is_named_after_gang_and_owner_so_that_a_new_owner_never_meets_it() -> None:
    other = replace(PLAN.gang, owner=replace(PLAN.gang.owner, uid="other"))
    assert (record_name(PLAN.gang).rpartition("-")[0], record_name(PLAN.gang) == record_name(other)) == ("train", False)
    assert len(record_name(replace(PLAN.gang, name="x" * 253))) <= 253


def test_domains_go_by_level_name_and_by_key_where_two_levels_share_a_name() -> None:
    def level(key: str, name: str) -> LevelCount:
        return LevelCount(key=key, name=name, required=False, weight=1, count=1, domains=("d",))

    seat = replace(PLAN.seats[0], domains={"a/rack": "r1", "b/rack": "r2", "a/zone": "z"})
    planned = replace(PLAN, seats=(seat,), levels=(level("a/rack", "rack"), level("b/rack", "rack"), level("a/zone", "zone")))
    assert seats_of(planned)[0].domains == {"a/rack": "r1", "b/rack": "r2", "zone": "z"}


def test_an_annotation_key_is_what_the_api_server_allows() -> None:
    assert domain_key("rack") == "coterie.dev/domain.rack"
    assert domain_key("topology.kubernetes.io/zone") == "coterie.dev/domain.topology.kubernetes.io.zone"
    long = domain_key("x" * 55 + "/" + "y" * 63).partition("/")[2]
    assert (len(long) <= 63, long[-1] != ".") == (True, True)


async def test_the_binder_reads_a_pod_that_does_not_exist_as_none() -> None:
    server = Script()
    server.on(f"GET {PODS}/gone", refuse(404, "NotFound"))
    async with serving(server) as api:
        assert await Binder(api).read("ai", "gone") is None


async def test_a_bind_that_is_asked_to_wait_for_minutes_gives_its_slot_back_and_is_left_to_the_next_look() -> None:
    server = script(binds=(refuse(429, "TooManyRequests", headers={"Retry-After": "600"}),))
    outcome = await commit(server)
    assert isinstance(outcome, Partly)
    assert [(s.seat.pod, s.state) for s in outcome.failed] == [("train-0", "unreachable")]
    assert asked(server, f"POST {PODS}/train-0/binding") == 1
