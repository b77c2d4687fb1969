"""Draws small worlds by family: each family is one row that says what is unusual in it. The same seed gives the same worlds.

Sizes are kept to what the oracle can try out: at most 8 nodes, 7 members of 3 shapes, and not all of that at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb, prod
from random import Random
from typing import Final

from scheduler.bench.small import CLIQUE, GPU, HOST, PODS, RACK, ROW, SPINE, SmallMember, SmallNode, SmallPod, SmallShape, SmallWorld

NIC: Final = "example.com/nic"
_LARGE: Final = 40_000
"""The most placements (before any rule is applied) of a world that is drawn."""
_LEVELS: Final = (SPINE, RACK, CLIQUE, HOST, ROW)
_PORTS: Final = (0, 0, 8080, 8080, 9090)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the worlds of one family may have; a chance is one in so many, 0 is never."""

    name: str
    shapes: tuple[int, ...] = (1,)
    """Numbers of shapes to choose from."""
    leads: bool = False
    elastic: int = 0
    fixed: int = 0
    layers: tuple[int, ...] = (0,)
    subgroups: bool = False
    """Whether the segments are the LeaderWorkerSet's own."""
    missing: int = 0
    """Chance that a node lacks a label that its neighbours have."""
    crossing: bool = False
    """Whether NVLink domains and rows follow no tree."""
    checks: bool = False
    """Whether there are taints, selectors, ports, several resources and nodes that are over-committed."""


FAMILIES: Final = (
    Family(name="uniform"),
    Family(name="leader and workers", shapes=(2,), leads=True),
    Family(name="mixed shapes", shapes=(2, 3)),
    Family(name="segments", layers=(1,), crossing=True),
    Family(name="segments of mixed shapes", shapes=(2, 3), layers=(1,)),
    Family(name="segments behind a leader", shapes=(2,), leads=True, layers=(1, 2), fixed=6),
    Family(name="subgroups of a LeaderWorkerSet", shapes=(1, 2), leads=True, layers=(1,), subgroups=True, fixed=6),
    Family(name="two layers of segments", layers=(2,), crossing=True),
    Family(name="elastic", shapes=(1, 2, 3), elastic=1),
    Family(name="elastic segments", shapes=(1, 2), elastic=1, layers=(1, 2)),
    Family(name="running members", shapes=(1, 2), fixed=2, elastic=3),
    Family(name="ragged labels", shapes=(1, 2), missing=3, fixed=8),
    Family(name="crossing levels", shapes=(1, 2), crossing=True, missing=8),
    Family(name="node checks", shapes=(1, 2, 3), checks=True, elastic=4),
    Family(name="everything", shapes=(1, 2, 3), elastic=2, fixed=4, layers=(0, 1, 2), missing=6, crossing=True, checks=True),
)
"""What `make test` and ``coterie bench exact`` go through."""

ELASTIC_LEADER: Final = Family(name="elastic with a leader", shapes=(2,), leads=True, elastic=1, fixed=6, missing=8, crossing=True)
"""No object says this today (a group of a LeaderWorkerSet needs all its members): it is asked of the core alone."""


def worlds(seed: int, count: int, families: Sequence[Family] = FAMILIES) -> Iterator[SmallWorld]:
    """Give so many worlds, the families in turn; each world is drawn by itself, so that any of them can be made again."""
    for number in range(count):
        yield draw(seed, number, families[number % len(families)])


def draw(seed: int, number: int, family: Family) -> SmallWorld:
    """Draw one world."""
    rng = Random(f"{seed}/{family.name}/{number}")  # noqa: S311 - worlds to try, no secrets
    shapes = [_shape(rng, family, at) for at in range(rng.choice(family.shapes))]
    nodes = _nodes(rng, family)
    others = _others(rng, family, nodes)
    members = _members(rng, family, nodes, shapes)
    count = len(members)
    subgroups = rng.choice(("LeaderWorker", "LeaderExcluded")) if family.subgroups and count > 1 else ""
    layers = rng.choice(family.layers) if count > 1 or not family.subgroups else 0
    return SmallWorld(
        family=family.name,
        number=number,
        nodes=tuple(nodes),
        others=tuple(others),
        shapes=tuple(shapes),
        members=tuple(members),
        least=rng.randint(1, count) if _one_in(rng, family.elastic) else count,
        leads=family.leads,
        required=rng.choice((None, None, SPINE, SPINE, RACK, ROW if family.crossing else RACK, HOST)),
        weights=_weights(rng),
        segments=_subgroups(rng, subgroups, count) if subgroups else _segments(rng, layers, count),
        subgroups=subgroups,
        nvlink=rng.choice(("unasked", "unasked", "ignore", "preferred", "required")) if family.crossing else "unasked",
        named=rng.random() < 0.5,  # noqa: PLR2004 - half of them
    )


def _one_in(rng: Random, chance: int) -> bool:
    return chance > 0 and rng.randrange(chance) == 0


def _shape(rng: Random, family: Family, at: int) -> SmallShape:
    """Draw what a pod asks for; the first shape of several asks for no device at times, as leaders do."""
    asks = {GPU: rng.choice((0, 1, 1, 2) if at == 0 and family.leads else (1, 1, 2, 3)), "cpu": 1 + at}
    if not family.checks:
        return SmallShape(asks={name: amount for name, amount in asks.items() if amount})
    asks |= {"cpu": rng.randint(1, 4), "memory": rng.choice((0, 2, 5)), NIC: rng.choice((0, 0, 1)), "ephemeral-storage": rng.choice((0, 0, 3))}
    return SmallShape(
        asks={name: amount for name, amount in asks.items() if amount},
        port=rng.choice(_PORTS),
        kind=rng.choice(("", "", "h100", "a100")),
        tolerates=_one_in(rng, 3),
    )


def _nodes(rng: Random, family: Family) -> list[SmallNode]:
    """Draw nodes in racks of spines: a rack lies in one spine, whatever else follows no tree."""
    racks, spines = rng.randint(1, 4), rng.randint(1, 2)
    largest = rng.randint(1, 4)
    found = []
    for at in range(rng.randint(2, 8)):
        rack = rng.randrange(racks)
        labels = {SPINE: f"s{rack % spines}", RACK: f"r{rack}"}
        if family.crossing or _one_in(rng, 2):
            labels[CLIQUE] = f"c{rng.randrange(3)}" if family.crossing else f"c{rack}"
        if family.crossing:
            labels[ROW] = f"w{rng.randrange(2)}"
        labels = {key: value for key, value in labels.items() if not _one_in(rng, family.missing)}
        if not _one_in(rng, 4):
            labels[HOST] = f"n{at}"
        room = {"cpu": 16, GPU: rng.choice((largest, largest, rng.randint(0, 4))), PODS: rng.choice((110, 110, 110, 2, 3))}
        found.append(SmallNode(name=f"n{at}", labels=labels, room=room))
    return [_checked(rng, node) for node in found] if family.checks else found


def _checked(rng: Random, node: SmallNode) -> SmallNode:
    room = {**node.room, "cpu": rng.randint(4, 10), "memory": rng.randint(4, 12), NIC: rng.choice((0, 1, 2, 4)), "ephemeral-storage": 9}
    kind = {"kind": rng.choice(("h100", "h100", "a100"))}
    return SmallNode(name=node.name, labels={**node.labels, **kind}, room=room, tainted=_one_in(rng, 6), cordoned=_one_in(rng, 12))


def _others(rng: Random, family: Family, nodes: Sequence[SmallNode]) -> list[SmallPod]:
    """Draw other people's pods. Nothing hinders them to take more than there is."""
    found = []
    for _ in range(rng.randint(0, 3)):
        asks: Mapping[str, int] = {GPU: rng.randint(1, 3), "cpu": 1}
        if family.checks and _one_in(rng, 3):
            asks = {rng.choice(("cpu", "memory", NIC)): rng.randint(1, 14)}
        found.append(SmallPod(node=rng.choice(nodes).name, asks=asks, port=rng.choice(_PORTS) if family.checks else 0))
    return found


def _members(rng: Random, family: Family, nodes: Sequence[SmallNode], shapes: Sequence[SmallShape]) -> list[SmallMember]:
    """Draw members: the leader first, else the shapes in any order; fewer of them where there would be too much to try."""
    count = rng.randint(2 if family.leads else 1, 7)
    chosen = [0, *(len(shapes) - 1 for _ in range(count - 1))] if family.leads else [rng.randrange(len(shapes)) for _ in range(count)]
    if _one_in(rng, 2) and not family.leads:
        chosen.sort()
    while len(chosen) > 1 and _placements(len(nodes), chosen, elastic=bool(family.elastic)) > _LARGE:
        chosen.pop()
    free = rng.randrange(len(chosen))
    where = [rng.choice(nodes).name if _one_in(rng, family.fixed) and _one_in(rng, 2) and at != free else None for at in range(len(chosen))]
    return [SmallMember(shape=shape, node=node) for shape, node in zip(chosen, where, strict=True)]


def _placements(nodes: int, chosen: Sequence[int], *, elastic: bool) -> int:
    """Return how many ways there are to put equal pods on nodes, or to leave them out."""
    return prod(comb(nodes + count - 1 + elastic, count) for count in Counter(chosen).values())


def _weights(rng: Random) -> dict[str, int] | None:
    if _one_in(rng, 4):
        return None
    levels = rng.sample(_LEVELS, rng.randint(1, 3))
    return {key: rng.choice((1, 1, 2, 3, 5, 9, 50, 1_000_000)) for key in levels}


def _segments(rng: Random, layers: int, members: int) -> tuple[tuple[int, str], ...]:
    """Draw layers, outermost first; an inner size divides the outer one. A level may be any, also wider inside than outside."""
    found: list[tuple[int, str]] = []
    size = rng.randint(1, members + 1)
    for layer in range(layers):
        if layer:
            size = rng.choice([part for part in range(1, size + 1) if size % part == 0])
        key = rng.choice((SPINE, RACK, RACK, CLIQUE, HOST))
        if (size, key) not in found:
            found.append((size, key))
    return tuple(found)


def _subgroups(rng: Random, kind: str, members: int) -> tuple[tuple[int, str], ...]:
    """Draw the size and the level of a LeaderWorkerSet's subgroups, such as its webhook lets pass."""
    sizes = [n for n in range(1, members) if (members - 1) % n == 0 or (kind == "LeaderWorker" and members % n == 0)]
    return ((rng.choice(sizes), rng.choice((SPINE, RACK, CLIQUE, HOST))),)
