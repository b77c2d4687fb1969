"""deploy/ on the real API server: applied without a warning, and the scheduler's account may do what the table says and no more."""

from pathlib import Path

import pytest
import yaml

from scheduler.kube.crd.crdtable import CUSTOM_RESOURCES, CustomResource
from scheduler.kube.crd.verbs import VERBS, Right
from tests.controlplane.stack import ControlPlane
from tests.deploy.applying import DEFINITIONS, Deployed, conditions, kubectl
from tests.deploy.rendering import DEPLOY, WITHOUT_POD_GROUP, identity, render

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture",)

ACCOUNT = "system:serviceaccount:coterie-system:coterie"


def test_deploy_is_applied_without_an_error_or_a_warning(deployed: Deployed) -> None:
    assert (deployed.status, deployed.complaints) == (0, "")
    assert len(deployed.output.splitlines()) == len(render(DEPLOY))


@pytest.mark.parametrize("directory", [DEPLOY, WITHOUT_POD_GROUP], ids=lambda path: path.name)
def test_kustomize_renders_what_the_tests_read(control_plane: ControlPlane, directory: Path) -> None:
    done = kubectl(control_plane, "kustomize", str(directory))
    assert (done.returncode, done.stderr) == (0, "")
    rendered = sorted(yaml.safe_load_all(done.stdout), key=identity)
    assert rendered == sorted(render(directory), key=identity)


@pytest.mark.parametrize("resource", CUSTOM_RESOURCES, ids=lambda resource: resource.kind)
def test_a_definition_is_served_without_complaints(control_plane: ControlPlane, place: str, resource: CustomResource) -> None:
    assert place
    definition = control_plane.admin.get(f"{DEFINITIONS}/{resource.plural}.{resource.group}")
    assert conditions(definition) == {"NamesAccepted": "True", "Established": "True"}


def test_the_pods_of_the_deployment_are_admitted_under_the_restricted_standard(deployed: Deployed) -> None:
    assert [pod["spec"]["priorityClassName"] for pod in deployed.pods] == ["system-cluster-critical"] * 2


# --- rights


def may(control_plane: ControlPlane, verb: str, group: str, resource: str, *, namespace: str = "", user: str = ACCOUNT) -> bool:
    name, _, sub = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": sub, "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user, "resourceAttributes": attributes}}
    answer = control_plane.admin.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize("right", VERBS, ids=lambda right: f"{right.group or 'core'}/{right.resource}")
def test_the_service_account_holds_every_right_of_the_table(control_plane: ControlPlane, place: str, right: Right) -> None:
    namespace = "coterie-system" if right.scope == "own namespace" else place
    assert [verb for verb in right.verbs if not may(control_plane, verb, right.group, right.resource, namespace=namespace)] == []


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("get", "", "secrets"),
        ("list", "", "configmaps"),
        ("delete", "", "pods"),
        ("patch", "", "pods"),
        ("patch", "", "nodes"),
        ("update", "scheduling.run.ai", "podgroups"),
        ("update", "leaderworkerset.x-k8s.io", "leaderworkersets"),
        ("update", "coordination.k8s.io", "leases"),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ],
)
def test_the_service_account_may_not_do_what_it_does_not_need(control_plane: ControlPlane, place: str, verb: str, group: str, resource: str) -> None:
    assert not may(control_plane, verb, group, resource, namespace=place)


def test_people_with_the_role_edit_write_policies_and_groups_but_only_read_records(control_plane: ControlPlane, place: str) -> None:
    admin, user = control_plane.admin, f"{place}-editor"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "editor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    admin.apply(binding, namespace=place)
    for resource in ("podgroups", "topologypolicies"):

        def added(resource: str = resource) -> bool:
            return may(control_plane, "create", "scheduling.run.ai", resource, namespace=place, user=user)

        admin.wait(added, 20, what=f"edit of {resource}")  # a controller adds the roles up, a moment later
    assert may(control_plane, "get", "coterie.dev", "placements", namespace=place, user=user)
    assert not may(control_plane, "create", "coterie.dev", "placements", namespace=place, user=user)
