"""How a pod finds its group: WORKLOADS, one row per way, the first that speaks wins.

Two ways, Grove's and LeaderWorkerSet's, already form groups: there a PodGroup that the pods name sets each group's policy and never
merges them. What a gang demands is `scheduler.kube.group.demands`; making gangs of groups is `scheduler.kube.group.grouping`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.kube.group import lws, names
from scheduler.kube.group.groups import Collected, Entry, GroupRef, find_pod_group, living, whole
from scheduler.kube.group.owners import lookup, owners, pod_ref, reads, with_uid, workloads
from scheduler.state.objects import Pod, Ref
from scheduler.state.world import World

ALONE: Final = "Pod"
POD_GROUP: Final = "PodGroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way in which pods find their group."""

    said_by: str
    """What a person looks at, for messages and documentation."""
    find: Callable[[Pod, World], GroupRef | None]
    collect: Callable[[GroupRef, Sequence[Pod], World], Collected]
    kind: str = ""
    """Kind of the groups; empty: the kind of whatever owns the pods."""
    forms: bool = False
    """Whether these pods form groups already, so that a label only sets their policy."""


def group_key(pod: Pod, world: World) -> GroupRef:
    """Return the group among whose pods this pod's gang is to be found.

    Equal for all pods of a group, whatever order they come in; a pod that nothing groups is its own group.
    """
    for way in WORKLOADS:
        ref = way.find(pod, world)
        if ref is not None:
            break
    else:
        ref = _alone(pod, world)
    return _formed(pod, world) or ref if ref.kind == POD_GROUP else ref


def collect(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    """Return what the group consists of; ``pods`` are all those with this key, in any order, at least one."""
    return _COLLECT.get(ref.kind, _collect_owned)(ref, pods, world)


def pod_group_named(pod: Pod) -> str | None:
    """Return the name of the PodGroup that the pod explicitly joins."""
    return pod.labels.get(names.POD_GROUP) or pod.annotations.get(names.KAI_POD_GROUP) or None


def pod_group_passed(pod: Pod) -> str | None:
    """Return the PodGroup that the pod names too and does not join: its annotation says another one than its label, which is read first."""
    labelled, annotated = pod.labels.get(names.POD_GROUP), pod.annotations.get(names.KAI_POD_GROUP)
    return annotated if labelled and annotated and labelled != annotated else None


def marked(pod: Pod) -> bool:
    """Whether the pod itself names a group, so that it matters even when another scheduler binds it."""
    return bool(pod.scheduling_group) or any(key in pod.labels for key in names.GROUP_LABELS) or any(key in pod.annotations for key in _MARKS)


_MARKS: Final = (names.KAI_POD_GROUP, names.VOLCANO_POD_GROUP)


def _formed(pod: Pod, world: World) -> GroupRef | None:
    return next((ref for way in WORKLOADS if way.forms and (ref := way.find(pod, world)) is not None), None)


def _pod_group(pod: Pod, name: str | None, api: str) -> GroupRef | None:
    return GroupRef(kind=POD_GROUP, namespace=pod.namespace, name=name, api=api) if name else None


def _by_label(pod: Pod, _: World) -> GroupRef | None:
    return _pod_group(pod, pod.labels.get(names.POD_GROUP), names.RUN_AI)


def _by_kai(pod: Pod, _: World) -> GroupRef | None:
    return _pod_group(pod, pod.annotations.get(names.KAI_POD_GROUP), names.RUN_AI)


def _by_scheduling_group(pod: Pod, _: World) -> GroupRef | None:
    return _pod_group(pod, pod.scheduling_group, names.NATIVE_GROUPS)


def _by_volcano(pod: Pod, _: World) -> GroupRef | None:
    return _pod_group(pod, pod.annotations.get(names.VOLCANO_POD_GROUP), names.VOLCANO_GROUPS)


def _by_x_k8s(pod: Pod, _: World) -> GroupRef | None:
    return _pod_group(pod, pod.labels.get(names.X_K8S_POD_GROUP), names.X_K8S_GROUPS)


def _by_grove(pod: Pod, _: World) -> GroupRef | None:
    name = pod.labels.get(names.GROVE_POD_GANG)
    return GroupRef(kind="PodGang", namespace=pod.namespace, name=name) if name else None


def _by_lws(pod: Pod, _: World) -> GroupRef | None:
    name, group = pod.labels.get(names.LWS_NAME), pod.labels.get(names.LWS_GROUP_INDEX)
    if not name or not group:
        return None
    return GroupRef(kind=lws.KIND, namespace=pod.namespace, name=f"{name}-{group}")


def _by_revision(pod: Pod, _: World) -> GroupRef | None:
    name = pod.labels.get(names.KNATIVE_REVISION)
    return GroupRef(kind="Revision", namespace=pod.namespace, name=name) if name else None


def _by_owner(pod: Pod, world: World) -> GroupRef | None:
    above = owners(pod, world)
    if not above or not _asks_for_gang(pod, above, world):
        return None
    return GroupRef(kind=above[-1].kind, namespace=pod.namespace, name=above[-1].name)


def _asks_for_gang(pod: Pod, above: Sequence[Ref], world: World) -> bool:
    if names.MIN_MEMBER in pod.annotations:
        return True
    return any(found is not None and names.MIN_MEMBER in found.annotations for found in (lookup(ref, pod.namespace, world) for ref in above))


def _alone(pod: Pod, _: World) -> GroupRef:
    return GroupRef(kind=ALONE, namespace=pod.namespace, name=pod.name, uid=pod.uid)


def _collect_pod_group(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    members = in_rank_order(pods)
    found = find_pod_group(world, ref.namespace, ref.name, ref.api)
    known = Ref(kind=POD_GROUP, name=ref.name, uid=found.uid if found else "", api_version=found.api_version if found else ref.api)
    # Other API groups have a policy without gangs (every pod for itself): there no number means 1; in ours it means that it was forgotten.
    default = 1 if found is not None and found.min_member is None and ref.api != names.RUN_AI else None
    return Collected(
        name=ref.name,
        written=known,
        owner=with_uid(known, _first(members, pods)),
        pods=members,
        default_min=default,
        completed=_completed(pods),
        workloads=workloads((pod for _, pod in members), world),
    )


def _collect_grove(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    members = in_rank_order(pods)
    first = _first(members, pods)
    found = world.workloads.get(("PodGang", ref.namespace, ref.name))
    gang = Ref(kind="PodGang", name=ref.name, uid=found.uid if found else "", api_version=found.api_version if found else "")
    whole_set = first.labels.get(names.PART_OF)
    return Collected(
        name=ref.name,
        written=Ref(kind="PodCliqueSet", name=whole_set) if whole_set else gang,
        owner=with_uid(gang, first),
        pods=members,
        # Grove keeps every pod gated until all of the gang exist: without the PodGang, those that exist are the gang.
        size=found.size if found is not None and found.size else max(1, len(members)),
        workloads=(*(() if found is None else (found,)), *workloads((pod for _, pod in members), world)),
    )


def _collect_revision(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    members = in_rank_order(pods)
    first = _first(members, pods)
    revision = Ref(kind="Revision", name=ref.name, uid=first.labels.get(names.KNATIVE_REVISION_UID, ""), api_version="serving.knative.dev/v1")
    service = first.labels.get(names.KNATIVE_SERVICE)
    return Collected(
        name=ref.name,
        written=Ref(kind="Service", name=service, api_version="serving.knative.dev/v1") if service else revision,
        owner=with_uid(revision, first),
        pods=members,
        default_min=1,  # elastic: the first pod of a revision that was at zero waits for nobody
        workloads=tuple(
            found for key in reads(first, world) if key[0] in ("Revision", "Service") and (found := world.workloads.get(key)) is not None
        ),
    )


def _collect_owned(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    members = in_rank_order(pods)
    first = _first(members, pods)
    above = owners(first, world)
    top = above[-1] if above else Ref(kind=ref.kind, name=ref.name)
    return Collected(
        name=ref.name,
        written=top,
        owner=with_uid(top, first),
        pods=members,
        completed=_completed(pods),
        workloads=workloads((pod for _, pod in members), world),
    )


def _collect_alone(ref: GroupRef, pods: Sequence[Pod], world: World) -> Collected:
    pod = pods[0]
    above = owners(pod, world)
    return Collected(
        name=ref.name,
        uid=ref.uid,
        written=above[-1] if above else pod_ref(pod),
        owner=pod_ref(pod),
        pods=in_rank_order(pods),
        default_min=1,
        workloads=workloads(pods, world),
    )


def _first(members: Sequence[Entry], pods: Sequence[Pod]) -> Pod:
    return members[0][1] if members else min(pods, key=lambda pod: (pod.name, pod.uid))


def _completed(pods: Sequence[Pod]) -> int:
    return sum(pod.phase == "Succeeded" for pod in pods)


def in_rank_order(pods: Sequence[Pod]) -> tuple[Entry, ...]:
    """Return the living pods with their ranks: the index their controller gave them, else their place in natural name order."""
    alive = sorted((pod for pod in pods if living(pod)), key=lambda pod: (natural(pod.name), pod.uid))
    indexes = [_index(pod) for pod in alive]
    given = [index for index in indexes if index is not None]
    if len(given) == len(alive) == len(set(given)) and len({pod.owner for pod in alive}) <= 1:
        return tuple(sorted(zip(given, alive, strict=True), key=lambda item: item[0]))
    return tuple(enumerate(alive))


def _index(pod: Pod) -> int | None:
    """Return the completion index of a Job's pod or the ordinal of a StatefulSet's."""
    for text in (pod.labels.get(names.JOB_INDEX), pod.annotations.get(names.JOB_INDEX), pod.labels.get(names.STATEFUL_INDEX)):
        if text is not None:
            return whole(text)
    if pod.owner is not None and pod.owner.kind == "StatefulSet":
        return whole(pod.name.rpartition("-")[2])
    return None


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """Return a sort key by which ``pod-10`` comes after ``pod-2``."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name))


WORKLOADS: Final[tuple[Way, ...]] = (
    Way(said_by=f"label {names.POD_GROUP}", kind=POD_GROUP, find=_by_label, collect=_collect_pod_group),
    Way(said_by=f"annotation {names.KAI_POD_GROUP}", kind=POD_GROUP, find=_by_kai, collect=_collect_pod_group),
    Way(said_by="spec.schedulingGroup", kind=POD_GROUP, find=_by_scheduling_group, collect=_collect_pod_group),
    Way(said_by=f"label {names.GROVE_POD_GANG}", kind="PodGang", find=_by_grove, collect=_collect_grove, forms=True),
    Way(said_by=f"labels {names.LWS_NAME} and group-index", kind=lws.KIND, find=_by_lws, collect=lws.collect, forms=True),
    Way(said_by=f"annotation {names.VOLCANO_POD_GROUP}", kind=POD_GROUP, find=_by_volcano, collect=_collect_pod_group),
    Way(said_by=f"label {names.X_K8S_POD_GROUP}", kind=POD_GROUP, find=_by_x_k8s, collect=_collect_pod_group),
    Way(said_by=f"label {names.KNATIVE_REVISION}", kind="Revision", find=_by_revision, collect=_collect_revision),
    Way(said_by=f"owner with annotation {names.MIN_MEMBER}", find=_by_owner, collect=_collect_owned),
    Way(said_by="nothing: the pod is alone", kind=ALONE, find=_alone, collect=_collect_alone),
)
"""Every way, in order of precedence; the last one always speaks."""

_COLLECT: Final = {way.kind: way.collect for way in WORKLOADS if way.kind}
