"""What `coterie run` tells people, and what it does with what it cannot place, may not read, or was not asked to serve."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.stack import ControlPlane
from tests.live.running import (
    COMMAND,
    GROUPS,
    Scheduler,
    apply,
    bound,
    condition,
    events,
    pod,
    pod_group,
    pods,
    seats,
)

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("cluster")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

POLICIES = "/apis/scheduling.run.ai/v1/namespaces/{}/topologypolicies"


def said(admin: Admin, namespace: str, name: str) -> Object:
    """Wait until a pod is told why it has no node."""
    admin.wait(lambda: condition(pods(admin, namespace)[name], "PodScheduled"), 20, what=f"{name} is told something")
    return condition(pods(admin, namespace)[name], "PodScheduled")


def status(admin: Admin, path: str, kind: str, expected: str) -> Object:
    """Wait until a condition of an object has this status."""
    admin.wait(lambda: condition(admin.get(path), kind).get("status") == expected, 20, what=f"{path} {kind} {expected}")
    return condition(admin.get(path), kind)


@pytest.mark.usefixtures("scheduler")
def test_a_pod_group_that_nobody_joined_says_how_to_join(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [pod_group("lonely", least=2)], namespace)
    told = status(admin, GROUPS.format(namespace) + "/lonely", "Joined", "False")
    assert told["reason"] == "NobodyJoined"
    assert "coterie.dev/pod-group: lonely" in told["message"]


@pytest.mark.usefixtures("scheduler")
def test_pods_wait_for_their_pod_group_and_are_bound_together_when_it_comes(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    apply(admin, [pod(f"early-{number}", gpus=1, group="soon") for number in range(2)], namespace)
    told = said(admin, namespace, "early-0")
    assert (told["status"], told["reason"]) == ("False", "PodGroupMissing")
    assert "soon" in told["message"]
    assert seats(admin, namespace) == {}
    apply(admin, [pod_group("soon", least=2)], namespace)
    bound(admin, namespace, 2)
    assert condition(pods(admin, namespace)["early-0"], "PodScheduled")["status"] == "True"


@pytest.mark.usefixtures("scheduler")
def test_what_is_not_checked_yet_leaves_the_pod_pending_and_is_named(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    odd = pod("odd", gpus=1)
    odd["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "none"}}]
    apply(admin, [odd], namespace)
    told = said(admin, namespace, "odd")
    assert told["reason"] == "NotChecked"
    assert "spec.volumes[0]" in told["message"]
    assert admin.wait(lambda: events(admin, namespace, "FailedScheduling"), what="the event")


@pytest.mark.usefixtures("scheduler")
def test_a_gang_that_waits_too_long_is_told_so_and_bound_when_the_cluster_changes(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    rows = [
        pod_group("slow", least=2, scheduleTimeoutSeconds=2),
        *(pod(f"slow-{n}", gpus=8, group="slow", selector={"mark": "new"}) for n in range(2)),
    ]
    apply(admin, rows, namespace)
    path = GROUPS.format(namespace) + "/slow"
    admin.wait(lambda: admin.get(path).get("status", {}).get("phase") == "TimedOut", 20)
    told = condition(admin.get(path), "Scheduled")
    assert (told["status"], told["reason"]) == ("False", "ScheduleTimeout")
    assert "2 seconds" in told["message"]
    assert len(admin.wait(lambda: events(admin, namespace, "ScheduleTimeout"))) == 1
    for node in ("h100-b2-1", "h100-b2-4"):
        admin.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"mark": "new"}}})
    assert set(bound(admin, namespace, 2).values()) == {"h100-b2-1", "h100-b2-4"}
    admin.wait(lambda: admin.get(path).get("status", {}).get("phase") == "Running")


@pytest.mark.usefixtures("scheduler")
def test_two_default_policies_are_told_on_both(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    for name in ("first", "second"):
        policy = {"apiVersion": "scheduling.run.ai/v1", "kind": "TopologyPolicy", "metadata": {"name": name}}
        apply(admin, [{**policy, "spec": {"preferredTopology": [{"topologyKey": "kubernetes.io/hostname", "weight": 5}]}}], namespace)
    for name in ("first", "second"):
        told = status(admin, f"{POLICIES.format(namespace)}/{name}", "Consistent", "False")
        assert told["reason"] == "SeveralDefaults"
        assert "first, second" in told["message"]


def test_a_snapshot_is_for_those_who_may_get_it(control_plane: ControlPlane, namespace: str, scheduler: Scheduler) -> None:
    admin = control_plane.admin
    assert scheduler.get("/snapshot")[0] == 401
    assert scheduler.get("/snapshot", token="nobody")[0] == 401  # noqa: S106 - a token that nobody has
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", request)["status"]["token"]
    code, body = scheduler.get("/snapshot", token=token)
    assert code == 403
    assert f"system:serviceaccount:{namespace}:default" in json.loads(body)["message"]
    code, body = scheduler.get("/snapshot", token=control_plane.admin_token)
    assert code == 200
    kinds = {item["kind"] for item in json.loads(body)["items"]}
    assert {"Node", "Pod"} <= kinds


def test_probes_and_metrics_are_for_everybody(scheduler: Scheduler) -> None:
    assert scheduler.get("/healthz") == (200, b"ok\n")
    assert scheduler.get("/readyz") == (200, b"ok\n")
    assert scheduler.metric("coterie_leader") == 1
    assert 0 < scheduler.metric('coterie_watch_age_seconds{kind="pods"}') < 120


def coterie(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/usr/bin", **environment})


@pytest.mark.usefixtures("scheduler")
def test_a_gang_is_explained_from_the_live_cluster_and_from_its_snapshot(
    control_plane: ControlPlane, namespace: str, kubeconfig: Path, tmp_path: Path
) -> None:
    admin = control_plane.admin
    apply(admin, [pod_group("pair", least=2), *(pod(f"pair-{number}", gpus=1, group="pair") for number in range(2))], namespace)
    found = bound(admin, namespace, 2)
    apply(admin, [pod("huge", gpus=9)], namespace)
    said(admin, namespace, "huge")
    done = coterie("explain", "pair", "-n", namespace, f"--kubeconfig={kubeconfig}", "-o", "json")
    assert done.returncode == 0, done.stderr
    (gang,) = json.loads(done.stdout)["gangs"]
    assert {member["pod"]: member["node"] for member in gang["members"]} == found
    assert any(row["object"].startswith("Placement/pair-") and "2 of 2 members bound" in row["message"] for row in gang["advice"])
    refused = coterie("explain", "huge", "-n", namespace, f"--kubeconfig={kubeconfig}")
    assert refused.returncode == 3, refused.stderr
    assert condition(pods(admin, namespace)["huge"], "PodScheduled")["message"] in refused.stdout
    file = tmp_path / "cluster.json.gz"
    taken = coterie("snapshot", "-o", str(file), f"--kubeconfig={kubeconfig}")
    assert taken.returncode == 0, taken.stderr
    again = coterie("explain", "pair", "-n", namespace, f"--cluster={file}", "-o", "json")
    assert json.loads(again.stdout)["gangs"][0]["members"] == gang["members"]
    absent = coterie("explain", "pear", "-n", namespace, f"--cluster={file}")
    assert absent.returncode == 2
    assert "pair" in absent.stderr


def test_without_a_kubeconfig_it_says_what_was_looked_for(tmp_path: Path) -> None:
    done = coterie("run", HOME=str(tmp_path))
    assert done.returncode == 2
    assert "There is no kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(kubeconfig: Path, scheduler: Scheduler) -> None:
    port = scheduler.until("serving on port")["port"]
    done = coterie("run", f"--kubeconfig={kubeconfig}", f"--port={port}")
    assert done.returncode == 2
    assert "http.port" in done.stderr


def test_an_account_without_rights_is_not_ready_and_says_why_and_lives_on(control_plane: ControlPlane, namespace: str) -> None:
    scheduler = Scheduler(control_plane.kubeconfig_for_service_account(namespace, "default"))
    try:
        scheduler.until("watch of nodes failed")
        code, body = scheduler.get("/readyz")
        assert code == 503
        assert "nodes" in body.decode()
        assert "forbidden" in body.decode()
        assert scheduler.get("/healthz")[0] == 200
        assert scheduler.terminate() == 0
    finally:
        scheduler.close()
