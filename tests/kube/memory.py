"""An API server in memory for what the commit protocol calls: pods, bindings, evictions and Placements, with their preconditions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from scheduler.kube.api import Api
from scheduler.kube.bindings.records import placement
from scheduler.kube.errors import ApiError, Conflict, NotFound
from scheduler.kube.parse import wire
from scheduler.state.cache import ClusterCache
from scheduler.state.events import Id, Put, Removed
from scheduler.state.objects import Node
from scheduler.state.record import Record

Object = dict[str, Any]
PODS = "/api/v1/namespaces/ai/pods"
RECORDS = "/apis/coterie.dev/v1alpha1/namespaces/ai/placements"


class Leading:
    """A Lease that is held until it is said otherwise."""

    identity = "coterie-0"
    term = 3
    leads = True

    def held(self) -> bool:
        return self.leads


class Memory:
    """Objects by path; every call is remembered. ``before`` is told of each call and may raise what the server says instead."""

    def __init__(self) -> None:
        """Begin empty."""
        self.objects: dict[str, Object] = {}
        self.asked: list[str] = []
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self._version = 100

    @property
    def api(self) -> Api:
        return cast("Api", self)

    def put(self, path: str, body: Object) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = body

    def pod(
        self, name: str, *, uid: str = "", on: str = "", owner: str = "", version: str = "apps/v1", labels: Mapping[str, str] | None = None
    ) -> None:
        """Make a pod with one GPU; ``owner`` is the kind of its controller."""
        owners = [{"apiVersion": version, "kind": owner, "name": "w", "uid": "uid-w", "controller": True}] if owner else []
        about = {"name": name, "namespace": "ai", "uid": uid or f"uid-{name}", "ownerReferences": owners, "labels": dict(labels or {})}
        container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        spec = {"schedulerName": "coterie", "containers": [container], **({"nodeName": on} if on else {})}
        self.put(f"{PODS}/{name}", {"kind": "Pod", "metadata": about, "spec": spec, "status": {"phase": "Running" if on else "Pending"}})

    def refuse_by_kubelet(self, name: str) -> None:
        body = self.objects[f"{PODS}/{name}"]
        self.put(f"{PODS}/{name}", {**body, "status": {"phase": "Failed", "reason": "OutOfnvidia.com/gpu"}})

    def nodes_of(self) -> dict[str, str | None]:
        return {path.rpartition("/")[2]: body["spec"].get("nodeName") for path, body in sorted(self.objects.items()) if path.startswith(PODS)}

    def records(self) -> list[Record]:
        return [placement(body) for path, body in sorted(self.objects.items()) if path.startswith(RECORDS)]

    def tell(self, cache: ClusterCache, *nodes: Node) -> None:
        """Let a cache know everything as it is now."""
        for node in nodes:
            cache.apply(Put(id=Id(source="nodes", namespace="", name=node.name, uid=node.uid), value=node))
        found = {}
        for path, body in self.objects.items():
            about = body["metadata"]
            source, value = ("pods", wire.pod(body, strict=False)) if path.startswith(PODS) else ("placements", placement(body))
            found[source, about["name"]] = about["uid"]
            cache.apply(Put(id=Id(source=source, namespace="ai", name=about["name"], uid=about["uid"]), value=value))
        for pod in list(cache.world().pods.values()):
            if ("pods", pod.name) not in found:
                cache.apply(Removed(id=Id(source="pods", namespace="ai", name=pod.name, uid=pod.uid)))

    async def get(self, path: str, _: object = None) -> bytes:
        self._ask("GET", path)
        return json.dumps(self._found(path)).encode()

    async def post(self, path: str, body: Object, _: object = None, *, wait: bool = True) -> bytes:
        assert wait or path.endswith("/eviction")
        self._ask("POST", path)
        if path.endswith("/binding"):
            return self._bind(path.removesuffix("/binding"), body)
        if path.endswith("/eviction"):
            target = path.removesuffix("/eviction")
            self._check(self._found(target), body["deleteOptions"]["preconditions"])
            del self.objects[target]
            return b"{}"
        target = f"{path}/{body['metadata']['name']}"
        if target in self.objects:
            raise Conflict("it exists", status=409)
        self.put(target, {**body, "metadata": {**body["metadata"], "uid": "uid-record"}})
        return json.dumps(self.objects[target]).encode()

    async def patch(self, path: str, body: Object, **_: object) -> bytes:
        self._ask("PATCH", path)
        target = path.removesuffix("/status")
        found = self._found(target)
        self._check(found, body["metadata"])
        self.put(target, _merged(found, body))
        return json.dumps(self.objects[target]).encode()

    def _ask(self, method: str, path: str) -> None:
        self.asked.append(f"{method} {path.removeprefix(PODS).removeprefix(RECORDS)}")
        self.before(method, path)

    def _found(self, path: str) -> Object:
        if path not in self.objects:
            raise NotFound(f"{path} is not there", status=404)
        return self.objects[path]

    def _bind(self, path: str, body: Object) -> bytes:
        found = self._found(path)
        self._check(found, body["metadata"])
        if found["spec"].get("nodeName"):
            raise Conflict("already bound", status=409)
        self.put(path, {**found, "spec": {**found["spec"], "nodeName": body["target"]["name"]}})
        return b"{}"

    def _check(self, found: Object, wanted: Mapping[str, Any]) -> None:
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) not in (None, found["metadata"][key]):
                raise Conflict(f"{key} is {found['metadata'][key]}, not {wanted[key]}", status=409)


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    new = dict(old)
    for key, value in patch.items():
        new[key] = _merged(new.get(key) or {}, value) if isinstance(value, Mapping) else value
    return new


def dies(method: str, ending: str, *, after: int = 0) -> Callable[[str, str], None]:
    """Return a ``before`` that raises Died at the call of this method whose path ends so, after so many of them have passed."""
    passed = 0

    def before(asked: str, path: str) -> None:
        nonlocal passed
        if asked == method and path.endswith(ending):
            passed += 1
            if passed > after:
                raise Died

    return before


class Died(Exception):  # noqa: N818 - what happens
    """The scheduler is killed here."""


def refuses(method: str, ending: str, error: ApiError) -> Callable[[str, str], None]:
    """Return a ``before`` that answers such a call with an error."""

    def before(asked: str, path: str) -> None:
        if asked == method and path.endswith(ending):
            raise error

    return before
