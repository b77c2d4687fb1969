"""Nodes, pods and priority classes -> the values that decisions read. Callers import `scheduler.kube.parse.wire`, which explains `strict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Required

from pydantic import TypeAdapter, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse import shared
from scheduler.kube.parse.fields import STRICT, Metadata, NodeFields, PodFields, PodSpecFields, PodStatusFields, Priority
from scheduler.kube.parse.head import DEFAULT_NAMESPACE, read_head, salvaged_head, text, whole
from scheduler.kube.parse.naming import check_labels
from scheduler.kube.parse.podspec import amounts, reports_resources, used
from scheduler.kube.parse.reading import Raw, Refused, read, refused
from scheduler.kube.parse.shape import repels, shape
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Node, Pod, Shape, Taint, Unsupported
from scheduler.state.problems import BadInput, InputProblem
from scheduler.state.resources import Resources


@with_config(STRICT)
class _PriorityClass(TypedDict, total=False):
    """scheduling.k8s.io/v1 PriorityClass."""

    metadata: Required[Metadata]
    value: Required[Priority]
    globalDefault: bool | None


_SHAPELESS: Final = frozenset({"nodeName", "schedulerName", "priority", "priorityClassName", "schedulingGates", "schedulingGroup"})
"""Fields of a pod's spec that say nothing about its shape, and differ among pods of one workload or change while a pod lives."""
_NODE: Final = TypeAdapter(NodeFields)
_POD: Final = TypeAdapter(PodFields)
_PRIORITY_CLASS: Final = TypeAdapter(_PriorityClass)


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
    about = salvaged_head(raw, "")
    return Node(name=NodeName(about.name), uid=about.uid, unschedulable=True, problem=str(problem.problems[0]))


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


def _node(fields: NodeFields, *, strict: bool) -> Node:
    about = read_head(fields["metadata"], strict=strict, namespace="")
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
        allocatable=shared.VECTORS.one(Resources(amounts(given, place))),
    )


def _pod(fields: PodFields, *, strict: bool, planned: bool, namespace: str) -> Pod:
    about = read_head(fields["metadata"], strict=strict, namespace=namespace)
    spec: PodSpecFields = fields.get("spec") or {}
    status: PodStatusFields = fields.get("status") or {}
    named = NodeName(shared.NAMES.one(name)) if (name := spec.get("nodeName")) else None
    form = _shape(spec, named if planned else None)
    nominated = status.get("nominatedNodeName")
    found = Pod(
        namespace=shared.NAMES.one(about.namespace),
        name=about.name,
        uid=PodUid(about.uid),
        labels=shared.MAPS.one(about.labels),
        annotations=shared.MAPS.one(about.annotations),
        owner=None if about.owner is None else shared.OWNERS.one(about.owner),
        scheduler_name=spec.get("schedulerName") or "default-scheduler",
        shape=form,
        used=shared.VECTORS.one(used(spec, status)) if reports_resources(status) else form.requests,
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


def _shape(spec: PodSpecFields, node_name: NodeName | None) -> Shape:
    """Return the shape of a pod; the pods of a workload say the same, and it is worked out once."""
    try:
        said = to_json({key: value for key, value in spec.items() if key not in _SHAPELESS}, inf_nan_mode="constants")
    except ValueError:  # text that no server sends, from a file: half of a surrogate pair, say
        return shared.SHAPES.one(shape(spec, node_name=node_name))
    return shared.OF_SPECS.of((said, node_name), lambda: shared.SHAPES.one(shape(spec, node_name=node_name)))


def _ready(status: PodStatusFields) -> bool:
    return any(c["type"] == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())


def _unreadable(raw: Raw, problem: InputProblem, namespace: str) -> Pod:
    about = salvaged_head(raw, namespace)
    found = whole(raw)
    blocked = Unsupported(field=problem.field, check="Unreadable", message=str(problem))
    return Pod(
        namespace=about.namespace,
        name=about.name,
        uid=PodUid(about.uid),
        scheduler_name=text(found, "spec", "schedulerName") or "default-scheduler",
        shape=Shape(unsupported=(blocked,)),
        node=NodeName(text(found, "spec", "nodeName")) or None,
        resource_version=about.resource_version,
        problem=str(problem),
    )


def template_pod(template: Mapping[str, object], *, namespace: str, strict: bool) -> Pod:
    """Read a pod template as the pod it would become, without name and UID; raises BadInput with fields of the template."""
    raw = {"metadata": template.get("metadata") or {}, "spec": template.get("spec")}
    try:
        found = _pod(read(_POD, raw, "template"), strict=False, planned=True, namespace=namespace)
        if strict:
            check_labels(found.labels, "metadata.labels")
    except Refused as error:
        raise refused(error, "template", raw) from None
    return replace(found, name="", uid=PodUid(""))
