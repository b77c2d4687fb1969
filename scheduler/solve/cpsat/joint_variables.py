"""The variables of several gangs on the same nodes: each gang has its own layers, as if it were alone, but the nodes' loads are shared.

A node carries a load of all gangs together; how many nodes carry which is one variable, and each gang's blocks see the part
of the load that is theirs. So what holds for one gang (`constraints`) is said with the same words, and only that nodes exist
once is new. Where the loads are too many to list, every node is a block and is counted by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from scheduler.solve.bounds import bounds
from scheduler.solve.cpsat.variables import Block, Layer, Variables, level_use
from scheduler.solve.instance import Instance, instance
from scheduler.solve.joint.loads import SharedLoads, shared_loads
from scheduler.solve.joint.window import Contender, Window
from scheduler.solve.patterns import Pattern
from scheduler.solve.problem import Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Nodes of one class, for all gangs: how many carry which load; ``uses`` is empty for a single node."""

    node_class: int
    nodes: int
    uses: tuple[tuple[Pattern, cp_model.IntVar], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """All variables of a window."""

    window: Window
    ground: tuple[Ground, ...]
    gangs: tuple[Variables, ...]
    blocks: tuple[tuple[Block | None, ...], ...]
    """For each gang its block on each ground, of the layer of all pods; ``None`` where it can have no pod there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """What is worked out before any variable is made."""

    window: Window
    instances: tuple[Instance, ...]
    allowed: Bools


def layout(window: Window) -> Layout:
    """Work out where each role may be."""
    instances = tuple(instance(c.problem) for c in window.contenders)
    return Layout(window=window, instances=instances, allowed=_allowed(window, instances))


def loads_of(of: Layout) -> SharedLoads:
    """List what the nodes hold of all gangs together."""
    return shared_loads(of.window.every, of.allowed, gang_of(of.window))


def size(of: Layout, loads: SharedLoads) -> int:
    """Estimate how many variables the window needs."""
    total = 0
    for c in np.flatnonzero(of.allowed.any(axis=0)).tolist():
        roles, listed = int(of.allowed[:, c].sum()), loads.of(c)
        total += 2 * roles * _nodes(of.window, c) if listed is None else roles + len(listed)
    return total


def make(model: cp_model.CpModel, of: Layout, loads: SharedLoads, gangs: int) -> Shared:
    """Make the variables of the first ``gangs`` contenders."""
    ground: list[Ground] = []
    for c in np.flatnonzero(of.allowed.any(axis=0)).tolist():
        listed, nodes = loads.of(c), _nodes(of.window, c)
        if listed is None:
            ground += [Ground(node_class=c, nodes=1) for _ in range(nodes)]
        else:
            ground.append(Ground(node_class=c, nodes=nodes, uses=tuple((p, model.new_int_var(0, nodes, f"{c} as {p}")) for p in listed)))
    rows = [_gang(model, of, at, ground) for at in range(gangs)]
    return Shared(window=of.window, ground=tuple(ground), gangs=tuple(v for v, _ in rows), blocks=tuple(blocks for _, blocks in rows))


def gang_of(window: Window) -> list[int]:
    """Return the gang of each role of the window."""
    found = [0] * len(window.every.count)
    for at, contender in enumerate(window.contenders):
        for role in contender.roles:
            found[role] = at
    return found


def _allowed(window: Window, instances: tuple[Instance, ...]) -> Bools:
    """Return where a role may be: where it passes, has room, and lies in a domain that its gang's required levels leave."""
    found = np.zeros_like(window.every.allowed)
    for contender, of in zip(window.contenders, instances, strict=True):
        play = np.zeros(found.shape[1], dtype=np.bool_)
        play[of.play] = True
        found[list(contender.roles)] = play & (of.rooms.single > 0)
    return found


def _nodes(window: Window, node_class: int) -> int:
    return min(int(window.every.nodes[node_class]), int(window.every.count.sum()))


def _gang(model: cp_model.CpModel, layout: Layout, at: int, ground: list[Ground]) -> tuple[Variables, tuple[Block | None, ...]]:
    name, of, contender = f"gang {at} ", layout.instances[at], layout.window.contenders[at]
    conflict, problem = layout.window.every.conflict, contender.problem
    blocks = [_block(model, contender, of, g, name=f"{name}{i} ", conflict=conflict) for i, g in enumerate(ground)]
    every = core = _layer(model, of, blocks, name)
    if problem.elastic:
        inner = [None if b is None else _inner(model, b, problem.count.tolist(), f"{name}core {i} ") for i, b in enumerate(blocks)]
        core = _layer(model, of, inner, f"{name}core ")
    return Variables(instance=of, bounds=bounds(of, problem.count, problem.core), all=every, core=core), tuple(blocks)


def _block(model: cp_model.CpModel, contender: Contender, of: Instance, ground: Ground, *, name: str, conflict: Bools) -> Block | None:
    c = ground.node_class
    if of.cell[c] < 0 or not of.rooms.single[:, c].any():
        return None
    if ground.uses:
        parts = [(tuple(p[r] for r in contender.roles), use) for p, use in ground.uses]
        uses = tuple((p, use) for p, use in parts if any(p))
        most = [max((p[i] for p, _ in uses), default=0) for i in range(len(contender.roles))]
        pods = _pods(model, of, most, ground.nodes, name)
        return Block(node_class=c, nodes=ground.nodes, uses=uses, pods=pods) if uses else None
    single = of.rooms.single[:, c].tolist()
    rows = zip(single, contender.roles, strict=True)
    present = tuple(model.new_bool_var(f"{name}has {r}") if n and conflict[r].any() else None for n, r in rows)
    used = model.new_bool_var(f"{name}used")
    return Block(node_class=c, nodes=1, uses=((None, used),), pods=_pods(model, of, single, 1, name), present=present)


def _pods(model: cp_model.CpModel, of: Instance, most: list[int], nodes: int, name: str) -> tuple[cp_model.IntVar | None, ...]:
    count = of.problem.count.tolist()
    return tuple(model.new_int_var(0, min(n * nodes, count[r]), f"{name}pods {r}") if n else None for r, n in enumerate(most))


def _inner(model: cp_model.CpModel, block: Block, count: list[int], name: str) -> Block:
    """Return the same block for the core: variables of its own, which never exceed those of all pods."""
    uses = tuple((p, model.new_int_var(0, block.nodes, f"{name}as {p}")) for p, _ in block.uses)
    pods = tuple(None if x is None else model.new_int_var(0, count[r], f"{name}pods {r}") for r, x in enumerate(block.pods))
    return Block(node_class=block.node_class, nodes=block.nodes, uses=uses, pods=pods)


def _layer(model: cp_model.CpModel, of: Instance, blocks: list[Block | None], name: str) -> Layer:
    there = tuple(b for b in blocks if b is not None)
    cells = sorted({int(of.cell[b.node_class]) for b in there})
    return Layer(
        blocks=there,
        levels=tuple(level_use(model, of, v, there, f"{name}level {i}") for i, v in enumerate(of.problem.levels)),
        cells={c: model.new_bool_var(f"{name}cell {c}") for c in cells} if len(cells) > 1 else {},
    )


def together(shared: Shared, at: int) -> Iterator[tuple[int, Block]]:
    """Give the blocks of all gangs on one ground, with the number of the gang."""
    return ((gang, b) for gang, blocks in enumerate(shared.blocks) if (b := blocks[at]) is not None)
