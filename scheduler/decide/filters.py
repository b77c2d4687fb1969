"""Which nodes may take a pod: kube-scheduler's filters that need no other object, in its order, one row each.

`allowed` and `refusals` judge a whole cluster at once: nodes that look alike to a shape are one class and are judged once.
Room (NodeResourcesFit) is only in `verdicts`: placing counts it for the whole gang. Checks that are not made yet block
a pod by name (`Shape.unsupported`), they are never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scheduler.decide import matching
from scheduler.decide.node_classes import Classes, Ints, classes_of
from scheduler.state.ids import NodeName
from scheduler.state.objects import HostPort, Node, Pod, Shape, Taint
from scheduler.state.plan import CheckFailure, NodeVerdict
from scheduler.state.resources import CPU, MEMORY, PODS, Resources, quantity
from scheduler.state.snapshot import Snapshot

Bools: TypeAlias = NDArray[np.bool_]

UNSCHEDULABLE: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
"""A cordoned node is checked as if it had this taint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a check may look at: the node, the pods that count on it, and what it has left."""

    node: Node
    pods: tuple[Pod, ...] = ()
    free: Resources


def _node_unschedulable(seen: Seen, shape: Shape) -> str | None:
    if not seen.node.unschedulable or not matching.untolerated((UNSCHEDULABLE,), shape.tolerations):
        return None
    return "node(s) were unschedulable"


def _node_name(seen: Seen, shape: Shape) -> str | None:
    if shape.node_name is None or shape.node_name == seen.node.name:
        return None
    return "node(s) didn't match the requested node name"


def _taint_toleration(seen: Seen, shape: Shape) -> str | None:
    taints = matching.untolerated(seen.node.taints, shape.tolerations)
    return "untolerated taint " + ", ".join(f"{{{t.key}: {t.value}}}" for t in taints) if taints else None


def _node_affinity(seen: Seen, shape: Shape) -> str | None:
    return None if matching.node_matches(shape, seen.node) else "node(s) didn't match Pod's node affinity/selector"


def _node_ports(seen: Seen, shape: Shape) -> str | None:
    if not shape.ports or not matching.ports_conflict(shape.ports, (p for pod in seen.pods for p in pod.shape.ports)):
        return None
    return "node(s) didn't have free ports for the requested pod ports"


def _node_resources_fit(seen: Seen, shape: Shape) -> str | None:
    allocatable = seen.node.allocatable
    parts = [
        f"Insufficient {name} (requested {quantity(name, shape.requests.amount(name))}, "
        f"free {quantity(name, max(0, seen.free.amount(name)))} of {quantity(name, allocatable.amount(name))})"
        for name in insufficient(seen, shape)
    ]
    if len(seen.pods) + 1 > allocatable.amount(PODS):
        parts.insert(0, f"Too many pods ({len(seen.pods)} of {allocatable.amount(PODS)})")
    return ", ".join(parts) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One row: kube-scheduler's plugin name, and the function that gives its refusal in words, or ``None``."""

    check: str
    refuse: Callable[[Seen, Shape], str | None]
    by_class: bool
    """Whether it reads only the node's name, labels, taints and cordon: then nodes that look alike are judged once."""


FILTERS: Final = (
    Filter(check="NodeUnschedulable", refuse=_node_unschedulable, by_class=True),
    Filter(check="NodeName", refuse=_node_name, by_class=True),
    Filter(check="TaintToleration", refuse=_taint_toleration, by_class=True),
    Filter(check="NodeAffinity", refuse=_node_affinity, by_class=True),
    Filter(check="NodePorts", refuse=_node_ports, by_class=False),
    Filter(check="NodeResourcesFit", refuse=_node_resources_fit, by_class=False),
)
"""In kube-scheduler's order: the first that refuses is the one that it reports."""

PORTS: Final = "NodePorts"
REPELLED: Final = "InterPodAffinity"
"""Required anti-affinity of pods that run already; a pod's own is not checked yet and blocks it by name."""
_REPELLED: Final = (CheckFailure(check=REPELLED, message="node(s) didn't satisfy existing pods anti-affinity rules"),)
_BY_CLASS: Final = tuple(row for row in FILTERS if row.by_class)


def insufficient(seen: Seen, shape: Shape) -> tuple[str, ...]:
    """Name the requested resources that do not fit, in kube-scheduler's order; a zero request asks for nothing."""
    first = (CPU, MEMORY, "ephemeral-storage")
    names = (*(n for n in first if n in shape.requests), *(n for n in shape.requests if n not in (*first, PODS)))
    return tuple(n for n in names if shape.requests.amount(n) > seen.free.amount(n))


def conflicts(one: Shape, other: Shape) -> bool:
    """Tell whether pods of the two shapes can never share a node: they want the same host port."""
    return matching.ports_conflict(one.ports, other.ports)


def allowed(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod] = ()) -> Bools:
    """Return bool[N] over ``snapshot.topology.nodes``: every check but room passes. Read-only; a shape with unsupported fields passes nowhere.

    ``pods`` are the pods of the shape that are to be placed: anti-affinity of running pods asks for their labels.
    """
    refused = _first_refusal(snapshot, shape, pods)
    free = np.asarray(refused < 0)
    free.flags.writeable = False
    return free


def refusals(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod] = ()) -> tuple[tuple[str, Bools], ...]:
    """Return, for each check but room that refuses somewhere, bool[N] of the nodes where it is the first to refuse."""
    refused = _first_refusal(snapshot, shape, pods)
    names = (*(row.check for row in FILTERS), REPELLED, *(u.check for u in shape.unsupported[:1]))
    return tuple((name, refused == index) for index, name in enumerate(names) if bool((refused == index).any()))


def summary(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod] = ()) -> tuple[tuple[str, int], ...]:
    """Count the nodes by what refuses them first, in kube-scheduler's words, most nodes first; missing resources count one by one."""
    refused = _first_refusal(snapshot, shape, pods)
    counts: dict[str, int] = {}
    for position, seen in enumerate(_everything(snapshot)):
        for words in _words(seen, shape, int(refused[position])):
            counts[words] = counts.get(words, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _words(seen: Seen, shape: Shape, row: int) -> tuple[str, ...]:
    if row == len(FILTERS):
        return (_REPELLED[0].message,)
    if row > len(FILTERS):
        return (f"{shape.unsupported[0].field} is not checked yet",)
    if row >= 0:
        return (FILTERS[row].refuse(seen, shape) or FILTERS[row].check,)
    full = ("Too many pods",) if len(seen.pods) + 1 > seen.node.allocatable.amount(PODS) else ()
    return (*full, *(f"Insufficient {name}" for name in insufficient(seen, shape)))


def verdicts(snapshot: Snapshot, role: str, shape: Shape, pods: Iterable[Pod] = ()) -> tuple[NodeVerdict, ...]:
    """Judge every node for one pod of the shape alone, room included; all refusals, in kube-scheduler's order."""
    repelled = _repelled(snapshot, pods)
    unsupported = tuple(CheckFailure(check=u.check, message=f"{u.field}: not checked yet ({u.message})") for u in shape.unsupported)
    found = []
    for position, seen in enumerate(_everything(snapshot)):
        away = _REPELLED if bool(repelled[position]) else ()
        found.append(NodeVerdict(role=role, node=seen.node.name, checks=(*judge(seen, shape), *away, *unsupported)))
    return tuple(found)


def judge(seen: Seen, shape: Shape) -> tuple[CheckFailure, ...]:
    """Run every filter on one node and keep the refusals."""
    found = ((row.check, row.refuse(seen, shape)) for row in FILTERS)
    return tuple(CheckFailure(check=check, message=message) for check, message in found if message is not None)


def _everything(snapshot: Snapshot) -> Iterator[Seen]:
    for name in map(NodeName, snapshot.topology.nodes):
        yield Seen(node=snapshot.nodes[name], pods=snapshot.pods_on.get(name, ()), free=snapshot.free(name))


def _first_refusal(snapshot: Snapshot, shape: Shape, pods: Iterable[Pod]) -> Ints:
    """Return int[N]: the row of FILTERS that refuses first, then anti-affinity, then an unsupported field; -1 where all pass."""
    classes = classes_of(snapshot)
    found = classes.judged.get(shape)
    if found is None:
        found = classes.judged[shape] = _judge_classes(classes, shape)
    refused = found.copy()
    if shape.ports:
        _add_ports(snapshot, classes, shape.ports, refused)
    refused[(refused < 0) & _repelled(snapshot, pods)] = len(FILTERS)
    if shape.unsupported:
        refused[refused < 0] = len(FILTERS) + 1
    return refused


def _repelled(snapshot: Snapshot, pods: Iterable[Pod]) -> Bools:
    """Return bool[N]: some running pod has a required anti-affinity term that means one of the pods, in a domain that holds the node."""
    classes = classes_of(snapshot)
    newcomers = list(pods)
    away = np.zeros(len(classes.nodes), dtype=np.bool_)
    for holder in snapshot.repelling if newcomers else ():
        for term in holder.repels if holder.node in classes.position else ():
            codes = classes.label(term.topology_key)
            at = classes.position[holder.node or ""]
            if term.topology_key in classes.nodes[at].labels and any(matching.repels(term, pod) for pod in newcomers):
                away |= codes == codes[at]
    return away


def _judge_classes(classes: Classes, shape: Shape) -> Ints:
    columns = [classes.taints, *(classes.label(key) for key in _label_keys(shape))]
    names = _names(shape)
    if names:
        columns.append(classes.named(names))
    combined = np.zeros(len(classes.nodes), dtype=np.int64)
    for column in columns:
        # Renumbering after each column keeps the codes below the number of nodes, whatever the number of columns.
        combined = np.unique(combined * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1].astype(np.int64)
    _, first = np.unique(combined, return_index=True)
    verdict = np.array([_first_by_class(classes.nodes[int(i)], shape) for i in first], dtype=np.int64)
    return verdict[combined] if len(verdict) else combined


def _first_by_class(node: Node, shape: Shape) -> int:
    seen = Seen(node=node, free=node.allocatable)
    return next((FILTERS.index(row) for row in _BY_CLASS if row.refuse(seen, shape) is not None), -1)


def _label_keys(shape: Shape) -> tuple[str, ...]:
    expressions = (e.key for term in shape.affinity or () for e in term.expressions)
    return tuple(sorted({*(key for key, _ in shape.node_selector), *expressions}))


def _names(shape: Shape) -> tuple[str, ...]:
    mentioned = [value for term in shape.affinity or () for f in term.fields for value in f.values]
    return (*mentioned, shape.node_name) if shape.node_name is not None else tuple(mentioned)


def _add_ports(snapshot: Snapshot, classes: Classes, wanted: tuple[HostPort, ...], refused: Ints) -> None:
    row = next(i for i, f in enumerate(FILTERS) if f.check == PORTS)
    for pod in snapshot.pods.values():
        if pod.shape.ports and pod.node in classes.position and matching.ports_conflict(wanted, pod.shape.ports):
            at = classes.position[pod.node]
            if refused[at] < 0:
                refused[at] = row
