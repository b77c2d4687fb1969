"""`coterie run` that is killed, stopped, followed by another, and cut off from the API server: nothing is lost and nothing is placed twice."""

from pathlib import Path

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.stack import ControlPlane
from tests.live.running import (
    RECORDS,
    Scheduler,
    apply,
    bound,
    leader_worker_set,
    manifest,
    pod,
    pod_group,
    pods,
    running,
    seats,
)

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("cluster")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

LEASE = "/apis/coordination.k8s.io/v1/namespaces/coterie-system/leases/coterie"


def gang(name: str, size: int, *, gpus: int = 1) -> list[Object]:
    return [pod_group(name, least=size), *(pod(f"{name}-{number}", gpus=gpus, group=name) for number in range(size))]


def test_a_group_that_is_made_anew_while_no_scheduler_runs_is_bound_by_the_next_one(
    control_plane: ControlPlane, namespace: str, kubeconfig: Path
) -> None:
    admin = control_plane.admin
    with running(kubeconfig) as first:
        apply(admin, manifest("deepseek-r1.yaml"), namespace)
        before = bound(admin, namespace, 2)
        first.kill()
        uid = pods(admin, namespace)["deepseek-r1-0"]["metadata"]["uid"]
        admin.delete(f"/api/v1/namespaces/{namespace}/pods/deepseek-r1-0")
        admin.wait(lambda: len(pods(admin, namespace)) == 2 and pods(admin, namespace)["deepseek-r1-0"]["metadata"]["uid"] != uid, 20)
        assert seats(admin, namespace) == {}
    with running(kubeconfig):
        assert bound(admin, namespace, 2) == before


def test_what_a_killed_scheduler_committed_is_bound_as_its_record_says(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    with running(kubeconfig) as first:
        apply(admin, gang("train", 24), namespace)
        admin.wait(lambda: admin.items(RECORDS.format(namespace)), 20, interval=0.002)
        first.kill()
    (record,) = admin.items(RECORDS.format(namespace))
    said = {member["pod"]: member["node"] for member in record["spec"]["members"]}
    with running(kubeconfig):
        assert bound(admin, namespace, 24) == said
        admin.wait(lambda: admin.items(RECORDS.format(namespace))[0].get("status", {}).get("phase") == "Bound", what="the record is settled")
    (after,) = admin.items(RECORDS.format(namespace))
    assert after["spec"]["members"] == record["spec"]["members"]


def test_a_stopped_scheduler_ends_well_and_gives_its_lease_back(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    with running(kubeconfig) as scheduler:
        apply(admin, gang("last", 4), namespace)
        bound(admin, namespace, 4)
        assert scheduler.terminate() == 0
        assert scheduler.lines()[-1]["message"] == "stopped"
    assert admin.get(LEASE)["spec"].get("holderIdentity") in (None, "")


def test_a_second_replica_waits_and_takes_over_when_the_first_one_dies(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    with running(kubeconfig) as first:
        second = Scheduler(kubeconfig, identity="coterie-1")
        try:
            second.until("synced")
            admin.wait(lambda: second.get("/readyz")[0] == 200, what="a follower is ready")
            apply(admin, gang("one", 2), namespace)
            bound(admin, namespace, 2)
            assert [line["message"] for line in second.lines() if line["message"] == "leading"] == []
            first.kill()
            apply(admin, gang("two", 2), namespace)
            second.until("leading", seconds=30)
            bound(admin, namespace, 4)
            assert second.metric("coterie_leader") == 1
        finally:
            second.close()


def test_the_scheduler_survives_an_api_server_that_goes_and_comes_back(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    with running(kubeconfig) as scheduler:
        control_plane.stop_api_server()
        assert scheduler.get("/healthz")[0] == 200
        control_plane.start_api_server()
        apply(admin, gang("after", 3), namespace)
        bound(admin, namespace, 3, seconds=60)
        assert scheduler.get("/healthz")[0] == 200


def test_leader_ready_binds_the_leader_alone_and_holds_the_seats_of_its_workers(
    control_plane: ControlPlane, namespace: str, kubeconfig: Path
) -> None:
    admin = control_plane.admin
    with running(kubeconfig):
        held = {"coterie.test/hold": "yes"}
        ready = leader_worker_set("late", size=3, startup="LeaderReady")
        ready["spec"]["leaderWorkerTemplate"]["leaderTemplate"]["metadata"]["annotations"] = held  # KWOK then leaves the leader Pending
        apply(admin, [ready], namespace)
        bound(admin, namespace, 1)
        (record,) = admin.items(RECORDS.format(namespace))
        promised = {member["pod"]: member["node"] for member in record["spec"]["members"]}
        assert sorted(promised) == ["late-0", "late-0-1", "late-0-2"]
        # One whole node is left, so a gang of two must not get the promised ones.
        apply(admin, gang("greedy", 2, gpus=8), namespace)
        admin.wait(lambda: told(admin, namespace, "greedy-0") == "Unschedulable", 20, what="greedy is refused")
        admin.patch(f"/api/v1/namespaces/{namespace}/pods/late-0", {"metadata": {"annotations": {"coterie.test/hold": None}}})
        assert bound(admin, namespace, 3) == promised


def told(admin: Admin, namespace: str, name: str) -> str:
    conditions = pods(admin, namespace)[name]["status"].get("conditions") or []
    return next((str(each["reason"]) for each in conditions if each["type"] == "PodScheduled"), "")
