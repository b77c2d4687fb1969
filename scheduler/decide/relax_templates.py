"""Nodes that could be added: like one that exists, or as large as the pods; where they would stand, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.decide import filters
from scheduler.decide.counting import LARGEST, Ground, Ints, Role
from scheduler.decide.relax_changes import Json
from scheduler.decide.survey import Group, Survey
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Requirement, Shape
from scheduler.state.resources import PODS, Resources, quantity, total
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME, key_of, spoken

NEW: Final = "added-"
NOWHERE: Final = np.zeros(0, dtype=np.int64)
"""No node is there already."""
_FEWEST_PODS: Final = 110
"""Pods that a node of the pods' own shape has room for at least, as kubelet's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where nodes are added: the labels that put them there, and what that place is called."""

    labels: Mapping[str, str]
    words: str
    nodes: Ints
    """Positions of the nodes that are there already."""
    most: int = 0
    """Members that they hold at most."""
    alone: bool = False
    """Whether one new node must hold the whole gang (a required host)."""


def sites_of(snapshot: Snapshot, survey: Survey) -> Iterator[Site]:
    """Yield places for new nodes, the nearest miss first, a new domain last; none where running members are split."""
    inner = _segment_keys(snapshot, survey)
    hosts = HOSTNAME in survey.keys
    if not survey.keys and survey.unknown is None:
        labels = dict.fromkeys(inner, "added")
        yield Site(labels=labels, words=in_new(labels), nodes=np.arange(len(snapshot.topology.nodes)), most=sum(survey.most))
        return
    for group, most in zip(survey.groups, survey.most, strict=True) if not hosts else ():
        labels = labels_of(snapshot, group)
        new = {key: "added" for key in inner if key not in labels}
        yield Site(labels={**labels, **new}, words=f" in {spoken(group.name)} {group.domain}{in_new(new)}", nodes=group.nodes, most=most)
    unknown = None if survey.unknown is None else label_key(snapshot, survey.unknown)
    if not survey.pinned and (unknown is not None or survey.unknown is None):
        keys = (*survey.keys, *([unknown] if unknown else []), *inner)
        new = {key: "added" for key in keys if key != HOSTNAME}
        yield Site(labels=new, words=in_new(new), nodes=NOWHERE, alone=hosts)


def _segment_keys(snapshot: Snapshot, survey: Survey) -> list[str]:
    """Return the label keys of the levels that segments require, as far as there are any."""
    wanted = [segment.required for segment in survey.gang.demand.segments if segment.required is not None]
    keys = [key for name in wanted if (key := label_key(snapshot, name)) is not None]
    return [key for key in dict.fromkeys(keys) if key != HOSTNAME]


def label_key(snapshot: Snapshot, name: str) -> str | None:
    """Return the label key of a level as a demand names it; ``None`` where it is neither a level name nor looks like a key."""
    level = snapshot.topology.resolve(name)
    if level is not None:
        return level.key
    return name if "/" in name else key_of(name, snapshot.topology.carried)


def in_new(labels: Mapping[str, str]) -> str:
    """Say which new domains nodes are in by their labels."""
    return " with " + ", ".join(f"{key}={value}" for key, value in labels.items()) if labels else ""


def labels_of(snapshot: Snapshot, group: Group) -> dict[str, str]:
    """Return the topology labels of a domain: those on which all its nodes agree."""
    nodes = [snapshot.nodes[NodeName(snapshot.topology.nodes[int(at)])] for at in group.nodes]
    keys = {*(level.key for level in snapshot.topology.levels), group.key} - {HOSTNAME, ""}
    agreed = {key: {n.labels.get(key) for n in nodes} for key in sorted(keys)}
    found = {key: next(iter(values)) for key, values in agreed.items() if len(values) == 1}
    return {key: value for key, value in found.items() if value}


def kinds_of(snapshot: Snapshot, roles: Sequence[Role]) -> list[Node]:
    """Return one node of every kind that the checks of the roles tell apart, the first by name."""
    named = sorted({key for role in roles for key in _label_keys(role.shape)})
    kinds: dict[tuple[object, ...], Node] = {}
    for node in snapshot.nodes.values():
        if node.problem is None and not node.unschedulable:
            look = (node.allocatable, node.taints, *(node.labels.get(key) for key in named))
            if look not in kinds or node.name < kinds[look].name:
                kinds[look] = node
    return sorted(kinds.values(), key=lambda node: node.name)


def like_existing(snapshot: Snapshot, kinds: Sequence[Node], roles: Sequence[Role], site: Site) -> list[Node]:
    """Return a node of every kind that passes the checks of some role at the site, the one with most room first."""
    named = {key for role in roles for key in _label_keys(role.shape)}
    placed = {level.key for level in snapshot.topology.levels} - named if site.labels else set()
    found = []
    for node in kinds:
        labels = {key: value for key, value in node.labels.items() if key not in placed}
        made = Node(name=NodeName("added"), labels={**labels, **site.labels, HOSTNAME: "added"}, taints=node.taints, allocatable=node.allocatable)
        if any(passes(made, role.shape) for role in roles):
            found.append((node.name, made))
    return [made for _, made in sorted(found, key=lambda row: ([-each(row[1], role.shape) for role in reversed(roles)], row[0]))]


def like_pods(roles: Sequence[Role], site: Site) -> list[Node]:
    """Return a node for one pod of each role, as large as the pod; for the whole gang where one node must hold it."""
    if site.alone:
        made = _of_size(roles[-1], site, total([r.shape.requests for r in roles for _ in r.pods]), sum(r.count for r in roles))
        return [] if made is None or not all(passes(made, r.shape) for r in roles) else [made]
    return [made for role in roles if (made := _of_size(role, site, role.shape.requests, 1)) is not None]


def named_by_pods(snapshot: Snapshot, roles: Sequence[Role], site: Site) -> list[Node] | None:
    """Return the nodes that pods name themselves, each large enough for all that name it; ``None`` where no pod names one.

    Empty where such nodes cannot be added: one exists, some pods name none, or what they select contradicts itself.
    """
    names = [_named(role.shape) for role in roles]
    if not any(names):
        return None
    found = []
    for name in dict.fromkeys(names):
        here = [role for role, own in zip(roles, names, strict=True) if own == name]
        size, pods = total([r.shape.requests for r in here for _ in r.pods]), sum(r.count for r in here)
        made = None if name is None or name in snapshot.nodes else _of_size(here[-1], site, size, pods)
        if made is None or not all(passes(made, role.shape) for role in here):
            return []
        found.append(made)
    return found


def _of_size(role: Role, site: Site, size: Resources, pods: int) -> Node | None:
    """Return a node that carries what the pods select; ``None`` where that cannot be."""
    shape = role.shape
    term = next(iter(shape.affinity or ()), None)
    labels: dict[str, str] = dict(site.labels)
    for one in term.expressions if term is not None else ():
        value = _value(one)
        if value is not None:
            labels[one.key] = value
    labels.update(shape.node_selector)
    name = _named(shape) or NodeName("added")
    amounts = {n: a for n, a in size.items() if n != PODS}
    made = Node(name=name, labels={**labels, HOSTNAME: str(name)}, allocatable=Resources({**amounts, PODS: max(pods, _FEWEST_PODS)}))
    return made if passes(made, shape) else None


def _value(one: Requirement) -> str | None:
    """Return a label value that satisfies a requirement, ``None`` where no label does."""
    match one.operator:
        case "In":
            return one.values[0]
        case "Exists":
            return "true"
        case "Gt":
            return str(int(one.values[0]) + 1)
        case "Lt":
            return str(int(one.values[0]) - 1)
        case _:
            return None


def _named(shape: Shape) -> NodeName | None:
    """Return the node that the pods name themselves."""
    term = next(iter(shape.affinity or ()), None)
    named = [v for f in (term.fields if term is not None else ()) if f.operator == "In" for v in f.values]
    return shape.node_name or (NodeName(named[0]) if named else None)


def _label_keys(shape: Shape) -> list[str]:
    expressions = (e.key for term in shape.affinity or () for e in term.expressions)
    return [*(key for key, _ in shape.node_selector), *expressions]


def passes(node: Node, shape: Shape) -> bool:
    """Tell whether an empty node passes every check of a shape but room."""
    seen = filters.Seen(node=node, free=node.allocatable)
    return all(row.refuse(seen, shape) is None for row in filters.FILTERS if row.by_class)


def each(node: Node, shape: Shape) -> int:
    """Return how many pods of a shape an empty node holds."""
    return room_for(node, shape) if passes(node, shape) else 0


def room_for(node: Node, shape: Shape) -> int:
    """Return how many pods of a shape an empty node has room for, whatever the other checks say."""
    asked = {n: a for n, a in shape.requests.items() if a > 0 and n != PODS}
    many = min([node.allocatable.amount(PODS), *(node.allocatable.amount(n) // a for n, a in asked.items())])
    return min(many, 1) if filters.conflicts(shape, shape) else many


def ground_of(ground: Ground, nodes: Sequence[Node]) -> Ground:
    """Return the ground of new nodes alone."""
    rows = [[min(LARGEST, n.allocatable.amount(name)) for name in ground.resources] for n in nodes]
    passing = [[passes(n, role.shape) for n in nodes] for role in ground.roles]
    free = np.array(rows, dtype=np.int64).reshape(len(nodes), len(ground.resources))
    return replace(ground, free=free, allowed=np.array(passing, dtype=np.bool_).reshape(len(ground.roles), len(nodes)))


def numbered(snapshot: Snapshot, nodes: Sequence[Node]) -> list[Node]:
    """Return new nodes numbered without gaps; a node that a pod names keeps its name."""
    names = _fresh_names(snapshot)
    found = []
    for node in nodes:
        name = next(names) if node.name == "added" else node.name
        found.append(replace(node, name=name, labels={**node.labels, HOSTNAME: str(name)}))
    return found


def _fresh_names(snapshot: Snapshot) -> Iterator[NodeName]:
    number = 0
    while True:
        number += 1
        name = NodeName(f"{NEW}{number}")
        if name not in snapshot.nodes:
            yield name


def manifest(node: Node) -> Json:
    """Write a node as a Kubernetes object."""
    amounts = {name: quantity(name, amount) for name, amount in node.allocatable.items()}
    spec: Json = {"taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in node.taints]} if node.taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": str(node.name), "labels": dict(sorted(node.labels.items()))},
        "spec": spec,
        "status": {"allocatable": amounts, "capacity": amounts},
    }
