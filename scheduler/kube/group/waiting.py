"""Why a gang is not to be decided yet, and what a person should know about it: sentences with names and numbers.

Everything is a value: the live scheduler makes conditions of it, a plan makes bad input of the problems among it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.kube.group import lws, names
from scheduler.kube.group.demands import Settled
from scheduler.kube.group.groups import Collected, Entry, GroupRef
from scheduler.kube.group.workloads import POD_GROUP
from scheduler.state.gang import Advice, Waiting
from scheduler.state.objects import Pod
from scheduler.state.problems import InputProblem

_SHOWN: Final = 3
_MIN_MEMBER: Final = f"metadata.annotations[{names.MIN_MEMBER}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is known of one group when it is asked whether it must wait."""

    ref: GroupRef
    group: Collected
    pod_group: str | None
    """The PodGroup that its pods name."""
    pod_group_exists: bool
    pod_groups: tuple[str, ...] = ()
    """Names of the PodGroups of the namespace."""
    settled: Settled
    least: int | None
    """minMember, ``None`` where nobody says it."""
    entries: tuple[Entry, ...]
    """Members and held seats in rank order."""
    foreign: tuple[Pod, ...] = ()
    """Pods of the group without a node that another scheduler is to place."""
    gated: tuple[Pod, ...] = ()
    """Members with scheduling gates without which there are too few."""
    left: tuple[Pod, ...] = ()
    """Pods with scheduling gates that the gang can do without for now."""
    scheduler_name: str


def why(case: Case) -> Waiting | None:
    """Return the first reason to wait, the most fundamental one first; ``None``: the gang can be decided."""
    if case.pod_group is not None and not case.pod_group_exists:
        return _missing_pod_group(case, case.pod_group)
    if case.settled.waiting is not None:
        return case.settled.waiting
    if case.group.problem is not None:
        problem = case.group.problem
        message = f"{problem.object} cannot be used: {problem.field} is {problem.found}, expected is {problem.expected}."
        return Waiting(code="PodGroupInvalid", message=message, problem=problem)
    if case.least is None:
        return _no_number(case)
    if len(case.entries) < case.least:
        return Waiting(code="MembersMissing", message=_missing(case, case.least), problem=_too_few(case, case.least))
    if case.gated:
        shown = ", ".join(f"{pod.name} ({', '.join(pod.gates)})" for pod in case.gated[:_SHOWN])
        message = f"{len(case.gated)} of {len(case.entries)} members have scheduling gates: {shown}{_and_more(len(case.gated))}."
        return Waiting(code="Gated", message=message)
    return None


def advice(case: Case) -> tuple[Advice, ...]:
    """Return what a person should know about the group's size, scheduler name and gates."""
    return (*_size_advice(case), *_scheduler_advice(case), *_gate_advice(case))


def _missing_pod_group(case: Case, name: str) -> Waiting:
    count = len(case.group.pods)
    message = f"{count} {_pods(count)} of {case.group.name} name the PodGroup {name}, which does not exist in namespace {case.ref.namespace}."
    near = difflib.get_close_matches(name, case.pod_groups, n=1)
    return Waiting(code="PodGroupMissing", message=f"{message} The nearest that exists is {near[0]}." if near else message)


def _no_number(case: Case) -> Waiting:
    place = f"{case.ref.namespace}/{case.ref.name}"
    message = (
        f"PodGroup {place} has no spec.minMember and its {len(case.entries)} pods form no group of a known size: write how many must run together."
    )
    return Waiting(code="PodGroupInvalid", message=message)


def _missing(case: Case, least: int) -> str:
    here = [pod for _, pod in case.entries]
    message = f"{len(here)} of {least} members exist ({_names(here)})."
    if case.foreign:
        others = f"{len(case.foreign)} more without a node ({_names(case.foreign)})"
        return f"{message} {others} have schedulerName {_schedulers(case.foreign)}, not {case.scheduler_name}."
    if case.ref.kind == lws.KIND:
        have = {rank for rank, _ in case.entries}
        leader = case.group.owner.name
        missing = [f"{leader}-{rank}" for rank in range(1, min(least, len(here) + _SHOWN + 1)) if rank not in have][:_SHOWN]
        return f"{message} LeaderWorkerSet {case.group.written.name} has still to create {', '.join(missing)}{_and_more(least - len(here))}."
    if case.ref.kind == POD_GROUP:
        return f"{message} {least - len(here)} more must join PodGroup {case.ref.name}, or its minMember must be lower."
    return message


def _too_few(case: Case, least: int) -> InputProblem | None:
    """Return what a plan answers when somebody asks for more members than there are; a group of fixed size is its controller's business."""
    source = case.settled.min_source
    if case.group.size is not None or not source:
        return None
    return InputProblem(
        object=source.replace(" ", "/", 1),
        field="spec.minMember" if source.startswith("PodGroup ") else _MIN_MEMBER,
        found=str(least),
        expected=f"at most {len(case.entries)}, the number of pods of {case.ref.kind} {case.group.name}",
    )


def _size_advice(case: Case) -> tuple[Advice, ...]:
    said, size = case.settled.min_member, case.group.size
    if size is None or said in (None, size):
        return ()
    kind, _, place = case.settled.min_source.partition(" ")
    message = f"minMember {said} differs from the size {size} of group {case.group.name}: the size counts, because its controller forms the group."
    field = "spec.minMember" if kind == POD_GROUP else _MIN_MEMBER
    return (Advice(level="warning", object=f"{kind}/{place.rpartition('/')[2]}", field=field, message=message),)


def _scheduler_advice(case: Case) -> tuple[Advice, ...]:
    """Say which pods another scheduler is to place, so that the gang waits for it; a plan counts them all and says it of the templates."""
    if not case.foreign:
        return ()
    count, ask = len(case.foreign), f"write schedulerName: {case.scheduler_name} in every pod template"
    message = f"{count} {_pods(count)} of {case.group.name} without a node have schedulerName {_schedulers(case.foreign)}: {ask}."
    return (Advice(level="warning", object=_written(case), field="spec.schedulerName", message=message),)


def _gate_advice(case: Case) -> tuple[Advice, ...]:
    if not case.left:
        return ()
    count = len(case.left)
    message = f"{count} {_pods(count)} beyond minMember have scheduling gates and are left out until these are gone: {_names(case.left)}."
    return (Advice(level="info", object=_written(case), field="spec.schedulingGates", message=message),)


def _written(case: Case) -> str:
    return f"{case.group.written.kind}/{case.group.written.name}"


def _names(pods: Sequence[Pod]) -> str:
    return ", ".join(pod.name for pod in pods[:_SHOWN]) + _and_more(len(pods))


def _and_more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def _schedulers(pods: Sequence[Pod]) -> str:
    return ", ".join(sorted({pod.scheduler_name for pod in pods}))


def _pods(count: int) -> str:
    return "pod" if count == 1 else "pods"
