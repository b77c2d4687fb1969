"""What the commit protocol promises (docs/commit.md), checked at every write of every schedule and where a schedule ends.

The checks read the cluster as the API server has it and know nothing of what leaders believe. A check returns sentences; none means that the
promise held. What is allowed although it looks wrong is said where it is allowed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from scheduler.state.record import Record
from tests.model.cluster import GPUS, JOB, LONE, LWS, POD_GROUP, SET, STRANGER, Cluster, ModelPod, meant, readable
from tests.model.server import Answer, Call

GOOD = (200, 201)
DELETED = "somebody deletes the edited record"


def broken_by(before: Cluster, call: Call, answer: Answer, after: Cluster, *, strict: bool) -> tuple[str, ...]:
    """Return what one call broke. ``strict``: its caller is the first leader, and knew all that the server knew when its turn began."""
    if answer.status not in GOOD or (before == after and not call.path.endswith("/eviction")):
        return ()
    name = call.path.rsplit("/", 2)[1] if call.path.endswith(("/binding", "/eviction", "/status")) else ""
    if call.path.endswith("/binding"):
        return tuple(_bound(before, name, after))
    if call.path.endswith("/eviction"):
        return tuple(_evicted(before, name))
    if "/placements" in call.path:
        return tuple(_written(before, after, strict=strict))
    return ()


def stale(before: Cluster, after: Cluster) -> Cluster:
    """Note what a leader without the Lease did: where it binds a lone pod it is like a stranger. That is the window which commit.md names."""
    for pod in after.pods:
        former = before.pod(pod.name)
        if pod.kind == LONE and pod.node and former is not None and not former.node:
            crowded = tuple(sorted({*after.crowded, pod.node}))
            return replace(after, crowded=crowded, events=tuple(sorted((*after.events, f"a stale leader binds {pod.name}"))))
    return after


def _bound(before: Cluster, name: str, after: Cluster) -> Iterator[str]:
    pod = after.pod(name)
    assert pod is not None
    if pod.kind != LONE:
        text = before.record(pod.record) if pod.record else None
        if text is None and DELETED in before.events:
            return  # the bind was on its way when a person took the record away
        if text is None:
            yield f"{name} is bound to {pod.node} on behalf of the record {pod.record!r}, which does not exist"
            return
        about = meant(text)
        said = [seat.node for seat in about.seats if seat.pod == name and seat.uid in ("", pod.uid)]
        if said != [pod.node]:
            yield f"{name} is bound to {pod.node}, but its record says {said} (epoch {about.epoch})"
        if not about.open:
            yield f"{name} is bound to {pod.node} although its record is settled as {about.phase} (epoch {about.epoch})"
    if after.used(pod.node) > GPUS and pod.node not in after.crowded:
        there = ", ".join(p.name for p in after.pods if p.node == pod.node)
        yield f"{pod.node} is over-committed: {there} take {after.used(pod.node)} of {GPUS} GPUs"


def _evicted(before: Cluster, name: str) -> Iterator[str]:
    pod = before.pod(name)
    assert pod is not None
    if (pod.kind, pod.index) != (LWS, 0) and pod.kind not in (SET, JOB):
        yield f"{name} is evicted, which no controller would make anew"
    if not before.events:
        yield f"{name} is evicted although nothing happened to the cluster"
    mine = [about for about in map(meant, before.records) if any((seat.pod, seat.uid) == (name, pod.uid) for seat in about.seats)]
    for about in mine:
        # What is being given up is given up whole: the record says so, and nobody turns back.
        if all(_seated(before, about)) and about.phase != "Releasing" and not pod.terminating:
            yield f"{name} is evicted although every member is bound as the record says (epoch {about.epoch})"
    if not mine:
        yield f"{name} is evicted without a record of its gang"


def _seated(cluster: Cluster, about: Record) -> Iterator[bool]:
    for seat in about.seats:
        pod = cluster.pod(seat.pod)
        yield pod is not None and not pod.failed and seat.uid in ("", pod.uid) and pod.node == seat.node


def _lost(cluster: Cluster, about: Record) -> bool:
    """Whether a pod of the record is gone, replaced or going."""
    pods = [(cluster.pod(seat.pod), seat) for seat in about.seats]
    return any(pod is None or pod.terminating or pod.failed or seat.uid not in ("", pod.uid) for pod, seat in pods)


def _written(before: Cluster, after: Cluster, *, strict: bool) -> Iterator[str]:
    for text in after.records:
        new = meant(text)
        old_text = before.record(new.name)
        old = meant(old_text) if old_text is not None else None
        if old is not None and old.resource_version == new.resource_version:
            continue
        if old_text is not None and not readable(old_text):
            yield f"the record {new.name}, which somebody has edited, is overwritten"
        if old is None or new.epoch > old.epoch:
            if strict:
                yield from _claimed(after, new)
        elif old.phase != new.phase and not old.open:
            yield f"the settled record {new.name} goes from {old.phase} to {new.phase} in one epoch"
        if not new.open and (old is None or old.open):
            yield from _settled(after, new, json.loads(text)["status"])


def _claimed(after: Cluster, new: Record) -> Iterator[str]:
    """Say where the record of a leader that knew everything gives a seat that is taken, or does not keep a bound member where it is."""
    for seat in new.seats:
        pod = after.pod(seat.pod)
        if pod is not None and pod.node and pod.uid == seat.uid and pod.node != seat.node:
            yield f"the record {new.name} (epoch {new.epoch}) says {seat.node} for {seat.pod}, which is bound to {pod.node}"
    claims = Counter[str]()
    for about in map(meant, after.records):
        for seat in about.seats if about.open else ():
            pod = after.pod(seat.pod)
            claims[seat.node] += 0 if pod is None or pod.node or seat.uid not in ("", pod.uid) else pod.gpus
    for seat in new.seats:
        if claims[seat.node] + after.used(seat.node) > GPUS and seat.node not in after.crowded:
            yield f"the record {new.name} (epoch {new.epoch}) claims room on {seat.node} that is taken or promised"


def _settled(after: Cluster, about: Record, status: dict[str, object]) -> Iterator[str]:
    pods = [pod for seat in about.seats if (pod := after.pod(seat.pod)) is not None and seat.uid in ("", pod.uid)]
    bound = [pod for pod in pods if pod.node and not (pod.terminating or pod.failed)]
    if about.phase == "Bound" and not all(_seated(after, about)) and not _lost(after, about):
        yield f"the record {about.name} is settled as Bound, but {len(bound)} of {len(about.seats)} members are bound as it says"
    if about.phase == "Released":
        if not after.events:
            yield f"the record {about.name} is released although nothing happened to the cluster"
        if all(_seated(after, about)) and not _lost(after, about):
            yield f"the record {about.name} is released although every member is bound as it says"
        if any(pod.kind == LWS for pod in bound) and not any(pod.terminating for pod in pods if pod.index == 0) and not _lost(after, about):
            yield f"the record {about.name} is released while {len(bound)} members stay bound that a controller would make anew"
        conditions = status.get("conditions")
        assert isinstance(conditions, list)
        if any(pod.kind in (SET, JOB) for pod in bound) and conditions[0]["reason"] == "Evicted":
            yield f"the record {about.name} says that its pods were evicted, but {len(bound)} of them stand"
        # Pods that are bound elsewhere are none of this record's: it was written by a leader that was late.
        here = [pod for pod in bound if any((seat.pod, seat.node) == (pod.name, pod.node) for seat in about.seats)]
        if any(pod.kind == POD_GROUP for pod in here) and conditions[0]["reason"] != "Incomplete":
            yield f"the record {about.name} is released with {len(here)} bound members and does not say that it is incomplete"
    if about.phase == "Committed":
        yield f"the record {about.name} is settled without a phase that says how"


def left_undone(cluster: Cluster) -> tuple[str, ...]:
    """Return what is wrong where a schedule ends: the leader lives, everything was told, nothing else happens."""
    return tuple(_undone(cluster))


def _undone(cluster: Cluster) -> Iterator[str]:
    groups: dict[tuple[str, int], list[ModelPod]] = {}
    for pod in cluster.pods:
        if pod.kind != STRANGER:
            groups.setdefault(pod.group, []).append(pod)
    for (name, _), members in groups.items():
        yield from _gang_undone(cluster, name, members)
    for about in map(meant, filter(readable, cluster.records)):
        if about.terminating:
            yield f"the record {about.name} waits for ever for its finalizer"
        living = [each for seat in about.seats if (each := cluster.pod(seat.pod)) is not None and seat.uid in ("", each.uid)]
        complete = len(living) == (living[0].size if living else 0)
        if about.open and (complete or cluster.late or not living):
            yield f"the record {about.name} (epoch {about.epoch}) stays open for ever"


def _gang_undone(cluster: Cluster, name: str, pods: list[ModelPod]) -> Iterator[str]:
    refused = any(pod.failed for pod in pods)
    pods = [pod for pod in pods if not pod.failed]
    bound = [pod for pod in pods if pod.node]
    if not pods or any(not readable(text) and meant(text).gang.name == name for text in cluster.records):
        return  # nobody is left, or it waits for a person, who is told
    told = any(about.phase == "Released" and not about.open for about in map(meant, cluster.records) if about.gang.name == name)
    complete = len(pods) == pods[0].size
    if refused and bound and not complete and not told:
        yield f"the gang {name} has {len(bound)} members left that a kubelet took, and no record says that it is incomplete"
    if pods[0].first and not bound and feasible(cluster, pods):
        yield f"the leader of the gang {name} is not bound, although there is room for all"
    if len(bound) == len(pods) or not complete:
        return
    if not pods[0].grouped:
        # Its record is deleted with the PodGroup: nothing is left that could say more.
        if bound and len(cluster.events) == 1:
            yield f"the gang {name} is half bound for ever because its PodGroup was deleted in between"
        return
    if bound and pods[0].kind == LWS:
        yield f"the gang {name} is half bound for ever: {len(bound)} of {len(pods)} members"
    if feasible(cluster, pods):
        yield f"the gang {name} has {len(bound)} of {len(pods)} members bound for ever, although there is room for all"
    if bound and not told:
        yield f"the gang {name} has {len(bound)} of {len(pods)} members bound for ever and no record says so"


def feasible(cluster: Cluster, pods: list[ModelPod]) -> bool:
    """Whether the members that are not bound fit beside those that are, all in one rack."""
    fixed = {pod.node[0] for pod in pods if pod.node}
    wanted = [pod.gpus for pod in pods if not pod.node] + [pods[0].gpus] * (pods[0].size - len(pods))
    for rack in {node.name[0] for node in cluster.nodes}:
        room = [GPUS - cluster.used(node.name) for node in cluster.nodes if node.name[0] == rack and not node.cordoned]
        if fixed <= {rack} and sum(free // wanted[0] for free in room if free > 0) >= len(wanted):
            return True
    return False
