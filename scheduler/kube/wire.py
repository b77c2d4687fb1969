"""Kubernetes objects -> the values that decisions read: the one parser of live watches, manifests and snapshots.

Every function takes one raw object, as a mapping or as the bytes of its JSON. `strict` is for input that no API server has
checked (manifests, snapshots): whatever cannot be used raises BadInput with field, found and expected. Without it (live
watches) the value comes back with its `problem` set, so that one bad object is reported and never stops a watch.
PodGroups, policies and workloads are read in `wire_groups` and `wire_workloads` and named here, so that callers import one module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter

from scheduler.kube.fields import Metadata, NodeFields, PodFields, PodSpecFields, PodStatusFields, PriorityClassFields
from scheduler.kube.naming import check_labels, check_name
from scheduler.kube.podspec import amounts, reports_resources, used
from scheduler.kube.reading import Raw, Refused, read, refused, seconds
from scheduler.kube.shape import repels, shape
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import EMPTY, Node, Pod, Ref, Shape, Taint, Unsupported
from scheduler.state.problems import BadInput, InputProblem
from scheduler.state.resources import Resources

__all__ = ["Head", "Raw", "head", "kept_annotations", "node", "pod", "priority_class"]

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
)
"""Prefixes of annotations that name a group, a demand or a project; all others are dropped at the edge."""

_NODE: Final = TypeAdapter(NodeFields)
_POD: Final = TypeAdapter(PodFields)
_PRIORITY_CLASS: Final = TypeAdapter(PriorityClassFields)
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


def node(raw: Raw, *, strict: bool = True) -> Node:
    """Read a node. Without ``strict`` an unreadable one has a ``problem`` and offers nothing."""
    try:
        return _node(read(_NODE, raw, "Node"), strict=strict)
    except Refused as error:
        problem = refused(error, "Node", raw)
    except BadInput as error:
        problem = error
    if strict:
        raise problem from None
    whole = _whole(raw)
    name = NodeName(_text(whole, "metadata", "name"))
    return Node(name=name, uid=_text(whole, "metadata", "uid"), unschedulable=True, problem=str(problem.problems[0]))


def pod(raw: Raw, *, strict: bool = True, planned: bool = False, namespace: str = DEFAULT_NAMESPACE) -> Pod:
    """Read a pod.

    ``planned``: the pod comes from a manifest, so that ``spec.nodeName`` is a wish (the shape's) and not a fact.
    Without ``strict`` an unreadable pod has a ``problem`` and a shape that is unsupported: it is never placed. What it takes
    on its node is then unknown.
    """
    try:
        return _pod(read(_POD, raw, "Pod"), strict=strict, planned=planned, namespace=namespace)
    except Refused as error:
        problem = refused(error, "Pod", raw)
    except BadInput as error:
        problem = error
    if strict:
        raise problem from None
    return _unreadable(raw, problem.problems[0], namespace)


def priority_class(raw: Raw) -> tuple[str, int, bool]:
    """Return name, value and whether it is the default for pods that name none; raises BadInput."""
    fields = read(_PRIORITY_CLASS, raw, "PriorityClass")
    return fields["metadata"].get("name") or "", fields["value"], bool(fields.get("globalDefault"))


def head(metadata: Metadata, *, strict: bool, namespace: str) -> Head:
    """Read metadata; ``namespace`` is the one for objects that name none, empty for objects that have none."""
    name = check_name(metadata.get("name")) if strict else metadata.get("name") or ""
    labels = strings(metadata.get("labels"))
    if strict:
        check_labels(labels, "metadata.labels")
    where = (metadata.get("namespace") or namespace) if namespace else ""
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


def _node(fields: NodeFields, *, strict: bool) -> Node:
    about = head(fields["metadata"], strict=strict, namespace="")
    spec = fields.get("spec") or {}
    status = fields.get("status") or {}
    given = status.get("allocatable")
    place = "status.allocatable"
    if given is None:  # the API server fills allocatable from capacity
        given, place = status.get("capacity"), "status.capacity"
    return Node(
        name=NodeName(about.name),
        uid=about.uid,
        labels=about.labels,
        taints=tuple(Taint(key=t["key"], value=t.get("value") or "", effect=t["effect"]) for t in spec.get("taints") or ()),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=Resources(amounts(given, place)),
    )


def _pod(fields: PodFields, *, strict: bool, planned: bool, namespace: str) -> Pod:
    about = head(fields["metadata"], strict=strict, namespace=namespace)
    spec: PodSpecFields = fields.get("spec") or {}
    status: PodStatusFields = fields.get("status") or {}
    named = NodeName(spec.get("nodeName") or "") or None
    form = shape(spec, node_name=named if planned else None)
    nominated = status.get("nominatedNodeName")
    found = Pod(
        namespace=about.namespace,
        name=about.name,
        uid=PodUid(about.uid),
        labels=about.labels,
        annotations=about.annotations,
        owner=about.owner,
        scheduler_name=spec.get("schedulerName") or "default-scheduler",
        shape=form,
        used=used(spec, status) if reports_resources(status) else form.requests,
        priority=spec.get("priority") or 0,
        priority_class=spec.get("priorityClassName") or "",
        created=about.created,
        node=None if planned else named,
        nominated_node=NodeName(nominated) if nominated else None,
        phase=status.get("phase") or "Pending",
        ready=_ready(status),
        terminating=fields["metadata"].get("deletionTimestamp") is not None,
        gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        scheduling_group=(spec.get("schedulingGroup") or {}).get("podGroupName") or "",
        resource_version=about.resource_version,
        reason=status.get("reason") or "",
    )
    return replace(found, repels=repels(spec, about.namespace)) if found.node is not None and spec.get("affinity") else found


def _ready(status: PodStatusFields) -> bool:
    return any(c["type"] == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())


def _owner(metadata: Metadata) -> Ref | None:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return Ref(kind=owner["kind"], name=owner["name"], uid=owner.get("uid") or "", api_version=owner.get("apiVersion") or "")
    return None


def _whole(raw: Raw) -> Mapping[str, object]:
    """Return an object that could not be read, as far as it is one."""
    try:
        return read(_ANYTHING, raw, "object") if isinstance(raw, bytes) else raw
    except BadInput:
        return {}


def _text(whole: Mapping[str, object], part: str, field: str) -> str:
    inner = whole.get(part)
    found = inner.get(field) if isinstance(inner, Mapping) else None
    return found if isinstance(found, str) else ""


def _unreadable(raw: Raw, problem: InputProblem, default: str) -> Pod:
    whole = _whole(raw)
    name, namespace = _text(whole, "metadata", "name"), _text(whole, "metadata", "namespace") or default
    blocked = Unsupported(field=problem.field, check="Unreadable", message=str(problem))
    return Pod(
        namespace=namespace,
        name=name,
        uid=PodUid(_text(whole, "metadata", "uid") or synthetic_uid(namespace, name)),
        scheduler_name=_text(whole, "spec", "schedulerName") or "default-scheduler",
        shape=Shape(unsupported=(blocked,)),
        node=NodeName(_text(whole, "spec", "nodeName")) if _text(whole, "spec", "nodeName") else None,
        problem=str(problem),
    )
