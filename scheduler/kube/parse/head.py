"""What the metadata of every object say: name, namespace, UID, labels, the annotations we keep, the controlling owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from scheduler.kube.parse.fields import Metadata
from scheduler.kube.parse.naming import check_labels, check_name, check_namespace
from scheduler.kube.parse.reading import Raw, read, seconds
from scheduler.state.objects import EMPTY, Ref
from scheduler.state.problems import BadInput

DEFAULT_NAMESPACE: Final = "default"

ANNOTATIONS: Final = (
    "coterie.dev/",
    "leaderworkerset.sigs.k8s.io/",
    "scheduling.k8s.io/",
    "scheduling.volcano.sh/",
    "kueue.x-k8s.io/podset-",
    "kai.scheduler/",
    "pod-group-name",
    "autoscaling.knative.dev/",
    "run.ai/",
    "batch.kubernetes.io/job-completion-index",
)
"""Prefixes of annotations that name a group, a demand or a project; all others are dropped at the edge."""

_ANYTHING: Final[TypeAdapter[Mapping[str, object]]] = TypeAdapter(Mapping[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the metadata of every object say."""

    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: Ref | None
    created: float
    generation: int
    resource_version: str


def read_head(metadata: Metadata, *, strict: bool, namespace: str) -> Head:
    """Read metadata; ``namespace`` is the one for objects that name none, empty for objects that have none."""
    name = check_name(metadata.get("name")) if strict else metadata.get("name") or ""
    labels = strings(metadata.get("labels"))
    if strict:
        check_labels(labels, "metadata.labels")
    where = (metadata.get("namespace") or namespace) if namespace else ""
    if strict and where:
        check_namespace(where)
    return Head(
        name=name,
        namespace=where,
        uid=metadata.get("uid") or synthetic_uid(where, name),
        labels=labels,
        annotations=kept_annotations(metadata),
        owner=_owner(metadata),
        created=seconds(metadata.get("creationTimestamp"), "metadata.creationTimestamp"),
        generation=metadata.get("generation") or 0,
        resource_version=metadata.get("resourceVersion") or "",
    )


def synthetic_uid(namespace: str, name: str) -> str:
    """Return the UID that stands for an object which has not been through an API server."""
    return f"manifest:{namespace}/{name}" if namespace else f"manifest:{name}"


def kept_annotations(metadata: Metadata) -> Mapping[str, str]:
    """Return the annotations that name a group, a demand or a project."""
    given = metadata.get("annotations")
    if not given:
        return EMPTY
    return {key: value or "" for key, value in given.items() if key.startswith(ANNOTATIONS)} or EMPTY


def strings(given: Mapping[str, str | None] | None) -> Mapping[str, str]:
    """Return a map of strings; null values count as empty, as in the API."""
    if not given:
        return EMPTY
    return {key: value or "" for key, value in given.items()}


def whole(raw: Raw) -> Mapping[str, object]:
    """Return an object that could not be read, as far as it is one."""
    try:
        return read(_ANYTHING, raw, "object") if isinstance(raw, bytes) else raw
    except BadInput:
        return {}


def text(found: Mapping[str, object], *fields: str) -> str:
    """Return a string of an object that could not be read, empty where there is none."""
    value: object = found
    for field in fields:
        value = value.get(field) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def salvaged_head(raw: Raw, namespace: str) -> Head:
    """Return the metadata of an object that could not be read, as far as they are there: enough to report it."""
    found = whole(raw)
    where = (text(found, "metadata", "namespace") or namespace) if namespace else ""
    name = text(found, "metadata", "name")
    metadata = found.get("metadata")
    generation = metadata.get("generation") if isinstance(metadata, Mapping) else 0
    return Head(
        name=name,
        namespace=where,
        uid=text(found, "metadata", "uid") or synthetic_uid(where, name),
        labels=EMPTY,
        annotations=EMPTY,
        owner=None,
        created=0.0,
        generation=generation if isinstance(generation, int) else 0,
        resource_version=text(found, "metadata", "resourceVersion"),
    )


def _owner(metadata: Metadata) -> Ref | None:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return Ref(kind=owner["kind"], name=owner["name"], uid=owner.get("uid") or "", api_version=owner.get("apiVersion") or "")
    return None
