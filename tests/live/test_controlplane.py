"""What the other live tests take for granted about the control plane under them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.admin import Admin, ApiError
from tests.controlplane.config import HOLD
from tests.controlplane.nodes import GPU, TIER_0, add_nodes, racks, remove_nodes

pytestmark = pytest.mark.live

SCHEDULER = "by-hand"


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=2, prefix="cp"))
    yield names
    remove_nodes(control_plane.admin, names)


def test_every_program_runs_and_the_gang_apis_are_served(control_plane: ControlPlane) -> None:
    assert list(control_plane.pids) == ["etcd", "kube-apiserver", "kube-controller-manager", "lws", "kwok"]
    served = {each["kind"] for each in control_plane.admin.get("/apis/scheduling.k8s.io/v1alpha2")["resources"]}
    assert {"PodGroup", "Workload"} <= served


def test_a_leader_worker_set_becomes_available_when_its_pods_are_bound(control_plane: ControlPlane, namespace: str, nodes: list[str]) -> None:
    admin = control_plane.admin
    admin.apply(leader_worker_set("llm", size=2), namespace=namespace)
    pods = pending_pods(admin, namespace, count=2)
    assert [pod["metadata"]["name"] for pod in pods] == ["llm-0", "llm-0-1"]
    assert [pod["metadata"]["labels"]["leaderworkerset.sigs.k8s.io/worker-index"] for pod in pods] == ["0", "1"]
    for pod, node in zip(pods, nodes, strict=True):
        bind(admin, pod, node)
    path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{namespace}/leaderworkersets/llm"
    admin.wait(lambda: condition(admin.get(path), "Available") == "True", what="LeaderWorkerSet available")
    assert {pod["status"]["phase"] for pod in pods_of(admin, namespace)} == {"Running"}


def test_the_webhook_refuses_a_group_of_size_zero(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match="size"):
        control_plane.admin.apply(leader_worker_set("none", size=0), namespace=namespace)


def test_a_held_pod_stays_pending_until_it_is_let_go(control_plane: ControlPlane, namespace: str, nodes: list[str]) -> None:
    admin = control_plane.admin
    held, free = (create_pod(admin, namespace, name, annotations) for name, annotations in (("held", {HOLD: "yes"}), ("free", {})))
    for pod in (held, free):
        bind(admin, pod, nodes[0])
    admin.wait(lambda: phase(admin, free) == "Running")
    assert phase(admin, held) == "Pending"
    admin.patch(path_of(held), {"metadata": {"annotations": {HOLD: None}}})
    admin.wait(lambda: phase(admin, held) == "Running")


def test_pods_start_on_old_and_new_nodes_after_kwok_was_restarted(control_plane: ControlPlane, namespace: str, nodes: list[str]) -> None:
    admin = control_plane.admin
    control_plane.restart_kwok()
    new = add_nodes(admin, racks(racks=1, nodes=1, prefix="later"))
    pods = [create_pod(admin, namespace, f"on-{node}") for node in (nodes[0], *new)]
    for pod, node in zip(pods, (nodes[0], *new), strict=True):
        bind(admin, pod, node)
    admin.wait(lambda: all(phase(admin, pod) == "Running" for pod in pods))
    remove_nodes(admin, new)


def test_the_default_scheduler_places_pods_only_while_it_runs(control_plane: ControlPlane, namespace: str, nodes: list[str]) -> None:
    admin = control_plane.admin
    pod = create_pod(admin, namespace, "plain", scheduler="default-scheduler")
    control_plane.start_kube_scheduler()
    admin.wait(lambda: phase(admin, pod) == "Running", timeout=20)
    control_plane.stop_kube_scheduler()
    assert "kube-scheduler" not in control_plane.pids
    assert admin.get(path_of(pod))["spec"]["nodeName"] in nodes


def test_a_service_account_has_its_own_rights_and_no_more(control_plane: ControlPlane, namespace: str) -> None:
    config = json.loads(control_plane.kubeconfig_for_service_account(namespace, "default").read_text())
    client = Admin(control_plane.url, control_plane.ca_file, config["users"][0]["user"]["token"])
    with pytest.raises(ApiError, match=f"system:serviceaccount:{namespace}:default") as refusal:
        client.get("/api/v1/nodes")
    client.close()
    assert refusal.value.status == 403


def test_the_audit_log_tells_the_order_of_the_binds(control_plane: ControlPlane, namespace: str, nodes: list[str]) -> None:
    admin = control_plane.admin
    for name in ("first", "second"):
        bind(admin, create_pod(admin, namespace, name), nodes[0])
    events = map(json.loads, control_plane.audit_log.read_text().splitlines())
    references = [event["objectRef"] for event in events if event["objectRef"].get("namespace") == namespace]
    bound = [reference["name"] for reference in references if reference.get("subresource") == "binding"]
    assert bound == ["first", "second"]


def test_a_watch_yields_raw_lines_and_can_be_left(control_plane: ControlPlane, namespace: str) -> None:
    create_pod(control_plane.admin, namespace, "seen")
    stream = control_plane.admin.watch(f"/api/v1/namespaces/{namespace}/pods", timeout=5)
    event = json.loads(next(stream))
    stream.close()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "seen")


def test_kubectl_of_the_same_version_sees_the_racks(control_plane: ControlPlane, nodes: list[str]) -> None:
    command = [str(control_plane.kubectl), "--kubeconfig", str(control_plane.kubeconfig), "get", "nodes", "-L", TIER_0, "--no-headers"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()
    assert [line.split()[0] for line in lines] == nodes
    assert all(line.endswith("cp-rack-1") and "v1.36" not in line for line in lines)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
def test_nothing_is_left_however_the_end_comes(end: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.controlplane", "up", "--racks", "1", "--nodes", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as person:
        try:
            assert person.stdout is not None
            kubeconfig = next(line.split("=", 1)[1].strip() for line in person.stdout if line.startswith("export KUBECONFIG="))
            folder = Path(kubeconfig).parent
            started = processes_that_mention(folder)
            person.send_signal(end)
            person.wait(timeout=30)
        finally:
            person.kill()  # where it did not end, the test fails instead of waiting for ever
    assert len(started) >= 5
    deadline = Admin("", "", "")  # only for its patience
    deadline.wait(lambda: not processes_that_mention(folder) and not folder.exists(), timeout=10, what="everything gone")


def leader_worker_set(name: str, *, size: int) -> dict[str, Any]:
    template = {"spec": pod_spec(SCHEDULER)}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": size, "leaderTemplate": template, "workerTemplate": template}},
    }


def pod_spec(scheduler: str) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "resources": {"limits": {GPU: "1"}}}
    return {"schedulerName": scheduler, "containers": [container], "terminationGracePeriodSeconds": 0}


def create_pod(admin: Admin, namespace: str, name: str, annotations: dict[str, str] | None = None, *, scheduler: str = SCHEDULER) -> dict[str, Any]:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations or {}}, "spec": pod_spec(scheduler)}
    return admin.create(f"/api/v1/namespaces/{namespace}/pods", pod)


def bind(admin: Admin, pod: dict[str, Any], node: str) -> None:
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}, "target": target}
    admin.create(f"{path_of(pod)}/binding", binding)


def pods_of(admin: Admin, namespace: str) -> list[dict[str, Any]]:
    return sorted(admin.items(f"/api/v1/namespaces/{namespace}/pods"), key=lambda pod: str(pod["metadata"]["name"]))


def pending_pods(admin: Admin, namespace: str, *, count: int) -> list[dict[str, Any]]:
    admin.wait(lambda: len(pods_of(admin, namespace)) == count, what=f"{count} pods")
    pods = pods_of(admin, namespace)
    assert {pod["status"]["phase"] for pod in pods} == {"Pending"}
    return pods


def path_of(pod: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def phase(admin: Admin, pod: dict[str, Any]) -> str:
    return str(admin.get(path_of(pod))["status"]["phase"])


def condition(obj: dict[str, Any], kind: str) -> str | None:
    return next((each["status"] for each in obj.get("status", {}).get("conditions", []) if each["type"] == kind), None)


def processes_that_mention(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mentions = os.fsencode(folder) in (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if mentions:
            found.append(int(process.name))
    return found
