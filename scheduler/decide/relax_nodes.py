"""Relaxation ``addNodes``: how few nodes, of which shape and in which domain, make the gang fit; the one that can always be offered.

Shapes that exist and pass the checks are preferred; else nodes are made of the pods' own requests and selectors. The number is the
smallest that `scheduler.decide.relax_ways` finds; a trial placement confirms it where counting does not. When nothing else helps, the
demand is dropped as well (`last_resort`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Final

from scheduler.decide.relax_changes import Json, drop_node_name, drop_selection, on_pod_specs, several
from scheduler.decide.relax_demand import prefer_nvlink, require
from scheduler.decide.relax_segments import drop_segments
from scheduler.decide.relax_templates import manifest, numbered
from scheduler.decide.relax_trial import Offer, Trial, some, with_shapes
from scheduler.decide.relax_ways import Way, ways
from scheduler.decide.whatif import WhatIf
from scheduler.state.gang import Gang, NvlinkWish
from scheduler.state.objects import Node
from scheduler.state.plan import Relaxation
from scheduler.state.resources import PODS, quantity

ADD: Final = 9
_PLENTY: Final = 256
"""Pods of gangs before the one that asks, up to which a node is added for each of them where nothing smaller helps."""


def add_nodes(trial: Trial) -> Iterator[Relaxation]:
    """Offer the fewest nodes to add, of shapes that exist, else of the pods' own."""
    for own in (False, True):
        for way in ways(trial, own=own):
            found = trial.grown(way, partial(_more, own), partial(_offer, trial, own, ()), counted=way.held or _counted(trial, trial.gang))
            if found is not None:
                yield found
                return


def last_resort(trial: Trial) -> Iterator[Relaxation]:
    """Drop the required levels and the fixed node, if need be all node selection as well, and add nodes of the pods' own shape."""
    wish = trial.gang.demand
    nvlink: NvlinkWish = "preferred" if wish.nvlink == "required" else wish.nvlink
    freed = replace(trial.gang, demand=replace(wish, required=None, nvlink=nvlink, segments=()))
    demand = (
        *require(trial.gang, trial.annotated, trial.raw, None),
        *(prefer_nvlink(trial.annotated) if wish.nvlink == "required" else ()),
        *(drop_segments(trial.gang, trial.annotated, trial.raw) if wish.segments else ()),
    )
    unnamed = with_shapes(freed, lambda s: replace(s, node_name=None))
    anywhere = with_shapes(freed, lambda s: replace(s, node_name=None, node_selector=(), affinity=None))
    for gang, edits, words in (
        (trial.gang, [], ""),
        (unnamed, [drop_node_name], _dropping(trial.gang, selection=False)),
        (anywhere, [drop_node_name, drop_selection], _dropping(trial.gang, selection=True)),
    ):
        changes = (*demand, *on_pod_specs(trial.objects, several(edits))) if words else ()
        if words and trial.raw is not None and not changes:
            return
        found = next(_resorts(trial, gang, changes, words), None)
        if found is not None:
            yield found
            return


def _resorts(trial: Trial, gang: Gang, changes: tuple[Json, ...], words: str) -> Iterator[Relaxation]:
    """Yield what helps once the gang asks for less: that alone, or with nodes beside it, in the end as many as no gang before it can use up."""
    if words:
        found = trial.checked(Relaxation(kind="relabel", summary=words, changes=changes, harm=(ADD, 0)), gang=gang)
        yield from [] if found is None else [found]
    elif trial.rehearsal is None:
        return
    asking = trial.on(trial.snapshot, gang)
    for way in ways(asking, own=True):
        offer = partial(_offer, trial, True, changes)
        saying = replace(way, beside=f", and {words}") if words else way
        for start in (saying, _plenty(trial, saying)):
            found = None if start is None else trial.grown(start, partial(_more, True), offer, gang=gang, counted=start.held or _counted(trial, gang))
            yield from [] if found is None else [found]


def _plenty(trial: Trial, way: Way) -> Way | None:
    """Return so many nodes that enough of each kind are left when every pod of the gangs before this one takes one of them."""
    pods = sum(len(gang.pending) for gang in trial.rehearsal.before) if trial.rehearsal is not None else 0
    if not 0 < pods <= _PLENTY or any(node.name != "added" for node in way.nodes):
        return None
    kinds = {id(node): node for node in way.nodes}.values()
    return replace(way, nodes=(*way.nodes, *(node for node in kinds for _ in range(pods))))


def _more(own: bool, later: Trial, way: Way) -> Way | None:
    """Return more nodes: those that are lacking where gangs before this one took a part of the first ones."""
    further = next(ways(later, own=own), None)
    if further is None or any(node.name != "added" for node in further.nodes):
        return None
    words = way.site.words if further.site.words in way.site.words else f"{way.site.words} and{further.site.words}"
    return replace(way, site=replace(way.site, words=words), nodes=(*way.nodes, *further.nodes), held=False)


def _dropping(gang: Gang, *, selection: bool) -> str:
    """Say which demands are dropped; nothing where there are none."""
    wish, shapes = gang.demand, [m.pod.shape for m in gang.pending]
    rows = (
        ("the required level", wish.required is not None),
        ("the required NVLink domain", wish.nvlink == "required"),
        ("the segments", bool(wish.segments)),
        ("nodeName", any(shape.node_name is not None for shape in shapes)),
        ("nodeSelector", selection and any(shape.node_selector for shape in shapes)),
        ("the required node affinity", selection and any(shape.affinity is not None for shape in shapes)),
    )
    *before, last = [words for words, there in rows if there] or [""]
    return f"drop {', '.join(before)} and {last}" if before else f"drop {last}" if last else ""


def _offer(trial: Trial, own: bool, changes: tuple[Json, ...], way: Way) -> Offer:
    nodes = numbered(trial.snapshot, way.nodes)
    offer = Relaxation(
        kind="addNodes",
        summary=f"add {_described(nodes)}{way.site.words} ({some([n.name for n in nodes])}){way.beside}",
        changes=(*changes, *({"create": manifest(node)} for node in nodes)),
        harm=(ADD, len(nodes), int(own)),
    )
    return offer, WhatIf(nodes=tuple(nodes))


def _counted(trial: Trial, gang: Gang) -> bool:
    """Tell whether counting is the proof: no label puts the nodes elsewhere."""
    wish = gang.demand
    return not (wish.required or wish.segments or wish.nvlink == "required" or trial.snapshot.repelling)


def _described(nodes: Sequence[Node]) -> str:
    """Count the nodes of each size: ``2 nodes with 8 nvidia.com/gpu and 1 node with 4 cpu``."""
    parts, sizes = [], [node.allocatable for node in nodes]
    for size, same in groupby(sorted(nodes, key=lambda node: sizes.index(node.allocatable)), key=lambda node: node.allocatable):
        number = len(list(same))
        amounts = ", ".join(f"{quantity(name, amount)} {name}" for name, amount in size.items() if name != PODS)
        parts.append(f"{number} node{'' if number == 1 else 's'} with {amounts or 'room for pods'}")
    return " and ".join(parts)
