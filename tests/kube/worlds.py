"""Pods and worlds as controllers make them, for tests of grouping; every argument that does not matter has a default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.kube.group import names
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod, Ref
from scheduler.state.world import PodGroup, TopologyPolicy, Workload, World
from tests.builders import shape

NS = "ai"


def loose(name: str, *, group: str = "", gpus: int = 1, on: str | None = None, uid: str = "", **fields: Any) -> Pod:
    """Return a pod of ours; ``group`` is the label coterie.dev/pod-group."""
    labels = {**fields.pop("labels", {}), **({names.POD_GROUP: group} if group else {})}
    given = {
        "namespace": NS,
        "uid": PodUid(uid or f"uid-{name}"),
        "scheduler_name": names.SCHEDULER_NAME,
        "shape": shape(gpus=gpus),
        "node": None if on is None else NodeName(on),
        "phase": "Pending" if on is None else "Running",
        **fields,
    }
    return Pod(name=name, labels=labels, **given)


def lws_pod(
    index: int, *, lws: str = "r1", group: int = 0, size: int | str = 2, leader: str = "", annotations: Mapping[str, str] | None = None, **fields: Any
) -> Pod:
    """Return a pod as the LeaderWorkerSet controller makes it; ``leader`` is the incarnation of its leader."""
    name = f"{lws}-{group}" if index == 0 else f"{lws}-{group}-{index}"
    labels = {names.LWS_NAME: lws, names.LWS_GROUP_INDEX: str(group), names.LWS_WORKER_INDEX: str(index), **fields.pop("labels", {})}
    above = (lws, f"sts-{lws}") if index == 0 else (f"{lws}-{group}", f"sts-{lws}-{group}{leader}")
    given = {
        "uid": f"uid-{name}{leader}",
        "owner": Ref(kind="StatefulSet", name=above[0], uid=above[1]),
        "annotations": {names.LWS_SIZE: str(size), **(annotations or {})},
        **fields,
    }
    return loose(name, labels=labels, **given)


def lws_sets(*, lws: str = "r1", groups: int = 1, size: int = 2, leader: str = "") -> list[Workload]:
    """Return the StatefulSets of a LeaderWorkerSet: one of leaders, one of workers per group."""
    top = Workload(
        kind="StatefulSet",
        namespace=NS,
        name=lws,
        uid=f"sts-{lws}",
        owner=Ref(kind="LeaderWorkerSet", name=lws, uid=f"uid-lws-{lws}"),
        replicas=groups,
    )
    return [top, *(worker_set(lws=lws, group=group, size=size, leader=leader) for group in range(groups))]


def worker_set(*, lws: str = "r1", group: int = 0, size: int = 2, leader: str = "") -> Workload:
    """Return the StatefulSet of one group's workers, owned by the leader pod."""
    name = f"{lws}-{group}"
    owner = Ref(kind="Pod", name=name, uid=f"uid-{name}{leader}")
    return Workload(kind="StatefulSet", namespace=NS, name=name, uid=f"sts-{name}{leader}", owner=owner, replicas=size - 1)


def deployment(name: str = "web", *, annotations: Mapping[str, str] | None = None, replicas: int = 2) -> list[Workload]:
    """Return a Deployment and its ReplicaSet ``<name>-abc``."""
    top = Workload(
        kind="Deployment", namespace=NS, name=name, uid=f"uid-{name}", api_version="apps/v1", annotations=annotations or {}, replicas=replicas
    )
    owner = Ref(kind="Deployment", name=name, uid=f"uid-{name}", api_version="apps/v1")
    return [top, Workload(kind="ReplicaSet", namespace=NS, name=f"{name}-abc", uid=f"uid-{name}-abc", owner=owner, replicas=replicas)]


def deployed(number: int, *, name: str = "web", **fields: Any) -> Pod:
    """Return a pod of that Deployment."""
    owner = Ref(kind="ReplicaSet", name=f"{name}-abc", uid=f"uid-{name}-abc", api_version="apps/v1")
    return loose(f"{name}-abc-{number}", owner=owner, labels={names.POD_TEMPLATE_HASH: "abc", **fields.pop("labels", {})}, **fields)


def pod_group(name: str = "g", *, min_member: int | None = None, **fields: Any) -> PodGroup:
    """Return a PodGroup of ours."""
    return PodGroup(namespace=NS, name=name, uid=f"uid-pg-{name}", min_member=min_member, **fields)


def policy(name: str, **fields: Any) -> TopologyPolicy:
    """Return a TopologyPolicy, the default one unless a selector is given."""
    return TopologyPolicy(namespace=NS, name=name, **fields)


def world(
    pods: Iterable[Pod],
    *,
    groups: Iterable[PodGroup] = (),
    policies: Iterable[TopologyPolicy] = (),
    workloads: Iterable[Workload] = (),
    priorities: Mapping[str, int] | None = None,
) -> World:
    """Return a world of these objects."""
    return World(
        pods={p.uid: p for p in pods},
        pod_groups={(g.namespace, g.name): g for g in groups},
        policies={(p.namespace, p.name): p for p in policies},
        workloads={(w.kind, w.namespace, w.name): w for w in workloads},
        priorities=priorities or {},
    )


def names_of(gang: Gang) -> list[str]:
    """Return the members' pod names in rank order."""
    return [member.pod.name for member in gang.members]
