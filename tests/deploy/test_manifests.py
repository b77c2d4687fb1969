"""What is in deploy/: derived files are up to date, lists are complete, the scheduler gets little and asks for little."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler import config
from scheduler.kube import api
from scheduler.kube.crd import crdgen
from scheduler.kube.crd.crdtable import CUSTOM_RESOURCES
from scheduler.kube.crd.verbs import VERBS
from scheduler.kube.follow.watched import WATCHED
from tests.deploy.rendering import BASE, DEPLOY, WITHOUT_POD_GROUP, Object, documents, identity, render

OBJECTS = render(DEPLOY)
ROLES = [each for each in OBJECTS if each["kind"] in ("ClusterRole", "Role")]


def only(kind: str, name: str = "coterie") -> Object:
    (found,) = [each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def container() -> Object:
    (found,) = only("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("name", sorted(crdgen.files()))
def test_a_derived_manifest_is_what_the_code_would_write_now(name: str) -> None:
    assert (BASE / name).read_text(encoding="utf-8") == crdgen.files()[name], f"deploy/base/{name} is out of date: run `make generate`"


def test_the_command_writes_exactly_the_derived_files(tmp_path: Path) -> None:
    assert crdgen.main([str(tmp_path)]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == crdgen.files()


def test_the_command_says_what_it_expects_when_the_directory_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crdgen.main([str(tmp_path / "absent")]) == 2
    message = capsys.readouterr().err
    assert "expected one existing directory" in message
    assert "absent" in message


def test_every_file_of_the_base_is_listed_and_every_listed_file_exists() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == sorted(path.name for path in BASE.iterdir() if path.name != "kustomization.yaml")


def test_deploy_is_the_base_and_no_two_objects_are_one() -> None:
    assert render(BASE) == OBJECTS
    assert len({identity(each) for each in OBJECTS}) == len(OBJECTS)


def test_the_overlay_leaves_out_the_pod_group_definition_and_nothing_else() -> None:
    missing = [identity(each) for each in OBJECTS if each not in render(WITHOUT_POD_GROUP)]
    assert missing == [("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "podgroups.scheduling.run.ai")]


def test_everything_with_a_namespace_is_in_ours() -> None:
    namespaced = {each["metadata"]["namespace"] for each in OBJECTS if "namespace" in each["metadata"]}
    assert namespaced == {only("Namespace", "coterie-system")["metadata"]["name"]}


def test_the_deployment_starts_the_scheduler_with_the_configuration_that_is_mounted() -> None:
    pod = only("Deployment")["spec"]["template"]["spec"]
    (mount,) = [each for each in container()["volumeMounts"] if each["name"] == "config"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "config"]
    (file,) = only("ConfigMap", volume["configMap"]["name"])["data"]
    assert container()["args"] == ["run", f"--config={mount['mountPath']}/{file}"]
    assert pod["serviceAccountName"] == only("ServiceAccount")["metadata"]["name"]


def test_the_shipped_configuration_is_valid_and_changes_no_default(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(only("ConfigMap", "coterie-config")["data"]["config.yaml"], encoding="utf-8")
    assert config.load(path) == config.Config()


def test_probes_and_metrics_go_to_the_port_that_the_scheduler_opens() -> None:
    (port,) = container()["ports"]
    (service,) = only("Service", "coterie-metrics")["spec"]["ports"]
    assert port["containerPort"] == config.Config().http.port
    assert service["targetPort"] == port["name"]
    assert container()["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}


def test_the_image_has_the_version_of_the_project() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert container()["image"] == f"coterie:{project['version']}"


def test_the_container_has_no_rights_on_its_node() -> None:
    security = container()["securityContext"]
    assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    pod = only("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (True, 65532, {"type": "RuntimeDefault"})


def test_the_image_runs_as_the_user_of_the_deployment_and_installs_only_what_the_lock_names() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 65532:65532" in lines
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_selectors_of_deployment_service_and_budget_meet_the_pods() -> None:
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [only(kind)["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")]
    assert [*selectors, only("Service", "coterie-metrics")["spec"]["selector"]] == [labels] * 3


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role["metadata"]["name"])
def test_no_role_has_a_wildcard_or_reads_secrets(role: Object) -> None:
    for rule in role["rules"]:
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not [word for word in words if "*" in word]
        assert not [word for word in rule["resources"] if word.split("/")[0] == "secrets"]


def test_the_roles_of_the_scheduler_hold_each_row_of_the_table_once() -> None:
    held = [
        ("cluster" if role["kind"] == "ClusterRole" else "own namespace", group, resource, tuple(rule["verbs"]))
        for role in (only("ClusterRole"), only("Role"))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    assert held == sorted(((r.scope, r.group, r.resource, r.verbs) for r in VERBS), key=lambda row: row[0])
    assert len({(right.group, right.resource) for right in VERBS}) == len(VERBS)


def test_the_roles_are_bound_to_the_service_account_and_to_nobody_else() -> None:
    for binding, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
        assert only(binding)["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": "coterie"}
        assert only(binding)["subjects"] == [{"kind": "ServiceAccount", "name": "coterie", "namespace": "coterie-system"}]


def test_every_resource_that_the_client_names_has_a_right() -> None:
    rights = {(right.group, right.resource) for right in VERBS}
    named = {(each.group, each.plural) for each in vars(api).values() if isinstance(each, api.Resource)}
    assert named
    assert named <= rights


def test_every_resource_that_the_scheduler_follows_can_be_listed_and_watched() -> None:
    followed = {(right.group, right.resource) for right in VERBS if {"list", "watch"} <= set(right.verbs)}
    assert {(row.group, row.plural) for row in WATCHED} == followed


def test_people_who_may_edit_a_namespace_do_not_write_commit_records() -> None:
    writable = [rule["resources"] for rule in only("ClusterRole", "coterie-edit")["rules"]]
    assert writable == [["podgroups", "topologypolicies"]]


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for child in value.values():
            yield from keys(child)
    if isinstance(value, list):
        for child in value:
            yield from keys(child)


@pytest.mark.parametrize("resource", CUSTOM_RESOURCES, ids=lambda resource: resource.kind)
def test_a_definition_is_structural_and_lets_no_unknown_field_through(resource: Any) -> None:
    (definition,) = documents(BASE / f"crd-{resource.plural}.yaml")
    used = set(keys(definition["spec"]["versions"][0]["schema"]))
    assert not used & {"$ref", "anyOf", "oneOf", "allOf", "not", "title", "nullable", "x-kubernetes-preserve-unknown-fields"}


@pytest.mark.parametrize("resource", CUSTOM_RESOURCES, ids=lambda resource: resource.kind)
def test_a_definition_has_a_status_columns_and_no_default_but_the_documented_one(resource: Any) -> None:
    (definition,) = documents(BASE / f"crd-{resource.plural}.yaml")
    (version,) = definition["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"]][-1] == "Age"
    assert set(_defaults(version["schema"]["openAPIV3Schema"])) <= {"spec", "scheduleTimeoutSeconds"}


def _defaults(schema: Object) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        if "default" in child:
            yield name
        yield from _defaults(child)


def test_the_time_out_of_a_pod_group_is_600_seconds_where_nothing_is_said() -> None:
    (definition,) = documents(BASE / "crd-podgroups.yaml")
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["default"] == {"scheduleTimeoutSeconds": 600}
    assert spec["properties"]["scheduleTimeoutSeconds"]["default"] == 600
