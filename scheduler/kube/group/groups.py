"""The values of grouping: which group a pod belongs to, what was collected for a group, and the result.

`scheduler.kube.group.workloads` says how groups are found, `scheduler.kube.group.grouping` makes gangs of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from scheduler.kube.group import names
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import GangKey, PodUid
from scheduler.state.objects import Pod, Ref
from scheduler.state.problems import InputProblem
from scheduler.state.world import PodGroup, Workload, World

_WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)

Entry: TypeAlias = tuple[int, Pod]
"""A rank and the pod that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRef:
    """The group of pods among which a gang is looked for.

    For a LeaderWorkerSet this is the group index; which of its pods belong to the living leader is decided when they are collected,
    and the gang's key then carries that leader's UID.
    """

    kind: str
    namespace: str
    name: str
    uid: str = ""
    api: str = ""
    """API group of the PodGroup that is named, for kind PodGroup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one group consists of, before demands and policy are looked up."""

    name: str
    written: Ref
    """What the user wrote."""
    owner: Ref
    """Owner of the commit record."""
    uid: str = ""
    """Part of the gang's key: the leader's UID, or a lone pod's."""
    pods: tuple[Entry, ...] = ()
    """Living members with their ranks, in rank order."""
    seats: tuple[Entry, ...] = ()
    """Members that their controller creates only after another one is bound or ready."""
    size: int | None = None
    """The group's own size: its minMember whatever a PodGroup says."""
    default_min: int | None = None
    """minMember where nobody says one; ``None``: the gang waits for somebody to say it."""
    completed: int = 0
    """Members that have succeeded: they count as having been placed."""
    workloads: tuple[Workload, ...] = ()
    """The controllers whose annotations speak for the gang, nearest first."""
    leads: bool = False
    """Whether rank 0 is a leader with a role of its own."""
    advice: tuple[Advice, ...] = ()
    problem: InputProblem | None = None
    strays: tuple[tuple[PodUid, str], ...] = ()
    """Pods of the group that are no members, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What one PodGroup has to do with the gangs: the inputs of its status."""

    gangs: tuple[GangKey, ...] = ()
    pods: int = 0
    """Pods that name the PodGroup and are not going away, whoever schedules them."""
    completed: int = 0
    """Those of them that have succeeded."""
    foreign: tuple[str, ...] = ()
    """Scheduler names of those of them that no bind of ours will place, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """All gangs of a world.

    ``gangs`` have a member that needs a node from us (they may still be waiting); ``settled`` have none.
    """

    gangs: tuple[Gang, ...] = ()
    settled: tuple[Gang, ...] = ()
    advice: tuple[Advice, ...] = ()
    """About objects rather than gangs: default policies, PodGroups that nobody joined."""
    problems: tuple[InputProblem, ...] = ()
    """What a plan answers as bad input; the live scheduler says the same in ``waiting`` and ``advice``."""
    groups: Mapping[tuple[str, str], Joined] = field(default_factory=dict)
    """By namespace and name of the PodGroup, those that do not exist included."""
    strays: Mapping[PodUid, str] = field(default_factory=dict)
    """Pods that wait for a node from us and are members of no gang, though of a group, and why: workers of a former leader."""


def whole(text: str | None) -> int | None:
    """Read a whole number of at most nine digits; ``None`` for everything else."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def living(pod: Pod) -> bool:
    """Whether the pod can be a member: it neither goes away nor has finished."""
    return not pod.terminating and not pod.finished


def find_pod_group(world: World, namespace: str, name: str, api: str = names.RUN_AI) -> PodGroup | None:
    """Return the PodGroup of that name, of the given API group.

    PodGroups of other API groups than ours may stand in the world under ``<API group>/<name>``, so that one name can exist in several.
    Our own label finds a PodGroup of any API group that stands under the plain name.
    """
    foreign = world.pod_groups.get((namespace, f"{api}/{name}"))
    plain = world.pod_groups.get((namespace, name))
    if foreign is not None or plain is None:
        return foreign
    return plain if api in (names.RUN_AI, plain.api_version.partition("/")[0]) else None
