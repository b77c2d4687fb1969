"""Open records on the real API server: each is finished, superseded or given up."""

from dataclasses import replace

import pytest

from scheduler.kube.bindings.bind import Binder
from scheduler.kube.bindings.commit import Bound, Committed
from scheduler.kube.bindings.records import record_name
from scheduler.kube.bindings.recover import Closed, Recovered, Recovery, Released, Stuck
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.record import Record
from tests.controlplane.admin import Object
from tests.controlplane.nodes import GPU, remove_nodes
from tests.live.edges import Scene, leader_worker_set, make_gang, nodes_of, placements, plan, replanner, see, the_gang, write

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.edge_fixture")


async def recover(scene: Scene, *nodes: str) -> dict[str, Recovered]:
    """Do what the records of this test need; missing members go to ``nodes``, or nowhere when none is given."""
    due = [key for key in scene.follower.cache.records if key[0] == scene.place]
    recovery = Recovery(scene.committer, scene.follower.cache, replanner(*nodes), clock=lambda: 1e9)
    return await recovery.tend(scene.follower.gangs(scene.place), due=due)


async def test_after_a_crash_between_record_and_binds_the_next_leader_binds_as_recorded(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 3)
    gang = await the_gang(scene.follower, scene.place, 3)
    record = await write(scene.api, plan(gang, scene.nodes[1:]))
    await see(scene.follower, record)
    assert (found := scene.follower.record(gang)) is not None
    assert found.open
    done = await recover(scene)
    assert isinstance(done[record.key], Bound)
    assert nodes_of(scene.admin, scene.place) == {f"train-{n}": scene.nodes[n + 1] for n in range(3)}
    await see(scene.follower, replace(record, epoch=2, observed_epoch=2))  # the next leader makes it its own first
    assert (found := scene.follower.record(gang)) is not None
    assert not found.open


async def test_after_a_crash_between_two_binds_the_bound_member_is_left_and_the_others_follow(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 3)
    gang = await the_gang(scene.follower, scene.place, 3)
    record = await write(scene.api, plan(gang, scene.nodes))
    assert (await Binder(scene.api).bind(gang.members[1].pod, record.seats[1], record)).state == "bound"
    await see(scene.follower, record)
    done = await recover(scene)
    assert isinstance(done[record.key], Bound)
    assert nodes_of(scene.admin, scene.place) == {f"train-{n}": scene.nodes[n] for n in range(3)}


async def half_bound(scene: Scene) -> tuple[Gang, Record]:
    """Leave a gang of three whose first member is bound and whose third seat is on a node that goes away."""
    make_gang(scene.admin, scene.place, "train", 3)
    gang = await the_gang(scene.follower, scene.place, 3)
    record = await write(scene.api, plan(gang, [scene.nodes[0], scene.nodes[1], scene.nodes[3]]))
    assert (await Binder(scene.api).bind(gang.members[0].pod, record.seats[0], record)).state == "bound"
    remove_nodes(scene.admin, [scene.nodes[3]])
    await see(scene.follower, record)
    await scene.follower.until(lambda: scene.nodes[3] not in scene.follower.cache.snapshot().nodes)
    await scene.follower.until(lambda: any(len(g.fixed) == 1 for g in scene.follower.gangs(scene.place)))
    return scene.follower.gangs(scene.place)[0], record


async def test_a_record_whose_node_is_gone_is_superseded_with_the_bound_member_fixed(scene: Scene) -> None:
    _, record = await half_bound(scene)
    done = await recover(scene, scene.nodes[2], scene.nodes[2], scene.nodes[1])
    assert isinstance(done[record.key], Bound)
    assert nodes_of(scene.admin, scene.place) == {"train-0": scene.nodes[0], "train-1": scene.nodes[2], "train-2": scene.nodes[1]}
    [stored] = placements(scene.admin, scene.place)
    assert (stored["spec"]["epoch"], stored["status"]["phase"], stored["status"]["observedEpoch"]) == (3, "Bound", 3)
    assert [m["node"] for m in stored["spec"]["members"]] == [scene.nodes[0], scene.nodes[2], scene.nodes[1]]


async def test_a_bind_for_a_superseded_record_does_not_land(scene: Scene) -> None:
    gang, record = await half_bound(scene)
    stale = gang.members[2].pod
    done = await recover(scene)
    assert isinstance(done[record.key], Released)
    late = await Binder(scene.api).bind(stale, replace(record.seats[2], node=NodeName(scene.nodes[2])), record)
    assert (late.state, nodes_of(scene.admin, scene.place)["train-2"]) == ("superseded", None)


async def test_pods_that_no_controller_would_make_anew_stay_bound_when_their_group_is_given_up(scene: Scene) -> None:
    _, record = await half_bound(scene)
    outcome = (await recover(scene))[record.key]
    assert isinstance(outcome, Released)
    assert (outcome.stay, outcome.evicted) == (1, False)
    assert nodes_of(scene.admin, scene.place) == {"train-0": scene.nodes[0], "train-1": None, "train-2": None}
    [stored] = placements(scene.admin, scene.place)
    assert (stored["status"]["phase"], stored["status"]["conditions"][0]["reason"]) == ("Released", "Incomplete")
    assert "1 of 3 members is bound and stays" in stored["status"]["conditions"][0]["message"]


async def test_a_record_without_room_and_without_a_bound_member_is_released(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 2, gpus=8)
    gang = await the_gang(scene.follower, scene.place, 2)
    record = await write(scene.api, plan(gang, [scene.nodes[0], scene.nodes[0]]))
    await see(scene.follower, record)
    outcome = (await recover(scene))[record.key]
    assert isinstance(outcome, Released)
    assert (outcome.stay, nodes_of(scene.admin, scene.place)) == (0, {"train-0": None, "train-1": None})
    assert placements(scene.admin, scene.place)[0]["status"]["phase"] == "Released"
    assert scene.follower.cache.assumed(gang.key) == ()


async def test_of_two_records_that_claim_one_node_only_the_first_is_rolled_forward(scene: Scene) -> None:
    for name in ("early", "late"):
        make_gang(scene.admin, scene.place, name, 2, gpus=5)
    await scene.follower.until(lambda: len([g for g in scene.follower.gangs(scene.place) if len(g.members) == 2 and g.waiting is None]) == 2)
    early, late = scene.follower.gangs(scene.place)
    first, second = await write(scene.api, plan(early, scene.nodes)), await write(scene.api, plan(late, scene.nodes))
    await see(scene.follower, first)
    await see(scene.follower, second)
    done = await recover(scene, scene.nodes[2], scene.nodes[3])
    assert [type(done[r.key]) for r in (first, second)] == [Bound, Bound]
    expected = {"early-0": scene.nodes[0], "early-1": scene.nodes[1], "late-0": scene.nodes[2], "late-1": scene.nodes[3]}
    assert nodes_of(scene.admin, scene.place) == expected


async def test_a_record_outlives_its_owner_until_it_is_settled_and_is_then_let_go(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 2)
    record = await write(scene.api, plan(await the_gang(scene.follower, scene.place, 2), scene.nodes))
    scene.admin.delete(f"/apis/scheduling.run.ai/v1/namespaces/{scene.place}/podgroups/train")
    await scene.follower.until(lambda: any(r.terminating for r in scene.follower.cache.records.values() if r.namespace == scene.place), seconds=30)
    assert isinstance((await recover(scene))[record.key], Bound)
    assert nodes_of(scene.admin, scene.place) == {"train-0": scene.nodes[0], "train-1": scene.nodes[1]}
    await see(scene.follower, replace(record, epoch=2, observed_epoch=2))  # the next leader makes it its own first
    assert isinstance((await recover(scene))[record.key], Closed)
    scene.admin.wait(lambda: not placements(scene.admin, scene.place), what="the record gone")


# --- groups that their controllers make anew


def stateful_set(*, replicas: int) -> Object:
    """Return a StatefulSet whose pods are ours and join the PodGroup ``train``."""
    labels = {"app": "train", "coterie.dev/pod-group": "train"}
    container = {"name": "main", "image": "registry.test/none", "resources": {"limits": {GPU: "1"}}}
    template = {"schedulerName": "coterie", "containers": [container], "terminationGracePeriodSeconds": 0}
    spec = {
        "replicas": replicas,
        "serviceName": "train",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"app": "train"}},
        "template": {"metadata": {"labels": labels}, "spec": template},
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "train"}, "spec": spec}


def budget(*, least: int) -> Object:
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "train"}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "train"}, "spec": spec}


async def test_a_half_bound_group_that_fits_nowhere_is_evicted_as_a_whole_as_soon_as_its_budget_allows_it(scene: Scene) -> None:
    make_gang(scene.admin, scene.place, "train", 3, pods=False)
    scene.admin.apply(stateful_set(replicas=3), namespace=scene.place)
    scene.admin.apply(budget(least=2), namespace=scene.place)
    gang = await the_gang(scene.follower, scene.place, 3)
    record = await write(scene.api, plan(gang, [scene.nodes[0], scene.nodes[1], "no-such-node"]))
    for number in range(2):
        assert (await Binder(scene.api).bind(gang.members[number].pod, record.seats[number], record)).state == "bound"
    await see(scene.follower, record)
    await scene.follower.until(lambda: any(len(g.fixed) == 2 for g in scene.follower.gangs(scene.place)))
    refused = (await recover(scene))[record.key]
    assert isinstance(refused, Stuck)
    status = placements(scene.admin, scene.place)[0]["status"]
    assert (status["phase"], status["conditions"][0]["reason"], status["bound"]) == ("Releasing", "EvictionRefused", 2)
    assert "a disruption budget forbids it for now" in status["conditions"][0]["message"]
    scene.admin.delete(f"/apis/policy/v1/namespaces/{scene.place}/poddisruptionbudgets/train")
    await see(scene.follower, refused.record)
    await scene.follower.until(lambda: (found := scene.follower.record(gang)) is not None and found.phase == "Releasing")
    assert isinstance((await recover(scene))[record.key], Released)
    anew = [g for g in await _whole(scene, gang) if not g.fixed]
    assert len(anew) == 1
    assert placements(scene.admin, scene.place)[0]["status"]["conditions"][0]["reason"] == "Evicted"


async def _whole(scene: Scene, former: Gang) -> list[Gang]:
    """Wait for three members of which none was bound before."""
    gone = {m.pod.uid for m in former.members[:2]}

    def found() -> list[Gang]:
        return [g for g in scene.follower.gangs(scene.place) if len(g.members) == 3 and not {m.pod.uid for m in g.members} & gone]

    await scene.follower.until(found, seconds=20)
    return found()


# --- LeaderWorkerSet


async def test_a_half_bound_leader_worker_set_that_fits_nowhere_is_made_anew_by_evicting_its_leader_once(scene: Scene) -> None:
    scene.admin.apply(leader_worker_set(size=3), namespace=scene.place)
    gang = await the_gang(scene.follower, scene.place, 3)
    record = await write(scene.api, plan(gang, [scene.nodes[0], scene.nodes[1], "no-such-node"]))
    assert (await Binder(scene.api).bind(gang.members[1].pod, record.seats[1], record)).state == "bound"
    await see(scene.follower, record)
    await scene.follower.until(lambda: any(len(g.fixed) == 1 for g in scene.follower.gangs(scene.place)))
    outcome = (await recover(scene))[record.key]
    assert (outcome.evicted if isinstance(outcome, Released) else outcome) is True
    anew = await the_gang(scene.follower, scene.place, 3, but=gang.key)
    assert not {m.pod.uid for m in anew.members} & {m.pod.uid for m in gang.members}
    assert record_name(anew) != record_name(gang)
    assert isinstance(await scene.committer.commit(plan(anew, scene.nodes)), Bound)

    def going() -> bool:
        found = scene.follower.cache.records.get((record.namespace, record.name))
        return found is None or found.terminating

    await scene.follower.until(going, seconds=30)
    await recover(scene)
    scene.admin.wait(lambda: [r["metadata"]["name"] for r in placements(scene.admin, scene.place)] == [record_name(anew)], what="the old record gone")


async def test_seats_are_held_for_workers_that_come_only_after_their_leader_is_ready(scene: Scene) -> None:
    scene.admin.apply(leader_worker_set(size=3, startup="LeaderReady"), namespace=scene.place)
    gang = await the_gang(scene.follower, scene.place, 3)
    assert [m.held for m in gang.members] == [False, True, True]
    scene.follower.cache.assume(plan(gang, scene.nodes))
    outcome = await scene.committer.commit(plan(gang, scene.nodes))
    assert isinstance(outcome, Committed)
    # Workers may exist by now, for the leader is ready at once where KWOK plays; none has a node yet.
    placed = {name: node for name, node in nodes_of(scene.admin, scene.place).items() if node is not None}
    assert (outcome.record.open, placed) == (True, {"llm-0": scene.nodes[0]})
    await scene.follower.until(lambda: sum(p.namespace == scene.place for p in scene.follower.cache.world().pods.values()) == 3)
    await see(scene.follower, outcome.record)
    here = {p.name: p.node for p in scene.follower.cache.snapshot().pods.values() if p.namespace == scene.place}
    assert here == {"llm-0": scene.nodes[0], "llm-0-1": scene.nodes[1], "llm-0-2": scene.nodes[2]}, "the held seats count for the pods that came"
    assert isinstance((await recover(scene))[outcome.record.key], Bound)
    assert nodes_of(scene.admin, scene.place) == {"llm-0": scene.nodes[0], "llm-0-1": scene.nodes[1], "llm-0-2": scene.nodes[2]}
