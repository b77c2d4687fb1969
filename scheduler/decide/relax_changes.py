"""From a wish to machine-applicable changes: RFC 6902 operations on the objects as the user wrote them.

The core keeps no raw objects; `Raw` looks one up where there are any. Pod templates are found by their shape (a map with
``containers``), so that every kind of workload is served by one rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from scheduler.state.gang import Gang
from scheduler.state.objects import Ref, Toleration

Json: TypeAlias = Mapping[str, Any]
Raw: TypeAlias = Callable[[str, str, str], Json | None]
"""Kind, namespace, name -> the object as it was read, ``None`` where it was not among the input."""

REQUIRED: Final = (
    "coterie.dev/required-topology",
    "kueue.x-k8s.io/podset-required-topology",
    "kai.scheduler/topology-required-placement",
    "leaderworkerset.sigs.k8s.io/exclusive-topology",
)
"""Annotations that name the required level. `scheduler.kube.group.names` has them too; the core may not look there (a test compares)."""
SEGMENTS: Final = (
    ("coterie.dev/segment-size", "coterie.dev/segment-required-topology", True),
    ("kueue.x-k8s.io/podset-slice-size", "kueue.x-k8s.io/podset-slice-required-topology", False),
    ("kai.scheduler/segment-size", "kai.scheduler/segment-topology-required-placement", False),
    ("leaderworkerset.sigs.k8s.io/subgroup-size", "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology", False),
)
"""Annotations that cut segments: size, level, and whether the size says something alone."""
SLICES: Final = "kueue.x-k8s.io/podset-slice-required-topology-constraints"
NVLINK: Final = "coterie.dev/nvlink"
MIN_MEMBER: Final = "coterie.dev/min-member"
_DEEPEST: Final = 12
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A raw object that belongs to the gang."""

    raw: Json
    namespace: str

    def patch(self, ops: Sequence[Json]) -> Json:
        """Return a change that applies operations to this object."""
        metadata = self.raw.get("metadata") or {}
        target = {"apiVersion": self.raw.get("apiVersion", ""), "kind": self.raw.get("kind", "")}
        return {"patch": {**target, "namespace": metadata.get("namespace") or self.namespace, "name": metadata.get("name", "")}, "ops": list(ops)}


def objects_of(gang: Gang, raw: Raw | None) -> list[Object]:
    """Return what the gang's pods are made from: the workload, or the pods and their owners; nothing where no raw objects are known."""
    if raw is None:
        return []
    refs = [gang.workload]
    for member in gang.pending:
        owner = member.pod.owner
        refs.append(Ref(kind="Pod", name=member.pod.name))
        if owner is not None:
            refs += [owner, Ref(kind="Deployment", name=owner.name.rpartition("-")[0])]
    found: dict[tuple[str, str], Json] = {}
    for ref in refs:
        document = raw(ref.kind, gang.namespace, ref.name) if (ref.kind, ref.name) not in found else None
        if document is not None and (ref.kind != "Pod" or not _templated(found.values())):
            found[ref.kind, ref.name] = document
    return [Object(raw=document, namespace=gang.namespace) for document in found.values()]


def annotated_of(gang: Gang, raw: Raw | None, objects: Sequence[Object]) -> list[Object]:
    """Return the objects whose annotations speak for the gang: what its pods are made from, and every pod that exists.

    The annotations of pods that run may still be changed, and they count as long as they stand; what their spec says is settled.
    """
    known = {id(item.raw) for item in objects}
    pods = [raw("Pod", gang.namespace, member.pod.name) for member in gang.members] if raw is not None else []
    return [*objects, *(Object(raw=pod, namespace=gang.namespace) for pod in pods if pod is not None and id(pod) not in known)]


def _templated(documents: Iterable[Json]) -> bool:
    """Tell whether a workload with pod templates was found: its pods are made from it and need no change of their own."""
    return any(document.get("kind") != "Pod" and any(pod_specs(document)) for document in documents)


def pod_specs(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield (JSON pointer, pod spec) of every pod template in an object."""
    yield from _walk(document.get("spec"), "/spec", 0)


def _walk(value: object, pointer: str, depth: int) -> Iterator[tuple[str, Json]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("containers"), list):
            yield pointer, value
            return
        for key, inner in value.items():
            yield from _walk(inner, f"{pointer}/{escape(str(key))}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{pointer}/{index}", depth + 1)


def escape(key: str) -> str:
    """Write a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def on_pod_specs(objects: Sequence[Object], edit: Callable[[str, Json], list[Json]]) -> tuple[Json, ...]:
    """Return patches of every object with a pod spec that ``edit`` has operations for."""
    changes = []
    for item in objects:
        ops = [op for pointer, spec in pod_specs(item.raw) for op in edit(pointer, spec)]
        if ops:
            changes.append(item.patch(ops))
    return tuple(changes)


def add_tolerations(wanted: Sequence[Toleration]) -> Callable[[str, Json], list[Json]]:
    """Return an edit that adds tolerations to a pod spec."""
    written = [{k: v for k, v in (("key", t.key), ("operator", t.operator), ("value", t.value), ("effect", t.effect)) if v} for t in wanted]

    def edit(pointer: str, spec: Json) -> list[Json]:
        if isinstance(spec.get("tolerations"), list):
            return [{"op": "add", "path": f"{pointer}/tolerations/-", "value": one} for one in written]
        return [{"op": "add", "path": f"{pointer}/tolerations", "value": written}]

    return edit


def change_selector(key: str, value: str, to: tuple[str, str] | None) -> Callable[[str, Json], list[Json]]:
    """Return an edit of one nodeSelector entry: another key or value, or none."""

    def edit(pointer: str, spec: Json) -> list[Json]:
        selector = spec.get("nodeSelector") or {}
        if key not in selector or (selector[key] or "") != value:
            return []
        path = f"{pointer}/nodeSelector/"
        if to is not None and to[0] == key:
            return [{"op": "replace", "path": path + escape(key), "value": to[1]}]
        gone: list[Json] = [{"op": "remove", "path": path + escape(key)}]
        return gone if to is None else [*gone, {"op": "add", "path": path + escape(to[0]), "value": to[1]}]

    return edit


def change_affinity(key: str, values: Sequence[str], to: str) -> Callable[[str, Json], list[Json]]:
    """Return an edit of every required ``In`` expression with this key and these values: one value that exists instead."""

    def edit(pointer: str, spec: Json) -> list[Json]:
        terms = (((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
        path = f"{pointer}/affinity/nodeAffinity/{_REQUIRED}/nodeSelectorTerms"
        return [
            {"op": "replace", "path": f"{path}/{i}/matchExpressions/{j}/values", "value": [to]}
            for i, term in enumerate(terms)
            for j, one in enumerate(term.get("matchExpressions") or [])
            if one.get("key") == key and one.get("operator") == "In" and tuple(one.get("values") or ()) == tuple(values)
        ]

    return edit


def drop_node_name(pointer: str, spec: Json) -> list[Json]:
    """Edit: no fixed node."""
    return [{"op": "remove", "path": f"{pointer}/nodeName"}] if spec.get("nodeName") else []


def drop_selection(pointer: str, spec: Json) -> list[Json]:
    """Edit: no nodeSelector and no required node affinity."""
    ops: list[Json] = [{"op": "remove", "path": f"{pointer}/nodeSelector"}] if spec.get("nodeSelector") is not None else []
    if ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) is not None:
        ops.append({"op": "remove", "path": f"{pointer}/affinity/nodeAffinity/{_REQUIRED}"})
    return ops


def several(edits: Sequence[Callable[[str, Json], list[Json]]]) -> Callable[[str, Json], list[Json]]:
    """Return an edit that makes several edits of different fields."""
    return lambda pointer, spec: [op for edit in edits for op in edit(pointer, spec)]


def annotation_maps(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield (JSON pointer, annotations) of the pod templates of an object, then of the object itself: the order of precedence."""
    outers = [pointer.removesuffix("/spec") for pointer, _ in pod_specs(document)]
    for outer in dict.fromkeys([*outers, ""]):
        yield f"{outer}/metadata/annotations", _at(document, f"{outer}/metadata/annotations")


def _at(document: Any, pointer: str) -> Json:  # noqa: ANN401 - JSON
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else (document or {}).get(key)
    return document if isinstance(document, Mapping) else {}
