"""All of a pod spec that decides which nodes can take the pod, and what in it is not checked yet (named, never ignored)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler.kube.parse.fields import (
    AffinityFields,
    ExpressionFields,
    LabelSelectorFields,
    PodAffinityFields,
    PodSpecFields,
    PodTermFields,
    TermFields,
    TolerationFields,
    VolumeFields,
)
from scheduler.kube.parse.podspec import is_sidecar, requests
from scheduler.kube.parse.reading import Refused
from scheduler.state.ids import NodeName
from scheduler.state.objects import HostPort, NodeSelectorTerm, PodTerm, Requirement, Shape, Toleration, Unsupported

_EVERY_ADDRESS: Final = HostPort(port=0).ip
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"

RESTRICTING_VOLUMES: Final = (
    ("persistentVolumeClaim", "VolumeBinding"),
    ("ephemeral", "VolumeBinding"),
    ("gcePersistentDisk", "VolumeRestrictions"),
    ("awsElasticBlockStore", "VolumeRestrictions"),
    ("iscsi", "VolumeRestrictions"),
    ("rbd", "VolumeRestrictions"),
    ("azureDisk", "NodeVolumeLimits"),
    ("cinder", "NodeVolumeLimits"),
    ("vsphereVolume", "NodeVolumeLimits"),
    ("portworxVolume", "NodeVolumeLimits"),
)
"""Kinds of volumes that carry a placement, and the plugin of kube-scheduler that reads them; all others can be mounted anywhere."""


def shape(spec: PodSpecFields, *, node_name: NodeName | None = None) -> Shape:
    """Return what decides where the pod can run; raises Refused for a field that cannot be meant."""
    affinity = spec.get("affinity")
    return Shape(
        requests=requests(spec),
        node_name=node_name,
        node_selector=tuple(sorted((key, value or "") for key, value in (spec.get("nodeSelector") or {}).items())),
        affinity=_node_affinity(affinity) if affinity else None,
        tolerations=_tolerations(spec),
        ports=tuple(sorted(set(_ports(spec)), key=lambda p: (p.port, p.protocol, p.ip))),
        unsupported=tuple(_unsupported(spec)),
    )


def repels(spec: PodSpecFields, namespace: str) -> tuple[PodTerm, ...]:
    """Return the required anti-affinity terms of a pod that exists: they refuse newcomers."""
    terms = _required((spec.get("affinity") or {}).get("podAntiAffinity"))
    place = f"spec.affinity.podAntiAffinity.{_REQUIRED}"
    return tuple(
        PodTerm(
            topology_key=term["topologyKey"],
            selector=selector(term.get("labelSelector"), f"{place}[{index}].labelSelector"),
            namespaces=tuple(sorted(term.get("namespaces") or ())) or (() if term.get("namespaceSelector") is not None else (namespace,)),
            namespace_selector=selector(term.get("namespaceSelector"), f"{place}[{index}].namespaceSelector"),
        )
        for index, term in enumerate(terms)
    )


def selector(given: LabelSelectorFields | None, place: str) -> tuple[Requirement, ...] | None:
    """Read a label selector; empty matches everything, ``None`` where there is none."""
    if given is None:
        return None
    found = [Requirement(key=key, operator="In", values=(value or "",)) for key, value in sorted((given.get("matchLabels") or {}).items())]
    for index, expression in enumerate(given.get("matchExpressions") or ()):
        values = tuple(expression.get("values") or ())
        _check_values(expression["operator"], values, f"{place}.matchExpressions[{index}].values")
        found.append(Requirement(key=expression["key"], operator=expression["operator"], values=values))
    return tuple(found)


def _node_affinity(affinity: AffinityFields) -> tuple[NodeSelectorTerm, ...] | None:
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return None
    place = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    return tuple(_term(term, f"{place}[{index}]") for index, term in enumerate(required.get("nodeSelectorTerms") or ()))


def _term(term: TermFields, place: str) -> NodeSelectorTerm:
    labels = tuple(_requirement(e, f"{place}.matchExpressions[{i}]") for i, e in enumerate(term.get("matchExpressions") or ()))
    fields = tuple(_requirement(e, f"{place}.matchFields[{i}]") for i, e in enumerate(term.get("matchFields") or ()))
    for index, requirement in enumerate(fields):
        if requirement.key != "metadata.name" or requirement.operator not in ("In", "NotIn"):
            found = f"{requirement.key} {requirement.operator}"
            raise Refused(f"{place}.matchFields[{index}]", found, "key metadata.name with operator In or NotIn")
    return NodeSelectorTerm(expressions=labels, fields=fields)


def _requirement(expression: ExpressionFields, place: str) -> Requirement:
    values = tuple(expression.get("values") or ())
    _check_values(expression["operator"], values, f"{place}.values")
    return Requirement(key=expression["key"], operator=expression["operator"], values=values)


def _check_values(operator: str, values: tuple[str, ...], place: str) -> None:
    if operator in ("In", "NotIn") and not values:
        raise Refused(place, list(values), f"at least one value for operator {operator}")
    if operator in ("Exists", "DoesNotExist") and values:
        raise Refused(place, list(values), f"no values for operator {operator}")
    if operator in ("Gt", "Lt") and not (len(values) == 1 and _is_integer(values[0])):
        raise Refused(place, list(values), f"one whole number for operator {operator}")


def _is_integer(text: str) -> bool:
    return text.lstrip("+-").isascii() and text.removeprefix("-").removeprefix("+").isdigit()


def _tolerations(spec: PodSpecFields) -> tuple[Toleration, ...]:
    return tuple(_toleration(t, f"spec.tolerations[{i}]") for i, t in enumerate(spec.get("tolerations") or ()))


def _toleration(given: TolerationFields, place: str) -> Toleration:
    key, operator = given.get("key") or "", given.get("operator") or "Equal"
    if operator not in ("Equal", "Exists"):
        raise Refused(f"{place}.operator", operator, "Equal or Exists")
    if not key and operator == "Equal":
        raise Refused(f"{place}.operator", operator, "Exists, because the key is empty")
    return Toleration(key=key, operator=operator, value=given.get("value") or "", effect=given.get("effect") or "")


def _ports(spec: PodSpecFields) -> Iterator[HostPort]:
    """Host ports of containers and sidecars; on the host's network every container port is one (the API server writes it so)."""
    host_network = bool(spec.get("hostNetwork"))
    sidecars = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if host_network else 0)
            if number:
                yield HostPort(port=number, protocol=port.get("protocol") or "TCP", ip=port.get("hostIP") or _EVERY_ADDRESS)


def _required(given: PodAffinityFields | None) -> list[PodTermFields]:
    return (given or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []


def _unsupported(spec: PodSpecFields) -> Iterator[Unsupported]:
    affinity = spec.get("affinity")
    if affinity:
        yield from _pod_terms("podAffinity", _required(affinity.get("podAffinity")))
        yield from _pod_terms("podAntiAffinity", _required(affinity.get("podAntiAffinity")))
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("whenUnsatisfiable") in (None, "", "DoNotSchedule"):
            message = f"a DoNotSchedule spread over {constraint.get('topologyKey')}"
            yield Unsupported(field=f"spec.topologySpreadConstraints[{index}]", check="PodTopologySpread", message=message)
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, index)
    for index, claim in enumerate(spec.get("resourceClaims") or ()):
        yield Unsupported(field=f"spec.resourceClaims[{index}]", check="DynamicResources", message=f"the resource claim {claim['name']}")


def _pod_terms(kind: str, terms: list[PodTermFields]) -> Iterator[Unsupported]:
    for index, term in enumerate(terms):
        message = f"a required {'anti-affinity' if kind == 'podAntiAffinity' else 'affinity'} to pods over {term['topologyKey']}"
        yield Unsupported(field=f"spec.affinity.{kind}.{_REQUIRED}[{index}]", check="InterPodAffinity", message=message)


def _volume(volume: VolumeFields, index: int) -> Iterator[Unsupported]:
    for kind, check in RESTRICTING_VOLUMES:
        if volume.get(kind) is not None:
            yield Unsupported(field=f"spec.volumes[{index}].{kind}", check=check, message=f"the volume {volume.get('name') or index} ({kind})")
