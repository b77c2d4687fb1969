"""Commit on the real API server: a gang is bound by one record, or nothing is written."""

import pytest

from scheduler.kube.bindings.commit import Bound, Committer, Partly, Refused
from scheduler.kube.bindings.records import record_name
from tests.live.edges import Leading, Scene, make_gang, make_pod, nodes_of, placements, plan, the_gang, write

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.edge_fixture")


async def test_a_gang_is_bound_by_one_record_which_then_says_bound(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 3)
    gang = await the_gang(scene.follower, scene.place, 3)
    scene.follower.cache.assume(plan(gang, scene.nodes))
    assert isinstance(await scene.committer.commit(plan(gang, scene.nodes)), Bound)
    assert nodes_of(scene.admin, scene.place) == {f"train-{n}": scene.nodes[n] for n in range(3)}
    [record] = placements(scene.admin, scene.place)
    assert record["metadata"]["name"] == record_name(gang)
    assert record["metadata"]["finalizers"] == ["coterie.dev/placement"]
    assert [(r["kind"], r["name"], r.get("blockOwnerDeletion")) for r in record["metadata"]["ownerReferences"]] == [("PodGroup", "train", None)]
    assert (record["spec"]["epoch"], record["status"]["phase"], record["status"]["bound"], record["status"]["observedEpoch"]) == (1, "Bound", 3, 1)
    notes = scene.admin.get(f"/api/v1/namespaces/{scene.place}/pods/train-2")["metadata"]["annotations"]
    assert notes == {"coterie.dev/rank": "2", "coterie.dev/placement": record_name(gang), "coterie.dev/domain.rack": "r"}
    await scene.follower.until(lambda: not scene.follower.cache.assuming)


async def test_a_gang_of_one_is_bound_without_a_record(scene: Scene) -> None:
    make_pod(scene.admin, scene.place, "alone")
    gang = await the_gang(scene.follower, scene.place, 1)
    outcome = await scene.committer.commit(plan(gang, scene.nodes[1:]))
    assert (outcome.record if isinstance(outcome, Bound) else outcome) is None
    assert (nodes_of(scene.admin, scene.place), placements(scene.admin, scene.place)) == ({"alone": scene.nodes[1]}, [])


async def test_two_leaders_that_decide_one_gang_differently_leave_one_assignment(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 2)
    gang = await the_gang(scene.follower, scene.place, 2)
    await write(scene.api, plan(gang, scene.nodes[2:]))
    outcome = await scene.committer.commit(plan(gang, scene.nodes))
    assert isinstance(outcome, Refused)
    assert (outcome.reason, nodes_of(scene.admin, scene.place)) == ("RecordOpen", {"train-0": None, "train-1": None})


async def test_without_the_lease_nothing_is_written(scene: Scene) -> None:
    class Lost(Leading):
        def held(self) -> bool:
            return False

    make_gang(scene.admin, scene.place, "train", 2)
    outcome = await Committer(scene.api, Lost()).commit(plan(await the_gang(scene.follower, scene.place, 2), scene.nodes))
    assert (outcome.reason if isinstance(outcome, Refused) else outcome, placements(scene.admin, scene.place)) == ("NotLeading", [])


async def test_a_member_that_was_replaced_after_the_decision_leaves_the_record_open(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 2)
    gang = await the_gang(scene.follower, scene.place, 2)
    scene.admin.delete(f"/api/v1/namespaces/{scene.place}/pods/train-1", body={"gracePeriodSeconds": 0})
    make_pod(scene.admin, scene.place, "train-1", group="train")
    outcome = await scene.committer.commit(plan(gang, scene.nodes))
    assert isinstance(outcome, Partly)
    assert [(s.seat.pod, s.state) for s in outcome.failed] == [("train-1", "replaced")]
    assert (outcome.record.open if outcome.record else None, placements(scene.admin, scene.place)[0]["status"]["bound"]) == (True, 1)


async def test_a_settled_gang_that_grows_rewrites_its_record_with_a_higher_epoch(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 2)
    await scene.committer.commit(plan(await the_gang(scene.follower, scene.place, 2), scene.nodes))
    make_pod(scene.admin, scene.place, "train-2", group="train")
    await scene.follower.until(lambda: [g for g in scene.follower.gangs(scene.place) if len(g.members) == 3 and len(g.fixed) == 2])
    [gang] = scene.follower.gangs(scene.place)
    # Pods and records come on two watches: the pods may be told as bound before the record is told as settled.
    await scene.follower.until(lambda: (known := scene.follower.record(gang)) is not None and not known.open)
    assert isinstance(await scene.committer.commit(plan(gang, scene.nodes), scene.follower.record(gang)), Bound)
    [record] = placements(scene.admin, scene.place)
    assert (record["spec"]["epoch"], record["status"]["observedEpoch"], len(record["spec"]["members"])) == (2, 2, 3)
