"""Tiny worlds with two or three gangs, and the joint answer by trying every placement of all of them: slow, obvious, nothing of the solver's."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from scheduler.decide import filters, verify
from scheduler.state.gang import Demand, Gang, Member, Preference
from scheduler.state.objects import HostPort, Shape
from scheduler.state.plan import Placed
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests import builders
from tests.builders import RACK, SPINE

HOST = "kubernetes.io/hostname"
Where = tuple[str | None, ...]
"""A node, or none, for each pending member of a gang."""
Value = tuple[int, int, int]
"""Cost of the cheapest core, members left out, cost of all: smaller is better."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Gangs that are decided together, in queue order, on a cluster."""

    snapshot: Snapshot
    gangs: tuple[Gang, ...]


def drawn(seed: int) -> Round:
    """Draw a world in which gangs are likely to compete: two to three gangs, at most six nodes and seven pods."""
    random_ = random.Random(seed)  # noqa: S311 - worlds, not secrets
    nodes = [
        builders.node(
            f"n{i}",
            rack=random_.choice(["r0", "r0", "r1", "r1", "r2", ""]),
            spine=random_.choice(["s0", "s0", "s1"]),
            gpus=random_.choice([1, 2, 2, 3]),
            pods=random_.choice([2, 110]),
            labels={"kind": "new"} if random_.random() < 0.5 else {},
        )
        for i in range(random_.randint(2, 6))
    ]
    names = [str(n.name) for n in nodes]
    gangs, left = [], 7
    for at in range(random_.choice([2, 2, 3])):
        size = min(left, random_.randint(1, 3))
        left -= size
        if size:
            gangs.append(_gang(random_, at, size, names))
    gangs = [replace(g, created=float(at)) for at, g in enumerate(sorted(gangs, key=lambda g: -g.priority))]
    return Round(snapshot=builders.snapshot(nodes, [m.pod for g in gangs for m in g.fixed]), gangs=tuple(gangs))


def _gang(random_: random.Random, at: int, size: int, names: list[str]) -> Gang:
    keys = random_.sample([SPINE, RACK, HOST], random_.randint(0, 3))
    demand = Demand(
        required=random_.choice([None, None, None, RACK, RACK, SPINE, HOST]),
        preferred=tuple(Preference(level=key, weight=random_.randint(1, 5)) for key in keys) if random_.random() < 0.8 else None,
    )
    port = (HostPort(port=80),)
    only = (("kind", "new"),) if random_.random() < 0.1 + 0.4 * at else ()  # the later ones are choosier
    leader = builders.shape(gpus=random_.randint(0, 2), ports=port if random_.random() < 0.2 else ()) if random_.random() < 0.4 else None
    worker = builders.shape(gpus=random_.randint(1, 3), ports=port if random_.random() < 0.2 else (), node_selector=only)
    least = random_.randint(1, size) if random_.random() < 0.3 else size
    on = {0: random_.choice(names)} if size > 1 and random_.random() < 0.1 else {}
    found = builders.gang(f"g{at}", pods=size, min_member=least, demand=demand, leader=leader, worker=worker, on=on)
    return replace(found, priority=random_.choice([0, 0, 0, 5]))


class Brute:
    """Everything that can be tried in a round."""

    def __init__(self, round_: Round) -> None:
        """List the placements of each gang alone."""
        self.round = round_
        self.options = [[where for where in _alone(round_.snapshot, gang) if self.value(i, where) is not None] for i, gang in enumerate(round_.gangs)]

    def value(self, at: int, where: Where) -> Value | None:
        """Return what a placement of a gang is worth, ``None`` where it holds no core."""
        return _value(self.round.snapshot, self.round.gangs[at], where)

    def best(self, asked: Sequence[int], held: dict[int, Value]) -> tuple[Value, ...] | None:
        """Return the best values of these gangs in order, those that are held no worse than that; ``None`` where not all fit."""
        best: tuple[Value, ...] | None = None
        for chosen in self._choices(asked, held):
            values = tuple(v for at, where in zip(asked, chosen, strict=True) if (v := self.value(at, where)) is not None)
            best = values if best is None or values < best else best
        return best

    def _choices(self, asked: Sequence[int], held: dict[int, Value]) -> Iterator[tuple[Where, ...]]:
        options = []
        for at in asked:
            kept = self.options[at]
            if at in held:
                kept = [w for w in kept if (v := self.value(at, w)) is not None and v == held[at]]
            options.append(kept)
        gangs = [self.round.gangs[at] for at in asked]
        for chosen in product(*options):
            if fits(self.round.snapshot, gangs, chosen):
                yield chosen


def value_of(round_: Round, plan: Placed) -> Value:
    """Return what a plan is worth."""
    seat = {s.member.pod.key: str(s.node) for s in plan.seats}
    found = _value(round_.snapshot, plan.gang, tuple(seat.get(m.pod.key) for m in plan.gang.pending))
    assert found is not None
    return found


def _alone(snapshot: Snapshot, gang: Gang) -> Iterator[Where]:
    names = list(snapshot.topology.nodes)
    rows = [filters.allowed(snapshot, m.pod.shape) for m in gang.pending]
    seen: set[tuple[object, ...]] = set()
    for where in product(*([None, *(n for n, ok in zip(names, row, strict=True) if ok)] for row in rows)):
        like = tuple(sorted((m.role, str(node)) for m, node in zip(gang.pending, where, strict=True)))
        if like not in seen and fits(snapshot, [gang], [where]):  # equal pods are exchanged freely
            seen.add(like)
            yield where


def fits(snapshot: Snapshot, gangs: Sequence[Gang], chosen: Sequence[Where]) -> bool:
    """Tell whether nodes hold what all gangs put on them, and each gang lies in one domain of what it requires."""
    here: dict[str, list[Shape]] = {}
    for gang, where in zip(gangs, chosen, strict=True):
        for member, node in zip(gang.pending, where, strict=True):
            if node is not None:
                here.setdefault(node, []).append(member.pod.shape)
    for name, shapes in here.items():
        free = snapshot.free(name)  # type: ignore[arg-type]  # plain names
        if any(sum(s.requests.amount(r) for s in shapes) > free.amount(r) for r in (GPU, "pods") if any(s.requests.amount(r) for s in shapes)):
            return False
        running = [p.shape for p in snapshot.pods_on.get(name, ())]  # type: ignore[call-overload]  # plain names
        if any(s.ports for s in shapes) and sum(bool(s.ports) for s in (*shapes, *running)) > 1:
            return False
    return all(_inside(snapshot, gang, where) for gang, where in zip(gangs, chosen, strict=True))


def _inside(snapshot: Snapshot, gang: Gang, where: Where) -> bool:
    taken = {*(n for n in where if n), *(str(m.pod.node) for m in gang.fixed)}
    if gang.demand.required is None or not taken:
        return True
    domains = {snapshot.topology.domains_of(node).get(gang.demand.required) for node in taken}
    return len(domains) == 1 and None not in domains


def _value(snapshot: Snapshot, gang: Gang, where: Where) -> Value | None:
    there = [(m, node) for m, node in zip(gang.pending, where, strict=True) if node is not None]
    leaders = [m for m in gang.pending if m.role == "leader"]
    size = max(gang.min_member - len(gang.fixed), len(leaders))
    cores = [part for part in combinations(there, size) if all(any(m is leader for m, _ in part) for leader in leaders)]
    if not cores:
        return None
    least = min(_cost(snapshot, gang, part) for part in cores)
    return least, len(gang.pending) - len(there), _cost(snapshot, gang, there)


def _cost(snapshot: Snapshot, gang: Gang, there: Sequence[tuple[Member, str]]) -> int:
    return verify.cost(snapshot, gang, [*(n for _, n in there), *(m.pod.node for m in gang.fixed)])  # type: ignore[list-item]  # plain names
