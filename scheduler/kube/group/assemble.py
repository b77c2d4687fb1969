"""One group becomes a gang: members and roles, minMember, priority and clock.

Finding the group's pods is `scheduler.kube.group.workloads`, what they demand `scheduler.kube.group.demands`, why a gang waits
`scheduler.kube.group.waiting`; running over all groups is `scheduler.kube.group.grouping`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from scheduler.kube.group import names, waiting
from scheduler.kube.group.demands import Settled, settle
from scheduler.kube.group.groups import Collected, Entry, GroupRef, find_pod_group
from scheduler.kube.group.policies import Policies
from scheduler.kube.group.workloads import POD_GROUP, collect, pod_group_named, pod_group_passed
from scheduler.state.gang import Advice, Gang, Member
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod, Shape
from scheduler.state.problems import InputProblem
from scheduler.state.world import PodGroup, World

DEFAULT_TIMEOUT: Final = 600
"""Seconds that a gang may wait where no PodGroup says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all groups of a world are looked at with."""

    world: World
    scheduler_name: str | None = names.SCHEDULER_NAME
    """Whose pods are placed; ``None``: all pods, whatever scheduler they name (a plan)."""
    policies: Mapping[str, Policies] = field(default_factory=dict)

    def ours(self, pod: Pod) -> bool:
        """Whether a bind of ours is to place the pod."""
        return self.scheduler_name is None or pod.scheduler_name == self.scheduler_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of one group; ``gang`` is ``None`` where nothing of it is a member any more."""

    gang: Gang | None = None
    to_decide: bool = False
    """Whether a member that exists needs a node from us."""
    problems: tuple[InputProblem, ...] = ()
    strays: tuple[tuple[PodUid, str], ...] = ()


def make(ref: GroupRef, pods: Sequence[Pod], setting: Setting) -> Made:
    """Make the gang of one group; ``pods`` are all that have this key, in any order, at least one."""
    group = collect(ref, pods, setting.world)
    present = [entry for entry in group.pods if entry[1].node is not None or setting.ours(entry[1])]
    if not present:
        return Made(strays=_strays(group, pods, setting))
    name, found, about_group = _pod_group(ref, group, setting.world)
    case = _case(ref, group, sorted((*present, *group.seats), key=lambda entry: entry[0]), setting, name=name, found=found)
    entries, settled, least = case.entries, case.settled, case.least
    wait = waiting.why(case)
    priority, about_priority = _priority(entries, found, setting.world)
    gang = Gang(
        key=_key(ref, group),
        namespace=ref.namespace,
        name=group.name,
        workload=group.written,
        owner=group.owner,
        members=_members(entries, leads=group.leads),
        min_member=least or len(entries),
        demand=settled.demand,
        priority=priority,
        created=_clock(entries, least or len(entries)),
        timeout_seconds=found.timeout_seconds if found else DEFAULT_TIMEOUT,
        pod_group=name if ref.api in ("", names.RUN_AI) else None,
        waiting=wait,
        advice=(*group.advice, *about_group, *settled.advice, *about_priority, *waiting.advice(case)),
    )
    problems = (*settled.problems, *((wait.problem,) if wait is not None and wait.problem is not None else ()))
    to_decide = any(pod.node is None for _, pod in present)
    return Made(gang=gang, to_decide=to_decide, problems=tuple(dict.fromkeys(problems)), strays=_strays(group, pods, setting))


def _strays(group: Collected, pods: Sequence[Pod], setting: Setting) -> tuple[tuple[PodUid, str], ...]:
    """Return the pods that are no members and wait for a node from us, and why they are none."""
    waiting_for_us = {pod.uid for pod in pods if pod.node is None and setting.ours(pod)} if group.strays else frozenset()
    return tuple(stray for stray in group.strays if stray[0] in waiting_for_us)


def _case(ref: GroupRef, group: Collected, wanted: list[Entry], setting: Setting, *, name: str | None, found: PodGroup | None) -> waiting.Case:
    settled = settle([pod for _, pod in wanted], group.workloads, found, setting.policies.get(ref.namespace, Policies()))
    least = _min_member(group, settled)
    entries, gated, left = _ungated(wanted, least)
    missing = name is not None and found is None
    return waiting.Case(
        ref=ref,
        group=group,
        pod_group=name,
        pod_group_exists=found is not None,
        pod_groups=tuple(sorted(each for space, each in setting.world.pod_groups if space == ref.namespace)) if missing else (),
        settled=settled,
        least=least,
        entries=tuple(entries),
        foreign=tuple(pod for _, pod in group.pods if pod.node is None and not setting.ours(pod)),
        gated=tuple(gated),
        left=tuple(left),
        scheduler_name=setting.scheduler_name or names.SCHEDULER_NAME,
    )


def _key(ref: GroupRef, group: Collected) -> GangKey:
    kind = f"{ref.kind}.{ref.api}" if ref.api and ref.api != names.RUN_AI else ref.kind
    return GangKey("/".join((ref.namespace, kind, group.name, *((group.uid,) if group.uid else ()))))


def _pod_group(ref: GroupRef, group: Collected, world: World) -> tuple[str | None, PodGroup | None, tuple[Advice, ...]]:
    """Return the name of the PodGroup that makes the gang or sets its policy, the object, and what is odd about it."""
    said = [name for _, pod in group.pods if (name := pod_group_named(pod)) is not None]
    if ref.kind == POD_GROUP:
        name = ref.name
    elif said:
        name = said[0]
    else:
        return None, None, ()
    others = sorted({other for other in said if other != name})
    found = find_pod_group(world, ref.namespace, name, ref.api or names.RUN_AI)
    if not others:
        return name, found, _passed(group)
    message = f"Members of gang {group.name} name several PodGroups ({name}, {', '.join(others)}); {name} counts."
    return name, found, tuple(Advice(level="warning", object=f"PodGroup/{each}", field="metadata.name", message=message) for each in (name, *others))


def _passed(group: Collected) -> tuple[Advice, ...]:
    """Say on both PodGroups that a member's annotation names another one than its label."""
    by_name: dict[str, list[Pod]] = {}
    for _, pod in group.pods:
        if (name := pod_group_passed(pod)) is not None:
            by_name.setdefault(name, []).append(pod)
    made = []
    for name, pods in sorted(by_name.items()):
        counts, more = pods[0].labels[names.POD_GROUP], f" So do {len(pods) - 1} more of its pods." if len(pods) > 1 else ""
        message = (
            f"Pod {pods[0].name} names PodGroup {counts} (label {names.POD_GROUP}) and PodGroup {name} (annotation {names.KAI_POD_GROUP}): "
            f"the label counts, the pod is a member of {counts}.{more}"
        )
        made += [Advice(level="warning", object=f"PodGroup/{each}", field="metadata.name", message=message) for each in (counts, name)]
    return tuple(made)


def _min_member(group: Collected, settled: Settled) -> int | None:
    """Return how many members must be placed together, ``None`` where nobody says it."""
    if group.size is not None:
        return group.size
    said = settled.min_member or group.default_min
    return None if said is None else max(1, said - group.completed)


def _ungated(entries: list[Entry], least: int | None) -> tuple[list[Entry], list[Pod], list[Pod]]:
    """Return the entries, the gated pods that the gang waits for, and those that it can do without for now."""
    free = [entry for entry in entries if not entry[1].gates or entry[1].node is not None]
    gated = [pod for _, pod in entries if pod.gates and pod.node is None]
    if gated and free and least is not None and len(free) >= least:
        return free, [], gated
    return entries, gated, []


def _members(entries: Sequence[Entry], *, leads: bool) -> tuple[Member, ...]:
    """Name the roles: the first shape of a prefix has the plain name, the others are numbered in rank order."""
    roles: dict[tuple[str, Shape], str] = {}
    counts: dict[str, int] = {}
    members = []
    for rank, pod in entries:
        prefix = ("leader" if rank == 0 else "worker") if leads else "pod"
        role = roles.get((prefix, pod.shape))
        if role is None:
            counts[prefix] = counts.get(prefix, 0) + 1
            role = roles[prefix, pod.shape] = prefix if counts[prefix] == 1 else f"{prefix}-{counts[prefix]}"
        members.append(Member(pod=pod, role=role, rank=rank))
    return tuple(members)


def _priority(entries: Sequence[Entry], group: PodGroup | None, world: World) -> tuple[int, tuple[Advice, ...]]:
    """Return the PodGroup's priority, or the highest of the members' own where it names no class."""
    own = max(pod.priority or world.priorities.get(pod.priority_class, 0) for _, pod in entries)
    if group is None or not group.priority_class:
        return own, ()
    if group.priority_class in world.priorities:
        return world.priorities[group.priority_class], ()
    near = difflib.get_close_matches(group.priority_class, sorted(world.priorities), n=1)
    message = f"PriorityClass {group.priority_class} does not exist; the members' own priority {own} counts."
    message += f" The nearest that exists is {near[0]}." if near else ""
    return own, (Advice(level="warning", object=f"PodGroup/{group.name}", field="spec.priorityClassName", message=message),)


def _clock(entries: Sequence[Entry], least: int) -> float:
    """Return when the wait began: when minMember members existed, for late ones when the first of them came."""
    real = [pod for _, pod in entries if not pod.uid.startswith("seat:")]
    existed = sorted(pod.created for pod in real)
    enough = existed[min(least, len(existed)) - 1]
    return max(enough, min((pod.created for pod in real if pod.node is None), default=enough))
