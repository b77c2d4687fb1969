"""A node changes between the plan and the bind: a call is held in a proxy, the node is changed, the call is let go."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.admin import Admin, Object
from tests.controlplane.kubelet import Kubelets
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.faults.proxy import Proxy
from tests.faults.proxy_calls import Call, Kind
from tests.faults.proxy_faults import Gate, Hold, Once
from tests.live.neighbours import theirs, whole
from tests.live.running import GROUPS, apply, bound, leader_worker_set, over_committed, pod, pod_group, running, seats, sweep

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")

MARK = "coterie.test/kind"
TAINT = {"key": "coterie.test/broken", "value": "yes", "effect": "NoSchedule"}


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    """Four nodes with 8 GPUs in one rack, all of one kind."""
    admin = control_plane.admin
    wanted = racks(racks=1, nodes=4, prefix="changing")
    for each in wanted:
        each["metadata"]["labels"][MARK] = "good"
    names = add_nodes(admin, wanted)
    yield names
    sweep(admin, names)
    remove_nodes(admin, names)


@pytest.fixture(scope="module")
def proxy(control_plane: ControlPlane, kubeconfig: Path) -> Iterator[Proxy]:
    """Run one scheduler behind a proxy."""
    with Proxy.before(control_plane) as made, running(made.kubeconfig(kubeconfig, "one")):
        yield made


def cordon(admin: Admin, node: str) -> None:
    admin.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})


def taint(admin: Admin, node: str) -> None:
    admin.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [TAINT]}})


def relabel(admin: Admin, node: str) -> None:
    admin.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {MARK: "bad"}}})


def delete(admin: Admin, node: str) -> None:
    admin.delete(f"/api/v1/nodes/{node}")


def occupy(admin: Admin, node: str) -> None:
    """Bind a pod of somebody else there that needs the whole node."""
    taker = theirs("taker", gpus=8)
    taker["spec"]["nodeName"] = node
    admin.create("/api/v1/namespaces/default/pods", taker)


CHANGES: dict[str, Callable[[Admin, str], None]] = {
    "cordoned": cordon,
    "tainted": taint,
    "relabelled": relabel,
    "deleted": delete,
    "occupied": occupy,
}


def held(proxy: Proxy, namespace: str, kind: Kind) -> Gate:
    """Hold the first call of a kind that concerns this namespace."""
    gate = Gate()

    def fits(call: Call) -> bool:
        return call.kind == kind and call.target.namespace == namespace

    proxy.rules[:] = [Once(fits, Hold(before=gate))]
    return gate


def gang(size: int) -> list[Object]:
    return [pod_group("train", least=size), *(pod(f"train-{number}", group="train", selector={MARK: "good"}) for number in range(size))]


@contextlib.contextmanager
def told(proxy: Proxy) -> Iterator[None]:
    """Wait at the end of the block until the scheduler was told of what is done in it."""

    def events() -> list[int]:
        return [stream.events for plural in ("nodes", "pods") for stream in proxy.streams("one", plural)]

    before = events()
    yield
    deadline = time.monotonic() + 10
    while events() == before:
        assert time.monotonic() < deadline, "the scheduler's watches say nothing"
        time.sleep(0.01)
    time.sleep(0.1)  # what came is taken in at once


def binds(proxy: Proxy, namespace: str) -> list[str]:
    """Return the nodes that the scheduler asked to bind a pod of the namespace to, in order."""
    found = proxy.calls(lambda entry: entry.call.kind == "bind" and entry.call.target.namespace == namespace)
    return [json.loads(entry.call.body)["target"]["name"] for entry in found]


@pytest.mark.parametrize("change", CHANGES)
def test_a_node_that_changes_before_the_record_is_written_gets_no_member(
    control_plane: ControlPlane, namespace: str, nodes: list[str], proxy: Proxy, change: str
) -> None:
    admin = control_plane.admin
    gate = held(proxy, namespace, "record create")
    apply(admin, gang(3), namespace)
    node = min(member["node"] for member in json.loads(gate.await_call().body)["spec"]["members"])
    with told(proxy):
        CHANGES[change](admin, node)
    gate.open()
    assert set(bound(admin, namespace, 3).values()) == set(nodes) - {node}
    assert node not in binds(proxy, namespace)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("change", ["cordoned", "tainted", "relabelled"])
def test_a_node_that_changes_while_a_bind_is_on_its_way_leaves_no_gang_half_bound(
    control_plane: ControlPlane, namespace: str, proxy: Proxy, change: str
) -> None:
    """A bind that the server has not seen cannot be taken back: it lands, and the member runs there like any other on such a node."""
    admin = control_plane.admin
    gate = held(proxy, namespace, "bind")
    apply(admin, gang(3), namespace)
    node = json.loads(gate.await_call().body)["target"]["name"]
    with told(proxy):
        CHANGES[change](admin, node)
    gate.open()
    assert len(set(bound(admin, namespace, 3).values())) == 3
    path = f"{GROUPS.format(namespace)}/train"
    admin.wait(lambda: admin.get(path).get("status", {}).get("phase") == "Running", 20, what="the gang runs")
    assert binds(proxy, namespace).count(node) == 1


@pytest.mark.usefixtures("nodes")
def test_a_node_that_is_taken_while_a_bind_is_on_its_way_refuses_the_member_and_the_group_starts_again_elsewhere(
    control_plane: ControlPlane, namespace: str, proxy: Proxy
) -> None:
    admin = control_plane.admin
    gate = held(proxy, namespace, "bind")
    with Kubelets.playing(admin) as kubelets:
        apply(admin, [leader_worker_set("llm", size=3)], namespace)
        node = json.loads(gate.await_call().body)["target"]["name"]
        with told(proxy):
            occupy(admin, node)
        gate.open()
        admin.wait(lambda: kubelets.rejections, 20, what="the node refuses the member that came second")
        admin.wait(lambda: whole(admin, namespace) == {"llm-0"} and not over_committed(admin), 20, what="the group runs elsewhere")
    assert {(each.scheduler, each.node) for each in kubelets.rejections} == {("coterie", node)}
    assert node not in seats(admin, namespace).values()
