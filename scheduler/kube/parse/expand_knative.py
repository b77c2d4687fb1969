"""The pods of a Knative Service, Configuration or Revision: one revision at its first scale, with the queue-proxy beside each container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from scheduler.kube.parse.head import synthetic_uid
from scheduler.kube.parse.podraw import Maker, RawPod, short_hash
from scheduler.kube.parse.reading import Refused
from scheduler.kube.parse.wire_workloads import Template, check_many

PREFIX: Final = "serving.knative.dev/"
MIN_SCALE: Final = ("autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/minScale")
INITIAL_SCALE: Final = ("autoscaling.knative.dev/initial-scale", "autoscaling.knative.dev/initialScale")
_AUTOSCALING: Final = "autoscaling.knative.dev/"
_QUEUE: Final = "queue.sidecar.serving.knative.dev/"
_QUEUE_CPU: Final = "25m"
_LONGEST: Final = 9


def pods(kind: str, name: str, namespace: str, template: Template, place: str) -> Iterator[RawPod]:
    """Yield the pods of one revision; ``place`` is the template's path, for problems."""
    about = template.get("metadata") or {}
    annotations, labels = _strings(about.get("annotations")), _strings(about.get("labels"))
    given = about.get("name")
    revision = name if kind == "Revision" else given if isinstance(given, str) and given else f"{name}-00001"
    replicas = first_scale(annotations, f"{place}.metadata.annotations")
    check_many(replicas, f"{place}.metadata.annotations")
    suffix = short_hash(template["spec"])
    replica_set = f"{revision}-deployment-{suffix}"
    maker = Maker(
        namespace=namespace,
        template={
            "metadata": {"labels": labels, "annotations": {k: v for k, v in annotations.items() if not k.startswith(_AUTOSCALING)}},
            "spec": _with_queue(template["spec"], annotations),
        },
        owner={"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": synthetic_uid(namespace, replica_set)},
        labels={**_labels(kind, name, namespace, revision), "pod-template-hash": suffix},
        annotations={},
    )
    for index in range(replicas):
        yield maker.pod(f"{replica_set}-{index:05d}", labels={})


def first_scale(annotations: Mapping[str, str], place: str) -> int:
    """Return how many pods a new revision starts with: its initial scale (1), never fewer than its minimal scale."""
    return max(_scale(annotations, INITIAL_SCALE, 1, place), _scale(annotations, MIN_SCALE, 0, place))


def _scale(annotations: Mapping[str, str], keys: tuple[str, ...], default: int, place: str) -> int:
    for key in keys:
        if key in annotations:
            text = annotations[key]
            if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST):
                raise Refused(f"{place}.{key}", text, "a whole number, from 0, in quotes")
            return int(text)
    return default


def _labels(kind: str, name: str, namespace: str, revision: str) -> dict[str, str]:
    found = {"app": revision, f"{PREFIX}revision": revision}
    if kind != "Revision":
        found |= {f"{PREFIX}configuration": name, f"{PREFIX}configurationGeneration": "1"}
    if kind == "Service":
        found[f"{PREFIX}service"] = name
    del namespace  # the UIDs that Knative adds as labels do not exist before the objects do
    return found


def _with_queue(spec: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    requests, limits = {"cpu": _QUEUE_CPU}, {}
    for resource in ("cpu", "memory", "ephemeral-storage"):
        request, limit = (annotations.get(f"{_QUEUE}{resource}-resource-{part}") for part in ("request", "limit"))
        if request:
            requests[resource] = request
        if limit:
            limits[resource] = limit
    resources = {"requests": requests, "limits": limits} if limits else {"requests": requests}
    return {**spec, "containers": [*(spec.get("containers") or ()), {"name": "queue-proxy", "resources": resources}]}


def _strings(given: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
