"""The oracle: the optimum of a small world by trying every placement. It shares no code with what decides and solves.

Its only economies are harmless: equal pods are not told apart, nor equal nodes; and a placement is kept once, however it came about.
Rules and order of aims are those of the documentation: at least minMember members (the running ones and the leader among them) at
the least cost, then as many of the others as fit, then the least cost of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Final

from scheduler.bench.small import CLIQUE, HOST, PODS, SmallWorld
from topology import build, default_weights

MOST_SHAPES: Final = 3
NVLINK_PREFERENCE: Final = 100
_BITS: Final = 3
"""Bits that count the pods of one shape on one node."""
_WIDTH: Final = _BITS * MOST_SHAPES
_NODE: Final = (1 << _WIDTH) - 1
_LOOSE: Final = -1
"""The segment of a member that lies in none."""

Open = tuple[str | None, ...]
"""By layer: the domain that the segment of the member at hand lies in; ``None`` before its first member is placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The optimum: cost of the core, members with a node (running ones too), cost of them all."""

    core: int
    placed: int
    cost: int


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What the search looks up: a world with its rules worked out node by node."""

    world: SmallWorld
    cheap: dict[tuple[int, int], bool] = field(default_factory=dict)
    costs: dict[int, int] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        return [node.name for node in self.world.nodes]

    @cached_property
    def pending(self) -> list[tuple[int, int]]:
        """Position and shape of the members to place: by shape where nothing depends on the order, so that equal nodes can be told."""
        found = [(at, m.shape) for at, m in enumerate(self.world.members) if m.node is None]
        return found if self.world.segments else sorted(found, key=lambda item: (item[1], item[0]))

    @cached_property
    def fixed(self) -> list[tuple[int, int]]:
        """Position and node of the members that run."""
        return [(at, self.names.index(m.node)) for at, m in enumerate(self.world.members) if m.node is not None]

    @cached_property
    def weights(self) -> dict[str, int]:
        world = self.world
        carried = any(CLIQUE in node.labels for node in world.nodes)
        if world.weights is None:
            default = dict(default_weights(build({node.name: node.labels for node in world.nodes})))
            return {key: weight for key, weight in default.items() if key != CLIQUE or world.nvlink != "ignore"}
        wanted = {CLIQUE: NVLINK_PREFERENCE} if carried and world.nvlink == "preferred" else {}
        return {**wanted, **world.weights}

    @cached_property
    def required(self) -> list[str]:
        return [*([self.world.required] if self.world.required else []), *([CLIQUE] if self.world.nvlink == "required" else [])]

    @cached_property
    def allowed(self) -> list[list[int]]:
        """By shape: the nodes whose taints, cordon and labels let it in."""
        return [
            [
                n
                for n, node in enumerate(self.world.nodes)
                if not node.cordoned and (shape.tolerates or not node.tainted) and (not shape.kind or node.labels.get("kind") == shape.kind)
            ]
            for shape in self.world.shapes
        ]

    @cached_property
    def twin(self) -> list[int | None]:
        """By node: the node before it that differs in nothing but its name."""
        if self.world.segments:
            return [None] * len(self.names)
        looks = [
            (dict(node.labels) | {HOST: ""}, dict(node.room), node.tainted, node.cordoned, self.used[n], self.ports[n])
            for n, node in enumerate(self.world.nodes)
        ]
        busy = {n for _, n in self.fixed}
        return [next((m for m in range(n - 1, -1, -1) if not {m, n} & busy and looks[m] == looks[n]), None) for n in range(len(looks))]

    @cached_property
    def used(self) -> list[dict[str, int]]:
        found: list[dict[str, int]] = [{PODS: 0} for _ in self.names]
        running = [(self.names.index(pod.node), pod.asks) for pod in self.world.others]
        running += [(n, self.world.shapes[self.world.members[at].shape].asks) for at, n in self.fixed]
        for n, asks in running:
            found[n][PODS] += 1
            for name, amount in asks.items():
                found[n][name] = found[n].get(name, 0) + amount
        return found

    @cached_property
    def ports(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.names]
        for pod in self.world.others:
            found[self.names.index(pod.node)].append(pod.port)
        for at, n in self.fixed:
            found[n].append(self.world.shapes[self.world.members[at].shape].port)
        return [sorted(port for port in row if port) for row in found]

    def domain(self, key: str, n: int) -> str | None:
        return self.names[n] if key == HOST else self.world.nodes[n].labels.get(key)

    def fits(self, n: int, here: int) -> bool:
        """Tell whether a node holds these pods of the gang beside those that run there."""
        known = self.cheap.get((n, here))
        if known is None:
            known = self.cheap[n, here] = self._fits(n, [here >> _BITS * (MOST_SHAPES - 1 - s) & 7 for s in range(len(self.world.shapes))])
        return known

    def _fits(self, n: int, counts: list[int]) -> bool:
        room, used = self.world.nodes[n].room, self.used[n]
        joining = [(shape, count) for shape, count in zip(self.world.shapes, counts, strict=True) if count]
        asked = {name for shape, _ in joining for name, amount in shape.asks.items() if amount}
        for name in asked:
            if used.get(name, 0) + sum(shape.asks.get(name, 0) * count for shape, count in joining) > room.get(name, 0):
                return False
        if used[PODS] + sum(counts) > room.get(PODS, 0):
            return False
        ports = [shape.port for shape, count in joining for _ in range(count) if shape.port]
        return len(ports) == len(set(ports)) and not set(ports) & set(self.ports[n])

    def cost(self, mask: int) -> int:
        """Return the cost of the gang on these nodes and those where members run."""
        known = self.costs.get(mask)
        if known is None:
            nodes = {n for n in range(len(self.names)) if mask >> n & 1} | {n for _, n in self.fixed}
            known = self.costs[mask] = sum(
                weight * max(0, len({self.domain(key, n) or f"node {n}" for n in nodes}) - 1) for key, weight in self.weights.items()
            )
        return known


def optimum(world: SmallWorld) -> Best | None:
    """Return the optimum, ``None`` where no placement of minMember members exists."""
    facts = _Facts(world=world)
    leader = world.leads and world.members[0].node is None
    core = min(len(facts.pending), max(world.least - len(facts.fixed), int(leader)))
    every = [(_total(loads), _mask(loads), loads) for loads in _placements(facts, skipping=core < len(facts.pending))]
    cores = [facts.cost(mask) for total, mask, _ in every if total == core]
    if not cores:
        return None
    least = min(cores)
    masks = [mask for mask in range(1 << len(facts.names)) if facts.cost(mask) == least] if core else [0]
    rich = sorted((-total, facts.cost(mask), loads) for total, mask, loads in every if total >= core)
    loads, cost = next((loads, cost) for _, cost, loads in rich if any(_holds(world, loads, mask, core) for mask in masks))
    return Best(core=least, placed=len(facts.fixed) + _total(loads), cost=cost)


def most(world: SmallWorld) -> int:
    """Return the most members that can have a node under the same demands, the leader among them, running ones too."""
    facts = _Facts(world=world)
    return len(facts.fixed) + max((_total(loads) for loads in _placements(facts, skipping=True)), default=0)


def _holds(world: SmallWorld, loads: int, mask: int, core: int) -> bool:
    """Tell whether a core lies on these nodes: so many of the pods, the leader among them."""
    inside = sum((loads >> _WIDTH * n & _NODE) << _WIDTH * n for n in range(len(world.nodes)) if mask >> n & 1)
    leader = world.leads and world.members[0].node is None
    return _total(inside) >= core and (not leader or _leads(world, inside))


def _leads(world: SmallWorld, loads: int) -> bool:
    """Tell whether the leader is among these pods. Its shape is its own (see `scheduler.bench.families`)."""
    shift = _BITS * (MOST_SHAPES - 1 - world.members[0].shape)
    return any(loads >> _WIDTH * n + shift & 7 for n in range(len(world.nodes)))


def _total(loads: int) -> int:
    count = 0
    while loads:
        count += loads & 7
        loads >>= _BITS
    return count


def _mask(loads: int) -> int:
    mask = n = 0
    while loads:
        if loads & _NODE:
            mask |= 1 << n
        loads >>= _WIDTH
        n += 1
    return mask


def _placements(facts: _Facts, *, skipping: bool) -> set[int]:
    """Return every valid placement of all pending members, with ``skipping`` of some of them: pods by node and shape, as one number."""
    pins = _pins(facts)
    if pins is None:
        return set()
    found: set[int] = set()
    for inside in _cells(facts):
        found |= _filled(facts, inside, pins, skipping=skipping)
    return found


def _cells(facts: _Facts) -> Iterator[set[int]]:
    """Give the nodes of each choice of one domain per required level; only that of the running members where there are any."""
    domains = [sorted({d for n in range(len(facts.names)) if (d := facts.domain(key, n)) is not None}) for key in facts.required]
    for chosen in product(*domains):
        inside = {n for n in range(len(facts.names)) if all(facts.domain(k, n) == d for k, d in zip(facts.required, chosen, strict=True))}
        if all(n in inside for _, n in facts.fixed):
            yield inside


def _pins(facts: _Facts) -> dict[tuple[int, int], str] | None:
    """Return the domain of each (layer, segment) in which a member runs; ``None`` where running members break their segment."""
    pins: dict[tuple[int, int], str] = {}
    for layer, (size, key) in enumerate(facts.world.segments):
        for at, n in facts.fixed:
            index, domain = _segment(facts.world, size, at), facts.domain(key, n)
            if index != _LOOSE and (domain is None or pins.setdefault((layer, index), domain) != domain):
                return None
    return pins


def _segment(world: SmallWorld, size: int, at: int) -> int:
    """Return the number of the segment of a member; a LeaderWorkerSet has a rule of its own for the leader of its subgroups."""
    if world.subgroups == "LeaderExcluded":
        return (at - 1) // size if at else _LOOSE
    if world.subgroups == "LeaderWorker" and (len(world.members) - 1) % size == 0:
        return max(0, at - 1) // size  # the leader is one more member of the first
    return at // size


def _filled(facts: _Facts, inside: set[int], pins: dict[tuple[int, int], str], *, skipping: bool) -> set[int]:
    """Place member after member on every node that can take it; states that are equal from here on are one."""
    segments = facts.world.segments
    states: set[tuple[int, Open]] = {(0, (None,) * len(segments))}
    before: list[int] = [_LOOSE - 1] * len(segments)
    for at, shape in facts.pending:
        index = [_segment(facts.world, size, at) for size, _ in segments]
        fresh = [index[i] != before[i] for i in range(len(segments))]
        before = index
        leader = facts.world.leads and at == 0
        grown: set[tuple[int, Open]] = set()
        for loads, last in states:
            here: Open = tuple(pins.get((i, index[i])) if fresh[i] else last[i] for i in range(len(segments)))
            if skipping and not leader:
                grown.add((loads, here))
            grown.update(_seats(facts, inside, loads, here, shape, loose=[i == _LOOSE for i in index]))
        states = grown
    return {loads for loads, _ in states}


def _seats(facts: _Facts, inside: set[int], loads: int, here: Open, shape: int, *, loose: list[bool]) -> Iterator[tuple[int, Open]]:
    """Give what becomes of a placement when one more pod of a shape joins it."""
    one = 1 << _BITS * (MOST_SHAPES - 1 - shape)
    for n in facts.allowed[shape]:
        if n not in inside:
            continue
        after = (loads >> _WIDTH * n & _NODE) + one
        twin = facts.twin[n]
        if (twin is not None and (loads >> _WIDTH * twin & _NODE) < after) or not facts.fits(n, after):
            continue
        lies = [None if free else facts.domain(key, n) for free, (_, key) in zip(loose, facts.world.segments, strict=True)]
        if all(free or (d is not None and known in (None, d)) for free, d, known in zip(loose, lies, here, strict=True)):
            yield loads + (one << _WIDTH * n), tuple(lies)
