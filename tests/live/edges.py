"""Helpers for live tests of the edge: pods, gangs as grouping finds them, plans by hand, a cache that follows the server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from scheduler.kube.api import PLACEMENTS, Api
from scheduler.kube.bindings.commit import Committer
from scheduler.kube.bindings.records import body, new_record, placement, record_name, seats_of
from scheduler.kube.follow.watch import Watcher
from scheduler.kube.group.grouping import gangs
from scheduler.state.cache import ClusterCache
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.plan import Decision, LevelCount, Placed, Plan, Seat, Unplaced
from scheduler.state.record import Record
from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import GPU, TIER_0


class Leading:
    """A Lease that is always held."""

    identity = "tests"
    term = 1

    def held(self) -> bool:
        return True


class Following:
    """A watcher that feeds a cache."""

    def __init__(self, api: Api) -> None:
        """Follow nothing yet."""
        self.cache = ClusterCache()
        self.watcher = Watcher(api)

    async def until(self, predicate: Callable[[], object], *, seconds: float = 10.0) -> None:
        """Wait until the cache is so."""
        async with asyncio.timeout(seconds):
            while not predicate():
                self.cache.apply(await self.watcher.events.get())

    def drain(self) -> None:
        """Take in all that was told."""
        while not self.watcher.events.empty():
            self.cache.apply(self.watcher.events.get_nowait())

    def gangs(self, namespace: str) -> list[Gang]:
        """Return the gangs of one test."""
        found = gangs(self.cache.world())
        return [gang for gang in (*found.gangs, *found.settled) if gang.namespace == namespace]

    def record(self, gang: Gang) -> Record | None:
        return self.cache.records.get((gang.namespace, record_name(gang)))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a test of records needs."""

    admin: Admin
    place: str
    """The namespace of this test."""
    nodes: list[str]
    api: Api
    follower: Following
    committer: Committer


@contextlib.asynccontextmanager
async def following(api: Api) -> AsyncIterator[Following]:
    """Follow the server in the background; everything was told once when the block begins."""
    follower = Following(api)
    task = asyncio.create_task(follower.watcher.run())
    try:
        async with asyncio.timeout(15):
            await follower.watcher.synced()
        follower.drain()
        yield follower
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def make_pod(admin: Admin, namespace: str, name: str, *, group: str = "", gpus: int = 1) -> Object:
    """Create a pod of ours."""
    labels = {"coterie.dev/pod-group": group} if group else {}
    container = {"name": "main", "image": "registry.test/none", "resources": {"limits": {GPU: str(gpus)}}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"schedulerName": "coterie", "containers": [container]},
    }
    return admin.create(f"/api/v1/namespaces/{namespace}/pods", pod)


def make_gang(admin: Admin, namespace: str, name: str, size: int, *, gpus: int = 1, pods: bool = True) -> None:
    """Create a PodGroup and, where no controller does it, its pods."""
    group = {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": name}, "spec": {"minMember": size}}
    admin.create(f"/apis/scheduling.run.ai/v1/namespaces/{namespace}/podgroups", group)
    for number in range(size if pods else 0):
        make_pod(admin, namespace, f"{name}-{number}", group=name, gpus=gpus)


async def the_gang(follower: Following, namespace: str, size: int, *, but: str = "") -> Gang:
    """Wait for the one gang of the namespace with so many members; ``but`` is the key of a former one."""

    def found() -> list[Gang]:
        return [g for g in follower.gangs(namespace) if g.waiting is None and len(g.members) == size and g.key != but]

    await follower.until(found)
    return found()[0]


def plan(gang: Gang, nodes: Sequence[str]) -> Placed:
    """Place a gang by hand: members in rank order on the first of these nodes; bound ones stay."""
    rack = LevelCount(key=TIER_0, name="rack", required=False, weight=1, count=1, domains=("r",))
    seats = [
        Seat(member=m, node=m.pod.node or NodeName(node), bound=m.pod.node is not None, domains={TIER_0: "r"})
        for m, node in zip(gang.members, nodes, strict=False)
    ]
    return Placed(gang=gang, seats=tuple(seats), cost=0, bound=0, levels=(rack,), decision=Decision(engine="none"))


def replanner(*nodes: str) -> Callable[[Gang], "asyncio.Future[Plan]"]:
    """Return a planner by hand; without nodes it finds no place."""

    def replan(gang: Gang) -> "asyncio.Future[Plan]":
        answer: asyncio.Future[Plan] = asyncio.get_running_loop().create_future()
        refused = Unplaced(gang=gang, status="INFEASIBLE", reason="NotEnoughRoom", message="no room", decision=Decision(engine="none"))
        answer.set_result(plan(gang, nodes) if nodes else refused)
        return answer

    return replan


def nodes_of(admin: Admin, namespace: str) -> dict[str, str | None]:
    """Return where every pod of a namespace is bound."""
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName") for pod in admin.items(f"/api/v1/namespaces/{namespace}/pods")}


def placements(admin: Admin, namespace: str) -> list[Object]:
    """Return the records of a namespace."""
    return admin.items(f"/apis/coterie.dev/v1alpha1/namespaces/{namespace}/placements")


async def write(api: Api, planned: Placed, *, deadline: float = 4e9) -> Record:
    """Write a record as a leader would that dies right after it."""
    record = new_record(planned.gang, seats_of(planned), deadline=deadline, written_by="dead/1")
    return placement(await api.post(PLACEMENTS.path(record.namespace), body(record, planned.gang.owner)))


async def see(follower: Following, record: Record) -> None:
    """Wait until the cache knows the record at least as it is here."""

    def seen() -> bool:
        found = follower.cache.records.get((record.namespace, record.name))
        return found is not None and (found.epoch, found.observed_epoch) >= (record.epoch, record.observed_epoch)

    await follower.until(seen)


def leader_worker_set(*, size: int, startup: str = "LeaderCreated") -> Object:
    """Return a LeaderWorkerSet of one group whose pods are ours."""
    container = {"name": "main", "image": "registry.test/none", "resources": {"limits": {GPU: "1"}}}
    template = {"spec": {"schedulerName": "coterie", "containers": [container], "terminationGracePeriodSeconds": 0}}
    spec = {"replicas": 1, "startupPolicy": startup, "leaderWorkerTemplate": {"size": size, "leaderTemplate": template, "workerTemplate": template}}
    return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": {"name": "llm"}, "spec": spec}
