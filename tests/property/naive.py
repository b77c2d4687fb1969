"""The rules of a small world, member by member and without any economy: what the oracle itself is checked with, and plans are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product

from scheduler.bench.oracle import Best
from scheduler.bench.small import CLIQUE, HOST, SmallNode, SmallPod, SmallShape, SmallWorld
from topology import build, default_weights

Seats = Mapping[int, str]
"""Node by position in the gang, of the members that have one; running members are always among them."""


def broken(world: SmallWorld, seats: Seats) -> list[str]:
    """Say which rules a placement breaks."""
    found = [f"member {at} must stay" for at, m in enumerate(world.members) if m.node is not None and seats.get(at) != m.node]
    if len(seats) < world.least or (world.leads and 0 not in seats):
        found.append("too few members, or no leader")
    found += [f"member {at} may not run on {node}" for at, node in seats.items() if world.members[at].node is None and not _passes(world, at, node)]
    found += [f"node {node.name} is too full" for node in world.nodes if not _holds(world, node, seats)]
    groups = [(world.required, list(seats))] if world.required else []
    groups += [(CLIQUE, list(seats))] if world.nvlink == "required" else []
    for size, key in world.segments:
        groups += [(key, [at for at in part if at in seats]) for part in parts(world, size)]
    found += [f"members {ranks} lie in several domains of {key}, or in none" for key, ranks in groups if not _together(world, key, seats, ranks)]
    return found


def parts(world: SmallWorld, size: int) -> list[list[int]]:
    """Cut the members into segments."""
    ranks = list(range(len(world.members)))
    if world.subgroups == "LeaderExcluded":
        del ranks[0]
    joins = world.subgroups == "LeaderWorker" and (len(ranks) - 1) % size == 0
    found = [ranks[: size + joins]]
    while rest := ranks[sum(map(len, found)) :]:
        found.append(rest[:size])
    return found


def cost(world: SmallWorld, seats: Seats) -> int:
    """Count the cost of a placement."""
    return sum(weight * max(0, len({domain(world, key, n) or f"?{n}" for n in seats.values()}) - 1) for key, weight in weights(world).items())


def weights(world: SmallWorld) -> dict[str, int]:
    if world.weights is not None:
        more = world.nvlink == "preferred" and CLIQUE not in world.weights and any(CLIQUE in n.labels for n in world.nodes)
        return {**world.weights, **({CLIQUE: 100} if more else {})}
    built = default_weights(build({n.name: n.labels for n in world.nodes}))
    return {key: weight for key, weight in built if world.nvlink != "ignore" or key != CLIQUE}


def domain(world: SmallWorld, key: str, node: str) -> str | None:
    return node if key == HOST else next(n for n in world.nodes if n.name == node).labels.get(key)


def everything(world: SmallWorld) -> Best | None:
    """Find the optimum by the order of aims among all placements."""
    every = [seats for seats in _all(world) if not broken(world, seats)]
    if not every:
        return None
    least = min(cost(world, core) for seats in every for core in _cores(world, seats))
    rich = [seats for seats in every if any(cost(world, core) == least for core in _cores(world, seats))]
    placed = max(len(seats) for seats in rich)
    return Best(core=least, placed=placed, cost=min(cost(world, seats) for seats in rich if len(seats) == placed))


def _all(world: SmallWorld) -> Iterator[dict[int, str]]:
    choices = [[m.node] if m.node is not None else [None, *(n.name for n in world.nodes)] for m in world.members]
    for chosen in product(*choices):
        yield {at: node for at, node in enumerate(chosen) if node is not None}


def _cores(world: SmallWorld, seats: Seats) -> Iterator[dict[int, str]]:
    """Give every part of a placement that is a core: running members and leader, and so many others that they are minMember."""
    must = {at for at, m in enumerate(world.members) if m.node is not None} | ({0} if world.leads else set())
    others = [at for at in seats if at not in must]
    for chosen in combinations(others, max(0, world.least - len(must))):
        yield {at: seats[at] for at in (*must, *chosen)}


def _passes(world: SmallWorld, at: int, name: str) -> bool:
    shape, node = world.shapes[world.members[at].shape], next(n for n in world.nodes if n.name == name)
    return not node.cordoned and (not node.tainted or shape.tolerates) and shape.kind in ("", node.labels.get("kind"))


def _holds(world: SmallWorld, node: SmallNode, seats: Seats) -> bool:
    here = [at for at, name in seats.items() if name == node.name]
    new = [world.shapes[world.members[at].shape] for at in here if world.members[at].node is None]
    mine = [world.shapes[world.members[at].shape] for at in here]
    others = [pod for pod in world.others if pod.node == node.name]
    every: list[SmallShape | SmallPod] = [*mine, *others]
    asked = {name for shape in new for name, amount in shape.asks.items() if amount}
    if any(sum(pod.asks.get(name, 0) for pod in every) > node.room.get(name, 0) for name in asked):
        return False
    if new and len(every) > node.room["pods"]:
        return False
    ports = [pod.port for pod in every]
    return all(ports.count(shape.port) == 1 for shape in new if shape.port)


def _together(world: SmallWorld, key: str, seats: Seats, ranks: list[int]) -> bool:
    domains = {domain(world, key, seats[at]) for at in ranks}
    return not domains or (len(domains) == 1 and None not in domains)
