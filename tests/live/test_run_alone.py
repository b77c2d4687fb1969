"""`coterie run` beside others: other namespaces, another owner of the PodGroup kind."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.admin import Object
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.deploy.applying import DEFINITIONS, kubectl
from tests.deploy.rendering import WITHOUT_POD_GROUP
from tests.live.running import GROUPS, apply, bound, ensure_namespace, pod, pod_group, pods, running, seats

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=3, prefix="alone"))
    yield names
    remove_nodes(control_plane.admin, names)


@pytest.mark.usefixtures("nodes")
def test_only_the_namespaces_that_are_asked_for_are_served(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    admin = control_plane.admin
    other = f"{namespace}-other"
    ensure_namespace(admin, other)
    with running(kubeconfig, f"--namespace={namespace}", f"--namespace={other}-2"):
        apply(admin, [pod("here", gpus=1)], namespace)
        apply(admin, [pod("there", gpus=1)], other)
        bound(admin, namespace, 1)
        assert seats(admin, other) == {}
        ensure_namespace(admin, f"{other}-2")
        apply(admin, [pod("second", gpus=1)], f"{other}-2")
        bound(admin, f"{other}-2", 1)
        assert seats(admin, other) == {}
    for name in (other, f"{other}-2"):
        admin.delete(f"/api/v1/namespaces/{name}")


FOREIGN: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "podgroups.scheduling.run.ai"},
    "spec": {
        "group": "scheduling.run.ai",
        "scope": "Namespaced",
        "names": {"kind": "PodGroup", "listKind": "PodGroupList", "plural": "podgroups", "singular": "podgroup"},
        "versions": [
            {
                "name": "v2alpha2",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_pod_groups_of_another_owner_are_read_and_never_written() -> None:
    with ControlPlane.running() as another:
        admin = another.admin
        definition = f"{DEFINITIONS}/{FOREIGN['metadata']['name']}"
        admin.delete(definition, missing_ok=True)
        admin.wait(lambda: not admin.exists(definition), 20)
        admin.create(DEFINITIONS, FOREIGN)
        done = kubectl(another, "apply", "-k", str(WITHOUT_POD_GROUP), "--server-side")
        assert done.returncode == 0, done.stderr
        admin.delete("/apis/apps/v1/namespaces/coterie-system/deployments/coterie")
        add_nodes(admin, racks(racks=1, nodes=2))
        group = {**pod_group("theirs", least=2), "apiVersion": "scheduling.run.ai/v2alpha2"}
        path = GROUPS.format("default").replace("/v1/", "/v2alpha2/")
        admin.wait(lambda: admin.exists("/apis/scheduling.run.ai/v2alpha2"), 20)
        ensure_namespace(admin, "default")
        written = admin.create(path, group)
        with running(another.kubeconfig_for_service_account("coterie-system", "coterie")):
            apply(admin, [pod("theirs-0", gpus=8, group="theirs")], "default")
            admin.wait(lambda: pods(admin, "default")["theirs-0"]["status"].get("conditions"), 20, what="the first waits for the second")
            assert seats(admin, "default") == {}
            apply(admin, [pod("theirs-1", gpus=8, group="theirs")], "default")
            bound(admin, "default", 2)
            time.sleep(0.5)  # long enough for a status to be written, if one were
        after = admin.get(f"{path}/theirs")
        assert after["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
