"""What is to be planned, put into the cluster that exists: the planned object replaces its namesake, bound pods stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeVar

from scheduler.kube.group import names
from scheduler.kube.group.owners import owners
from scheduler.kube.parse.sorting import Sorted
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod, Ref
from scheduler.state.world import PodGroup, TopologyPolicy, Workload, World

_Replaced = TypeVar("_Replaced", PodGroup, TopologyPolicy, Workload)
_Key = TypeVar("_Key", bound=tuple[str, ...])
_Origin = tuple[str, str, str, str]

_RANDOM_NAMES: Final = frozenset({"ReplicaSet", "Deployment", "Job", "Service", "Configuration", "Revision"})
"""Top owners whose pods have names that nobody can know beforehand: their bound pods stand for planned ones by number."""


def merged(cluster: Sorted, planned: Sorted) -> Sorted:
    """Return one world of both.

    Bound pods of a planned workload stay, as fixed members, and stand for as many of its planned pods. Pods of the cluster
    without a node are left out (they are neither counted nor planned); nominated ones are named apart.
    """
    workloads = {**cluster.world.workloads, **_workloads(cluster.world, planned.world)}
    world = World(
        pod_groups=_replaced(cluster.world.pod_groups, planned.world.pod_groups),
        policies=_replaced(cluster.world.policies, planned.world.policies),
        workloads=workloads,
        priorities={**cluster.world.priorities, **planned.world.priorities},
        budgets={**cluster.world.budgets, **planned.world.budgets},
    )
    bound = {uid: pod for uid, pod in cluster.world.pods.items() if pod.node is not None}
    waiting = (pod for pod in cluster.world.pods.values() if pod.node is None and pod.nominated_node is not None and not pod.finished)
    new, standing = _new_pods(bound, planned.world.pods, world)
    taken = {pod.key for pod in new.values()}
    return Sorted(
        nodes={**cluster.nodes, **planned.nodes},
        world=replace(world, pods={**bound, **new}),
        levels=(*cluster.levels, *planned.levels),
        nominated=tuple(sorted((pod for pod in waiting if pod.key not in taken), key=lambda pod: (pod.key, pod.uid))),
        standing=standing,
        ignored=planned.ignored,
        advice=(*cluster.advice, *planned.advice),
    )


def _replaced(old: Mapping[_Key, _Replaced], new: Mapping[_Key, _Replaced]) -> dict[_Key, _Replaced]:
    """Put the new objects over the old; a namesake's UID stays, because others refer to it."""
    found = dict(old)
    for key, value in new.items():
        found[key] = replace(value, uid=old[key].uid) if key in old and value.uid.startswith("manifest:") else value
    return found


def _workloads(old: World, new: World) -> dict[tuple[str, str, str], Workload]:
    """Return the planned workloads; the StatefulSet of a group's workers that exists is better known than a planned one."""
    leaders = {pod.key: pod.uid for pod in old.pods.values() if _stays(pod)}
    found = _replaced({key: value for key, value in old.workloads.items() if key in new.workloads}, new.workloads)
    for key, workload in found.items():
        if workload.owner is not None and workload.owner.kind == "Pod":
            uid = leaders.get(f"{workload.namespace}/{workload.owner.name}", workload.owner.uid)
            found[key] = old.workloads.get(key) or replace(workload, owner=replace(workload.owner, uid=uid))
    return found


def _stays(pod: Pod) -> bool:
    return pod.node is not None and not pod.finished and not pod.terminating


def _new_pods(bound: Mapping[PodUid, Pod], planned: Mapping[PodUid, Pod], world: World) -> tuple[dict[PodUid, Pod], frozenset[PodUid]]:
    """Return the planned pods that no bound pod stands for, owners' UIDs as the cluster knows them; and the bound pods that stand for one."""
    staying = sorted((pod for pod in bound.values() if _stays(pod)), key=lambda pod: (pod.key, pod.uid), reverse=True)
    named = {pod.key: pod.uid for pod in staying}
    numbered: dict[_Origin, list[PodUid]] = {}
    for pod in staying:
        origin = _origin(pod, world)
        if origin is not None:
            numbered.setdefault(origin, []).append(pod.uid)
    found: dict[PodUid, Pod] = {}
    standing: set[PodUid] = set()
    for uid, pod in planned.items():
        origin = _origin(pod, world)
        if origin is not None and numbered.get(origin):
            standing.add(numbered[origin].pop())
        elif pod.key in named:
            standing.add(named[pod.key])
        else:
            found[uid] = replace(pod, owner=_known(pod.owner, pod.namespace, world))
    return found, frozenset(standing)


def _origin(pod: Pod, world: World) -> _Origin | None:
    """Name the workload whose pods cannot be told by name, with the index that tells them where there is one."""
    service = pod.labels.get(names.KNATIVE_SERVICE)
    if service:
        return ("Service", pod.namespace, service, "")
    above = owners(pod, world)
    if not above or above[-1].kind not in _RANDOM_NAMES:
        return None
    return (above[-1].kind, pod.namespace, above[-1].name, pod.labels.get(names.JOB_INDEX, ""))


def _known(owner: Ref | None, namespace: str, world: World) -> Ref | None:
    if owner is None:
        return None
    known = world.workloads.get((owner.kind, namespace, owner.name))
    return owner if known is None else replace(owner, uid=known.uid)
