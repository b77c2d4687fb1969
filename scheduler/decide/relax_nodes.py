"""Relaxation ``addNodes``: how many nodes, of which shape and in which domain, make the gang fit; the one that can always be offered.

A shape that exists and passes the checks is preferred; else nodes are made of the pods' own requests and selectors. When
nothing else helps, the demand is dropped as well (`last_resort`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.decide import filters
from scheduler.decide.counting import LARGEST, Ground, Ints, Role, holds
from scheduler.decide.relax_changes import Json, drop_node_name, drop_selection, on_pod_specs, several
from scheduler.decide.relax_demand import prefer_nvlink, require
from scheduler.decide.relax_trial import CHECKS, Trial, some, with_nodes, with_shapes
from scheduler.decide.survey import Group, survey_of
from scheduler.state.gang import Gang, NvlinkWish
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Requirement, Shape
from scheduler.state.plan import Relaxation
from scheduler.state.resources import PODS, Resources, quantity, total
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME

ADD: Final = 9
_NEW: Final = "added-"
_NONE: Final = np.zeros(0, dtype=np.int64)
_DOMAINS: Final = 3
_FEWEST_PODS: Final = 110
"""Pods that a node of the pods' own shape has room for at least, as kubelet's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Where nodes are added: the labels that put them there, and what that place is called."""

    labels: Mapping[str, str]
    words: str
    nodes: Ints
    """Positions of the nodes that are there already."""
    alone: bool = False
    """Whether one new node must hold the whole gang (a required host)."""


def add_nodes(trial: Trial) -> Iterator[Relaxation]:
    """Offer nodes to add in the nearest domain (or the cluster), else in a new domain."""
    for site in _sites(trial, trial.snapshot):
        for own in (False, True):
            found = _offer(trial, trial.snapshot, trial.gang, site, own=own)
            if found is not None:
                yield found
                return


def last_resort(trial: Trial) -> Iterator[Relaxation]:
    """Drop the required level and the fixed node, if need be all node selection as well, and add nodes of the pods' own shape."""
    wish = trial.gang.demand
    nvlink: NvlinkWish = "preferred" if wish.nvlink == "required" else wish.nvlink
    freed = replace(trial.gang, demand=replace(wish, required=None, nvlink=nvlink))
    demand = (*require(trial.gang, trial.objects, trial.raw, None), *(prefer_nvlink(trial.objects) if wish.nvlink == "required" else ()))
    unnamed = with_shapes(freed, lambda s: replace(s, node_name=None))
    anywhere = with_shapes(freed, lambda s: replace(s, node_name=None, node_selector=(), affinity=None))
    for gang, edits, words in (
        (unnamed, [drop_node_name], "drop the required level and node"),
        (anywhere, [drop_node_name, drop_selection], "drop the required level, nodeSelector and node affinity"),
    ):
        changes = (*demand, *on_pod_specs(trial.objects, several(edits)))
        if trial.raw is not None and _dropped(trial.gang) and not changes:
            return
        found = trial.checked(Relaxation(kind="relabel", summary=words, changes=changes, harm=(ADD, 0)), gang=gang)
        if found is not None:
            yield found
            return
        found = _offer(
            trial, trial.snapshot, gang, _Site(labels={}, words=f", and {words}", nodes=np.arange(len(trial.snapshot.topology.nodes))), own=True
        )
        if found is not None:
            yield replace(found, changes=(*changes, *found.changes))
            return


def _dropped(gang: Gang) -> bool:
    return gang.demand.required is not None or gang.demand.nvlink == "required" or any(m.pod.shape.node_name is not None for m in gang.pending)


def _sites(trial: Trial, snapshot: Snapshot) -> Iterator[_Site]:
    """Yield places for new nodes, the nearest miss first, a new domain last; none where running members are split."""
    survey = trial.survey
    hosts = HOSTNAME in survey.keys
    if not survey.keys and survey.unknown is None:
        yield _Site(labels={}, words="", nodes=np.arange(len(snapshot.topology.nodes)))
        return
    for group in survey.groups[:_DOMAINS] if not hosts else ():
        yield _Site(labels=_labels_of(snapshot, group), words=f" in {group.name} {group.domain}", nodes=group.nodes)
    if not survey.pinned:
        new = {key: "added" for key in (*survey.keys, *([survey.unknown] if survey.unknown else [])) if key != HOSTNAME}
        where = ", ".join(f"{key}=added" for key in new)
        yield _Site(labels=new, words=f" with {where}" if new else "", nodes=_NONE, alone=hosts)


def _labels_of(snapshot: Snapshot, group: Group) -> dict[str, str]:
    """Return the topology labels of a domain: those on which all its nodes agree."""
    nodes = [snapshot.nodes[NodeName(snapshot.topology.nodes[int(at)])] for at in group.nodes]
    keys = {*(level.key for level in snapshot.topology.levels), group.key} - {HOSTNAME, ""}
    agreed = {key: {n.labels.get(key) for n in nodes} for key in sorted(keys)}
    found = {key: next(iter(values)) for key, values in agreed.items() if len(values) == 1}
    return {key: value for key, value in found.items() if value}


def _offer(trial: Trial, snapshot: Snapshot, gang: Gang, site: _Site, *, own: bool) -> Relaxation | None:
    ground = trial.survey.ground if gang is trial.gang else survey_of(snapshot, gang, CHECKS).ground
    blocks = _blocks(snapshot, ground.roles, site, own=own)
    if blocks is None:
        return None
    keep = _fewest(ground, site.nodes, blocks)
    nodes = _numbered(snapshot, [node for block, many in zip(blocks, keep, strict=True) for node in block[:many]])
    if not nodes:
        return None
    shown = Resources({n: a for n, a in nodes[0].allocatable.items() if n != PODS})
    offer = Relaxation(
        kind="addNodes",
        summary=f"add {len(nodes)} node{'' if len(nodes) == 1 else 's'} with {_amounts(shown)}{site.words} ({some([n.name for n in nodes])})",
        changes=tuple({"create": manifest(node)} for node in nodes),
        harm=(ADD, len(nodes), int(own)),
    )
    return trial.checked(offer, snapshot=with_nodes(snapshot, nodes), gang=gang)


def _amounts(vector: Resources) -> str:
    return ", ".join(f"{quantity(name, amount)} {name}" for name, amount in vector.items())


def _blocks(snapshot: Snapshot, roles: Sequence[Role], site: _Site, *, own: bool) -> list[list[Node]] | None:
    """Return, for each role, enough new nodes to hold all of it; ``None`` where no shape of node would do."""
    names = _fresh_names(snapshot)
    if site.alone:
        size = total([r.shape.requests for r in roles for _ in r.pods])
        made = _like_pods(roles[-1], site, size, len(roles[-1].pods), next(names)) if own and roles else None
        return None if made is None or made.name in snapshot.nodes else [[made]]
    blocks = []
    for role in roles:
        block = _own(role, site, names) if own else _alike(snapshot, role, site, names)
        if block is None or any(n.name in snapshot.nodes for n in block):
            return None
        blocks.append(block)
    chosen = [n.name for block in blocks for n in block]
    return blocks if len(set(chosen)) == len(chosen) else None


def _alike(snapshot: Snapshot, role: Role, site: _Site, names: Iterator[NodeName]) -> list[Node] | None:
    template = _existing(snapshot, role, site)
    if template is None:
        return None
    return [_like_node(template, site, next(names)) for _ in range(-(-role.count // _each(template, role.shape)))]


def _own(role: Role, site: _Site, names: Iterator[NodeName]) -> list[Node] | None:
    """Return a node for each pod of the role, or one large node where the pods name their node."""
    if _named(role.shape) is not None:
        made = _like_pods(role, site, total([role.shape.requests] * role.count), role.count, next(names))
        return None if made is None else [made]
    found = [_like_pods(role, site, role.shape.requests, 1, next(names)) for _ in range(role.count)]
    return [n for n in found if n is not None] if all(found) else None


def _named(shape: Shape) -> NodeName | None:
    """Return the node that the pods name themselves."""
    term = next(iter(shape.affinity or ()), None)
    named = [v for f in (term.fields if term is not None else ()) if f.operator == "In" for v in f.values]
    return shape.node_name or (NodeName(named[0]) if named else None)


def _fresh_names(snapshot: Snapshot) -> Iterator[NodeName]:
    number = 0
    while True:
        number += 1
        name = NodeName(f"{_NEW}{number}")
        if name not in snapshot.nodes:
            yield name


def _numbered(snapshot: Snapshot, nodes: Sequence[Node]) -> list[Node]:
    """Return the new nodes numbered without gaps; a node that a pod names keeps its name."""
    names = _fresh_names(snapshot)
    found = []
    for node in nodes:
        name = next(names) if node.name.startswith(_NEW) else node.name
        found.append(replace(node, name=name, labels={**node.labels, HOSTNAME: str(name)}))
    return found


def _existing(snapshot: Snapshot, role: Role, site: _Site) -> Node | None:
    """Return the node whose like holds most of the role when it is empty and stands at the site."""
    kinds: dict[tuple[object, ...], Node] = {}
    for node in sorted(snapshot.nodes.values(), key=lambda n: n.name):
        if node.problem is None and not node.unschedulable:
            kinds.setdefault((node.allocatable, node.taints, tuple(sorted((k, v) for k, v in node.labels.items() if k != HOSTNAME))), node)
    wanted = [n for n in kinds.values() if _passes(_like_node(n, site, NodeName("added")), role.shape)]
    fits = [(_each(n, role.shape), n) for n in wanted]
    usable = [(-many, n.name, n) for many, n in fits if many > 0]
    return min(usable, key=lambda row: row[:2])[2] if usable else None


def _passes(node: Node, shape: Shape) -> bool:
    seen = filters.Seen(node=node, free=node.allocatable)
    return all(row.refuse(seen, shape) is None for row in filters.FILTERS if row.by_class)


def _each(node: Node, shape: Shape) -> int:
    asked = {n: a for n, a in shape.requests.items() if a > 0 and n != PODS}
    many = min([node.allocatable.amount(PODS), *(node.allocatable.amount(n) // a for n, a in asked.items())])
    return min(many, 1) if filters.conflicts(shape, shape) else many


def _like_node(node: Node, site: _Site, name: NodeName) -> Node:
    """Return a new node of an existing one's shape, with the site's labels."""
    labels = {**node.labels, **site.labels, HOSTNAME: str(name)}
    return Node(name=name, labels=labels, taints=node.taints, allocatable=node.allocatable)


def _like_pods(role: Role, site: _Site, size: Resources, pods: int, name: NodeName) -> Node | None:
    """Return a node that is as large as the pods and carries what they select; ``None`` where that cannot be."""
    shape = role.shape
    term = next(iter(shape.affinity or ()), None)
    labels: dict[str, str] = dict(site.labels)
    for one in term.expressions if term is not None else ():
        value = _value(one)
        if value is not None:
            labels[one.key] = value
    labels.update(shape.node_selector)
    chosen = _named(shape) or name
    amounts = {n: a for n, a in size.items() if n != PODS}
    made = Node(name=chosen, labels={**labels, HOSTNAME: str(chosen)}, allocatable=Resources({**amounts, PODS: max(pods, _FEWEST_PODS)}))
    return made if _passes(made, shape) else None


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


def _fewest(ground: Ground, beside: Ints, blocks: Sequence[Sequence[Node]]) -> list[int]:
    """Return how many nodes of each block are needed beside the nodes that are there, the other blocks being whole or settled."""
    keep = [len(block) for block in blocks]
    new = [n for block in blocks for n in block]
    rows = [[min(LARGEST, n.allocatable.amount(name)) for name in ground.resources] for n in new]
    free = np.concatenate((ground.free[beside], np.array(rows, dtype=np.int64).reshape(len(new), len(ground.resources))))
    passing = np.array([[_passes(n, role.shape) for n in new] for role in ground.roles], dtype=np.bool_).reshape(len(ground.roles), len(new))
    wide = replace(ground, free=free, allowed=np.concatenate((ground.allowed[:, beside], passing), axis=1))
    starts = np.cumsum([len(beside), *keep]).tolist()

    def enough() -> bool:
        parts = [np.arange(len(beside)), *(np.arange(start, start + many) for start, many in zip(starts[:-1], keep, strict=True))]
        return holds(wide, np.concatenate(parts))[1]

    if not enough():
        return keep
    for index, block in enumerate(blocks):
        low, high = 0, len(block)
        while low < high:
            keep[index] = (low + high) // 2
            low, high = (low, keep[index]) if enough() else (keep[index] + 1, high)
        keep[index] = low
    return keep


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
