"""Says what is to be done with a commit record that was found, from the record, its pods and the newest snapshot; does nothing itself.

Doing it is `scheduler.kube.bindings.recover`. Every member already bound is left; the others are bound where the record says, unless a
seat has become impossible: node gone or cordoned, room taken by someone else, pod replaced or bound elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from scheduler.state.assumed import Seating
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.record import Record, RecordSeat
from scheduler.state.resources import NOTHING, Resources
from scheduler.state.snapshot import Snapshot

Action = Literal["nothing", "forward", "wait", "supersede", "release", "close"]
"""``forward``: bind and settle. ``wait``: seats are held for pods to come. ``close``: take the finalizer off a finished record that goes away."""

FindPod = Callable[[str, str], Pod | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done with one record."""

    record: Record
    action: Action
    why: str = ""
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """Pods of the record that exist and are the right ones, by name."""
    claims: tuple[Seating, ...] = ()
    """Seats that are not bound yet and still count."""


@dataclass(slots=True)
class _Sorted:
    """The seats of a record, sorted by what became of their pods."""

    pods: dict[str, Pod] = field(default_factory=dict)
    bound: list[RecordSeat] = field(default_factory=list)
    waiting: list[tuple[RecordSeat, Pod]] = field(default_factory=list)
    to_come: list[RecordSeat] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)


def claim_key(record: Record, gang: Gang | None) -> GangKey:
    """Return the key under which a record's seats are assumed: the gang's, or one of its own where no gang belongs to it any more."""
    return gang.key if gang is not None else GangKey(f"record:{record.key}")


def judge(record: Record, gang: Gang | None, find: FindPod, snapshot: Snapshot, *, now: float) -> Verdict:
    """Judge one record. ``snapshot`` must not count this record's own claims; ``now`` is the calendar's, in seconds."""
    if not record.open:
        return Verdict(record=record, action="close" if record.terminating and record.guarded else "nothing")
    found = _sort(record, gang, find)
    if not found.bound and not found.waiting and (gang is None or record.terminating):
        return Verdict(record=record, action="release", why="none of its pods exists any more", pods=found.pods)
    if not found.impossible:
        found.impossible.extend(_no_room(found, gang, snapshot))
    claims = _claims(found, gang)
    if found.impossible:
        action: Action = "supersede" if gang is not None and not record.terminating else "release"
        return Verdict(record=record, action=action, why="; ".join(found.impossible), pods=found.pods, claims=claims)
    if found.to_come and now > record.deadline:
        why = f"{len(found.to_come)} of {len(record.seats)} members were not created before the deadline"
        return Verdict(record=record, action="release", why=why, pods=found.pods)
    action = "forward" if found.waiting or not found.to_come else "wait"
    return Verdict(record=record, action=action, pods=found.pods, claims=claims)


def _sort(record: Record, gang: Gang | None, find: FindPod) -> _Sorted:
    found = _Sorted()
    for seat in record.seats:
        pod = find(record.namespace, seat.pod)
        if pod is not None and not seat.uid and not _belongs(pod, gang):
            pod = None  # a pod of the former group under the same name: the one that is waited for is still to come
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


def _belongs(pod: Pod, gang: Gang | None) -> bool:
    return gang is not None and any(member.pod.uid == pod.uid for member in gang.members)


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


def _no_room(found: _Sorted, gang: Gang | None, snapshot: Snapshot) -> list[str]:
    """Say which nodes cannot take the members that are recorded there and not bound yet."""
    wanted: dict[NodeName, Resources] = {}
    for claim in _claims(found, gang):
        wanted[claim.node] = wanted.get(claim.node, NOTHING) + claim.pod.used
    problems: list[str] = []
    for name in sorted(wanted):
        node = snapshot.nodes.get(name)
        if node is None:
            problems.append(f"the node {name} does not exist any more")
        elif node.unschedulable:
            problems.append(f"the node {name} is cordoned")
        else:
            free = snapshot.free(name)
            short = [f"{amount} {what} of {free.amount(what)} free" for what, amount in wanted[name].items() if amount > free.amount(what)]
            if short:
                problems.append(f"the node {name} has no room: needs {', '.join(short)}")
    return problems


def _claims(found: _Sorted, gang: Gang | None) -> tuple[Seating, ...]:
    """Return what the seats that are not bound take; pods that do not exist yet are known from the gang."""
    planned = {member.pod.name: member.pod for member in gang.members} if gang is not None else {}
    waiting = [Seating(pod=pod, node=seat.node) for seat, pod in found.waiting]
    to_come = [Seating(pod=planned[seat.pod], node=seat.node) for seat in found.to_come if seat.pod in planned]
    return (*waiting, *to_come)


def bound_uids(record: Record, find: FindPod) -> frozenset[PodUid]:
    """Return the UIDs of the record's pods that are bound and living, wherever they are."""
    pods = [find(record.namespace, seat.pod) for seat in record.seats]
    return frozenset(p.uid for p, s in zip(pods, record.seats, strict=True) if p and p.node and not p.finished and s.uid in ("", p.uid))
