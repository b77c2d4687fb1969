"""What the model check starts from, and what the surroundings can do: one row per scenario, with how much may go wrong in one schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.model.cluster import EDIT, GPUS, JOB, LWS, POD_GROUP, SET, Cluster, ModelNode, ModelPod, canonical, mended, name_of, readable, stranger
from tests.model.server import collected

Change = Callable[[Cluster], Cluster]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A cluster, what can happen to it, and how often at most in one schedule."""

    name: str
    start: Cluster
    events: tuple[tuple[str, Change], ...] = ()
    most_events: int = 0
    lost: int = 0
    """Answers of writes that are lost, whether the server did them or not."""
    crashes: int = 0
    handovers: int = 0
    """Times that the Lease goes to the other leader while the former one lives on, at any moment and so also between its look and its write."""
    lags: int = 0
    """Times that the watch of a leader tells nothing new of one kind."""
    twice: int = 0
    """Writes that the server gets twice."""
    most: int = 0
    """States after which the search stops, shortest schedules first; 0: it goes through all of them."""
    least: int = 0
    """States that must be explored: the search must not shrink unseen."""


def cordon(name: str, cluster: Cluster) -> Cluster:
    """Close a node."""
    return replace(cluster, nodes=tuple(replace(n, cordoned=True) if n.name == name else n for n in cluster.nodes))


def uncordon(name: str, cluster: Cluster) -> Cluster:
    """Open a node again."""
    return replace(cluster, nodes=tuple(replace(n, cordoned=False) if n.name == name else n for n in cluster.nodes))


def remove_node(name: str, cluster: Cluster) -> Cluster:
    """Delete a node on which nothing is bound yet."""
    return cluster if cluster.used(name) else replace(cluster, nodes=tuple(n for n in cluster.nodes if n.name != name))


def take_room(name: str, cluster: Cluster) -> Cluster:
    """Let another scheduler bind a pod to a node that has room for it."""
    if cluster.used(name) + GPUS > GPUS:
        return cluster
    return replace(cluster.with_pod(f"stranger-{name}", stranger(f"stranger-{name}", name)), crowded=tuple(sorted({*cluster.crowded, name})))


def delete_pod(name: str, cluster: Cluster) -> Cluster:
    """Delete a pod: it is gone once its kubelet says so, at once where it was never bound."""
    pod = cluster.pod(name)
    return cluster if pod is None or pod.terminating else cluster.with_pod(name, replace(pod, terminating=True, version=pod.version + 1))


def touch_pod(name: str, cluster: Cluster) -> Cluster:
    """Let somebody write a condition on a pod, so that a bind which knows the former version is refused."""
    pod = cluster.pod(name)
    return cluster if pod is None else cluster.with_pod(name, replace(pod, version=pod.version + 1))


def pass_deadline(cluster: Cluster) -> Cluster:
    """Let time pass until every deadline written so far is over."""
    return replace(cluster, late=True)


def made_anew(cluster: Cluster) -> Cluster:
    """Do what controllers and kubelets do with pods that go away: a LeaderWorkerSet group is made anew as a whole, other pods are gone."""
    for pod in cluster.pods:
        if not pod.terminating:
            continue
        if pod.kind == LWS:
            for each in cluster.pods:
                if each.group == pod.group:
                    made = None if each.first and each.index else replace(_fresh(each), made=each.made + 1, again=0)
                    cluster = cluster.with_pod(each.name, made)
            return cluster
        cluster = cluster.with_pod(pod.name, replace(_fresh(pod), made=pod.made + 1) if pod.kind in (SET, JOB) else None)
    return cluster


def replaced(name: str, cluster: Cluster) -> Cluster:
    """Delete a bare pod and create another one under its name, as a person would."""
    pod = cluster.pod(name)
    if pod is None or pod.kind != POD_GROUP or pod.made:
        return cluster
    return cluster.with_pod(name, replace(_fresh(pod), made=1))


def _fresh(pod: ModelPod) -> ModelPod:
    return replace(pod, version=1, node="", record="", touched="", terminating=False, failed=False)


def refuse(name: str, cluster: Cluster) -> Cluster:
    """Let the kubelet refuse a pod that was bound to its node."""
    pod = cluster.pod(name)
    if pod is None or not pod.node or pod.terminating:
        return cluster
    return cluster.with_pod(name, replace(pod, failed=True, version=pod.version + 1))


def replace_refused(cluster: Cluster) -> Cluster:
    """Do what controllers do with pods that failed: a StatefulSet makes that one pod anew, a Job makes another one, bare ones stay.

    A LeaderWorkerSet whose restart policy is None leaves a refused worker to its StatefulSet; its leader takes the group with it.
    """
    for pod in cluster.pods:
        if not pod.failed or pod.terminating:
            continue
        if pod.kind == LWS and pod.index == 0:
            return made_anew(cluster.with_pod(pod.name, replace(pod, terminating=True)))
        if pod.kind == LWS:
            return cluster.with_pod(pod.name, replace(_fresh(pod), again=pod.again + 1))
        if pod.kind == SET:
            return cluster.with_pod(pod.name, replace(_fresh(pod), made=pod.made + 1))
        other = f"{pod.name}-again"
        if pod.kind == JOB and cluster.pod(other) is None:
            return cluster.with_pod(other, replace(_fresh(pod), name=other))
    return cluster


def workers_come(cluster: Cluster) -> Cluster:
    """Make the next worker of a group whose leader is bound."""
    for pod in cluster.pods:
        if pod.first and pod.index == 0 and pod.node and not (pod.terminating or pod.failed):
            index = next((i for i in range(1, pod.size) if cluster.pod(f"{pod.name}-{i}") is None), None)
            if index is not None:
                return cluster.with_pod(f"{pod.name}-{index}", replace(_fresh(pod), name=f"{pod.name}-{index}", index=index))
    return cluster


def ungroup(name: str, cluster: Cluster) -> Cluster:
    """Delete a PodGroup."""
    for pod in cluster.pods:
        if pod.gang == name:
            cluster = cluster.with_pod(pod.name, replace(pod, grouped=False))
    return cluster


def lift_budget(cluster: Cluster) -> Cluster:
    """Let the disruption budget allow evictions."""
    return replace(cluster, budget=())


def edit_record(cluster: Cluster) -> Cluster:
    """Let somebody write into the first record what only a newer version knows."""
    return _written(cluster, lambda raw: {**raw, "spec": {**raw["spec"], EDIT: 1}}, edited=False)


def mend_record(cluster: Cluster) -> Cluster:
    """Take the edit back."""
    return _written(cluster, mended, edited=True)


def delete_record(cluster: Cluster) -> Cluster:
    """Delete the edited record as docs/commit.md says a person does it: its finalizer is taken off."""
    text = next((text for text in cluster.records if not readable(text)), None)
    return cluster if text is None else cluster.with_record(name_of(text), None)


def _written(cluster: Cluster, change: Callable[[dict[str, Any]], dict[str, Any]], *, edited: bool) -> Cluster:
    text = next((text for text in cluster.records if readable(text) != edited), None)
    if text is None:
        return cluster
    raw = change(json.loads(text))
    raw["metadata"] = {**raw["metadata"], "resourceVersion": str(int(raw["metadata"]["resourceVersion"]) + 1)}
    return cluster.with_record(name_of(text), canonical(raw))


CONTROLLERS: tuple[tuple[str, Change], ...] = (
    ("controllers replace what goes away", made_anew),
    ("controllers replace what a kubelet refused", replace_refused),
    ("the next worker comes", workers_come),
    ("the disruption budget allows it again", lift_budget),
    ("a person mends the record", mend_record),
    ("records without owner are deleted", collected),
)
"""What the cluster, and people who are told, do sooner or later."""


def row(text: str, change: Callable[[str, Cluster], Cluster], *about: str) -> tuple[tuple[str, Change], ...]:
    """Return one event for each object."""
    return tuple((text.format(each), partial(change, each)) for each in about)


def nodes(*names: str) -> tuple[ModelNode, ...]:
    """Return nodes by name; the first letter is the rack."""
    return tuple(ModelNode(name=name) for name in names)
