"""Applies deploy/ with the kubectl of the control plane, as a user would, and looks at what came of it."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.kube.crd.crdtable import CUSTOM_RESOURCES
from tests.controlplane.admin import Admin, Object
from tests.controlplane.stack import ControlPlane
from tests.deploy.rendering import DEPLOY

DEPLOYMENT = "/apis/apps/v1/namespaces/coterie-system/deployments/coterie"
PODS = "/api/v1/namespaces/coterie-system/pods"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What came of applying deploy/."""

    status: int
    output: str
    complaints: str
    pods: list[Object]


def kubectl(control_plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the kubectl of the control plane against it."""
    command = [str(control_plane.kubectl), f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def conditions(obj: Object) -> dict[str, str]:
    """Return status by type of an object's conditions."""
    return {each["type"]: each["status"] for each in obj.get("status", {}).get("conditions") or []}


def apply_deploy(control_plane: ControlPlane) -> Deployed:
    """Apply deploy/; the Deployment goes again once its pods were seen, for they would take room in other tests."""
    done = kubectl(control_plane, "apply", "-k", str(DEPLOY), "--server-side", "--force-conflicts", "--validate=strict")
    pods: list[Object] = []
    if done.returncode == 0:
        _await_definitions(control_plane.admin, [f"{resource.plural}.{resource.group}" for resource in CUSTOM_RESOURCES])
        pods = _pods(control_plane.admin)
        control_plane.admin.delete(DEPLOYMENT)
    return Deployed(status=done.returncode, output=done.stdout, complaints=done.stderr, pods=pods)


def _await_definitions(admin: Admin, names: Iterable[str]) -> None:
    for name in names:

        def served(path: str = f"{DEFINITIONS}/{name}") -> bool:
            return conditions(admin.get(path)).get("Established") == "True"

        admin.wait(served, 30, what=f"{name} served")


def _pods(admin: Admin) -> list[Object]:
    """Return the two pods of the Deployment, or those that came within the time: the test then tells."""

    def found() -> list[Object]:
        return admin.items(PODS, labelSelector="app.kubernetes.io/name=coterie")

    try:
        admin.wait(lambda: len(found()) == 2, 30)
    except TimeoutError:
        return found()
    return found()
