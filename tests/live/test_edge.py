"""The edge on the real API server, with the scheduler's own account: lists and watches, binds, the Lease."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from scheduler.kube.api import NODES, PODS, Api, connect
from scheduler.kube.bindings.bind import Binder
from scheduler.kube.errors import Conflict, Denied, NotFound
from scheduler.kube.follow.listing import snapshot
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.follow.watched import WATCHED
from scheduler.kube.lease import Lease
from scheduler.kube.parse import wire
from scheduler.state.events import Put, Removed
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.record import RecordSeat
from tests.controlplane.nodes import GPU, TIER_0, add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.edges import following, make_pod

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture",)


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=3, prefix="edge"))
    yield names
    remove_nodes(control_plane.admin, names)


@pytest.fixture
async def api(control_plane: ControlPlane, place: str) -> AsyncIterator[Api]:
    assert place
    kubeconfig = control_plane.kubeconfig_for_service_account("coterie-system", "coterie")
    async with await connect(str(kubeconfig)) as connected:
        yield connected


async def told(watcher: Watcher, *, until: Callable[[list[tuple[str, str]]], bool]) -> list[tuple[str, str]]:
    """Return the next events about pods of this test, as type and name."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(10):
        while not until(found):
            event = await watcher.events.get()
            if isinstance(event, Put | Removed) and event.id.name.startswith("paged-"):
                found.append((type(event).__name__, event.id.name))
    return found


async def test_a_paged_list_tells_every_pod_and_the_watch_goes_on_from_there(control_plane: ControlPlane, api: Api, place: str) -> None:
    for number in range(5):
        make_pod(control_plane.admin, place, f"paged-{number}")
    watcher = Watcher(api, [r for r in WATCHED if r.source == "pods"], page=2)
    running = asyncio.create_task(watcher.run())
    try:
        assert sorted(await told(watcher, until=lambda found: len(found) == 5)) == [("Put", f"paged-{n}") for n in range(5)]
        make_pod(control_plane.admin, place, "paged-late")
        control_plane.admin.delete(f"/api/v1/namespaces/{place}/pods/paged-1", body={"gracePeriodSeconds": 0})
        late = await told(watcher, until=lambda found: ("Removed", "paged-1") in found)
        assert ("Put", "paged-late") in late
        assert (watcher.health["pods"].lists, watcher.health["pods"].version) == (1, "v1")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_nodes_pods_and_custom_resources_reach_the_cache_and_what_is_not_served_is_absent(
    control_plane: ControlPlane, api: Api, place: str, nodes: list[str]
) -> None:
    make_pod(control_plane.admin, place, "seen", gpus=2)
    async with following(api) as follower:
        world, view = follower.cache.world(), follower.cache.snapshot()
        pod = next(p for p in world.pods.values() if p.namespace == place)
        assert (pod.name, pod.shape.requests.amount(GPU), pod.scheduler_name) == ("seen", 2, "coterie")
        assert [view.nodes[NodeName(n)].labels[TIER_0] for n in nodes] == ["edge-rack-1"] * 3
        phases = {source: health.phase for source, health in follower.watcher.health.items()}
        assert {phases[s] for s in ("nodes", "pods", "placements.coterie.dev", "leaderworkersets.leaderworkerset.x-k8s.io")} == {"live"}
        assert {phases[s] for s in ("podgroups.scheduling.volcano.sh", "topologies.kueue.x-k8s.io")} == {"absent"}
        assert follower.watcher.health["podgroups.scheduling.k8s.io"].version == "v1alpha2"
        assert follower.watcher.age < 10


async def test_a_snapshot_holds_nodes_and_pods_with_kind_and_without_managed_fields(api: Api, nodes: list[str]) -> None:
    whole = await snapshot(api)
    items = whole["items"]
    assert isinstance(items, list)
    mine = [item for item in items if item["kind"] == "Node" and item["metadata"]["name"] in nodes]
    assert [(item["apiVersion"], "managedFields" in item["metadata"]) for item in mine] == [("v1", False)] * 3


async def test_a_call_that_the_role_does_not_allow_is_denied_with_the_servers_words(api: Api) -> None:
    with pytest.raises(Denied, match='cannot list resource "secrets"') as refusal:
        await api.get("/api/v1/secrets")
    assert (refusal.value.status, refusal.value.reason) == (403, "Forbidden")


async def test_an_object_that_does_not_exist_is_not_found(api: Api) -> None:
    with pytest.raises(NotFound, match="no-such-node"):
        await api.get(NODES.path(name="no-such-node"))


# --- binds


def read(control_plane: ControlPlane, namespace: str, name: str) -> Pod:
    return wire.pod(control_plane.admin.get(f"/api/v1/namespaces/{namespace}/pods/{name}"), strict=False)


def seat(pod: Pod, node: str) -> RecordSeat:
    return RecordSeat(pod=pod.name, uid=pod.uid, node=NodeName(node), rank=3, domains={"rack": "r1", "topology.kubernetes.io/zone": "z"})


@pytest.fixture
def pod(control_plane: ControlPlane, place: str) -> Pod:
    make_pod(control_plane.admin, place, "bound")
    return read(control_plane, place, "bound")


async def test_the_server_refuses_a_bind_with_another_uid_as_a_conflict(api: Api, pod: Pod, nodes: list[str]) -> None:
    body = {"metadata": {"name": pod.name, "uid": "other"}, "target": {"kind": "Node", "name": nodes[0]}}
    with pytest.raises(Conflict, match="UID"):
        await api.post(PODS.path(pod.namespace, pod.name, "binding"), body)


async def test_a_bind_for_a_pod_that_was_replaced_says_so(api: Api, pod: Pod, nodes: list[str]) -> None:
    found = await Binder(api).bind(replace(pod, uid=PodUid("other")), seat(pod, nodes[0]), None)
    assert (found.state, pod.uid in found.message) == ("replaced", True)


async def test_a_bind_writes_rank_and_domains_on_the_pod(control_plane: ControlPlane, api: Api, pod: Pod, nodes: list[str]) -> None:
    assert (await Binder(api).bind(pod, seat(pod, nodes[0]), None)).state == "bound"
    stored = control_plane.admin.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
    assert stored["spec"]["nodeName"] == nodes[0]
    assert stored["metadata"]["annotations"] == {
        "coterie.dev/rank": "3",
        "coterie.dev/domain.rack": "r1",
        "coterie.dev/domain.topology.kubernetes.io.zone": "z",
    }


async def test_a_second_bind_to_the_same_node_is_as_good_as_the_first(api: Api, pod: Pod, nodes: list[str]) -> None:
    binder = Binder(api)
    assert [(await binder.bind(pod, seat(pod, nodes[0]), None)).state for _ in range(2)] == ["bound", "bound"]


async def test_a_second_bind_to_another_node_tells_where_the_pod_is(api: Api, pod: Pod, nodes: list[str]) -> None:
    binder = Binder(api)
    await binder.bind(pod, seat(pod, nodes[0]), None)
    found = await binder.bind(pod, seat(pod, nodes[1]), None)
    assert (found.state, found.message) == ("elsewhere", f"{pod.key} is bound to {nodes[0]}, not to {nodes[1]}")


async def test_a_pod_that_changed_since_it_was_decided_on_is_read_again_and_bound(
    control_plane: ControlPlane, api: Api, pod: Pod, nodes: list[str]
) -> None:
    control_plane.admin.patch(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", {"metadata": {"labels": {"new": "yes"}}})
    body = {"metadata": {"name": pod.name, "uid": pod.uid, "resourceVersion": pod.resource_version}, "target": {"kind": "Node", "name": nodes[0]}}
    with pytest.raises(Conflict):
        await api.post(PODS.path(pod.namespace, pod.name, "binding"), body)
    assert (await Binder(api).bind(pod, seat(pod, nodes[0]), None)).state == "bound"


async def test_a_bind_for_a_pod_that_does_not_exist_any_more_is_gone(control_plane: ControlPlane, api: Api, pod: Pod, nodes: list[str]) -> None:
    control_plane.admin.delete(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", body={"gracePeriodSeconds": 0})
    assert (await Binder(api).bind(pod, seat(pod, nodes[0]), None)).state == "gone"


async def test_a_gated_pod_is_not_bound(control_plane: ControlPlane, api: Api, place: str, nodes: list[str]) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gated"},
        "spec": {"schedulerName": "coterie", "schedulingGates": [{"name": "tests/gate"}], "containers": [{"name": "c", "image": "none"}]},
    }
    control_plane.admin.create(f"/api/v1/namespaces/{place}/pods", body)
    gated = read(control_plane, place, "gated")
    found = await Binder(api).bind(gated, seat(gated, nodes[0]), None)
    assert (found.state, "tests/gate" in found.message) == ("gated", True)


# --- the Lease


@pytest.fixture
def fresh_lease(control_plane: ControlPlane, place: str) -> None:
    assert place
    control_plane.admin.delete("/apis/coordination.k8s.io/v1/namespaces/coterie-system/leases/coterie", missing_ok=True)


@pytest.mark.usefixtures("fresh_lease")
async def test_a_second_replica_leads_only_after_the_first_gave_the_lease_back(api: Api) -> None:
    first, second = (Lease(api, identity=name, renew=0.1) for name in ("first", "second"))
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.5)
    assert (first.held(), first.term, second.held(), second.holder) == (True, 1, False, "first")
    await first.release()
    await asyncio.wait_for(waiting, 3)
    assert (first.held(), second.held(), second.term) == (False, True, 2)


@pytest.mark.usefixtures("fresh_lease")
async def test_a_silent_leader_is_replaced_when_its_lease_ran_out_and_notices(api: Api) -> None:
    first, second = (Lease(api, identity=name, renew=0.2, duration=1.0) for name in ("first", "second"))
    await first.acquire()
    assert not first.held() or second.term == 0
    await asyncio.wait_for(second.acquire(), 5)
    assert (first.held(), second.term) == (False, 2)
    await asyncio.wait_for(first.keep(), 2)
    assert not first.held()


@pytest.mark.usefixtures("fresh_lease")
async def test_a_leader_that_renews_keeps_the_lease_beyond_its_duration(api: Api) -> None:
    first, second = (Lease(api, identity=name, renew=0.2, duration=1.0) for name in ("first", "second"))
    await first.acquire()
    keeping, waiting = asyncio.create_task(first.keep()), asyncio.create_task(second.acquire())
    await asyncio.sleep(2.5)
    assert (first.held(), waiting.done()) == (True, False)
    for task in (keeping, waiting):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.usefixtures("fresh_lease")
async def test_a_restarted_container_takes_its_own_lease_at_once_and_its_former_process_loses(api: Api) -> None:
    former, restarted = (Lease(api, identity="coterie-0", renew=0.1) for _ in range(2))
    await former.acquire()
    await asyncio.wait_for(restarted.acquire(), 2)
    await asyncio.wait_for(former.keep(), 2)
    assert (former.held(), restarted.held(), restarted.term) == (False, True, 2)
