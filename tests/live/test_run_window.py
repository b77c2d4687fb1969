"""`coterie run` with gangs that wait together: they are placed as the dry run places them, one making room for the other."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import plan
from scheduler.kube.follow.dump import dump_cluster
from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import TIER_0, TIER_1, ZONE, gpu_node
from tests.controlplane.stack import ControlPlane
from tests.live.running import GROUPS, alone, apply, bound, pod, pod_group, rack_of, running

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

RACKS = {"full": 3, "left": 2, "right": 2}
"""Nodes of each rack: only one rack holds three pods that need a node each."""


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    made = [
        gpu_node(f"window-{rack}-{number}", labels={ZONE: "zone-a", TIER_1: "window", TIER_0: f"window-{rack}"})
        for rack, count in RACKS.items()
        for number in range(count)
    ]
    with alone(control_plane.admin, made) as names:
        yield names


def trio(name: str, **spec: object) -> list[Object]:
    return [pod_group(name, least=3, **spec), *(pod(f"{name}-{number}", group=name) for number in range(3))]


def racks_of(admin: Admin, seats: dict[str, str], gang: str) -> set[str]:
    return {rack_of(admin, node) for name, node in seats.items() if name.startswith(gang)}


@pytest.mark.usefixtures("nodes")
def test_the_first_of_two_gangs_leaves_the_only_rack_that_the_second_can_use_and_its_status_tells_the_cost(
    control_plane: ControlPlane, namespace: str, kubeconfig: Path
) -> None:
    admin = control_plane.admin
    first, second = trio("first"), trio("second", requiredTopology=TIER_0)
    cluster = dump_cluster(kubeconfig)
    (alone,) = plan(first, cluster=cluster, namespace=namespace).gangs
    assert {member.node for member in alone.members} == {f"window-full-{number}" for number in range(3)}
    assert alone.cost is not None
    said = plan([*first, *second], cluster=cluster, namespace=namespace)
    assert [gang.status for gang in said.gangs] == ["OPTIMAL", "OPTIMAL"]
    apply(admin, first, namespace)
    time.sleep(1.1)  # the server counts a pod's age in seconds
    apply(admin, second, namespace)
    with running(kubeconfig) as scheduler:
        seats = bound(admin, namespace, 6)
        assert seats == {member.pod: member.node for gang in said.gangs for member in gang.members}
        assert (racks_of(admin, seats, "first"), racks_of(admin, seats, "second")) == ({"window-left", "window-right"}, {"window-full"})
        path = GROUPS.format(namespace)
        admin.wait(lambda: all(admin.get(f"{path}/{gang.name}").get("status", {}).get("phase") == "Running" for gang in said.gangs), 20)
        told = {gang.name: admin.get(f"{path}/{gang.name}")["status"] for gang in said.gangs}
        assert {name: (status["cost"], status["proof"]) for name, status in told.items()} == {
            gang.name: (gang.cost, "OPTIMAL") for gang in said.gangs
        }
        assert told["first"]["cost"] > alone.cost
        assert [line["window"] for line in scheduler.lines() if line.get("status") == "OPTIMAL"] == [2, 2]
