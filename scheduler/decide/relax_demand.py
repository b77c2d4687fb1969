"""Changes of what a gang demands: a wider required level or none, a lower minMember, written where the user wrote the demand.

The first source that speaks wins (pod, workload, PodGroup, policy), so a change is made at that source; dropping a level
needs every source to be silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.decide.relax_changes import MIN_MEMBER, NVLINK, REQUIRED, Json, Object, Raw, annotation_maps, escape
from scheduler.state.gang import Gang
from topology import Topology, spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speaker:
    """One place that names the required level."""

    holder: Object
    path: str
    value: str
    shared: bool = False
    """A policy: other gangs listen to it too."""


def require(gang: Gang, objects: Sequence[Object], raw: Raw | None, level: str | None) -> tuple[Json, ...]:
    """Return changes that make ``level`` the required level, or none; empty where the input has no place for them."""
    speakers = list(_speakers(gang, objects, raw))
    if level is None:
        return patches((s.holder, {"op": "remove", "path": s.path}) for s in speakers)
    ours = [s for s in speakers if s.value == gang.demand.required and not s.shared]
    if ours:
        return patches((s.holder, {"op": "replace", "path": s.path, "value": level}) for s in ours)
    return tuple(annotate(item, REQUIRED[0], level) for item in objects[:1])


def prefer_nvlink(objects: Sequence[Object]) -> tuple[Json, ...]:
    """Return changes that turn a required NVLink domain into a preferred one."""
    return patches(
        (item, {"op": "replace", "path": f"{pointer}/{escape(NVLINK)}", "value": "preferred"})
        for item in objects
        for pointer, found in annotation_maps(item.raw)
        if found.get(NVLINK) == "required"
    )


def lower_min_member(gang: Gang, objects: Sequence[Object], raw: Raw | None, number: int) -> tuple[Json, ...]:
    """Return changes that lower minMember: of the PodGroup that makes the gang, or of the annotation; empty where neither exists."""
    spoken = patches(
        (item, {"op": "replace", "path": f"{pointer}/{escape(MIN_MEMBER)}", "value": str(number)})
        for item in objects
        for pointer, found in annotation_maps(item.raw)
        if MIN_MEMBER in found
    )
    if spoken:
        return spoken
    holder = pod_group_of(gang, raw)
    if holder is None:
        return ()
    for path in ("/spec/minMember", "/spec/schedulingPolicy/gang/minCount"):
        if isinstance(_value(holder.raw, path), int):
            return (holder.patch([{"op": "replace", "path": path, "value": number}]),)
    return ()


def said(topology: Topology, name: str) -> str:
    """Return what a sentence calls a level, however it was written: its name with its key, or the word as it is where no node carries it."""
    level = topology.resolve(name)
    if level is None:
        return name
    return level.name if level.name == level.key else f"{spoken(level.name)} ({level.key})"


def steps(topology: Topology, name: str) -> list[str]:
    """Return the keys of the levels to ask for instead, nearest first: the wider ones, or what was probably meant and the wider ones."""
    own = topology.resolve(name)
    if own is not None:
        return [level.key for level in topology.wider(own.key)]
    near = topology.nearest(name)
    meant = None if near is None else topology.resolve(near)
    return [] if meant is None else [meant.key, *(level.key for level in topology.wider(meant.key))]


def annotate(item: Object, key: str, value: str) -> Json:
    """Return a change that sets an annotation of an object."""
    if isinstance((item.raw.get("metadata") or {}).get("annotations"), dict):
        return item.patch([{"op": "add", "path": f"/metadata/annotations/{escape(key)}", "value": value}])
    return item.patch([{"op": "add", "path": "/metadata/annotations", "value": {key: value}}])


def _speakers(gang: Gang, objects: Sequence[Object], raw: Raw | None) -> Iterator[_Speaker]:
    for item in objects:
        yield from _annotated(item)
    group = pod_group_of(gang, raw)
    if group is not None:
        said = _value(group.raw, "/spec/requiredTopology")
        if isinstance(said, str) and said:
            yield _Speaker(holder=group, path="/spec/requiredTopology", value=said)
        if not any(group.raw is item.raw for item in objects):
            yield from _annotated(group)
    policy = policy_of(gang, raw)
    if policy is not None:
        yield _Speaker(holder=policy, path="/spec/requiredTopology", value=str(_value(policy.raw, "/spec/requiredTopology")), shared=True)


def _annotated(item: Object) -> Iterator[_Speaker]:
    for pointer, found in annotation_maps(item.raw):
        for key in REQUIRED:
            if found.get(key):
                yield _Speaker(holder=item, path=f"{pointer}/{escape(key)}", value=str(found[key]))


def pod_group_of(gang: Gang, raw: Raw | None) -> Object | None:
    """Return the PodGroup that makes the gang or sets its policy, where it is among the input."""
    name = gang.workload.name if gang.workload.kind == "PodGroup" else gang.pod_group
    found = raw("PodGroup", gang.namespace, name) if raw is not None and name else None
    return None if found is None else Object(raw=found, namespace=gang.namespace)


def policy_of(gang: Gang, raw: Raw | None) -> Object | None:
    """Return the policy that the demand comes from, where it requires a level."""
    named = re.search(r"TopologyPolicy ([^/;\s]+)/([^/;\s]+)", gang.demand.source)
    found = raw("TopologyPolicy", named[1], named[2]) if raw is not None and named else None
    if found is None or not _value(found, "/spec/requiredTopology"):
        return None
    return Object(raw=found, namespace=gang.namespace)


def _value(document: Any, path: str) -> object:  # noqa: ANN401 - JSON
    for part in path.split("/")[1:]:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def patches(rows: Iterable[tuple[Object, Json]]) -> tuple[Json, ...]:
    """Return one change for each object, with its operations in their order."""
    ops: dict[int, tuple[Object, list[Json]]] = {}
    for item, op in rows:
        ops.setdefault(id(item.raw), (item, []))[1].append(op)
    return tuple(item.patch(found) for item, found in ops.values())
