"""Plays the one thing of a kubelet that KWOK leaves out: a node takes its pods in the order of their binding, and refuses what has no room left.

A refused pod gets phase Failed with the reason that a kubelet writes, and keeps it: KWOK may find the pod still Pending and write Running over it.
Who binds what, and what becomes of refused pods, is the business of the schedulers and controllers under test.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.kube.parse import wire
from scheduler.state.objects import Pod
from scheduler.state.resources import NOTHING, Resources
from tests.controlplane.admin import Admin, ApiError, Object

PODS = "/api/v1/pods"
WATCH_SECONDS = 1.0
"""How long one watch lasts: how long the end of a judge can take."""


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A pod that its node did not take."""

    namespace: str
    name: str
    scheduler: str
    node: str
    reason: str


class Kubelets:
    """The admission of all nodes, in a thread of its own."""

    def __init__(self, admin: Admin) -> None:
        """Begin with what is bound now: that was taken already."""
        self.rejections: list[Rejection] = []
        """What was refused, in order."""
        self.admitted = 0
        """How many pods were taken since the beginning."""
        self.error: Exception | None = None
        """What ended the thread, if it did not end as it should."""
        self._admin = admin
        self._room: dict[str, Resources] = {}
        self._taken: dict[str, dict[str, Pod]] = {}
        self._refused: dict[str, str] = {}
        self._stop = threading.Event()
        listed = admin.get(PODS)
        self._version = listed["metadata"]["resourceVersion"]
        for raw in listed["items"]:
            pod = wire.pod(raw, strict=False)
            if pod.node is not None and not pod.finished:
                self._taken.setdefault(pod.node, {})[pod.uid] = pod
        self._thread = threading.Thread(target=self._run, name="kubelets", daemon=True)

    @classmethod
    @contextlib.contextmanager
    def playing(cls, admin: Admin) -> Iterator["Kubelets"]:
        """Play until the end of the block; an error of the judge itself is raised there."""
        judge = cls(admin)
        judge._thread.start()
        try:
            yield judge
        finally:
            judge._stop.set()
            judge._thread.join()
        if judge.error is not None:
            raise judge.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for line in self._admin.watch(PODS, timeout=WATCH_SECONDS, resourceVersion=self._version, allowWatchBookmarks="true"):
                    self._take(json.loads(line))
        except Exception as error:  # noqa: BLE001 - told at the end of the block
            self.error = error

    def _take(self, event: Object) -> None:
        raw = event["object"]
        if event["type"] == "ERROR":
            raise ApiError("WATCH", PODS, raw.get("code", 0), json.dumps(raw).encode())
        self._version = raw["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        pod = wire.pod(raw, strict=False)
        if pod.node is None:
            return
        taken = self._taken.setdefault(pod.node, {})
        if event["type"] == "DELETED" or pod.finished:
            taken.pop(pod.uid, None)
        elif pod.uid in self._refused:
            self._refuse(pod, self._refused[pod.uid])
        elif pod.uid not in taken:
            self._admit(pod, taken)

    def _admit(self, pod: Pod, taken: dict[str, Pod]) -> None:
        node = str(pod.node)
        room = self._allocatable(node)
        wanted = sum((other.used for other in taken.values()), NOTHING) + pod.used
        short = next((name for name in pod.used if wanted.amount(name) > room.amount(name)), None)
        if short is None:
            taken[pod.uid] = pod
            self.admitted += 1
            return
        reason = f"OutOf{short}"
        self._refused[pod.uid] = reason
        self.rejections.append(Rejection(namespace=pod.namespace, name=pod.name, scheduler=pod.scheduler_name, node=node, reason=reason))
        self._refuse(pod, reason)

    def _allocatable(self, name: str) -> Resources:
        if name not in self._room:
            self._room[name] = wire.node(self._admin.get(f"/api/v1/nodes/{name}"), strict=False).allocatable
        return self._room[name]

    def _refuse(self, pod: Pod, reason: str) -> None:
        reject(self._admin, pod.namespace, pod.name, pod.uid, reason)


def reject(admin: Admin, namespace: str, name: str, uid: str, reason: str) -> None:
    """Write what a kubelet writes on a pod that it does not take; a pod that is gone meanwhile, or another one, is left alone."""
    status = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: the node cannot take it ({reason})"}
    try:
        admin.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"metadata": {"uid": uid}, "status": status})
    except ApiError as error:
        if error.status not in (404, 409, 422):  # 422: the name belongs to another UID
            raise
