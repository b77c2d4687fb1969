"""kube-scheduler as a neighbour and as a peer: what the tests and benchmarks that set it beside Coterie take for granted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane, Settings
from tests.controlplane.admin import Admin
from tests.controlplane.nodes import TIER_0, add_nodes, racks, remove_nodes
from tests.live.neighbours import theirs
from tests.live.running import rack_of, seats, sweep

pytestmark = pytest.mark.live

PEER_GROUPS = "/apis/scheduling.k8s.io/v1alpha2/namespaces/{}/podgroups"


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    names = add_nodes(control_plane.admin, racks(racks=3, nodes=2, prefix="peer"))
    yield names
    sweep(control_plane.admin, names)
    remove_nodes(control_plane.admin, names)


def their_gang(admin: Admin, namespace: str, name: str, size: int, *, gpus: int) -> None:
    """Make a gang for the default scheduler that must lie in one rack."""
    spec = {"schedulingPolicy": {"gang": {"minCount": size}}, "schedulingConstraints": {"topology": [{"key": TIER_0}]}}
    group = {"apiVersion": "scheduling.k8s.io/v1alpha2", "kind": "PodGroup", "metadata": {"name": name}, "spec": spec}
    stored = admin.create(PEER_GROUPS.format(namespace), group, fieldValidation="Strict")
    assert stored["spec"]["schedulingConstraints"] == spec["schedulingConstraints"], "the API server drops the field when its gate is off"
    for number in range(size):
        admin.create(f"/api/v1/namespaces/{namespace}/pods", theirs(f"{name}-{number}", gpus=gpus, group=name))


@pytest.mark.usefixtures("nodes")
def test_the_topology_mode_puts_a_gang_of_eight_into_one_rack(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    control_plane.start_kube_scheduler(topology=True)
    try:
        # A rack holds 16 GPUs: three gangs of 8 pods with 2 GPUs fill three racks.
        for name in ("a", "b", "c"):
            their_gang(admin, namespace, name, 8, gpus=2)
        admin.wait(lambda: len(seats(admin, namespace)) == 24, 20, what="three gangs bound")
    finally:
        control_plane.stop_kube_scheduler()
    found = {name: {rack_of(admin, node) for pod, node in seats(admin, namespace).items() if pod.startswith(name)} for name in ("a", "b", "c")}
    assert sorted(map(sorted, found.values())) == [[f"peer-rack-{number}"] for number in (1, 2, 3)], found


@pytest.mark.usefixtures("nodes")
def test_fields_of_its_configuration_can_be_replaced(control_plane: ControlPlane, namespace: str) -> None:
    admin = control_plane.admin
    profile = {"schedulerName": "someone-else"}
    control_plane.start_kube_scheduler(config={"profiles": [profile]})
    try:
        for name, scheduler in (("plain", "default-scheduler"), ("named", "someone-else")):
            made = theirs(name, gpus=1)
            made["spec"]["schedulerName"] = scheduler
            admin.create(f"/api/v1/namespaces/{namespace}/pods", made)
        admin.wait(lambda: "named" in seats(admin, namespace), 20, what="the pod of the renamed profile is bound")
    finally:
        control_plane.stop_kube_scheduler()
    assert set(seats(admin, namespace)) == {"named"}


def test_a_control_plane_for_benchmarks_has_no_audit_log_more_requests_in_flight_and_no_kubelets() -> None:
    with ControlPlane.running(Settings(audit=False, in_flight=2000, pod_stages=False)) as quiet:
        admin = quiet.admin
        names = add_nodes(admin, racks(racks=1, nodes=1, prefix="quiet"))
        place = "default"
        admin.wait(lambda: admin.exists(f"/api/v1/namespaces/{place}/serviceaccounts/default"))
        admin.create(f"/api/v1/namespaces/{place}/pods", theirs("stays", gpus=1))
        quiet.start_kube_scheduler()
        admin.wait(lambda: seats(admin, place) == {"stays": names[0]}, 20, what="the pod is bound")
        later = admin.create("/api/v1/nodes", racks(racks=1, nodes=1, prefix="later")[0])
        admin.wait(lambda: ready(admin, later["metadata"]["name"]), 20, what="KWOK has looked at the cluster again")
        assert admin.get(f"/api/v1/namespaces/{place}/pods/stays")["status"]["phase"] == "Pending"
        assert not quiet.audit_log.exists()
        command = Path(f"/proc/{quiet.pids['kube-apiserver']}/cmdline").read_bytes().split(b"\0")
        assert {b"--max-requests-inflight=2000", b"--max-mutating-requests-inflight=2000"} <= set(command)


def ready(admin: Admin, node: str) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in admin.get(f"/api/v1/nodes/{node}")["status"].get("conditions", []))
