"""What a relaxation of one gang does to others: groups of one LeaderWorkerSet have one manifest, and a PodGroup or a policy may serve several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from scheduler.decide.relax_changes import Json, Object, Raw, objects_of
from scheduler.decide.relax_demand import pod_group_of, policy_of
from scheduler.state.gang import Demand, Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import Shape


def touched(gangs: Iterable[Gang], changes: Sequence[Json], gang: Gang, raw: Raw | None) -> frozenset[GangKey]:
    """Return those of the gangs that are made from an object that is patched; without raw objects, those of the same workload."""
    if raw is None:
        return frozenset(g.key for g in gangs if (g.namespace, g.workload) == (gang.namespace, gang.workload))
    patched = {_name(change["patch"]) for change in changes if "patch" in change and change["patch"]["kind"] != "Node"}
    return frozenset(g.key for g in gangs if patched and any(_source(item) in patched for item in _sources(g, raw)))


def likewise(other: Gang, before: Gang, after: Gang) -> Gang:
    """Return another gang after the change that made ``after`` of ``before``."""
    shapes = {old.pod.shape: new.pod.shape for old, new in zip(before.members, after.members, strict=True)}
    members = tuple(replace(m, pod=replace(m.pod, shape=_shape(shapes, m.pod.shape))) if m.pod.node is None else m for m in other.members)
    number = after.min_member if other.min_member == before.min_member else other.min_member
    return replace(other, members=members, min_member=number, demand=_demand(other.demand, before.demand, after.demand))


def _shape(known: dict[Shape, Shape], shape: Shape) -> Shape:
    return known.get(shape, shape)


def _demand(other: Demand, before: Demand, after: Demand) -> Demand:
    """Change what the other asked for in the same words; weights are left alone, trials only drop them."""
    required = after.required if other.required == before.required else other.required
    segments = after.segments if other.segments == before.segments else other.segments
    eased = before.nvlink == "required" and after.nvlink != "required" and other.nvlink == "required"
    return replace(other, required=required, segments=segments, nvlink="preferred" if eased else other.nvlink)


def _sources(gang: Gang, raw: Raw) -> list[Object]:
    return [*objects_of(gang, raw), *filter(None, (pod_group_of(gang, raw), policy_of(gang, raw)))]


def _source(item: Object) -> tuple[str, str, str]:
    return _name(item.patch(())["patch"])


def _name(patched: Json) -> tuple[str, str, str]:
    return patched["kind"], patched["namespace"], patched["name"]
