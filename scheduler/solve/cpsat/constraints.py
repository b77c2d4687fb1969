"""What must hold: one named function per rule, its formula in its docstring; the model is the list of them.

Notation: x[b,r] pods of role r in block b, z[b,p] nodes of block b that carry up to load p, y[l,d] whether domain d of level
l is newly used. A block is the nodes of one class, or one node. s[a,k,p] segments of kind k of layer a lie in place p, and
e[a,r,p] pods of role r that lie in no segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from ortools.sat.python import cp_model

from scheduler.solve.cpsat.objective import cost
from scheduler.solve.cpsat.variables import Block, Layer, Variables
from scheduler.solve.holding import holdings

LinearExpr = cp_model.LinearExpr


def _layers(v: Variables) -> tuple[Layer, ...]:
    return (v.all, v.core) if v.elastic else (v.all,)


def _blocks(v: Variables) -> Iterator[Block]:
    return (block for layer in _layers(v) for block in layer.blocks)


def nodes_exist(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over p of z[b,p] <= nodes[b]."""
    for block in _blocks(v):
        if len(block.uses) > 1:
            model.add(block.used <= block.nodes)


def loads_fit(model: cp_model.CpModel, v: Variables) -> None:
    """x[b,r] <= sum over p of load[p,r] * z[b,p]: exact, because every load that fits lies below a maximal one."""
    for block in _blocks(v):
        for role, pods in enumerate(block.pods):
            listed = [(p[role], use) for p, use in block.uses if p is not None and p[role]]
            if pods is not None and listed:
                model.add(pods <= LinearExpr.weighted_sum([use for _, use in listed], [n for n, _ in listed]))


def single_nodes_hold(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over r of request[r,k] * x[b,r] <= free[b,k] * used[b], for blocks of one node without listed loads."""
    problem = v.instance.problem
    for block in _blocks(v):
        if block.uses[0][0] is not None:
            continue
        there = [(role, pods) for role, pods in enumerate(block.pods) if pods is not None]
        used = block.uses[0][1]
        for k in range(problem.request.shape[1]):
            asked = [int(problem.request[role, k]) for role, _ in there]
            if any(asked):
                model.add(LinearExpr.weighted_sum([pods for _, pods in there], asked) <= int(problem.free[block.node_class, k]) * used)
        for role, pods in there:
            model.add(pods <= int(v.instance.rooms.single[role, block.node_class]) * used)


def conflicts_apart(model: cp_model.CpModel, v: Variables) -> None:
    """x[b,r] > 0 implies x[b,s] = 0 where roles r and s never share a node, for blocks of one node."""
    conflict = v.instance.problem.conflict
    for block in _blocks(v):
        for role, present in enumerate(block.present):
            pods = block.pods[role]
            if present is None or pods is None:
                continue
            model.add(pods == 0).only_enforce_if(present.negated())
            for other in range(role):
                beside = block.present[other]
                if conflict[role, other] and beside is not None:
                    model.add_at_most_one(present, beside)


def everyone_placed(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over b of x[b,r] = count[r], or at most that where pods may be left out."""
    for role, count in enumerate(v.instance.problem.count.tolist()):
        if v.elastic:
            model.add(v.all.pods(role) <= count)
        else:
            model.add(v.all.pods(role) == count)


def core_placed(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over b, r of core x[b,r] = need, and of each role at least what must be there."""
    if not v.elastic:
        return
    problem = v.instance.problem
    model.add(LinearExpr.sum([v.core.pods(role) for role in range(len(problem.count))]) == problem.core)
    for role, must in enumerate(problem.must.tolist()):
        if must:
            model.add(v.core.pods(role) >= must)


def core_within(model: cp_model.CpModel, v: Variables) -> None:
    """Core x[b,r] <= x[b,r] and core z[b,p] <= z[b,p]: the core is a part of the placement, its nodes some of the nodes.

    Exact where loads are listed: the nodes of the core are filled with it first, what is left over has room beside it.
    """
    if not v.elastic:
        return
    for block, part in zip(v.all.blocks, v.core.blocks, strict=True):
        for (_, use), (_, some) in zip(block.uses, part.uses, strict=True):
            model.add(some <= use)
        for pods, some_pods in zip(block.pods, part.pods, strict=True):
            if pods is not None and some_pods is not None:
                model.add(some_pods <= pods)


def one_cell(model: cp_model.CpModel, v: Variables) -> None:
    """All pods lie in one domain of every required level: exactly one cell, and nothing outside of it."""
    total = v.instance.problem.total
    for layer in _layers(v):
        if not layer.cells:
            continue
        model.add_exactly_one(layer.cells.values())
        for cell, chosen in layer.cells.items():
            inside = [b for b in layer.blocks if int(v.instance.cell[b.node_class]) == cell]
            model.add(LinearExpr.sum([use for b in inside for _, use in b.uses]) <= min(total, sum(b.nodes for b in inside)) * chosen)
    for cell, chosen in v.all.cells.items() if v.elastic else ():
        model.add(v.core.cells[cell] == chosen)


def hosts_in_cell(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over b, p of z[b,p] <= 1 where one host must hold the gang."""
    if any(level.required and level.host for level in v.instance.problem.levels):
        for layer in _layers(v):
            model.add(LinearExpr.sum([use for b in layer.blocks for _, use in b.uses]) <= 1)


def used_domains(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over b in d, p of z[b,p] <= nodes[d] * y[l,d], and sum over b in d, r of x[b,r] <= room[d] * y[l,d]."""
    most = v.instance.rooms.most
    total = v.instance.problem.total
    for layer in _layers(v):
        for use in layer.levels:
            inside: dict[int, list[Block]] = {domain: [] for domain in use.new}
            for block in layer.blocks:
                domain = -1 if use.level.host else int(use.level.domain[block.node_class])
                if domain in inside:
                    inside[domain].append(block)
            for domain, blocks in inside.items():
                nodes = min(total, sum(b.nodes for b in blocks))
                room = min(total, sum(b.nodes * int(most[b.node_class]) for b in blocks))
                model.add(LinearExpr.sum([z for b in blocks for _, z in b.uses]) <= nodes * use.new[domain])
                model.add(LinearExpr.sum([x for b in blocks for x in b.pods if x is not None]) <= room * use.new[domain])


def proved_bound(model: cp_model.CpModel, v: Variables) -> None:
    """Cost of the core >= the lower bound that sums have proved: the search need not prove it again."""
    if v.instance.weighted:
        model.add(cost(v.core) >= v.bounds.cost)


def segments_placed(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over p of s[a,k,p] = times[a,k], or at most that where pods may be left out."""
    for layer, places in zip(v.instance.problem.layers, v.places, strict=True):
        for kind, lie in zip(layer.kinds, places.segments, strict=True):
            placed = LinearExpr.sum(list(lie.values()))
            if v.elastic:
                model.add(placed <= kind.times)
            else:
                model.add(placed == kind.times)


def pods_in_segments(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over b in p of x[b,r] = sum over k of pods[k,r] * s[a,k,p] + e[a,r,p], or at most that where pods may be left out.

    The core needs no rule of its own: its pods are some of those in each place.
    """
    for layer, places in zip(v.instance.problem.layers, v.places, strict=True):
        for place, blocks in places.blocks.items():
            for role in range(len(v.instance.problem.count)):
                there = LinearExpr.sum([x for b in blocks if (x := b.pods[role]) is not None])
                rows = [(lie[place], kind.pods[role]) for kind, lie in zip(layer.kinds, places.segments, strict=True) if place in lie]
                loose = places.loose[role].get(place, 0)
                held = LinearExpr.weighted_sum([s for s, _ in rows], [n for _, n in rows]) + loose
                if v.elastic:
                    model.add(there <= held)
                else:
                    model.add(there == held)


def loose_counted(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over p of e[a,r,p] <= loose[a,r]."""
    for layer, places in zip(v.instance.problem.layers, v.places, strict=True):
        for most, lie in zip(layer.loose, places.loose, strict=False):
            if lie:
                model.add(LinearExpr.sum(list(lie.values())) <= most)


def segments_nest(model: cp_model.CpModel, v: Variables) -> None:
    """Sum over q in p of s[a+1,j,q] = sum over k of inside[a,k,j] * s[a,k,p], or at most that where pods may be left out."""
    layers, of = v.instance.problem.layers, v.instance.places
    for at, (outer, inner) in enumerate(pairwise(v.places)):
        around = {q: int(of[at][blocks[0].node_class]) for q, blocks in inner.blocks.items() if q >= 0}
        for j, lie in enumerate(inner.segments):
            for place in (p for p in outer.blocks if p >= 0):
                there = LinearExpr.sum([s for q, s in lie.items() if around[q] == place])
                rows = [(s[place], kind.inside[j]) for kind, s in zip(layers[at].kinds, outer.segments, strict=True)]
                meant = LinearExpr.weighted_sum([s for s, _ in rows], [n for _, n in rows])
                if v.elastic:
                    model.add(there <= meant)
                else:
                    model.add(there == meant)


def pinned_stay(model: cp_model.CpModel, v: Variables) -> None:
    """s[a,k,p] = 0 where members of the segments of kind k run in another domain than that of p."""
    for layer, places in zip(v.instance.problem.layers, v.places, strict=True):
        for kind, lie in zip(layer.kinds, places.segments, strict=True):
            for place, s in lie.items() if kind.pinned is not None else ():
                if int(layer.domain[places.blocks[place][0].node_class]) != kind.pinned:
                    model.add(s == 0)


def places_hold(model: cp_model.CpModel, v: Variables) -> None:
    """s[a,k,p] <= most[a,k,p], what sums say that a place holds at most: the search need not prove it again.

    Where pods may be left out segments are placed in part, and sums say nothing.
    """
    if v.elastic or not v.places:
        return
    for holding, places in zip(holdings(v.instance), v.places, strict=True):
        for lie, most in zip(places.segments, holding.most.tolist(), strict=True):
            for s, n in zip(lie.values(), most, strict=True):
                model.add(s <= n)


CONSTRAINTS: Final[tuple[Callable[[cp_model.CpModel, Variables], None], ...]] = (
    nodes_exist,
    loads_fit,
    single_nodes_hold,
    conflicts_apart,
    everyone_placed,
    core_placed,
    core_within,
    one_cell,
    hosts_in_cell,
    used_domains,
    proved_bound,
    segments_placed,
    pods_in_segments,
    loose_counted,
    segments_nest,
    pinned_stay,
    places_hold,
)
"""The whole model."""
