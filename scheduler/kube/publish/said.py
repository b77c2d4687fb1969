"""The values of publishing: what is known of a gang, and the three things that can be said about an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from scheduler.kube.api import Resource
from scheduler.kube.group.podgroups import Condition
from scheduler.state.gang import Gang
from scheduler.state.objects import Ref
from scheduler.state.plan import Plan, Unplaced

Proof: TypeAlias = Literal["INFEASIBLE", "UNSUPPORTED", "UNKNOWN", "WAITING", "FEASIBLE", "OPTIMAL"]

UNSCHEDULABLE: Final = "Unschedulable"
"""Reason of the pod condition on which cluster autoscalers add nodes."""
SCHEDULE_TIMEOUT: Final = "ScheduleTimeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of one gang beyond its members."""

    gang: Gang
    plan: Plan | None = None
    """The last decision, ``None`` before the first."""
    decisions: int = 0
    """How many times it was decided."""
    timed_out: bool = False
    late: str = ""
    """What it was told last when it had waited too long."""
    trouble: str = ""
    """Why the last commit failed, or which bug stopped the decision; empty where nothing is wrong."""
    trouble_code: str = "SchedulerError"
    """The reason of the trouble, a row of REASONS."""
    ripe: bool = True
    """Whether a wait has lasted long enough to be worth a word: most are over in a moment."""
    group: Ref | None = None
    """The gang's PodGroup where it exists and is of our API group and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSaid:
    """The condition PodScheduled=False of a pod."""

    namespace: str
    name: str
    uid: str
    reason: str
    message: str
    created: float = 0.0
    version: str = field(default="", compare=False)
    """The pod's resourceVersion: the write holds only for this one, so that it never lands on a pod that was bound meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSaid:
    """The status of one of our objects; fields that are ``None`` are removed, fields that are left out stay as they are."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    generation: int
    conditions: tuple[Condition, ...]
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSaid:
    """An event about an object. The same words again are counted, not written anew."""

    namespace: str
    regarding: Ref
    reason: str
    note: str
    type: Literal["Normal", "Warning"] = "Normal"
    times: int = 1


Said: TypeAlias = PodSaid | StatusSaid | EventSaid


def status_of(plan: Plan) -> Proof:
    """Name the status of a plan as the report does."""
    if isinstance(plan, Unplaced):
        return plan.status
    return "OPTIMAL" if plan.optimal else "FEASIBLE"
