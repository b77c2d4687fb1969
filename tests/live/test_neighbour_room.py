"""What counts as taken on a node: every pod, whoever bound it, also while it goes away; not what has ended; and room that others make for theirs."""

from collections.abc import Iterator

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.neighbours import theirs
from tests.live.running import apply, condition, over_committed, pod, pods, remove_pod, seats, sweep

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("nodes", "scheduler", "neighbour")]
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

FINALIZER = "coterie.test/stays"


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Return one node with 8 GPUs."""
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=1, prefix="counted"))
    yield names
    remove_nodes(control_plane.admin, names)


@pytest.fixture(autouse=True)
def empty(control_plane: ControlPlane, nodes: list[str]) -> Iterator[None]:
    """Leave the node empty."""
    yield
    for each in control_plane.admin.items("/api/v1/pods"):
        if FINALIZER in each["metadata"].get("finalizers", ()):
            let_go(control_plane.admin, each)
    sweep(control_plane.admin, nodes)


@pytest.fixture(scope="module")
def neighbour(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.start_kube_scheduler()
    yield
    control_plane.stop_kube_scheduler()


def path(obj: Object) -> str:
    return f"/api/v1/namespaces/{obj['metadata']['namespace']}/pods/{obj['metadata']['name']}"


def let_go(admin: Admin, obj: Object) -> None:
    """Take the finalizer off a pod."""
    admin.patch(path(obj), {"metadata": {"finalizers": None}})


def held_up(admin: Admin, namespace: str, name: str) -> Object:
    """Make a pod of the default scheduler that takes the whole node, and stays for a while when it is deleted."""
    made = theirs(name, gpus=8)
    made["metadata"]["finalizers"] = [FINALIZER]
    stored = admin.create(f"/api/v1/namespaces/{namespace}/pods", made)
    admin.wait(lambda: name in seats(admin, namespace), 20, what=f"{name} is bound")
    return stored


def refused(admin: Admin, namespace: str, name: str) -> None:
    admin.wait(lambda: condition(pods(admin, namespace)[name], "PodScheduled").get("reason") == "Unschedulable", 20, what=f"{name} has no room")


def test_a_pod_of_another_scheduler_that_goes_away_counts_until_it_is_gone(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    other = held_up(admin, namespace, "other")
    remove_pod(admin, other)
    assert admin.get(path(other))["metadata"]["deletionTimestamp"]
    apply(admin, [pod("next", gpus=8)], namespace)
    refused(admin, namespace, "next")
    let_go(admin, other)
    admin.wait(lambda: "next" in seats(admin, namespace), 20, what="the pod that waits gets the room")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_counts_no_more(control_plane: ControlPlane, namespace: str, phase: str) -> None:
    admin = control_plane.admin
    other = held_up(admin, namespace, "other")
    apply(admin, [pod("next", gpus=8)], namespace)
    refused(admin, namespace, "next")
    admin.wait(lambda: admin.get(path(other))["status"]["phase"] == "Running", what="KWOK has had its say")
    admin.patch(f"{path(other)}/status", {"status": {"phase": phase}})
    admin.wait(lambda: "next" in seats(admin, namespace), 20, what="the pod that waits gets the room")
    assert not over_committed(admin)


def test_room_that_the_default_scheduler_makes_for_a_pod_of_higher_priority_is_left_to_it(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    urgent = f"urgent-{namespace}"
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    admin.create(classes, {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": urgent}, "value": 1000})
    victim = held_up(admin, namespace, "victim")
    important = theirs("important", gpus=8)
    important["spec"]["priorityClassName"] = urgent
    admin.create(f"/api/v1/namespaces/{namespace}/pods", important)
    nominated = f"/api/v1/namespaces/{namespace}/pods/important"
    admin.wait(lambda: admin.get(nominated)["status"].get("nominatedNodeName"), 20, what="the default scheduler empties the node")
    apply(admin, [pod("next", gpus=8)], namespace)
    refused(admin, namespace, "next")
    control_plane.stop_kube_scheduler()  # now nobody but the nomination keeps Coterie from the room
    let_go(admin, admin.get(path(victim)))
    admin.wait(lambda: not admin.exists(path(victim)), 40, what="the victim is gone")
    apply(admin, [pod("behind", gpus=8)], namespace)
    refused(admin, namespace, "behind")  # decided after the victim had gone
    assert seats(admin, namespace) == {}
    control_plane.start_kube_scheduler()
    admin.wait(lambda: "important" in seats(admin, namespace), 20, what="the pod that the room was made for gets it")
    assert not over_committed(admin)
    admin.delete(f"{classes}/{urgent}")
