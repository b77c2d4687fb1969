"""Members of one LeaderWorkerSet group: the living leader and the workers made for it, and nobody of a former leader.

After a restart the new leader has the old one's name and labels and stands beside old workers for a while; only the UID at the
end of worker -> StatefulSet -> leader tells them apart. Grouping and names are those of the LeaderWorkerSet controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from scheduler.kube.group import names
from scheduler.kube.group.groups import Collected, Entry, GroupRef, living, whole
from scheduler.kube.group.owners import pod_ref
from scheduler.state.gang import Advice
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod, Ref
from scheduler.state.problems import InputProblem, show
from scheduler.state.world import Workload, World

KIND: Final = "LeaderWorkerSet"
_MOST_SEATS: Final = 5000
"""More seats than a commit record can name are not made up."""


def collect(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    """Return the group of the living leader; without one, nobody is a member."""
    alive = [pod for pod in pods if living(pod)]
    lws = next(pod.labels[names.LWS_NAME] for pod in pods)
    workload = world.workloads.get((KIND, ref.namespace, lws))
    written = Ref(kind=KIND, name=lws, uid=workload.uid if workload else "", api_version=workload.api_version if workload else "")
    leader = max((pod for pod in alive if _index(pod) == 0), key=lambda pod: (pod.created, pod.uid), default=None)
    if leader is None:
        strays = tuple((pod.uid, f"its group {ref.name} has no living leader") for pod in alive)
        return Collected(name=ref.name, written=written, owner=written, strays=strays)
    ranked = {0: leader}
    strays_found: list[tuple[PodUid, str]] = []
    for pod in sorted(alive, key=lambda pod: (pod.name, pod.uid)):
        why = _why_not(pod, leader, ranked, world)
        if why is None:
            ranked[_index(pod) or 0] = pod
        elif pod is not leader:
            strays_found.append((pod.uid, why))
    size, advice, problem = _size(leader, list(ranked.values()), workload, world)
    return Collected(
        name=ref.name,
        uid=leader.uid,
        written=written,
        owner=pod_ref(leader),
        pods=tuple(sorted(ranked.items(), key=lambda item: item[0])),
        seats=_seats(leader, ranked, size, workload),
        size=size,
        workloads=() if workload is None else (workload,),
        leads=True,
        advice=advice,
        problem=problem,
        strays=tuple(strays_found),
    )


def _index(pod: Pod) -> int | None:
    return whole(pod.labels.get(names.LWS_WORKER_INDEX))


def _why_not(pod: Pod, leader: Pod, ranked: dict[int, Pod], world: World) -> str | None:
    """Say why a living pod of the group index is no member beside this leader, or None."""
    index = _index(pod)
    if index is None:
        return f"its label {names.LWS_WORKER_INDEX} is no number"
    if index in ranked:
        return f"another living pod, {ranked[index].name}, has its index {index}"
    return None if _made_for(pod, leader, world) else f"it belongs to a former leader of the name {leader.name}"


def _made_for(worker: Pod, leader: Pod, world: World) -> bool:
    # Never older than its leader; no time of creation: a manifest.
    young = not worker.created or worker.created >= leader.created
    if worker.uid.startswith(names.MADE_UP):
        return young  # its StatefulSet's UID is made up as well, and a StatefulSet that runs has another
    owner = worker.owner
    known = None if owner is None else world.workloads.get(("StatefulSet", worker.namespace, owner.name))
    if owner is not None and known is not None and known.owner is not None:
        if known.uid and owner.uid and known.uid != owner.uid:
            return False
        return known.owner.uid == leader.uid if known.owner.uid else known.owner.name == leader.name
    if ("StatefulSet", leader.namespace, leader.labels[names.LWS_NAME]) in world.workloads:
        return False  # StatefulSets are known here: this worker's own was deleted, or has not been seen yet
    return young  # a snapshot of nodes and pods has no StatefulSets


def _size(leader: Pod, members: Sequence[Pod], workload: Workload | None, world: World) -> tuple[int | None, tuple[Advice, ...], InputProblem | None]:
    """Return the group's size; when members disagree their StatefulSet decides, else the largest (never too few seats)."""
    said = {size for pod in members if (size := whole(pod.annotations.get(names.LWS_SIZE)))}
    if len(said) == 1:
        return said.pop(), (), None
    workers = world.workloads.get(("StatefulSet", leader.namespace, leader.name))
    by_set = None
    if workers is not None and workers.replicas is not None and workers.owner is not None and workers.owner.uid in ("", leader.uid):
        by_set = workers.replicas + 1
    size = by_set or max(said, default=None) or (workload.size if workload is not None else None)
    if not said:
        found = leader.annotations.get(names.LWS_SIZE)
        expected = "a whole number of at least 1"
        problem = InputProblem(
            object=f"Pod/{leader.namespace}/{leader.name}",
            field=f"metadata.annotations[{names.LWS_SIZE}]",
            found="nothing" if found is None else show(found),
            expected=expected,
        )
        return size, (), None if size else problem
    source = "its StatefulSet's replicas" if by_set else "the largest"
    message = f"The members of group {leader.name} disagree on its size ({', '.join(map(str, sorted(said)))}); {source} counts: {size}."
    advice = Advice(level="warning", object=f"Pod/{leader.name}", field=f"metadata.annotations[{names.LWS_SIZE}]", message=message)
    return size, (advice,), None


def _seats(leader: Pod, ranked: dict[int, Pod], size: int | None, workload: Workload | None) -> tuple[Entry, ...]:
    """Return stand-ins for workers that will not exist before the leader is ready or bound."""
    template = None if workload is None else workload.templates.get("worker")
    late = (workload is not None and workload.startup_policy == "LeaderReady") or names.LWS_EXCLUSIVE in leader.annotations
    if template is None or not late or size is None or size > _MOST_SEATS:
        return ()
    return tuple((rank, _seat(template, leader, rank)) for rank in range(1, size) if rank not in ranked)


def _seat(template: Pod, leader: Pod, rank: int) -> Pod:
    name = f"{leader.name}-{rank}"
    marks = {key: leader.labels[key] for key in (names.LWS_NAME, names.LWS_GROUP_INDEX) if key in leader.labels}
    return replace(
        template,
        namespace=leader.namespace,
        name=name,
        uid=PodUid(f"seat:{leader.namespace}/{name}"),
        labels={**template.labels, **marks, names.LWS_WORKER_INDEX: str(rank)},
        node=None,
    )
