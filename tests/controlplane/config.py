"""The files and objects that the programs are configured with: users, kubeconfigs, LWS, KWOK, webhooks, roles."""

import copy
import csv
import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

ADMIN = "admin"
# Bootstrap RBAC knows the two `system:` names. The others get the roles that come with them.
USERS: Mapping[str, str] = {
    ADMIN: "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "lws": "",
    "kwok": "",
}

HOLD = "coterie.test/hold"
"""A bound pod with this annotation stays Pending until the annotation is removed: a slow start, at will."""


def new_tokens() -> dict[str, str]:
    """Return a fresh token for every user."""
    return {user: secrets.token_urlsafe(24) for user in USERS}


def write_token_file(path: Path, tokens: Mapping[str, str]) -> None:
    """Write the users for `--token-auth-file`."""
    path.touch(mode=0o600)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([tokens[user], user, user, *([groups] if groups else [])] for user, groups in USERS.items())


def write_kubeconfig(path: Path, *, url: str, ca: Path, token: str, namespace: str = "default") -> Path:
    """Write a kubeconfig for one token. JSON is YAML, and every client reads it."""
    path.touch(mode=0o600)
    name = "coterie-test"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
    }
    path.write_text(json.dumps(document, indent=1))
    return path


def write_audit_policy(path: Path) -> None:
    """Record every write with its body, once, when it is done; reads and heartbeats would only bury them."""
    answered = [  # the answer has the generated name, and the revision
        {"group": "", "resources": ["pods", "pods/status", "pods/binding", "pods/eviction", "nodes", "nodes/status"]},
        {"group": "coterie.dev", "resources": ["placements", "placements/status"]},
        {"group": "scheduling.run.ai", "resources": ["podgroups", "podgroups/status"]},
    ]
    writes = ["create", "update", "patch", "delete", "deletecollection"]
    rules = [
        {"level": "None", "namespaces": ["kube-node-lease"]},
        {"level": "RequestResponse", "verbs": writes, "resources": answered},
        {"level": "Request", "verbs": writes},
        {"level": "None"},
    ]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"], "rules": rules}
    path.write_text(json.dumps(policy))


def write_lws_config(path: Path, *, webhook_port: int, health_port: int, certificates: Path) -> None:
    """Write LWS's configuration: certificates from us, no leader election, no metrics."""
    document = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "webhook": {"host": "127.0.0.1", "port": webhook_port, "certDir": str(certificates)},
        "metrics": {"bindAddress": "0"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health_port}"},
    }
    path.write_text(json.dumps(document))


def write_scheduler_config(path: Path, *, kubeconfig: Path, changes: Mapping[str, object]) -> None:
    """Write the default scheduler's configuration; ``changes`` replace its fields. Its own limits on requests stand in nobody's way."""
    document = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 5000, "burst": 10000},
        "leaderElection": {"leaderElect": False},
        **changes,
    }
    path.write_text(json.dumps(document))


def write_kwok_config(path: Path, *, port: int, stages: Iterable[Object]) -> None:
    """Write KWOK's configuration and its stages into one file: no kwokctl, no CRDs."""
    options = {
        "manageAllNodes": False,
        "manageNodesWithAnnotationSelector": "kwok.x-k8s.io/node=fake",
        "cidr": "10.128.0.0/16",
        "nodeIP": "127.0.0.1",
        "nodePort": port,
        "serverAddress": f"127.0.0.1:{port}",
        "nodeLeaseDurationSeconds": 40,
        # Without kwokctl these three have no defaults, and zero workers do nothing.
        "nodeLeaseParallelism": 4,
        "nodePlayStageParallelism": 4,
        "podPlayStageParallelism": 4,
    }
    head = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    path.write_text("\n---\n".join(json.dumps(document) for document in (head, *map(_with_hold, stages))))


def _with_hold(stage: Object) -> Object:
    if stage["metadata"]["name"] != "pod-ready":
        return stage
    changed = copy.deepcopy(stage)
    changed["spec"]["selector"]["matchExpressions"].append({"key": f'.metadata.annotations["{HOLD}"]', "operator": "DoesNotExist"})
    return changed


def webhooks(objects: Iterable[Object], *, port: int, ca_bundle: str) -> list[Object]:
    """Return LWS's webhook objects, aimed at a port of this machine instead of a Service."""
    changed = copy.deepcopy(list(objects))
    for configuration in changed:
        configuration["metadata"]["name"] = f"lws-{configuration['metadata']['name']}"
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": ca_bundle}
            if webhook["name"].endswith("pod.kb.io"):  # as LWS's own kustomization does: other pods are none of its business
                webhook["objectSelector"] = {"matchExpressions": [{"key": "leaderworkerset.sigs.k8s.io/name", "operator": "Exists"}]}
    return changed


def own_definitions() -> list[Object]:
    """Return Coterie's CRDs as ``kubectl apply`` would create them, so that a later ``kubectl apply -k deploy/`` has nothing to warn of."""
    files = sorted((Path(__file__).parents[2] / "deploy/base").glob("crd-*.yaml"))
    definitions: list[Object] = [yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for file in files]
    for definition in definitions:
        annotations = definition["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps(definition)
    return definitions


def role_for(user: str, roles: Iterable[Object]) -> list[Object]:
    """Return the ClusterRoles that come with a program under its user's name, and their bindings."""
    objects: list[Object] = []
    for role in roles:
        metadata = {"name": f"{user}:{role['metadata']['name']}"}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": metadata["name"]}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        objects.append({**role, "metadata": metadata})
        objects.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": metadata,
                "roleRef": reference,
                "subjects": [subject],
            }
        )
    return objects
