"""The status of PodGroups: counts and phase from grouping, cost, proof and outcome from the decisions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, get_args

from scheduler.kube.api import Resource
from scheduler.kube.group import names
from scheduler.kube.group.groups import Grouping
from scheduler.kube.group.podgroups import SEVERAL_POD_GROUPS, Condition, Phase, PodGroupStatus, gang_phase, least_advanced, pod_group_status
from scheduler.kube.publish.gangs import sentence, verdict
from scheduler.kube.publish.said import SCHEDULE_TIMEOUT, EventSaid, Proof, StatusSaid, Told, status_of
from scheduler.state.ids import GangKey
from scheduler.state.objects import Ref
from scheduler.state.plan import Placed, Unplaced
from scheduler.state.world import PodGroup, World

POD_GROUPS: Final = Resource(group=names.RUN_AI, version="v1", plural="podgroups")
PROOFS: Final[tuple[Proof, ...]] = get_args(Proof)
"""Worst first: a PodGroup over several gangs shows the worst one's."""


def ours(group: PodGroup) -> bool:
    """Whether the PodGroup is of the API version that we serve; others are read and never written."""
    return group.api_version == POD_GROUPS.api_version


def of_groups(world: World, grouping: Grouping, told: Mapping[GangKey, Told]) -> Iterator[StatusSaid | EventSaid]:
    """Say the status of every PodGroup of ours; that pods name several is an event too, for whoever waits for them elsewhere."""
    for status in pod_group_status(world, grouping).values():
        group = status.group
        if ours(group):
            yield _status(status, [told[key] for key in status.gangs if key in told])
            about = Ref(kind="PodGroup", name=group.name, uid=group.uid, api_version=group.api_version)
            for said in status.conditions:
                if said.reason == SEVERAL_POD_GROUPS:
                    yield EventSaid(namespace=group.namespace, regarding=about, reason=said.reason, note=said.message, type="Warning")


def _status(status: PodGroupStatus, gangs: Sequence[Told]) -> StatusSaid:
    phase = least_advanced(_phase(each) for each in gangs) if gangs else status.phase
    scheduled = _scheduled(status, phase, gangs)
    return StatusSaid(
        resource=POD_GROUPS,
        namespace=status.group.namespace,
        name=status.group.name,
        uid=status.group.uid,
        generation=status.group.generation,
        conditions=(*(c for c in status.conditions if c.type != "Scheduled"), scheduled),
        fields={
            "phase": phase,
            "desired": status.desired,
            "scheduled": status.scheduled,
            "running": status.running,
            "message": _message(gangs, scheduled),
            **_cost(gangs),
        },
    )


def _phase(told: Told) -> Phase:
    """Return a gang's phase: what grouping sees, and whether the decision was a no."""
    phase = gang_phase(told.gang)
    if phase not in ("Pending", "Scheduling"):
        return phase
    if told.timed_out:
        return "TimedOut"
    return "Unschedulable" if isinstance(told.plan, Unplaced) and told.plan.status != "WAITING" and told.gang.waiting is None else phase


def _scheduled(status: PodGroupStatus, phase: Phase, gangs: Sequence[Told]) -> Condition:
    (given,) = (condition for condition in status.conditions if condition.type == "Scheduled")
    concerned = [each for each in gangs if _phase(each) == phase and (phase in ("TimedOut", "Unschedulable") or _troubled(each))]
    if not concerned:
        return given
    worst = min(concerned, key=lambda each: each.gang.key)
    code, message = verdict(worst) or (phase, given.message)
    others = len(concerned) - 1
    more = f" {others} more gangs of the PodGroup {'is' if others == 1 else 'are'} {phase} too." if others else ""
    reason = code if code == SCHEDULE_TIMEOUT or _troubled(worst) or not isinstance(worst.plan, Unplaced) else worst.plan.reason
    return replace(given, status=False, reason=reason, message=f"{worst.gang.name}: {message}{more}")


def _troubled(told: Told) -> bool:
    """Whether the gang's members have no nodes because its commit or its decision failed."""
    return bool(told.trouble) and told.gang.waiting is None and gang_phase(told.gang) == "Scheduling"


def _message(gangs: Sequence[Told], scheduled: Condition) -> str:
    """Return the last decision as a sentence; of several gangs that are all placed, the numbers of all."""
    plans = [each.plan for each in gangs if isinstance(each.plan, Placed)]
    if not scheduled.status or not gangs or len(plans) < len(gangs):
        return scheduled.message
    if len(plans) == 1:
        return sentence(plans[0])
    members = sum(len(plan.seats) for plan in plans)
    return f"{len(plans)} gangs with {members} members have their nodes; cost {sum(plan.cost for plan in plans)} in all."


def _cost(gangs: Sequence[Told]) -> Mapping[str, object]:
    """Return cost and proof; without a decision of ours what was written before stays (a scheduler that has just started knows none)."""
    plans = [each.plan for each in gangs if each.plan is not None]
    if not gangs:
        return {"cost": None, "proof": None}
    if any(_troubled(each) for each in gangs):
        return {"cost": None, "proof": "WAITING"}  # a placement that could not be carried out proves nothing to anybody
    if len(plans) < len(gangs):
        return {} if all(each.gang.waiting is None for each in gangs) else {"cost": None, "proof": "WAITING"}
    placed = [plan for plan in plans if isinstance(plan, Placed)]
    if len(placed) == len(plans) and any(plan.decision.engine == "none" for plan in placed):
        return {"cost": sum(plan.cost for plan in placed)}  # counted on what runs already: what was proved when it was chosen stays written
    proof = min((status_of(plan) for plan in plans), key=PROOFS.index)
    return {"cost": sum(plan.cost for plan in placed) if len(placed) == len(plans) else None, "proof": proof}
