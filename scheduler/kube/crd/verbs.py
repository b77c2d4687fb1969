"""VERBS: every right that the scheduler has, one row each with its reason; deploy/base/clusterrole.yaml and role.yaml are written from it.

A call that is not in this table is refused by the API server. Turning rows into manifests is `scheduler.kube.crd.crdgen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Scope: TypeAlias = Literal["cluster", "own namespace"]

READ: Final = ("get", "list", "watch")
FOLLOW: Final = ("list", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """The right to use ``verbs`` on ``resource`` of ``group`` (empty for core)."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    scope: Scope = "cluster"


VERBS: Final[tuple[Right, ...]] = (
    Right(group="", resource="nodes", verbs=READ, why="where pods can run: room, labels, taints"),
    Right(group="", resource="pods", verbs=READ, why="what waits for a node and what holds room; a fresh look after a conflict"),
    Right(group="", resource="pods/status", verbs=("patch",), why="the condition PodScheduled; a touch that makes stale binds fail"),
    Right(group="", resource="pods/binding", verbs=("create",), why="bind a member to its node"),
    Right(group="", resource="pods/eviction", verbs=("create",), why="release a whole group whose seats became impossible"),
    Right(group="events.k8s.io", resource="events", verbs=("create", "patch"), why="tell people what was decided; patch counts repetitions"),
    Right(group="scheduling.run.ai", resource="podgroups", verbs=READ, why="groups and their demands"),
    Right(group="scheduling.run.ai", resource="podgroups/status", verbs=("patch",), why="phase, counts, cost, conditions"),
    Right(group="scheduling.run.ai", resource="topologypolicies", verbs=READ, why="levels that gangs prefer or require"),
    Right(group="scheduling.run.ai", resource="topologypolicies/status", verbs=("patch",), why="conditions about a policy"),
    Right(
        group="coterie.dev",
        resource="placements",
        verbs=(*READ, "create", "update", "patch", "delete"),
        why="the commit records: written before a bind, superseded, given up",
    ),
    Right(group="coterie.dev", resource="placements/status", verbs=("patch",), why="how far a record is carried out"),
    Right(group="leaderworkerset.x-k8s.io", resource="leaderworkersets", verbs=READ, why="size, start-up policy and demands of groups"),
    Right(group="apps", resource="statefulsets", verbs=READ, why="the way from a worker to its leader; templates"),
    Right(group="apps", resource="replicasets", verbs=READ, why="the way from a pod to its Deployment"),
    Right(group="apps", resource="deployments", verbs=READ, why="demands written on the workload"),
    Right(group="batch", resource="jobs", verbs=READ, why="demands written on the workload"),
    Right(group="scheduling.k8s.io", resource="priorityclasses", verbs=FOLLOW, why="the order of groups that name a class"),
    Right(group="scheduling.k8s.io", resource="podgroups", verbs=FOLLOW, why="groups in the form of Kubernetes itself"),
    Right(group="scheduling.x-k8s.io", resource="podgroups", verbs=FOLLOW, why="groups in the form of the scheduler plug-ins"),
    Right(group="scheduling.volcano.sh", resource="podgroups", verbs=FOLLOW, why="groups in the form of Volcano; LeaderWorkerSet makes them"),
    Right(group="kueue.x-k8s.io", resource="topologies", verbs=FOLLOW, why="the order of topology levels where Kueue holds it"),
    Right(group="grove.io", resource="clustertopologybindings", verbs=FOLLOW, why="the order of topology levels where Grove holds it"),
    Right(group="policy", resource="poddisruptionbudgets", verbs=("list",), why="which pods an explanation may not name for deletion"),
    Right(group="authentication.k8s.io", resource="tokenreviews", verbs=("create",), why="who asks for a snapshot"),
    Right(group="authorization.k8s.io", resource="subjectaccessreviews", verbs=("create",), why="whether they may have it"),
    Right(
        group="coordination.k8s.io",
        resource="leases",
        verbs=("get", "create", "update"),
        why="which replica leads",
        scope="own namespace",
    ),
)
