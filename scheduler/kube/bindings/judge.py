"""Says what is to be done with a commit record that was found, from the record, its pods and the newest snapshot; does nothing itself.

It works out the record's state and the first finding that holds, and looks the action up in `scheduler.kube.bindings.table`. Doing it is
`scheduler.kube.bindings.recover`. What nodes can no longer give is `scheduler.kube.bindings.hazards`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from scheduler.kube.bindings.hazards import hazards
from scheduler.kube.bindings.table import Action, Finding, State, action_for
from scheduler.state.assumed import Seating
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.objects import EMPTY, Pod
from scheduler.state.record import Record, RecordSeat
from scheduler.state.snapshot import Snapshot

FindPod = Callable[[str, str], Pod | None]

_KUBELET_REFUSES: Final = ("OutOf", "NodeAffinity", "UnexpectedAdmissionError")
"""Beginnings of ``status.reason`` of a pod that its kubelet did not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done with one record."""

    record: Record
    state: State
    finding: Finding
    action: Action
    why: str = ""
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """Pods of the record that exist and are the right ones, by name."""
    claims: tuple[Seating, ...] = ()
    """Seats that are not bound yet and still count: until a record is given up nobody else gets them."""


@dataclass(slots=True)
class _Sorted:
    """The seats of a record, sorted by what became of their pods."""

    pods: dict[str, Pod] = field(default_factory=dict)
    bound: list[RecordSeat] = field(default_factory=list)
    waiting: list[tuple[RecordSeat, Pod]] = field(default_factory=list)
    to_come: list[RecordSeat] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)


def claim_key(record: Record, gang: Gang | None) -> GangKey:
    """Return the key under which a record's seats are assumed: the gang's, or one of its own where no gang belongs to it any more."""
    return gang.key if gang is not None else GangKey(f"record:{record.key}")


def kubelet_refused(pod: Pod) -> bool:
    """Whether the kubelet of the pod's node did not take it: somebody else was faster, or the node changed. It never tries again."""
    return pod.phase == "Failed" and pod.node is not None and pod.reason.startswith(_KUBELET_REFUSES)


def judge(
    record: Record,
    gang: Gang | None,
    find: FindPod,
    snapshot: Snapshot,
    *,
    now: float,
    turned_away: Collection[str] = (),
    denied: Mapping[str, str] = EMPTY,
    rival: str = "",
) -> Verdict:
    """Judge one record. ``snapshot`` must not count this record's own claims; ``now`` is the calendar's, in seconds.

    ``turned_away``: UIDs of pods that a kubelet refused and that may be gone already; ``denied``: pods whose bind to the recorded node the API server
    will never take, and its words; ``rival``: the older open record that names one of its pods.
    """
    state = _state(record, gang)
    found = _sort(record, gang, find, turned_away)
    claims = _claims(found, gang)
    # What a settled record says about nodes is history: only what its kubelets did to it since then counts.
    refused = [f"the API server refused to bind {seat.pod} to {seat.node}: {denied[seat.pod]}" for seat, _ in found.waiting if seat.pod in denied]
    troubles = [*found.impossible, *refused, *(hazards(record, gang, claims, snapshot) if record.open and not found.impossible else ())]
    finding, why = _finding(record, gang, found, troubles, now=now, rival=rival)
    there = tuple(claim for claim in claims if claim.node in snapshot.nodes)
    return Verdict(
        record=record,
        state=state,
        finding=finding,
        action=action_for(state, finding),
        why=why,
        pods=found.pods,
        claims=there if record.open else (),
    )


def _state(record: Record, gang: Gang | None) -> State:
    if not record.open:
        if record.terminating and record.guarded:
            return "Ending"
        return "Released" if record.phase == "Released" else "Bound"
    if record.phase == "Releasing":
        return "Releasing"
    return "Orphaned" if gang is None or record.terminating else "Open"


def _finding(record: Record, gang: Gang | None, found: _Sorted, troubles: list[str], *, now: float, rival: str) -> tuple[Finding, str]:
    """Return the first finding that holds, in the order of the table, and a part of a sentence that says why."""
    alive = sum(not found.pods[seat.pod].finished for seat in found.bound)
    # A Job counts every evicted pod as a failure; its replacement is planned beside the members that run.
    counted = any(pod.owner is not None and pod.owner.kind == "Job" for pod in found.pods.values())
    if found.turned_away and not counted and alive < (gang.min_member if gang is not None else len(record.seats)):
        return "TurnedAway", "; ".join(found.turned_away)
    if not found.pods and not found.to_come:
        return "NoPods", "none of its pods exists any more"
    if rival:
        return "Claimed", f"the older record {rival} names one of its pods"
    if troubles:
        return "Impossible", "; ".join(troubles)
    if found.to_come and now > record.deadline:
        return "Late", f"{len(found.to_come)} of {len(record.seats)} members were not created before the deadline"
    if gang is not None and (few := _too_few(record, gang)):
        return "TooFew", few
    if found.waiting:
        return "Waiting", ""
    return ("Coming" if found.to_come else "AllBound"), ""


def _too_few(record: Record, gang: Gang) -> str:
    """Say by how much a record would leave the gang short of minMember although more members wait; nothing where it would not.

    Where nobody else is there minMember was raised after the commit: the gang is bound as it was committed.
    """
    named = {seat.pod for seat in record.seats}
    others = [member.pod for member in gang.members if member.pod.name not in named]
    bound = sum(pod.node is not None for pod in others)
    if len(named) + bound >= gang.min_member or bound == len(others):
        return ""
    more = f" and {bound} more {'is' if bound == 1 else 'are'} bound" if bound else ""
    return f"the record seats {len(named)} {'member' if len(named) == 1 else 'members'}{more}, minMember is {gang.min_member}"


def _sort(record: Record, gang: Gang | None, find: FindPod, turned_away: Collection[str]) -> _Sorted:
    found = _Sorted()
    ours = {member.pod.uid for member in gang.members} if gang is not None else frozenset()
    for seat in record.seats:
        pod = find(record.namespace, seat.pod)
        if pod is not None and not seat.uid and pod.uid not in ours:
            pod = None  # a pod of the former group under the same name: the one that is waited for is still to come
        if (seat.uid and seat.uid in turned_away) or (pod is not None and seat.uid in ("", pod.uid) and kubelet_refused(pod)):
            found.turned_away.append(f"the kubelet of {seat.node} did not take the pod {seat.pod}{f': {pod.reason}' if pod and pod.reason else ''}")
        if pod is not None and seat.uid in ("", pod.uid) and pod.node == seat.node:
            found.bound.append(seat)
            found.pods[seat.pod] = pod
        elif (why := _impossible(seat, pod)) is not None:
            found.impossible.append(why)
        elif pod is None:
            found.to_come.append(seat)
        else:
            found.waiting.append((seat, pod))
            found.pods[seat.pod] = pod
    return found


def _impossible(seat: RecordSeat, pod: Pod | None) -> str | None:
    if pod is None:
        return f"the pod {seat.pod} (UID {seat.uid}) does not exist any more" if seat.uid else None
    if seat.uid not in ("", pod.uid):
        return f"the pod {seat.pod} was replaced: UID {pod.uid}, recorded {seat.uid}"
    if pod.node is not None:
        return f"the pod {seat.pod} is bound to {pod.node}, recorded {seat.node}"
    if pod.terminating or pod.finished:
        return f"the pod {seat.pod} is {'being deleted' if pod.terminating else pod.phase}"
    return None


def _claims(found: _Sorted, gang: Gang | None) -> tuple[Seating, ...]:
    """Return what the seats that are not bound take; pods that do not exist yet are known from the gang."""
    planned = {member.pod.name: member.pod for member in gang.members} if gang is not None and found.to_come else {}
    waiting = [Seating(pod=pod, node=seat.node) for seat, pod in found.waiting]
    to_come = [Seating(pod=planned[seat.pod], node=seat.node) for seat in found.to_come if seat.pod in planned]
    return (*waiting, *to_come)
