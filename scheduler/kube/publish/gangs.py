"""What is said about a gang: on its pending pods a condition, and events on its PodGroup and its first pending pod. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from scheduler.kube.publish.said import SCHEDULE_TIMEOUT, UNSCHEDULABLE, EventSaid, PodSaid, Said, Told
from scheduler.state.gang import Gang
from scheduler.state.objects import Pod, Ref
from scheduler.state.plan import LevelCount, Placed, Plan, Unplaced

_SILENT: Final = ("MembersMissing", "Gated")
"""Waits that are no event: controllers are still at work, or somebody holds the gate on purpose."""
_SHOWN: Final = 4


def sentence(plan: Plan) -> str:
    """Say a decision in one sentence with numbers."""
    if isinstance(plan, Unplaced):
        return plan.message
    proof = "the least possible" if plan.optimal else f"at least {plan.bound} is needed"
    text = f"{len(plan.seats)} of {len(plan.gang.members)} members have a node; cost {plan.cost}, {proof}"
    where = "; ".join(_level(level) for level in plan.levels)
    return f"{text} ({where})." if where else f"{text}."


def _level(level: LevelCount) -> str:
    more = f" and {len(level.domains) - _SHOWN} more" if len(level.domains) > _SHOWN else ""
    return f"{level.name}: {', '.join(level.domains[:_SHOWN])}{more}"


def verdict(told: Told) -> tuple[str, str] | None:
    """Return reason and sentence for why a gang's pending members have no node yet; ``None`` where there is nothing to say."""
    gang, plan = told.gang, told.plan
    if told.timed_out:
        why = sentence(plan) if isinstance(plan, Unplaced) else told.trouble
        return SCHEDULE_TIMEOUT, f"{_late(gang)} {why}".rstrip()
    if gang.waiting is not None:
        return (gang.waiting.code, gang.waiting.message) if told.ripe else None
    if told.trouble:
        return told.trouble_code, told.trouble
    if isinstance(plan, Unplaced):
        return plan.reason, plan.message
    return None


def of_gang(told: Told) -> Iterator[Said]:
    """Say what there is to say about a gang that waits for a placement."""
    found = verdict(told)
    pending = pending_pods(told.gang)
    if not pending:
        return
    if found is None:
        yield from _left_out(told, pending)
        return
    code, message = found
    reason, text = _condition(told, code, message)
    yield from (_said(pod, reason, text) for pod in pending if not pod.gates)  # of gates the API server speaks itself
    if code == SCHEDULE_TIMEOUT:
        note = f"{_late(told.gang)} {told.late}".rstrip() if told.late else message
        yield _event(told.gang, _about(told, pending[0])[-1], SCHEDULE_TIMEOUT, note, warn=True)  # once: it does not follow later answers
    elif code not in _SILENT:
        yield from _events(told, pending[0], f"{code}: {message}")


def _left_out(told: Told, pending: Sequence[Pod]) -> Iterator[Said]:
    """Say to members beyond minMember, which a placement leaves out, that there is no room for them."""
    plan = told.plan
    if not isinstance(plan, Placed) or not plan.left_out:
        return
    uids = {member.pod.uid for member in plan.left_out}
    pods = [pod for pod in pending if pod.uid in uids]
    if pods:
        reason, text = (UNSCHEDULABLE if "extras" in plan.decision.proved else "BudgetExhausted"), _no_more_room(plan)
        yield from (_said(pod, reason, text) for pod in pods)
        yield from _events(told, pods[0], f"{reason}: {text}")


def _no_more_room(plan: Placed) -> str:
    gang = plan.gang
    what = "There is no room" if "extras" in plan.decision.proved else "The solver's budget ended before room was found"
    inside = next((f" in {level.name} {', '.join(level.domains[:_SHOWN])}, which holds the gang," for level in plan.levels if level.required), "")
    members = f"{len(plan.left_out)} of {len(gang.members)} members"
    return f"{what}{inside} for {members}: {len(plan.seats)} have a node, and minMember is {gang.min_member}."


def _said(pod: Pod, reason: str, message: str) -> PodSaid:
    return PodSaid(
        namespace=pod.namespace, name=pod.name, uid=pod.uid, reason=reason, message=message, created=pod.created, version=pod.resource_version
    )


def placed(told: Told, plan: Placed, *, bound: int) -> Iterator[EventSaid]:
    """Say that a gang is bound; ``bound`` members are, the others come later."""
    late = "" if bound == len(plan.seats) else f" {len(plan.seats) - bound} seats are held for members that do not exist yet."
    first = next((seat.member.pod for seat in plan.seats if not seat.member.held), None)
    if first is not None:
        yield _event(plan.gang, _about(told, first)[-1], "Scheduled", f"{plan.gang.name}: {sentence(plan)}{late}", warn=False)


def pending_pods(gang: Gang) -> list[Pod]:
    """Return the members that exist and have no node."""
    return [member.pod for member in gang.pending if not member.held]


def _condition(told: Told, code: str, message: str) -> tuple[str, str]:
    # Only where more or other nodes would help is the reason the one that autoscalers act upon.
    infeasible = isinstance(told.plan, Unplaced) and told.plan.status == "INFEASIBLE"
    if code == SCHEDULE_TIMEOUT:
        return (UNSCHEDULABLE if infeasible else code), f"{code}: {message}"
    if infeasible and told.gang.waiting is None and not told.trouble:
        return UNSCHEDULABLE, message
    return code, message


def _late(gang: Gang) -> str:
    return f"The gang has waited longer than {gang.timeout_seconds} seconds for a placement."


def _events(told: Told, pod: Pod, note: str) -> Iterator[EventSaid]:
    for regarding in _about(told, pod):
        yield _event(told.gang, regarding, "FailedScheduling", note, warn=True, times=max(1, told.decisions))


def _about(told: Told, pod: Pod) -> list[Ref]:
    """Return the pod and, last, the PodGroup where the gang has one."""
    return [Ref(kind="Pod", name=pod.name, uid=pod.uid, api_version="v1"), *([told.group] if told.group is not None else [])]


def _event(gang: Gang, regarding: Ref, reason: str, note: str, *, warn: bool, times: int = 1) -> EventSaid:
    return EventSaid(namespace=gang.namespace, regarding=regarding, reason=reason, note=note, type="Warning" if warn else "Normal", times=times)
