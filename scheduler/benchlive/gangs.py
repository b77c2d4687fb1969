"""How long a gang takes from its last member created to its last member bound, beside what a bare loop of binds takes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from scheduler.bench.measure import Options, Row
from scheduler.bench.worlds import Load
from scheduler.benchlive.cluster import together
from scheduler.benchlive.observer import Observer
from scheduler.benchlive.process import Scheduler
from scheduler.kube.api import PODS, Api, Resource
from scheduler.kube.group import names

GANG: Final = Load(pods=8, gpus=8)
BOUND_MILLISECONDS: Final = 150.0
GANGS_A_RUN: Final = 4
"""A gang takes a blink: four to a run give a steadier median."""
BARE_PODS: Final = 256
PAUSE_SECONDS: Final = 0.5
"""Between two gangs, until status, events and KWOK's own writes are done: the cluster is to be idle."""
NOBODY: Final = "coterie-bench-nobody"
"""A scheduler that does not exist: its pods are left to us."""

_POD_GROUPS: Final = Resource(group=names.RUN_AI, version="v1", plural="podgroups")
_NOW: Final = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}


class Bench:
    """Makes gangs in one namespace, sees them bound, and takes them away."""

    def __init__(self, api: Api, namespace: str, observer: Observer, nodes: Sequence[str]) -> None:
        """Use these nodes for bare binds; everything happens in the namespace."""
        self._api = api
        self._namespace = namespace
        self._observer = observer
        self._nodes = nodes
        self._numbers = iter(range(10**9))

    async def gang(self) -> float:
        """Have the scheduler bind one gang on the idle cluster; return the seconds."""
        group = f"gang-{next(self._numbers):04}"
        about = {"apiVersion": f"{names.RUN_AI}/v1", "kind": "PodGroup", "metadata": {"name": group}, "spec": {"minMember": GANG.pods}}
        await self._api.post(_POD_GROUPS.path(self._namespace), about)
        pods = [_pod(f"{group}-{i}", names.SCHEDULER_NAME, GANG.gpus, {names.POD_GROUP: group}) for i in range(GANG.pods)]
        observer = self._observer
        _, created, bound = await asyncio.gather(self._create(pods), observer.created(map(_name, pods)), observer.bound(map(_name, pods)))
        await self._api.delete(_POD_GROUPS.path(self._namespace, group))
        await self._remove(pods)
        return bound - created

    async def bare(self, count: int, gpus: int) -> float:
        """Bind pods with nothing but the calls that bind; return the seconds from the first call to the last bind seen."""
        group = f"bare-{next(self._numbers):04}"
        pods = [_pod(f"{group}-{i}", NOBODY, gpus, {}) for i in range(count)]
        await self._create(pods)
        await self._observer.created(map(_name, pods))
        await asyncio.sleep(PAUSE_SECONDS)
        started = time.perf_counter()
        await together(self._bind(_name(pod), self._nodes[i % len(self._nodes)]) for i, pod in enumerate(pods))
        bound = await self._observer.bound(map(_name, pods))
        await self._remove(pods)
        return bound - started

    async def _create(self, pods: Sequence[dict[str, Any]]) -> None:
        await together(self._api.post(PODS.path(self._namespace), pod) for pod in pods)

    async def _bind(self, pod: str, node: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod, "namespace": self._namespace}, "target": target}
        await self._api.post(PODS.path(self._namespace, pod, "binding"), body)

    async def _remove(self, pods: Sequence[dict[str, Any]]) -> None:
        await together(self._api.delete(PODS.path(self._namespace, _name(pod)), _NOW) for pod in pods)
        await self._observer.gone(map(_name, pods))
        await asyncio.sleep(PAUSE_SECONDS)


async def gangs(bench: Bench, scheduler: Scheduler, options: Options, nodes: int) -> AsyncIterator[Row]:
    """Measure gangs and bare binds in turn, so that both see the same machine."""
    options.tell("waiting for the scheduler to bind a first gang")
    await bench.gang()
    count = options.runs * GANGS_A_RUN
    options.tell(f"binding {count} gangs of {GANG}, and as many by a bare loop")
    before, used = scheduler.cpu_seconds, 0.0
    took: list[float] = []
    bare: list[float] = []
    for _ in range(count):
        before = scheduler.cpu_seconds
        took.append(1000 * await bench.gang())
        used += scheduler.cpu_seconds - before
        bare.append(1000 * await bench.bare(GANG.pods, GANG.gpus))
        scheduler.check()
    facts = {"over the bare loop": round(statistics.median(took) / statistics.median(bare), 1), "scheduler's CPU ms": round(1000 * used / count, 1)}
    what = f"gang of {GANG} on {nodes:,} idle nodes"
    yield Row(what=f"{what}: last created to last bound", unit="ms", values=tuple(took), bound=BOUND_MILLISECONDS, facts=facts)
    yield Row(what="the same binds by a bare loop (yardstick)", unit="ms", values=tuple(bare))
    pods = options.size(BARE_PODS)
    options.tell(f"binding {pods} pods by a bare loop")
    rates = [pods / await bench.bare(pods, 1) for _ in range(options.runs)]
    yield Row(what=f"bare loop, {pods} pods (yardstick)", unit="binds/s", values=tuple(rates))


def _pod(name: str, scheduler: str, gpus: int, labels: dict[str, str]) -> dict[str, Any]:
    resources = {"requests": {"cpu": str(4 * gpus), "memory": f"{32 * gpus}Gi"}, "limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"schedulerName": scheduler, "containers": [{"name": "main", "image": "registry.example/train:1", "resources": resources}]},
    }


def _name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])
