"""Raw pods as a controller would create them: template, name, labels, owner; then what the API server adds that placement can see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scheduler.kube.parse.head import synthetic_uid
from scheduler.kube.parse.wire_workloads import Template

RawPod = dict[str, Any]

_OUTAGES: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints that the API server's DefaultTolerationSeconds lets every pod tolerate for five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes the pods of one owner from one template."""

    namespace: str
    template: Template
    owner: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def pod(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None, spec: Mapping[str, Any] | None = None
    ) -> RawPod:
        """Return one pod; ``labels``, ``annotations`` and ``spec`` go over those of the template."""
        about = self.template.get("metadata") or {}
        own_labels, own_annotations = about.get("labels") or {}, about.get("annotations") or {}
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self.namespace,
            "uid": synthetic_uid(self.namespace, name),
            "labels": {**_mapping(own_labels), **self.labels, **labels},
            "annotations": {**_mapping(own_annotations), **self.annotations, **(annotations or {})},
            "ownerReferences": [{**self.owner, "controller": True, "blockOwnerDeletion": True}],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": admitted({**self.template["spec"], **(spec or {})})}


def admitted(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod spec after admission: the tolerations of outages that every pod gets."""
    given = items(spec.get("tolerations"))
    if spec.get("tolerations") and not given:
        return dict(spec)  # no list: the parser of the pod refuses it at its place
    missing = [key for key in _OUTAGES if not any(_tolerates(toleration, key) for toleration in given)]
    added = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in missing]
    return {**spec, "tolerations": [*given, *added]} if added else dict(spec)


def _tolerates(toleration: object, key: str) -> bool:
    if not isinstance(toleration, Mapping):
        return False
    return toleration.get("key") in (key, "", None) and toleration.get("effect") in ("NoExecute", "", None)


def with_claims(spec: Mapping[str, Any], claims: Sequence[Mapping[str, Any]] | None, pod: str) -> dict[str, Any]:
    """Return what a StatefulSet's claim templates do to the volumes of one of its pods."""
    if not claims:
        return {}
    names = [str(_mapping(claim.get("metadata") or {}).get("name", "")) for claim in claims]
    kept = [v for v in items(spec.get("volumes")) if not (isinstance(v, Mapping) and v.get("name") in names)]
    return {"volumes": [*kept, *({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod}"}} for name in names)]}


def items(value: object) -> list[Any]:
    """Return what a list holds; nothing of what is no list, which the parser of the pod refuses at its place."""
    return value if isinstance(value, list) else []


def short_hash(value: object) -> str:
    """Return ten characters that stand for a template: the same for the same template, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:10]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
