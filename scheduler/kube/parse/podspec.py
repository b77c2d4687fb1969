"""What a pod takes: kube-scheduler 1.36's PodRequests, with the defaulting that the API server does before it.

`requests` is what a new pod asks for. `used` is what a pod on a node counts, in-place resize included: the largest of what its
spec asks, what kubelet gave and what kubelet promised; a resize that can never happen does not count what the spec asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from scheduler.kube.parse.fields import Amounts, ContainerFields, ContainerStatusFields, PodSpecFields, PodStatusFields, ResourceFields
from scheduler.kube.parse.quantity import LARGEST, amount
from scheduler.kube.parse.reading import Refused
from scheduler.state.resources import PODS, Resources

Vector: TypeAlias = dict[str, int]

_POD_LEVEL: Final = ("cpu", "memory")
_HUGE: Final = "hugepages-"
_NATIVE: Final = frozenset({"cpu", "memory", "ephemeral-storage", PODS})
_EXPECTED_NAME: Final = "cpu, memory, ephemeral-storage, hugepages-<size> or a name with a domain such as nvidia.com/gpu"


def amounts(given: Amounts | None, path: str) -> Vector:
    """Read a list of quantities; raises Refused with the path of the first that cannot be meant."""
    found: Vector = {}
    for name, value in (given or {}).items():
        try:
            found[name] = amount(name, value)
        except ValueError as error:
            raise Refused(f"{path}.{name}", value, str(error)) from None
    return found


def requests(spec: PodSpecFields) -> Resources:
    """Return what a new pod asks for, ``pods: 1`` included."""
    return _finished(_whole(spec, {}, None))


def used(spec: PodSpecFields, status: PodStatusFields) -> Resources:
    """Return what the pod takes on its node; equal to ``requests`` while no container reports what it was given."""
    statuses = {s.get("name") or "": s for field in ("containerStatuses", "initContainerStatuses") for s in _statuses(status, field)}
    return _finished(_whole(spec, statuses, status))


def reports_resources(status: PodStatusFields) -> bool:
    """Tell whether kubelet says what the pod was given, so that ``used`` may differ from ``requests``."""
    if status.get("resources") is not None:
        return True
    return any(s.get("resources") is not None for field in ("containerStatuses", "initContainerStatuses") for s in _statuses(status, field))


def is_sidecar(container: ContainerFields) -> bool:
    """Tell whether an init container keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def _statuses(status: PodStatusFields, field: str) -> Iterable[ContainerStatusFields]:
    found = status.get("containerStatuses") if field == "containerStatuses" else status.get("initContainerStatuses")
    return found or ()


def _whole(spec: PodSpecFields, statuses: Mapping[str, ContainerStatusFields], status: PodStatusFields | None) -> Vector:
    infeasible = status is not None and _resize_infeasible(status)
    vector = _containers(spec, statuses, infeasible=infeasible)
    level = spec.get("resources")
    if level:
        asked = _pod_level(level, vector)
        reported = status.get("resources") if status is not None else None
        if status is not None and reported is not None:
            allocated = amounts(status.get("allocatedResources"), "status.allocatedResources")
            given = amounts(reported.get("requests"), "status.resources.requests")
            asked = {name: _effective({name: value}, given, allocated, infeasible=infeasible).get(name, 0) for name, value in asked.items()}
        vector.update(asked)
    _add(vector, amounts(spec.get("overhead"), "spec.overhead"))
    return vector


def _containers(spec: PodSpecFields, statuses: Mapping[str, ContainerStatusFields], *, infeasible: bool) -> Vector:
    """Sum containers and sidecars; an ordinary init container needs its own and all sidecars that started before it."""
    vector: Vector = {}
    for index, container in enumerate(spec.get("containers") or ()):
        _add(vector, _container(container, f"spec.containers[{index}]", statuses, infeasible=infeasible))
    sidecars: Vector = {}
    peak: Vector = {}
    for index, container in enumerate(spec.get("initContainers") or ()):
        place = f"spec.initContainers[{index}]"
        if is_sidecar(container):
            asked = _container(container, place, statuses, infeasible=infeasible)
            _add(vector, asked)
            _add(sidecars, asked)
        else:
            asked = _container(container, place, {}, infeasible=infeasible)
            _add(asked, sidecars)
            _raise_to(peak, asked)
    _raise_to(vector, peak)
    return vector


def _container(container: ContainerFields, place: str, statuses: Mapping[str, ContainerStatusFields], *, infeasible: bool) -> Vector:
    resources = container.get("resources")
    asked = _defaulted(resources, f"{place}.resources") if resources else {}
    status = statuses.get(container.get("name") or "") if statuses else None
    reported = status.get("resources") if status is not None else None
    if status is None or reported is None:
        return asked
    given = amounts(reported.get("requests"), "status.containerStatuses.resources.requests")
    allocated = amounts(status.get("allocatedResources"), "status.containerStatuses.allocatedResources")
    return _effective(asked, given, allocated, infeasible=infeasible)


def _defaulted(resources: ResourceFields, place: str) -> Vector:
    """Return requests; where one is absent its limit counts (the API server writes it so)."""
    found = amounts(resources.get("limits"), f"{place}.limits")
    found.update(amounts(resources.get("requests"), f"{place}.requests"))
    for name in found:
        if "/" not in name and name not in _NATIVE and not name.startswith(_HUGE):
            raise Refused(f"{place}.requests", name, _EXPECTED_NAME)
    found.pop(PODS, None)  # a pod counts as one whatever a container says
    return found


def _pod_level(level: ResourceFields, containers: Vector) -> Vector:
    """Return the amounts that replace the containers' sums: pod-level requests, else limits where no container asks."""
    asked = amounts(level.get("requests"), "spec.resources.requests")
    for name, limit in amounts(level.get("limits"), "spec.resources.limits").items():
        if name not in asked and (name not in containers or name.startswith(_HUGE)):
            asked[name] = limit
    return {name: value for name, value in asked.items() if name in _POD_LEVEL or name.startswith(_HUGE)}


def _effective(asked: Vector, given: Vector, allocated: Vector, *, infeasible: bool) -> Vector:
    found = dict(given)
    _raise_to(found, allocated)
    if not infeasible:
        _raise_to(found, asked)
    return found


def _resize_infeasible(status: PodStatusFields) -> bool:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodResizePending":
            return condition.get("reason") == "Infeasible"
    return False


def _add(vector: Vector, other: Vector) -> None:
    for name, value in other.items():
        vector[name] = vector.get(name, 0) + value


def _raise_to(vector: Vector, other: Vector) -> None:
    for name, value in other.items():
        if value > vector.get(name, 0):
            vector[name] = value


def _finished(vector: Vector) -> Resources:
    for name, value in vector.items():
        if value > LARGEST:
            raise Refused("spec.containers", value, f"containers that ask for at most 2^60 of {name} together")
    vector[PODS] = 1
    return Resources(vector)
