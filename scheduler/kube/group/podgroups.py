"""What a PodGroup's status says as far as grouping knows: counts, phase, and whether anybody joined it.

Cost, proof and the outcome of deciding are added by whoever publishes the status.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from scheduler.kube.group import names
from scheduler.kube.group.groups import Grouping, Joined
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey
from scheduler.state.world import PodGroup, World

Phase: TypeAlias = Literal["TimedOut", "Unschedulable", "Pending", "Scheduling", "Scheduled", "Running"]
PHASES: Final[tuple[Phase, ...]] = ("TimedOut", "Unschedulable", "Pending", "Scheduling", "Scheduled", "Running")
"""Least advanced first: a PodGroup over several gangs shows the least advanced one's."""

SEVERAL_POD_GROUPS: Final = "SeveralPodGroups"
_WRITTEN: Final = ("LeaderWorkerSet", "Deployment", "StatefulSet", "Job", "JobSet", "RayCluster", "PodCliqueSet")
"""Kinds in whose pod templates a person writes the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a PodGroup, to be written as it stands."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodGroupStatus:
    """Counts are sums over the gangs of the PodGroup, the phase is the least advanced gang's."""

    group: PodGroup
    desired: int
    scheduled: int
    running: int
    phase: Phase
    gangs: tuple[GangKey, ...]
    conditions: tuple[Condition, ...]


def pod_group_status(world: World, grouping: Grouping, *, only: Collection[tuple[str, str]] | None = None) -> dict[tuple[str, str], PodGroupStatus]:
    """Return the status of every PodGroup of our API group, or of those in ``only`` (namespace, name)."""
    by_key = {gang.key: gang for gang in (*grouping.gangs, *grouping.settled)}
    speak: dict[tuple[str, str], list[Gang]] = {}
    for gang in by_key.values():
        for object_ in {advice.object for advice in gang.advice}:
            speak.setdefault((gang.namespace, object_), []).append(gang)
    wanted = world.pod_groups if only is None else {key: world.pod_groups[key] for key in only if key in world.pod_groups}
    return {
        key: _status(group, grouping.groups.get(key, Joined()), by_key, world, grouping, speak=speak)
        for key, group in sorted(wanted.items())
        if group.api_version.partition("/")[0] == names.RUN_AI
    }


def least_advanced(phases: Iterable[Phase]) -> Phase:
    """Return the phase that a PodGroup over gangs in these phases shows; Pending where there is no gang."""
    return min(phases, key=PHASES.index, default="Pending")


def gang_phase(gang: Gang) -> Phase:
    """Return how far a gang has come; Unschedulable and TimedOut are known only where it is decided."""
    if sum(member.pod.phase == "Running" for member in gang.fixed) >= gang.min_member:
        return "Running"
    if len(gang.fixed) >= gang.min_member:
        return "Scheduled"
    return "Pending" if gang.waiting is not None else "Scheduling"


def nobody_joined(world: World, grouping: Grouping) -> tuple[Advice, ...]:
    """Return a warning for every PodGroup of ours that no pod names."""
    unjoined = [
        group for key, group in sorted(world.pod_groups.items()) if key not in grouping.groups and group.api_version.startswith(names.RUN_AI + "/")
    ]
    return tuple(
        Advice(level="warning", object=f"PodGroup/{g.name}", field="metadata.name", message=how_to_join(g, world, grouping)) for g in unjoined
    )


def how_to_join(group: PodGroup, world: World, grouping: Grouping) -> str:
    """Say that no pod names the PodGroup, how one would, and which gang of its namespace looks meant."""
    message = f"No pod names PodGroup {group.namespace}/{group.name}: write the label {names.POD_GROUP}: {group.name} in the pod template."
    meant = _looks_meant(group, world, grouping)
    return f"{message} {meant} looks meant." if meant else message


def _looks_meant(group: PodGroup, world: World, grouping: Grouping) -> str | None:
    """Return the workload that is nearest by name and by number of members, of those that name no PodGroup yet."""
    candidates: dict[str, tuple[str, int]] = {}
    for (kind, namespace, name), workload in world.workloads.items():
        if namespace == group.namespace and kind in _WRITTEN and (workload.owner is None or workload.owner.kind not in (*_WRITTEN, "Pod")):
            candidates[f"{kind} {name}"] = (name, workload.size or workload.replicas or 0)
    for gang in (*grouping.gangs, *grouping.settled):
        if gang.namespace == group.namespace and gang.pod_group is None:
            candidates[f"{gang.workload.kind} {gang.workload.name}"] = (gang.workload.name, len(gang.members))
    taken = {
        f"{gang.workload.kind} {gang.workload.name}"
        for gang in (*grouping.gangs, *grouping.settled)
        if gang.namespace == group.namespace and gang.pod_group is not None
    }
    free = {shown: found for shown, found in candidates.items() if shown not in taken}
    if not free:
        return None

    def likeness(shown: str) -> tuple[float, str]:
        name, count = free[shown]
        alike = difflib.SequenceMatcher(None, group.name, name).ratio() + (0.5 if group.name.startswith(name) else 0)
        return -(alike + (0.5 if count == group.min_member else 0)), shown

    best = min(free, key=likeness)
    count = free[best][1]
    return f"{best} (pods: {count})" if count else best


def _status(
    group: PodGroup,
    joined: Joined,
    by_key: Mapping[GangKey, Gang],
    world: World,
    grouping: Grouping,
    *,
    speak: Mapping[tuple[str, str], Sequence[Gang]],
) -> PodGroupStatus:
    """``speak``: the gangs that have something to say about an object, by namespace and object, also where they are not the PodGroup's."""
    found = [by_key[key] for key in joined.gangs]
    phase = least_advanced(gang_phase(gang) for gang in found)
    if not found and joined.completed and joined.completed == joined.pods:
        phase = "Scheduled"  # all have run to their end
    real = [member for gang in found for member in gang.members if not member.held]
    return PodGroupStatus(
        group=group,
        desired=sum(max(gang.min_member, len(gang.members)) for gang in found) or group.min_member or 0,
        scheduled=sum(member.pod.node is not None for member in real) + joined.completed,
        running=sum(member.pod.node is not None and member.pod.phase == "Running" for member in real),
        phase=phase,
        gangs=joined.gangs,
        conditions=(
            _joined(group, joined, world, grouping),
            _accepted(group, found),
            _consistent(group, speak.get((group.namespace, f"PodGroup/{group.name}"), ())),
            _scheduled(found, phase),
        ),
    )


def _joined(group: PodGroup, joined: Joined, world: World, grouping: Grouping) -> Condition:
    if not joined.pods:
        return Condition(type="Joined", status=False, reason="NobodyJoined", message=how_to_join(group, world, grouping))
    if joined.foreign and not joined.gangs:
        others = ", ".join(joined.foreign)
        ask = f"write schedulerName: {names.SCHEDULER_NAME} in the pod template"
        message = f"{_name_it(joined)}, but their schedulerName is {others}: {ask}."
        return Condition(type="Joined", status=False, reason="OtherScheduler", message=message)
    return Condition(type="Joined", status=True, reason="Joined", message=f"{_name_it(joined)}; gangs: {len(joined.gangs)}.")


def _name_it(joined: Joined) -> str:
    return "1 pod names the PodGroup" if joined.pods == 1 else f"{joined.pods} pods name the PodGroup"


def _accepted(group: PodGroup, found: Iterable[Gang]) -> Condition:
    if group.problem:
        return Condition(type="Accepted", status=False, reason="PodGroupInvalid", message=group.problem)
    for gang in found:
        if gang.waiting is not None and gang.waiting.code in ("PodGroupInvalid", "PolicyMissing"):
            return Condition(type="Accepted", status=False, reason=gang.waiting.code, message=gang.waiting.message)
    return Condition(type="Accepted", status=True, reason="Accepted", message="Everything that the PodGroup and its pods ask for can be read.")


def _consistent(group: PodGroup, gangs: Iterable[Gang]) -> Condition:
    """Differing sizes and several PodGroups for one gang are said here; policies that conflict are told by advice on the policies."""
    for gang in gangs:
        for advice in gang.advice:
            if advice.object == f"PodGroup/{group.name}":
                reason = {"spec.minMember": "SizesDiffer", "metadata.name": SEVERAL_POD_GROUPS}.get(advice.field, "Advice")
                return Condition(type="Consistent", status=False, reason=reason, message=advice.message)
    return Condition(type="Consistent", status=True, reason="Consistent", message="The PodGroup and the groups that its pods form agree.")


def _scheduled(found: Iterable[Gang], phase: Phase) -> Condition:
    waiting = next((gang.waiting for gang in found if gang.waiting is not None and gang_phase(gang) == "Pending"), None)
    if phase in ("Scheduled", "Running"):
        return Condition(type="Scheduled", status=True, reason="Scheduled", message="minMember members of every gang are bound.")
    if waiting is not None:
        return Condition(type="Scheduled", status=False, reason=waiting.code, message=waiting.message)
    return Condition(type="Scheduled", status=False, reason=phase, message="Not every gang has minMember members bound.")
