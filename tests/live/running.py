"""Helpers of the tests of `coterie run`: the scheduler as a process of its own, a cluster from a fixture, and a referee over all nodes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scheduler.kube.parse import wire
from scheduler.replay import read
from scheduler.state.resources import NOTHING, Resources
from tests.controlplane.admin import Admin, ApiError, Object
from tests.controlplane.nodes import GPU, TIER_0, add_nodes, remove_nodes

FIXTURES = Path(__file__).parents[2] / "fixtures"
COMMAND = [sys.executable, "-m", "scheduler"]
GROUPS = "/apis/scheduling.run.ai/v1/namespaces/{}/podgroups"
SETS = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/{}/leaderworkersets"
RECORDS = "/apis/coterie.dev/v1alpha1/namespaces/{}/placements"
EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"


class Scheduler:
    """`coterie run` as a process of its own, and what it logs."""

    def __init__(self, kubeconfig: Path, *arguments: str, config: Mapping[str, Any] | None = None, identity: str = "coterie-0") -> None:
        """Start it; its logs go to a file."""
        self._folder = tempfile.TemporaryDirectory(prefix="coterie-run-")
        folder = Path(self._folder.name)
        self._log = folder / "log"
        settings = {"leaderElection": {"leaseSeconds": 3, "renewSeconds": 0.5}, "http": {"host": "127.0.0.1", "port": 0}, **(config or {})}
        (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [*COMMAND, "run", f"--kubeconfig={kubeconfig}", f"--config={folder / 'config.yaml'}", *arguments]
        environment = {**os.environ, "POD_NAME": identity, "POD_NAMESPACE": "coterie-system"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged; every line must be JSON."""
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]

    def text(self) -> str:
        """Return its output as it is, for messages."""
        return self._log.read_text(encoding="utf-8")

    def until(self, message: str, *, seconds: float = 30) -> dict[str, Any]:
        """Wait for a line of the log that begins so, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines():
                if str(line["message"]).startswith(message):
                    return line
            if self._process.poll() is not None:
                raise AssertionError(f"coterie run ended with {self._process.returncode}: {self.text()}")
            time.sleep(0.02)
        raise AssertionError(f"no line {message!r} in {seconds} s: {self.text()[-4000:]}")

    def get(self, path: str, *, token: str = "") -> tuple[int, bytes]:
        """Ask its HTTP server; return status and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.until('serving on port')['port']}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own process
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def metric(self, name: str) -> float:
        """Return the value of one metric with its labels, as it is written; 0 where it is not there."""
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def wait(self, seconds: float = 30) -> int:
        """Wait until it ends by itself; return its exit status."""
        return self._process.wait(seconds)

    def terminate(self, *, seconds: float = 30) -> int:
        """Ask it to end, and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill it: nothing can be finished or cleaned up."""
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """End it, however it is."""
        if self._process.poll() is None:
            self.kill()
        self._folder.cleanup()


@contextlib.contextmanager
def running(kubeconfig: Path, *arguments: str, config: Mapping[str, Any] | None = None, identity: str = "coterie-0") -> Iterator[Scheduler]:
    """Run the scheduler; it leads when the block begins, and its log held no bug when the block ends."""
    scheduler = Scheduler(kubeconfig, *arguments, config=config, identity=identity)
    try:
        scheduler.until("leading")
        yield scheduler
        bugs = [line for line in scheduler.lines() if "traceback" in line]
        assert not bugs, bugs
    except BaseException:
        sys.stderr.write(scheduler.text()[-8000:])  # pytest shows it with the failure
        raise
    finally:
        scheduler.close()


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The nodes and pods that a fixture describes, made real."""

    admin: Admin
    nodes: list[str]
    pods: list[Object] = field(default_factory=list)

    def remove(self) -> None:
        """Take everything away, and all that was scheduled onto it, in an order in which nothing is made anew."""
        sweep(self.admin, self.nodes)
        for name in self.nodes:
            self.admin.delete(f"/api/v1/nodes/{name}", missing_ok=True)


def sweep(admin: Admin, nodes: Collection[str] = ()) -> None:
    """Delete every pod on these nodes and every pod of ours, wherever it is, and wait until they are gone."""

    def gone() -> bool:
        left = [each for each in admin.items("/api/v1/pods") if each["spec"].get("nodeName") in nodes or ours(each)]
        for each in left:
            remove_pod(admin, each)
        return not left

    for found in admin.items("/apis/leaderworkerset.x-k8s.io/v1/leaderworkersets"):
        admin.delete(f"{SETS.format(found['metadata']['namespace'])}/{found['metadata']['name']}", missing_ok=True)
    admin.wait(gone, 60, interval=0.2, what="the nodes are empty")


@contextlib.contextmanager
def alone(admin: Admin, wanted: Iterable[Object]) -> Iterator[list[str]]:
    """Have these nodes and no others while the block runs; what a test that failed has left behind is removed first. Gives their names."""
    others = [node["metadata"]["name"] for node in admin.items("/api/v1/nodes")]
    sweep(admin, others)
    remove_nodes(admin, others)
    names = add_nodes(admin, wanted)
    yield names
    sweep(admin, names)
    remove_nodes(admin, names)


def ours(obj: Object) -> bool:
    """Whether the pod is to be placed by the scheduler under test."""
    return bool(obj["spec"].get("schedulerName") == "coterie")


def build(admin: Admin, path: Path) -> Cluster:
    """Make the cluster of a fixture: KWOK plays its nodes, its pods run."""
    sweep(admin)  # pods that tests before left pending would take the new nodes first
    documents = [document.raw for document in read([path], snapshot=True)]
    nodes = [_played(raw) for raw in documents if raw["kind"] == "Node"]
    cluster = Cluster(admin=admin, nodes=add_nodes(admin, nodes, timeout=60), pods=[])
    for raw in documents:
        if raw["kind"] == "Pod":
            ensure_namespace(admin, raw["metadata"]["namespace"])
            cluster.pods.append(admin.create(f"/api/v1/namespaces/{raw['metadata']['namespace']}/pods", _complete(raw)))
    admin.wait(lambda: all(_phase(admin, pod) == "Running" for pod in cluster.pods), 60, what="the pods of the fixture run")
    return cluster


def ensure_namespace(admin: Admin, name: str) -> None:
    """Make a namespace if there is none, and wait until pods can be made in it."""
    with contextlib.suppress(ApiError):
        admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    admin.wait(lambda: admin.exists(f"/api/v1/namespaces/{name}/serviceaccounts/default"), what="the default ServiceAccount")


def remove_pod(admin: Admin, pod: Object) -> None:
    """Delete a pod at once."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    admin.delete(path, body={"gracePeriodSeconds": 0}, missing_ok=True)


def _played(raw: Object) -> Object:
    metadata = {**raw["metadata"], "annotations": {"kwok.x-k8s.io/node": "fake"}}
    return {**raw, "metadata": metadata, "status": {**raw["status"], "capacity": raw["status"]["allocatable"]}}


def _complete(raw: Object) -> Object:
    containers = [{"image": "registry.test/none", **container} for container in raw["spec"]["containers"]]
    return {**raw, "spec": {**raw["spec"], "containers": containers}}


def _phase(admin: Admin, pod: Object) -> str:
    metadata = pod["metadata"]
    return str(admin.get(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")["status"].get("phase"))


def pods(admin: Admin, namespace: str) -> dict[str, Object]:
    """Return the living pods of a namespace by name."""
    found = admin.items(f"/api/v1/namespaces/{namespace}/pods")
    return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}


def seats(admin: Admin, namespace: str) -> dict[str, str]:
    """Return the node of every living pod that has one."""
    return {name: pod["spec"]["nodeName"] for name, pod in pods(admin, namespace).items() if pod["spec"].get("nodeName")}


def bound(admin: Admin, namespace: str, count: int, *, seconds: float = 20) -> dict[str, str]:
    """Wait until so many pods of the namespace have a node, and return them; the referee looks at every node then."""
    admin.wait(lambda: len(seats(admin, namespace)) == count, seconds, what=f"{count} pods bound in {namespace}")
    referee(admin)
    return seats(admin, namespace)


def condition(obj: Object, kind: str) -> Object:
    """Return one condition of an object; empty where it has none."""
    found = [each for each in obj.get("status", {}).get("conditions") or [] if each["type"] == kind]
    return found[0] if found else {}


def referee(admin: Admin) -> None:
    """Count every node: what its pods request must fit (KWOK and the API server refuse nothing)."""
    assert over_committed(admin) == []


def over_committed(admin: Admin) -> list[str]:
    """Say which nodes have less than their pods request, and of what."""
    taken: dict[str, Resources] = {}
    for raw in admin.items("/api/v1/pods"):
        pod = wire.pod(raw, strict=False)
        if pod.node is not None and not pod.finished:
            taken[pod.node] = taken.get(pod.node, NOTHING) + pod.used
    nodes = [wire.node(raw, strict=False) for raw in admin.items("/api/v1/nodes")]
    return [
        f"node {node.name}: {amount} {name} taken, {node.allocatable.amount(name)} there"
        for node in nodes
        for name, amount in taken.get(node.name, NOTHING).items()
        if amount > node.allocatable.amount(name)
    ]


def events(admin: Admin, namespace: str, reason: str) -> list[Object]:
    """Return the events of one reason, oldest first."""
    found = [each for each in admin.items(EVENTS.format(namespace)) if each["reason"] == reason]
    return sorted(found, key=lambda each: str(each["eventTime"]))


def manifest(name: str) -> list[Object]:
    """Return the documents of a shipped manifest."""
    return list(yaml.safe_load_all((FIXTURES / "manifests" / name).read_text(encoding="utf-8")))


def apply(admin: Admin, objects: Sequence[Object], namespace: str) -> None:
    """Apply objects into a namespace."""
    for obj in objects:
        admin.apply({**obj, "metadata": {**obj["metadata"], "namespace": namespace}}, namespace=namespace)


def leader_worker_set(
    name: str, *, size: int, replicas: int = 1, gpus: int = 8, startup: str = "LeaderCreated", annotations: Mapping[str, str] | None = None
) -> Object:
    """Return a LeaderWorkerSet of equal pods of ours; annotations are those of its pods."""
    container = {"name": "main", "image": "registry.test/none", "resources": {"limits": {GPU: str(gpus)}}}
    template = {"metadata": {"annotations": dict(annotations or {})}, "spec": {"schedulerName": "coterie", "containers": [container]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "startupPolicy": startup,
            "leaderWorkerTemplate": {"size": size, "leaderTemplate": template, "workerTemplate": template},
        },
    }


def pod_group(name: str, *, least: int, **spec: Any) -> Object:
    """Return a PodGroup."""
    return {
        "apiVersion": "scheduling.run.ai/v1",
        "kind": "PodGroup",
        "metadata": {"name": name},
        "spec": {"minMember": least, **spec},
    }


def pod(name: str, *, gpus: int = 8, group: str = "", selector: Mapping[str, str] | None = None) -> Object:
    """Return a pod of ours."""
    container = {"name": "main", "image": "registry.test/none", "resources": {"limits": {GPU: str(gpus)}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"coterie.dev/pod-group": group} if group else {}},
        "spec": {"schedulerName": "coterie", "containers": [container], "nodeSelector": dict(selector or {})},
    }


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action took."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def rack_of(admin: Admin, node: str) -> str:
    """Return the rack of a node."""
    return str(admin.get(f"/api/v1/nodes/{node}")["metadata"]["labels"][TIER_0])
