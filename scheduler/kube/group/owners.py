"""From a pod to what the user wrote: the owners that matter, nearest first.

Only the steps of ``CLIMB`` are taken: a CronJob's Jobs are groups apart, and an operator's object above a Deployment may own several.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scheduler.kube.group import names
from scheduler.state.objects import Pod, Ref
from scheduler.state.world import Workload, World

WorkloadKey = tuple[str, str, str]

CLIMB: Final = {"ReplicaSet": "Deployment", "Job": "JobSet"}
"""Owner kind -> kind above it that is still one group."""

_NAMED: Final = ((names.GROVE_POD_GANG, "PodGang"), (names.KNATIVE_REVISION, "Revision"), (names.KNATIVE_SERVICE, "Service"))
"""Labels that name a workload which stands above the pod without being climbed to."""


def owners(pod: Pod, world: World) -> tuple[Ref, ...]:
    """Return the pod's controller and what stands above it, nearest first; empty for a pod without one."""
    if pod.owner is None:
        return ()
    above = _above(pod, pod.owner, world)
    return (pod.owner,) if above is None else (pod.owner, above)


def _above(pod: Pod, ref: Ref, world: World) -> Ref | None:
    kind = CLIMB.get(ref.kind)
    if kind is None:
        return None
    known = lookup(ref, pod.namespace, world)
    if known is not None:
        return known.owner if known.owner is not None and known.owner.kind == kind else None
    # Without the ReplicaSet itself (a snapshot of nodes and pods) its name still tells the Deployment's.
    suffix = "-" + pod.labels.get(names.POD_TEMPLATE_HASH, "")
    if ref.kind == "ReplicaSet" and len(suffix) > 1 and ref.name.endswith(suffix) and ref.name != suffix:
        found = world.workloads.get((kind, pod.namespace, ref.name.removesuffix(suffix)))
        return Ref(kind=kind, name=ref.name.removesuffix(suffix), uid=found.uid if found else "", api_version="apps/v1")
    return None


def lookup(ref: Ref, namespace: str, world: World) -> Workload | None:
    """Return the object that is referred to, unless one of the same name with another UID has taken its place."""
    found = world.workloads.get((ref.kind, namespace, ref.name))
    if found is None or (ref.uid and found.uid and ref.uid != found.uid):
        return None
    return found


def workloads(pods: Iterable[Pod], world: World) -> tuple[Workload, ...]:
    """Return the known controllers of these pods, nearest first, each once, in the order of the pods."""
    levels: list[dict[WorkloadKey, Workload]] = [{}, {}]
    for pod in pods:
        for level, ref in enumerate(owners(pod, world)):
            found = lookup(ref, pod.namespace, world)
            if found is not None:
                levels[level].setdefault((ref.kind, pod.namespace, ref.name), found)
    return (*levels[0].values(), *levels[1].values())


def reads(pod: Pod, world: World) -> tuple[WorkloadKey, ...]:
    """Return the keys of the workloads that a pod's group or gang is read from: when one changes, so may the gang."""
    keys = [(ref.kind, pod.namespace, ref.name) for ref in owners(pod, world)]
    lws = pod.labels.get(names.LWS_NAME)
    if lws is not None:
        keys += [("LeaderWorkerSet", pod.namespace, lws), ("StatefulSet", pod.namespace, lws), ("StatefulSet", pod.namespace, pod.name)]
    keys += [(kind, pod.namespace, pod.labels[label]) for label, kind in _NAMED if label in pod.labels]
    return tuple(dict.fromkeys(keys))


def with_uid(ref: Ref, first: Pod) -> Ref:
    """Return the reference if its UID is known, else the nearest owner of the first member that has one: an owner reference needs a UID."""
    if ref.uid:
        return ref
    if first.owner is not None and first.owner.uid:
        return first.owner
    return pod_ref(first)


def pod_ref(pod: Pod) -> Ref:
    """Refer to a pod."""
    return Ref(kind="Pod", name=pod.name, uid=pod.uid, api_version="v1")
