"""The decision variables: for each class how many nodes take which load and how many pods, for each domain whether it is used.

A `Layer` is one complete placement. There is one for all pods, and a second one inside it for the core where pods may be
left out. What the variables mean to each other is in `constraints`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.solve.bounds import Bounds
from scheduler.solve.instance import Instance, occupied_classes, occupied_count
from scheduler.solve.patterns import Pattern
from scheduler.solve.problem import Layer as Segments
from scheduler.solve.problem import LevelColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Nodes of one class. ``uses`` holds, for each maximal load, how many nodes may carry up to it.

    Where the loads are too many to list, a block is one node and ``uses`` has one row without a load.
    """

    node_class: int
    nodes: int
    uses: tuple[tuple[Pattern | None, cp_model.IntVar], ...]
    pods: tuple[cp_model.IntVar | None, ...]
    """By role; ``None`` where the role does not fit."""
    present: tuple[cp_model.IntVar | None, ...] = ()
    """By role, only for single nodes whose roles conflict: whether the role is there."""

    @property
    def used(self) -> cp_model.LinearExpr:
        """Nodes of the block that are used."""
        return cp_model.LinearExpr.sum([use for _, use in self.uses])


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelUse:
    """Which domains of one level are used: a truth value for each that was not occupied before, and single nodes."""

    level: LevelColumn
    new: dict[int, cp_model.IntVar]
    alone: tuple[Block, ...]
    """Blocks whose nodes are domains of their own and new."""
    fixed: int

    @property
    def count(self) -> cp_model.LinearExpr:
        """Domains of the level that the gang occupies."""
        return cp_model.LinearExpr.sum([*self.new.values(), *(use for block in self.alone for _, use in block.uses)]) + self.fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the segments of one layer lie. One set for all pods and their core: the core's pods lie where all their segment does."""

    blocks: dict[int, tuple[Block, ...]]
    """By place: its blocks; -1 for those that carry no label of the layer's level."""
    segments: tuple[dict[int, cp_model.IntVar], ...]
    """By kind: how many of its segments lie in each place."""
    loose: tuple[dict[int, cp_model.IntVar], ...]
    """By role: how many of the pods that lie in no segment are in each place; empty for roles without such pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The variables of one placement."""

    blocks: tuple[Block, ...]
    levels: tuple[LevelUse, ...]
    cells: dict[int, cp_model.IntVar]
    """Whether the gang lies in the cell; empty where there is only one."""

    def pods(self, role: int) -> cp_model.LinearExpr:
        """Pods of a role that are placed."""
        return cp_model.LinearExpr.sum([pods for b in self.blocks if (pods := b.pods[role]) is not None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """All variables of a model, and what it is about."""

    instance: Instance
    bounds: Bounds
    all: Layer
    core: Layer
    """The same as ``all`` where every pod must be placed."""
    places: tuple[Places, ...] = ()
    """By layer of segments, outermost first."""

    @property
    def elastic(self) -> bool:
        """Whether the core is a layer of its own."""
        return self.core is not self.all


def make(model: cp_model.CpModel, instance: Instance, bounds: Bounds) -> Variables:
    """Make the variables for the classes in play."""
    every = _layer(model, instance, "")
    core = _layer(model, instance, "core ") if instance.problem.elastic else every
    places = tuple(_places(model, instance, at, every.blocks) for at in range(len(instance.problem.layers)))
    return Variables(instance=instance, bounds=bounds, all=every, core=core, places=places)


def _places(model: cp_model.CpModel, instance: Instance, at: int, blocks: tuple[Block, ...]) -> Places:
    layer, place = instance.problem.layers[at], instance.places[at]
    inside: dict[int, list[Block]] = {}
    for block in blocks:
        inside.setdefault(int(place[block.node_class]), []).append(block)
    known = sorted(p for p in inside if p >= 0)
    return Places(
        blocks={p: tuple(inside[p]) for p in sorted(inside)},
        segments=tuple({p: model.new_int_var(0, kind.times, f"layer {at} kind {k} in {p}") for p in known} for k, kind in enumerate(layer.kinds)),
        loose=tuple(
            {p: model.new_int_var(0, n, f"layer {at} loose {r} in {p}") for p in sorted(inside)} if n else {} for r, n in _loose(layer, instance)
        ),
    )


def _loose(layer: Segments, instance: Instance) -> Iterator[tuple[int, int]]:
    return enumerate(layer.loose or (0,) * len(instance.problem.count))


def _layer(model: cp_model.CpModel, instance: Instance, name: str) -> Layer:
    blocks = tuple(block for c in instance.play.tolist() for block in _blocks(model, instance, c, name))
    cells = sorted({int(instance.cell[b.node_class]) for b in blocks})
    return Layer(
        blocks=blocks,
        levels=tuple(level_use(model, instance, v, blocks, f"{name}level {i}") for i, v in enumerate(instance.problem.levels)),
        cells={c: model.new_bool_var(f"{name}cell {c}") for c in cells} if len(cells) > 1 else {},
    )


def _blocks(model: cp_model.CpModel, instance: Instance, node_class: int, name: str) -> list[Block]:
    listed = instance.rooms.of(node_class)
    nodes = int(instance.nodes[node_class])
    if listed is None:
        return [_single(model, instance, node_class, f"{name}{node_class} {i} ") for i in range(nodes)]
    uses = tuple((p, model.new_int_var(0, nodes, f"{name}{node_class} as {p}")) for p in listed)
    most = [max(p[role] for p in listed) for role in range(len(listed[0]))]
    return [Block(node_class=node_class, nodes=nodes, uses=uses, pods=_pods(model, instance, most, nodes, f"{name}{node_class} "))]


def _single(model: cp_model.CpModel, instance: Instance, node_class: int, name: str) -> Block:
    single = instance.rooms.single[:, node_class].tolist()
    conflict = instance.problem.conflict
    present = tuple(model.new_bool_var(f"{name}has {r}") if n and conflict[r].any() else None for r, n in enumerate(single))
    pods = _pods(model, instance, single, 1, name)
    return Block(node_class=node_class, nodes=1, uses=((None, model.new_bool_var(f"{name}used")),), pods=pods, present=present)


def _pods(model: cp_model.CpModel, instance: Instance, most: list[int], nodes: int, name: str) -> tuple[cp_model.IntVar | None, ...]:
    count = instance.problem.count.tolist()
    return tuple(model.new_int_var(0, min(n * nodes, count[r]), f"{name}pods {r}") if n else None for r, n in enumerate(most))


def level_use(model: cp_model.CpModel, instance: Instance, level: LevelColumn, blocks: tuple[Block, ...], name: str) -> LevelUse:
    """Make a truth value for each domain of the level that the blocks lie in and that the gang does not occupy yet."""
    known = occupied_classes(level, instance.problem)
    new: dict[int, cp_model.IntVar] = {}
    alone: list[Block] = []
    for block in blocks:
        domain = -1 if level.host else int(level.domain[block.node_class])
        if known[block.node_class]:
            continue
        if domain < 0:
            alone.append(block)
        elif domain not in new:
            new[domain] = model.new_bool_var(f"{name} domain {domain}")
    return LevelUse(level=level, new=new, alone=tuple(alone), fixed=occupied_count(level))
