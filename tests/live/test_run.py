"""The main test: the seed's manifests, applied to a real API server, are bound by `coterie run` as the dry run said beforehand."""

from collections import Counter
from pathlib import Path

import pytest

from scheduler import plan
from scheduler.kube.follow.dump import dump_cluster
from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import TIER_0
from tests.controlplane.stack import ControlPlane
from tests.live.running import (
    GROUPS,
    RECORDS,
    SETS,
    Cluster,
    Scheduler,
    apply,
    bound,
    condition,
    ensure_namespace,
    events,
    leader_worker_set,
    manifest,
    pod_group,
    pods,
    rack_of,
    remove_pod,
    seats,
    timed,
)

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("cluster", "scheduler")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

SEED = "ai-inference"
GROUP = GROUPS.format(SEED) + "/deepseek-r1-gang"


def group_status(admin: Admin, path: str, phase: str) -> Object:
    """Wait until a PodGroup is in a phase; return its status."""
    admin.wait(lambda: admin.get(path).get("status", {}).get("phase") == phase, 20, what=f"{path} {phase}")
    status: Object = admin.get(path)["status"]
    return status


def test_the_seed_is_bound_as_the_dry_run_said_and_bound_anew_after_its_leader_was_deleted(control_plane: ControlPlane, kubeconfig: Path) -> None:
    admin = control_plane.admin
    ensure_namespace(admin, SEED)
    objects = manifest("deepseek-r1.yaml")
    said = plan(objects, cluster=dump_cluster(kubeconfig), namespace=SEED)
    (gang,) = said.gangs
    apply(admin, objects, SEED)
    assert bound(admin, SEED, 2) == {member.pod: member.node for member in gang.members}
    zones = {admin.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in seats(admin, SEED).values()}
    assert zones == {"zone-b"}
    path = SETS.format(SEED) + "/deepseek-r1"
    admin.wait(lambda: condition(admin.get(path), "Available").get("status") == "True", what="the LeaderWorkerSet is available")
    assert {pod["status"]["phase"] for pod in pods(admin, SEED).values()} == {"Running"}
    status = group_status(admin, GROUP, "Running")
    assert {key: status[key] for key in ("desired", "scheduled", "running", "cost", "proof")} == {
        "desired": 2,
        "scheduled": 2,
        "running": 2,
        "cost": gang.cost,
        "proof": gang.status,
    }
    assert condition({"status": status}, "Scheduled")["status"] == "True"

    before = {name: pod["metadata"]["uid"] for name, pod in pods(admin, SEED).items()}
    admin.delete(f"/api/v1/namespaces/{SEED}/pods/deepseek-r1-0")
    admin.wait(lambda: all(pods(admin, SEED).get(name, {"metadata": {"uid": uid}})["metadata"]["uid"] != uid for name, uid in before.items()), 20)
    again = bound(admin, SEED, 2)
    assert again == {member.pod: member.node for member in gang.members}
    assert group_status(admin, GROUP, "Running")["scheduled"] == 2
    admin.wait(lambda: len(admin.items(RECORDS.format(SEED))) == 1, 20, what="the former group's record is gone")
    admin.delete(path)
    admin.wait(lambda: not pods(admin, SEED), 20)
    admin.wait(lambda: not admin.items(RECORDS.format(SEED)), 20, what="no record is left")


def test_eight_groups_of_four_each_lie_in_one_rack(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    required = {"coterie.dev/required-topology": TIER_0}
    objects = [leader_worker_set("racks", size=4, replicas=8, gpus=2, annotations=required)]
    said = plan(objects, cluster=dump_cluster(kubeconfig), namespace=namespace)
    assert {gang.status for gang in said.gangs} == {"OPTIMAL"}
    apply(admin, objects, namespace)
    found = bound(admin, namespace, 32, seconds=40)
    racks = {group: {rack_of(admin, node) for name, node in found.items() if name == group or name.startswith(f"{group}-")} for group in groups(8)}
    assert all(len(each) == 1 for each in racks.values()), racks
    names = {record["spec"]["gang"]["name"] for record in admin.items(RECORDS.format(namespace))}
    assert names == set(groups(8))


def groups(count: int) -> list[str]:
    return [f"racks-{number}" for number in range(count)]


def test_a_gang_that_does_not_fit_is_not_bound_at_all_until_a_pod_makes_room(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, kubeconfig: Path, scheduler: Scheduler
) -> None:
    admin = control_plane.admin
    # Four whole nodes are free: three in zone-b are taken first, so that one is left for a gang of two.
    apply(admin, [leader_worker_set("filler", size=3)], namespace)
    bound(admin, namespace, 3)
    group = pod_group("tight", least=2)
    objects = [group, leader_worker_set("tight", size=2, annotations={})]
    for template in ("leaderTemplate", "workerTemplate"):
        objects[1]["spec"]["leaderWorkerTemplate"][template] = labelled(objects[1]["spec"]["leaderWorkerTemplate"][template], "tight")
    said = plan(objects, cluster=dump_cluster(kubeconfig), namespace=namespace)
    (refused,) = said.gangs
    assert refused.status == "INFEASIBLE"
    assert refused.unplaced is not None
    apply(admin, objects, namespace)
    status = group_status(admin, GROUPS.format(namespace) + "/tight", "Unschedulable")
    admin.wait(lambda: all(condition(pod, "PodScheduled") for name, pod in pods(admin, namespace).items() if name.startswith("tight")), 10)
    waiting = {name: pod for name, pod in pods(admin, namespace).items() if name.startswith("tight")}
    assert len(waiting) == 2
    assert not any(pod["spec"].get("nodeName") for pod in waiting.values())
    for name in waiting:
        told = condition(pods(admin, namespace)[name], "PodScheduled")
        assert (told["status"], told["reason"], told["message"]) == ("False", "Unschedulable", refused.unplaced.message)
    assert any(character.isdigit() for character in refused.unplaced.message)
    assert (status["proof"], status["scheduled"], "cost" in status) == ("INFEASIBLE", 0, False)
    notes = [event["note"] for event in admin.wait(lambda: events(admin, namespace, "FailedScheduling"))]
    assert all(refused.unplaced.message in note for note in notes)

    remove_pod(admin, whole_node(cluster))
    took = timed(lambda: bound(admin, namespace, 5))
    assert took < 2
    assert group_status(admin, GROUPS.format(namespace) + "/tight", "Running")["proof"] == "OPTIMAL"
    assert scheduler.metric('coterie_decisions_total{status="INFEASIBLE"}') >= 1


def labelled(template: Object, group: str) -> Object:
    metadata = {**template["metadata"], "labels": {"coterie.dev/pod-group": group}}
    return {**template, "metadata": metadata}


def whole_node(cluster: Cluster) -> Object:
    """Return a pod of the fixture that has a whole node for itself."""
    alone = Counter(pod["spec"]["nodeName"] for pod in cluster.pods)
    return next(
        pod
        for pod in cluster.pods
        if alone[pod["spec"]["nodeName"]] == 1 and pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    )
