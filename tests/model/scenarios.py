"""What the model check starts from, and what the surroundings can do: one row per scenario, with how much may go wrong in one schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from tests.model.cluster import GPUS, LWS, POD_GROUP, SET, Cluster, ModelNode, stranger
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
                    anew = replace(each, made=each.made + 1, version=1, node="", record="", touched="", terminating=False)
                    cluster = cluster.with_pod(each.name, anew)
            return cluster
        anew = replace(pod, made=pod.made + 1, version=1, node="", record="", touched="", terminating=False)
        cluster = cluster.with_pod(pod.name, anew if pod.kind == SET else None)
    return cluster


def replaced(name: str, cluster: Cluster) -> Cluster:
    """Delete a bare pod and create another one under its name, as a person would."""
    pod = cluster.pod(name)
    if pod is None or pod.kind != POD_GROUP or pod.made:
        return cluster
    return cluster.with_pod(name, replace(pod, made=1, version=1, node="", record="", touched="", terminating=False))


CONTROLLERS: tuple[tuple[str, Change], ...] = (("controllers replace what goes away", made_anew), ("records without owner are deleted", collected))
"""What the cluster does by itself sooner or later."""


def row(text: str, change: Callable[[str, Cluster], Cluster], *about: str) -> tuple[tuple[str, Change], ...]:
    """Return one event for each object."""
    return tuple((text.format(each), partial(change, each)) for each in about)


def nodes(*names: str) -> tuple[ModelNode, ...]:
    """Return nodes by name; the first letter is the rack."""
    return tuple(ModelNode(name=name) for name in names)
