"""The cluster that is measured on: refuses a real one, makes what is needed, and takes it away again."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic_core import from_json

from scheduler.bench.measure import Tell
from scheduler.kube.api import NODES, PLACEMENTS, PODS, Api, Resource
from scheduler.kube.errors import ApiError, NotFound
from scheduler.kube.follow.listing import pages
from scheduler.state.problems import BadInput, InputProblem

Json = dict[str, Any]
T = TypeVar("T")

NAMESPACES: Final = Resource(group="", version="v1", plural="namespaces")
ACCOUNTS: Final = Resource(group="", version="v1", plural="serviceaccounts")
FAKE: Final = ("kwok.x-k8s.io/node", "fake")
IN_FLIGHT: Final = 32
"""Calls at one moment: more do not go faster on two cores."""
PATIENCE: Final = 600.0
"""Seconds that anything we wait for may take: KWOK moves some fifty nodes or pods a second."""
NODES_SECONDS: Final = 180.0
NOW: Final = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
"""How pods are deleted that nobody runs."""
_NOT_READY: Final = "node.kubernetes.io/not-ready"
_PLAYED_SECONDS: Final = 3.0


class TookTooLongError(Exception):
    """What was waited for did not come."""


async def refuse_real_nodes(api: Api) -> int:
    """Return the number of nodes; raises BadInput when KWOK does not play all of them."""
    nodes = [item async for page in pages(api, NODES) for item in page.items]
    real = sorted(str(_meta(n)["name"]) for n in nodes if (_meta(n).get("annotations") or {}).get(FAKE[0]) != FAKE[1])
    if real:
        found = f"{len(real)} of {len(nodes)} nodes without it, {real[0]} among them"
        raise BadInput(InputProblem(object="Node", field=f"metadata.annotations[{FAKE[0]}]", found=found, expected=f"{FAKE[1]} on every node"))
    return len(nodes)


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Make calls, a bounded number at one moment; return their answers in order."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(call: Awaitable[T]) -> T:
        async with slots:
            return await call

    return await asyncio.gather(*map(one, calls))


@contextlib.asynccontextmanager
async def namespace(api: Api) -> AsyncIterator[str]:
    """Make a namespace with a name of its own, and delete it at the end with all that is in it."""
    name = f"coterie-bench-{uuid.uuid4().hex[:8]}"
    await api.post(NAMESPACES.path(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        # Until its controller has made the account, the server refuses pods.
        await until(lambda: _exists(api, ACCOUNTS.path(name, "default")), what="the default ServiceAccount of the namespace")
        yield name
    finally:
        with contextlib.suppress(ApiError):
            await remove_records(api, name)
        with contextlib.suppress(ApiError):
            await emptied(api, PODS, name)
        await api.delete(NAMESPACES.path(name=name))


@contextlib.asynccontextmanager
async def nodes(api: Api, wanted: Sequence[Json], tell: Tell) -> AsyncIterator[None]:
    """Make nodes that KWOK plays, wait until pods may run there, and delete them at the end."""
    tell(f"making {len(wanted):,} nodes")
    names = [node["metadata"]["name"] for node in wanted]
    try:
        await together(api.post(NODES.path(), _fake(node)) for node in wanted)
        await until(lambda: _all_usable(api, set(names)), what=f"{len(names):,} nodes ready", every=1.0, seconds=NODES_SECONDS)
        yield
    finally:
        await together(gone(api, NODES.path(name=name)) for name in names)


async def emptied(api: Api, resource: Resource, where: str) -> list[str]:
    """Delete all objects of a kind in a namespace, one by one where the server cannot do it in one call; return their paths."""
    items = from_json(await api.get(resource.path(where)))["items"]
    paths = [resource.path(where, str(_meta(raw)["name"])) for raw in items]
    try:
        await api.delete(resource.path(where), NOW)
    except ApiError:
        await together(gone(api, path, NOW) for path in paths)
    return paths


async def remove_records(api: Api, where: str) -> None:
    """Delete the commit records of a namespace: no scheduler runs any more that would take its finalizer off them."""
    await together(_freed(api, path) for path in await emptied(api, PLACEMENTS, where))


async def pods_played(api: Api, where: str, node: str) -> bool:
    """Tell whether KWOK plays pods, too: whether one that is bound comes to run within some seconds. Raises ApiError."""
    path = PODS.path(where, "played")
    container = {"name": "main", "image": "registry.example/train:1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "played"}, "spec": {"nodeName": node, "containers": [container]}}
    await api.post(PODS.path(where), pod)

    async def runs() -> bool:
        return bool(from_json(await api.get(path))["status"].get("phase") == "Running")

    try:
        await until(runs, what="a pod that KWOK plays", seconds=_PLAYED_SECONDS)
    except TookTooLongError:
        return False
    finally:
        await api.delete(path, NOW)
    return True


async def until(ready: Callable[[], Awaitable[bool]], *, what: str, every: float = 0.1, seconds: float = PATIENCE) -> None:
    """Ask again and again; raises TookTooLongError."""
    deadline = time.perf_counter() + seconds
    while not await ready():
        if time.perf_counter() > deadline:
            raise TookTooLongError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(every)


async def all_running(api: Api, where: str) -> bool:
    """Tell whether KWOK has set every pod of a namespace running; asks for one that is not, because a whole list would slow it down."""
    answer = from_json(await api.get(PODS.path(where), {"fieldSelector": "status.phase!=Running", "limit": 1}))
    return not answer.get("items")


async def _exists(api: Api, path: str) -> bool:
    try:
        await api.get(path)
    except NotFound:
        return False
    return True


async def _freed(api: Api, path: str) -> None:
    with contextlib.suppress(NotFound):
        await api.patch(path, {"metadata": {"finalizers": None}})


async def gone(api: Api, path: str, how: Mapping[str, object] | None = None) -> None:
    """Delete an object; nothing is wrong where it does not exist any more."""
    with contextlib.suppress(NotFound):
        await api.delete(path, how)


async def _all_usable(api: Api, names: set[str]) -> bool:
    usable = {str(_meta(n)["name"]) async for page in pages(api, NODES) for n in page.items if _usable(n)}
    return names <= usable


def _usable(node: Mapping[str, Any]) -> bool:
    """Tell whether a node is ready and free of the taint that admission puts on every new node."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions") or ())
    return ready and not any(t["key"] == _NOT_READY for t in node["spec"].get("taints") or ())


def _fake(node: Json) -> Json:
    """Return a node that KWOK takes for its own; its conditions are KWOK's to write."""
    metadata = {**node["metadata"], "annotations": {FAKE[0]: FAKE[1]}}
    metadata.pop("uid", None)
    return {**node, "metadata": metadata, "status": {key: node["status"][key] for key in ("allocatable", "capacity")}}


def _meta(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = raw["metadata"]
    return found
