"""Gives a group up as a whole: fenced first, then evicted where its controllers make it anew, else left where it is and told.

The intent is written before the first eviction (phase Releasing), so that whoever leads next finishes it: half a group is never left. Evictions go
through the Eviction API, each with the UID of the record, so that none meets a pod that was made anew. When that is done is decided by
`scheduler.kube.bindings.judge`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from scheduler.kube.bindings.commit import Committer, not_leading
from scheduler.kube.bindings.outcomes import Recovered, Refused, Released, Stuck
from scheduler.kube.errors import Conflict, NotFound
from scheduler.kube.group import names
from scheduler.kube.group.groups import living
from scheduler.state.objects import Pod, Ref
from scheduler.state.record import Record, RecordSeat

_GIVING_UP: Final = "Being given up: "
_NOT_YET: Final = ". Not yet: "
MAKES_ANEW: Final[tuple[tuple[str, str], ...]] = (
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("", "ReplicationController"),
)
"""API group and kind of the controllers that make an evicted pod anew. Pods of anybody else are never evicted."""
_AT_ONCE: Final = 32
_SHOWN: Final = 3


async def fence(committer: Committer, record: Record, members: Iterable[Pod]) -> dict[str, Pod]:
    """Make every bind for a former epoch fail, and read all pods afresh; those that are gone or replaced are left out. Raises ApiError.

    ``record`` has the raised epoch already; ``members`` are the pods that are known. What the record names besides is read by name.
    """
    known = {pod.name: pod for pod in members}
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> Pod | None:
        async with turn:
            pod = known.get(name) or await committer.binder.read(record.namespace, name)
            if pod is None:
                return None
            try:
                if pod.node is None and not pod.finished:
                    await committer.settler.touch(pod, record)
            except (Conflict, NotFound):
                return None
            found = await committer.binder.read(record.namespace, name)
            return found if found is not None and found.uid == pod.uid else None

    wanted = sorted({*known, *(seat.pod for seat in record.seats)})
    found = await asyncio.gather(*(one(name) for name in wanted))
    return {pod.name: pod for pod in found if pod is not None}


def made_anew(pod: Pod) -> bool:
    """Whether a controller makes this pod anew when it is evicted."""
    return pod.owner is not None and (pod.owner.api_version.rpartition("/")[0], pod.owner.kind) in MAKES_ANEW


def bound_pods(record: Record, pods: Mapping[str, Pod]) -> list[Pod]:
    """Return the record's pods that are bound and living, wherever they are, in order of rank and name."""
    seats = sorted(record.seats, key=lambda seat: (seat.rank, seat.pod))
    found = [pod for seat in seats if (pod := _of(seat, pods)) is not None]
    return [pod for pod in found if pod.node is not None and living(pod)]


def bound_as_recorded(seat: RecordSeat, pods: Mapping[str, Pod]) -> bool:
    """Whether the pod of a seat lives on the node of that seat."""
    pod = _of(seat, pods)
    return pod is not None and pod.node == seat.node and living(pod)


def to_evict(record: Record, pods: Mapping[str, Pod]) -> list[Pod] | None:
    """Return the pods whose eviction makes the whole group anew, in order; None where some member would not come back.

    For a LeaderWorkerSet that is its leader alone, whatever the restart policy; where the leader is gone its workers go with it: nobody.
    """
    bound = bound_pods(record, pods)
    if any(names.LWS_NAME in pod.labels for pod in bound):
        leader = next((pod for pod in pods.values() if pod.uid == record.gang.uid), None)
        if leader is None or leader.terminating:
            return []
        return [leader] if made_anew(leader) else None
    return bound if all(made_anew(pod) for pod in bound) else None


async def give_up(committer: Committer, record: Record, pods: Mapping[str, Pod], why: str) -> Recovered:
    """Release a group that was fenced; ``pods`` by name as they were read then."""
    bound = bound_pods(record, pods)
    if not bound:
        return await _end(committer, record, why, f"Given up: {_open(why)}. No member is bound.")
    if to_evict(record, pods) is None:
        return await _end(committer, record, why, _incomplete(record, bound, why), stay=len(bound))
    named = [_with_uid(seat, pods) for seat in record.seats]
    if tuple(named) != record.seats:
        # Whoever resumes this evicts by the UIDs of the record alone: a pod that is made anew under the same name is spared.
        rewritten = await committer.rewrite(record, named)
        if isinstance(rewritten, Refused):
            return rewritten
        record = rewritten
    record = await committer.settler.releasing(record, bound=len(bound), message=f"{_GIVING_UP}{_open(why)}.")
    if record.phase != "Releasing":
        return Stuck(record=record, why=f"{why}; the record could not be marked as Releasing")
    return await resume(committer, record, pods)


async def drop(committer: Committer, record: Record, why: str) -> Recovered:
    """Give a record up that was fenced, and leave its pods alone: they are gone, or another record has them."""
    return await _end(committer, record, why, f"Given up: {_open(why)}. No pod was touched.")


async def resume(committer: Committer, record: Record, pods: Mapping[str, Pod]) -> Recovered:
    """Evict what is left of a group whose record says Releasing, and end the record."""
    why = _open(record.message.partition(_NOT_YET)[0].removeprefix(_GIVING_UP)) or "it was being given up"
    going = to_evict(record, pods) or []
    for pod in going:
        if not committer.leading():
            return not_leading()
        refused = await committer.settler.evict(record.namespace, Ref(kind="Pod", name=pod.name, uid=pod.uid, api_version="v1"))
        if refused is not None:
            told = f"{_GIVING_UP}{why}{_NOT_YET}the pod {pod.name} could not be evicted: {_open(refused)}."
            record = await committer.settler.releasing(record, bound=len(bound_pods(record, pods)), message=told, refused=True)
            return Stuck(record=record, why=told)
    how = "Its pods were evicted" if going else "Its pods are going already"
    return await _end(committer, record, why, f"Given up: {why}. {how}, so that the whole group is made anew.", evicted=True)


async def _end(committer: Committer, record: Record, why: str, message: str, *, stay: int = 0, evicted: bool = False) -> Recovered:
    released = await committer.settler.released(record, bound=stay, message=message, evicted=evicted)
    if released.open:
        return Stuck(record=released, why=f"{why}; the end of the record could not be written")
    if released.terminating:
        await committer.settler.close(released)
    return Released(record=released, why=message, stay=stay, evicted=evicted)


def _open(text: str) -> str:
    """Return a sentence without its full stop, to be put into another one."""
    return text.rstrip(". ")


def _of(seat: RecordSeat, pods: Mapping[str, Pod]) -> Pod | None:
    pod = pods.get(seat.pod)
    return pod if pod is not None and seat.uid in ("", pod.uid) else None


def _with_uid(seat: RecordSeat, pods: Mapping[str, Pod]) -> RecordSeat:
    pod = pods.get(seat.pod)
    if seat.uid or pod is None or pod.node is None:
        return seat
    return replace(seat, uid=pod.uid)


def _incomplete(record: Record, bound: list[Pod], why: str) -> str:
    count, total = len(bound), len(record.seats)
    stay = "is bound and stays" if count == 1 else "are bound and stay"
    bare = [pod.name for pod in bound if not made_anew(pod)]
    more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
    return (
        f"Given up: {_open(why)}. {count} of {total} members {stay}: no controller would make {', '.join(bare[:_SHOWN])}{more} "
        "anew. Delete the bound members and create the whole group again, or create the missing ones: they are placed beside the bound ones."
    )
