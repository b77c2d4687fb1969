"""Relaxations that change the gang's own pods or the nodes' marks: tolerations, selectors, cordons, node labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from itertools import chain, combinations, islice
from typing import Final

import numpy as np

from scheduler.decide import matching
from scheduler.decide.counting import holds
from scheduler.decide.relax_changes import Json, add_tolerations, change_affinity, change_selector, drop_node_name, escape, on_pod_specs, several
from scheduler.decide.relax_fewest import fewest
from scheduler.decide.relax_trial import CHECKS, Offer, Trial, node_patch, some, with_shapes
from scheduler.decide.whatif import WhatIf, with_nodes
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, NodeSelectorTerm, Requirement, Shape, Taint, Toleration
from scheduler.state.plan import Relaxation
from scheduler.state.snapshot import Snapshot

RELABEL: Final = 0
TOLERATE: Final = 1
UNCORDON: Final = 2
_MOST: Final = 6
"""Alternatives of one kind that are tried."""
_NEAR: Final = 3
_SUBSETS: Final = 24
"""Smaller sets of nodes that are tried where counting does not tell which are enough."""
_UNIONS: Final = 256
"""Sets of taints beyond which no larger ones are made."""


def relabel(trial: Trial) -> Iterator[Relaxation]:
    """Correct a selector that no node satisfies: the nearest spelling, no selector, or labels for the nodes that would do."""
    for key, value in sorted({pair for shape in _shapes(trial) for pair in shape.node_selector}):
        if not any(n.labels.get(key) == value for n in trial.snapshot.nodes.values()):
            yield from _mend_selector(trial, key, value)
    for key, values in sorted({(r.key, r.values) for shape in _shapes(trial) for r in _unmatched(trial, shape)}):
        yield from _mend_affinity(trial, key, values)
    yield from _mend_all(trial)
    names = {shape.node_name for shape in _shapes(trial) if shape.node_name is not None}
    if names:
        found = Relaxation(
            kind="relabel",
            summary=f"remove nodeName {some(sorted(names))} from the pods",
            changes=on_pod_specs(trial.objects, drop_node_name),
            harm=(RELABEL, 2),
        )
        yield from _given(trial.checked(found, gang=with_shapes(trial.gang, lambda s: replace(s, node_name=None))))


def _mend_all(trial: Trial) -> Iterator[Relaxation]:
    """Correct several misspelled selectors at once, each to the nearest spelling, where correcting one is not enough."""
    nodes = trial.snapshot.nodes.values()
    edits: list[Callable[[str, Json], list[Json]]] = []
    gang, words = trial.gang, []
    for key, value in sorted({pair for shape in _shapes(trial) for pair in shape.node_selector}):
        near = [] if any(n.labels.get(key) == value for n in nodes) else _spellings(trial, key, value)[:1]
        for to in near:
            edits.append(change_selector(key, value, to))
            gang = with_shapes(gang, _reselect(key, value, to))
            words.append(f"{to[0]}={to[1]} instead of {key}={value}")
    for key, values in sorted({(r.key, r.values) for shape in _shapes(trial) for r in _unmatched(trial, shape)}):
        known = sorted({n.labels[key] for n in nodes if key in n.labels})
        for other in [other for value in values for other in _close(value, known)][:1]:
            edits.append(change_affinity(key, values, other))
            gang = with_shapes(gang, _reaffine(key, values, other))
            words.append(f"{key} in [{other}] instead of [{', '.join(values)}]")
    if len(edits) > 1:
        said, changes = f"select {'; '.join(words)}, which no node carries", on_pod_specs(trial.objects, several(edits))
        found = Relaxation(kind="relabel", summary=said, changes=changes, harm=(RELABEL, 0, len(edits)))
        yield from _given(trial.checked(found, gang=gang))


def _given(found: Relaxation | None) -> Iterator[Relaxation]:
    if found is not None:
        yield found


def _shapes(trial: Trial) -> list[Shape]:
    return [role.shape for role in trial.survey.ground.roles]


def _mend_selector(trial: Trial, key: str, value: str) -> Iterator[Relaxation]:
    for to in _spellings(trial, key, value):
        found = Relaxation(
            kind="relabel",
            summary=f"select {to[0]}={to[1]} instead of {key}={value}, which no node carries",
            changes=on_pod_specs(trial.objects, change_selector(key, value, to)),
            harm=(RELABEL, 0),
        )
        done = trial.checked(found, gang=with_shapes(trial.gang, _reselect(key, value, to)))
        if done is not None:
            yield done
            break
    yield from _label_nodes(trial, key, value)
    found = Relaxation(
        kind="relabel",
        summary=f"remove the selector {key}={value}, which no node carries",
        changes=on_pod_specs(trial.objects, change_selector(key, value, None)),
        harm=(RELABEL, 2),
    )
    yield from _given(trial.checked(found, gang=with_shapes(trial.gang, _reselect(key, value, None))))


def _reselect(key: str, value: str, to: tuple[str, str] | None) -> Callable[[Shape], Shape]:
    def change(shape: Shape) -> Shape:
        if (key, value) not in shape.node_selector:
            return shape
        kept = dict(pair for pair in shape.node_selector if pair != (key, value))
        return replace(shape, node_selector=tuple(sorted((kept if to is None else {**kept, to[0]: to[1]}).items())))

    return change


def _spellings(trial: Trial, key: str, value: str) -> list[tuple[str, str]]:
    """Return selectors that nodes satisfy and that were probably meant: another value of the key, then another key."""
    labels = [n.labels for n in trial.snapshot.nodes.values()]
    values = sorted({found[key] for found in labels if key in found})
    keys = sorted({other for found in labels for other, its in found.items() if its == value})
    near = [(key, other) for other in _close(value, values)] + [(other, value) for other in _close(key, keys)]
    return near[:_MOST]


def _close(word: str, known: list[str]) -> list[str]:
    by_lower = {other.lower(): other for other in reversed(known)}
    return [by_lower[other] for other in get_close_matches(word.lower(), sorted(by_lower), n=_NEAR)]


def _label_nodes(trial: Trial, key: str, value: str) -> Iterator[Relaxation]:
    """Label as many nodes as a placement takes that may use every node without the label."""
    free = [replace(n, labels={**n.labels, key: value}) for n in trial.snapshot.nodes.values() if key not in n.labels]
    yield from _marking(trial, free, partial(_labelled, key, value))


def _labelled(key: str, value: str, used: list[Node]) -> Offer:
    """Offer to label these nodes."""
    changes = [node_patch(n.name, {"op": "add", "path": f"/metadata/labels/{escape(key)}", "value": value}) for n in used]
    for at, node in enumerate(used):
        if len(node.labels) == 1:  # the label map itself may be missing
            changes[at] = node_patch(node.name, {"op": "add", "path": "/metadata/labels", "value": {key: value}})
    summary = f"label {len(used)} nodes {key}={value} ({some([n.name for n in used])})"
    found = Relaxation(kind="relabel", summary=summary, changes=tuple(changes), harm=(RELABEL, 1, len(used)))
    return found, WhatIf(nodes=tuple(used))


def _marking(trial: Trial, changed: list[Node], offer: Callable[[list[Node]], Offer]) -> Iterator[Relaxation]:
    """Offer to change as few of these nodes as are enough."""

    def more(later: Trial, used: list[Node]) -> list[Node] | None:
        further = _used(later, [n for n in changed if n not in used])
        return sorted([*used, *further], key=lambda n: n.name) if further else None

    first = _used(trial, changed)
    if first:
        yield from _given(trial.grown(first, more, offer))


def _used(trial: Trial, changed: list[Node]) -> list[Node]:
    """Return as few of the changed nodes as are enough: counted, else those that a placement on the changed cluster takes."""
    if not changed:
        return []
    view = with_nodes(trial.snapshot, changed)
    names, topology = {n.name: n for n in changed}, trial.snapshot.topology
    if _same_domains(trial, view) and not trial.gang.demand.segments:
        allowed = np.array([CHECKS.allowed(view, r.shape, r.pods) for r in trial.survey.ground.roles], dtype=np.bool_)
        marked = np.array([NodeName(name) in names for name in topology.nodes], dtype=np.bool_)
        found = fewest(trial.survey, replace(trial.survey.ground, allowed=allowed.reshape(-1, len(marked))), marked)
        return sorted((names[NodeName(topology.nodes[at])] for at in found or []), key=lambda n: n.name)
    plan = trial.place(view, trial.gang)
    seats = {s.node for s in plan.seats if not s.bound} if plan is not None else set()
    used = sorted((n for n in changed if n.name in seats), key=lambda n: n.name)
    smaller = chain.from_iterable(combinations(changed, size) for size in range(1, len(used)))
    few = (list(chosen) for chosen in islice(smaller, _SUBSETS) if trial.place(with_nodes(trial.snapshot, chosen), trial.gang) is not None)
    return next(few, used)


def _same_domains(trial: Trial, view: Snapshot) -> bool:
    """Tell whether the domains of the required levels are still what the survey has them to be."""
    one, other = trial.snapshot.topology, view.topology
    same = (bool(np.array_equal(one.column(key).index, other.column(key).index)) for key in trial.survey.keys)
    return one is other or (one.nodes == other.nodes and trial.survey.unknown is None and all(same))


def _unmatched(trial: Trial, shape: Shape) -> Iterator[Requirement]:
    for term in shape.affinity or ():
        for one in term.expressions:
            if one.operator == "In" and not any(matching.expression_matches(one, n.labels) for n in trial.snapshot.nodes.values()):
                yield one


def _mend_affinity(trial: Trial, key: str, values: tuple[str, ...]) -> Iterator[Relaxation]:
    known = sorted({n.labels[key] for n in trial.snapshot.nodes.values() if key in n.labels})
    for to in [other for value in values for other in _close(value, known)][:_MOST]:
        found = Relaxation(
            kind="relabel",
            summary=f"require {key} in [{to}] instead of [{', '.join(values)}], which no node carries",
            changes=on_pod_specs(trial.objects, change_affinity(key, values, to)),
            harm=(RELABEL, 0),
        )
        done = trial.checked(found, gang=with_shapes(trial.gang, _reaffine(key, values, to)))
        if done is not None:
            yield done
            return


def _reaffine(key: str, values: tuple[str, ...], to: str) -> Callable[[Shape], Shape]:
    def requirement(one: Requirement) -> Requirement:
        return replace(one, values=(to,)) if (one.key, one.operator, one.values) == (key, "In", values) else one

    def change(shape: Shape) -> Shape:
        if shape.affinity is None:
            return shape
        terms = (NodeSelectorTerm(expressions=tuple(map(requirement, t.expressions)), fields=t.fields) for t in shape.affinity)
        return replace(shape, affinity=tuple(terms))

    return change


def tolerate(trial: Trial) -> Iterator[Relaxation]:
    """Tolerate taints of nodes that pass everything else: the fewest that are enough, of those the ones on most nodes."""
    sets: dict[tuple[Taint, ...], int] = {}
    for node in trial.snapshot.nodes.values():
        for shape in _shapes(trial) if node.taints else ():
            taints = matching.untolerated(node.taints, shape.tolerations)
            if taints and matching.node_matches(shape, node):
                sets[taints] = sets.get(taints, 0) + 1
    tried = 0
    for taints in _fewest_first(sets):
        wanted = tuple(Toleration(key=t.key, value=t.value, effect=t.effect) for t in taints)
        gang = with_shapes(trial.gang, lambda s, w=wanted: replace(s, tolerations=(*s.tolerations, *w)))  # type: ignore[misc]
        if not _counts(trial, gang):
            continue
        found = Relaxation(
            kind="tolerate",
            summary="tolerate the taint " + ", ".join(f"{{{t.key}: {t.value}}}" for t in taints),
            changes=on_pod_specs(trial.objects, add_tolerations(wanted)),
            harm=(TOLERATE, len(taints)),
        )
        done = trial.checked(found, gang=gang)
        if done is not None:
            yield done
            return
        tried += 1
        if tried == _MOST:
            return


def _fewest_first(sets: Mapping[tuple[Taint, ...], int]) -> Iterator[tuple[Taint, ...]]:
    """Yield sets of taints to tolerate, unions of what single nodes have, the smallest first, of those the ones that open most nodes."""
    every = tuple(sorted({t for taints in sets for t in taints}, key=_spelled))
    unions = {frozenset(taints) for taints in sets}
    for _ in range(len(every)):
        if len(unions) > _UNIONS:
            break
        unions |= {one | frozenset(taints) for one in unions for taints in sets}
    opened = {union: sum(number for taints, number in sets.items() if union.issuperset(taints)) for union in unions | {frozenset(every)}}
    ordered = sorted(opened, key=lambda union: (len(union), -opened[union], sorted(map(_spelled, union))))
    yield from (tuple(sorted(union, key=_spelled)) for union in ordered if union)


def _counts(trial: Trial, gang: Gang) -> bool:
    """Tell whether the gang may fit: no by counting is a proof."""
    ground = trial.survey.ground
    if not ground.exact or not ground.roles:
        return True
    shapes = {m.pod.uid: m.pod.shape for m in gang.members}
    rows = [CHECKS.allowed(trial.snapshot, shapes[role.pods[0].uid], role.pods) for role in ground.roles]
    wide = replace(ground, allowed=np.array(rows, dtype=np.bool_).reshape(ground.allowed.shape))
    return any(holds(wide, group.nodes)[1] for group in trial.survey.groups)


def _spelled(taint: Taint) -> tuple[str, str, str]:
    return taint.key, taint.value, taint.effect


def uncordon(trial: Trial) -> Iterator[Relaxation]:
    """Uncordon the cordoned nodes that a placement would take."""
    cordoned = [replace(n, unschedulable=False) for n in trial.snapshot.nodes.values() if n.unschedulable and n.problem is None]
    yield from _marking(trial, cordoned, partial(_uncordoned, trial))


def _uncordoned(trial: Trial, used: list[Node]) -> Offer:
    """Offer to uncordon these nodes."""
    known = [n for n in used if trial.raw is None or _cordon_written(trial, n.name)]
    changes = tuple(node_patch(n.name, {"op": "remove", "path": "/spec/unschedulable"}) for n in known)
    summary = f"uncordon {some([n.name for n in known])}"
    found = Relaxation(kind="uncordon", summary=summary, changes=changes, harm=(UNCORDON, len(known)))
    return found, WhatIf(nodes=tuple(known))


def _cordon_written(trial: Trial, name: NodeName) -> bool:
    document = trial.raw("Node", "", name) if trial.raw is not None else None
    return document is not None and "unschedulable" in (document.get("spec") or {})
