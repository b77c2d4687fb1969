"""The queue of `coterie run`: a large gang is not starved by small ones behind it, and these get what it does not need."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.admin import Admin
from tests.controlplane.nodes import TIER_0, gpu_node
from tests.controlplane.stack import ControlPlane
from tests.live.running import GROUPS, alone, apply, condition, pod, pod_group, pods, remove_pod, running, seats

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    with alone(control_plane.admin, [gpu_node(f"queue-{number}", labels={TIER_0: "queue"}) for number in range(3)]) as names:
        yield names


def message(admin: Admin, namespace: str, name: str) -> str:
    """Return what a pending pod is told."""
    return str(condition(pods(admin, namespace).get(name, {}), "PodScheduled").get("message", ""))


@pytest.mark.usefixtures("nodes")
def test_small_gangs_pass_a_large_one_only_where_they_do_not_delay_it(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    """Three nodes of eight GPUs; the large gang needs two of them whole, and finds four GPUs taken on each."""
    admin = control_plane.admin
    path = f"/api/v1/namespaces/{namespace}/pods"
    first = [pod(f"first-{number}", gpus=5) for number in range(3)]
    with running(kubeconfig, config={"queue": {"reserveAfterSeconds": 0.5}}) as scheduler:
        apply(admin, first, namespace)
        admin.wait(lambda: len(seats(admin, namespace)) == 3, 20, what="one pod runs on each node")
        where = {node: name for name, node in seats(admin, namespace).items()}
        time.sleep(1.1)  # the server counts a pod's age in seconds
        apply(admin, [pod_group("large", least=2), *(pod(f"large-{number}", group="large") for number in range(2))], namespace)
        admin.wait(lambda: "Room is reserved for it on" in message(admin, namespace, "large-0"), 20, what="the large gang has a reservation")
        assert scheduler.metric("coterie_reservations") == 1
        told = message(admin, namespace, "large-0")
        (outside,) = [node for node in where if node not in told]
        time.sleep(1.1)
        for number in range(2):
            admin.create(path, pod(f"small-{number}", gpus=3))
        admin.wait(lambda: "reserved for gang" in message(admin, namespace, "small-1") + message(admin, namespace, "small-0"), 20)
        small = {name: node for name, node in seats(admin, namespace).items() if name.startswith("small")}
        assert list(small.values()) == [outside]
        for node, name in where.items():
            if node != outside:
                remove_pod(admin, pods(admin, namespace)[name])
        admin.wait(lambda: {"large-0", "large-1"} <= seats(admin, namespace).keys(), 20, what="the large gang is bound")
        assert outside not in [node for name, node in seats(admin, namespace).items() if name.startswith("large")]
        admin.wait(lambda: admin.get(f"{GROUPS.format(namespace)}/large").get("status", {}).get("phase") == "Running", 20)
        assert scheduler.metric("coterie_reservations") == 0
