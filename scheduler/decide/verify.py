"""The referee: judges a plan by the rules of placement, knows no solver and none of the code that made the plan.

Everything is counted again with plain loops: capacity, ports, domains, segments, cost, proof. Only the verdicts of the
node checks come from outside (`passes`), because they have their own judge in the tests. Domains are read from
`Topology.domains_of` alone. A rule is one row of RULES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from scheduler.decide.verify_levels import Homes, cost, key_of, required, segment_of, weights
from scheduler.decide.verify_pods import meant, meet, others, room_left
from scheduler.state.gang import Gang, Member
from scheduler.state.ids import NodeName
from scheduler.state.objects import Pod, Shape
from scheduler.state.plan import Placed, Plan, Seat, Unplaced
from scheduler.state.reasons import BY_CODE
from scheduler.state.snapshot import Snapshot

__all__ = ["RULES", "ByPosition", "Passes", "cost", "verify"]


class ByPosition(Protocol):
    """One truth value for each node, in the order of ``snapshot.topology.nodes``."""

    def __getitem__(self, index: int, /) -> object:
        """Return whether the node at this position passes."""
        ...


Passes: TypeAlias = Callable[[Snapshot, Shape], ByPosition]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What every rule reads."""

    snapshot: Snapshot
    plan: Placed
    verdicts: Mapping[Shape, ByPosition]
    """For each shape of a member without a node: where it passes the node checks."""
    homes: Homes
    new: Sequence[Seat]
    """Seats that are still to be taken, on nodes that exist."""
    given: Sequence[tuple[str, Member]]
    """Key and member of all that the plan names: of each seat, in order, then those that are left out."""

    @property
    def gang(self) -> Gang:
        return self.plan.gang


def verify(snapshot: Snapshot, plan: Plan, passes: Passes) -> tuple[str, ...]:
    """Return what is wrong with the plan on this snapshot (taken before the plan), in sentences; empty when it is valid."""
    if isinstance(plan, Unplaced):
        return tuple(_unplaced(plan))
    shapes = {m.pod.shape for m in (*(s.member for s in plan.seats if not s.bound), *plan.left_out)}
    case = _Case(
        snapshot=snapshot,
        plan=plan,
        verdicts={s: passes(snapshot, s) for s in shapes},
        homes=Homes(snapshot),
        new=[s for s in plan.seats if not s.bound and s.node in snapshot.nodes],
        given=[(m.pod.key, m) for m in (*(s.member for s in plan.seats), *plan.left_out)],
    )
    return tuple(f"gang {plan.gang.namespace}/{plan.gang.name}: {complaint}" for rule in RULES for complaint in rule(case))


def _unplaced(plan: Unplaced) -> Iterator[str]:
    reason = BY_CODE.get(plan.reason)
    if reason is None:
        yield f"reason {plan.reason} is not a row of REASONS"
    elif reason.status != plan.status:
        yield f"reason {plan.reason} belongs to {reason.status}, but the status is {plan.status}"


# The rules -------------------------------------------------------------------------------------------------------------


def _each_member_once(case: _Case) -> Iterator[str]:
    wanted = {m.pod.key: m for m in case.gang.members}
    times = Counter([key for key, _ in case.given])
    for name in sorted({*wanted, *times} if len(case.given) != len(wanted) or times.keys() != wanted.keys() else ()):
        if times[name] != 1 or name not in wanted:
            yield f"member {name} stands {times[name]} times in the plan and {int(name in wanted)} times in the gang"
    for key, member in case.given:
        own = wanted.get(key)
        if own is not None and (own.role, own.pod.shape) != (member.role, member.pod.shape):
            yield f"member {key} has another role or shape in the plan than in the gang"


def _ranks_permute_equals(case: _Case) -> Iterator[str]:
    if Counter((m.role, m.rank) for _, m in case.given) != Counter((m.role, m.rank) for m in case.gang.members):
        yield "the ranks in the plan are no permutation of the gang's ranks within each role"
    ranks = [s.member.rank for s in case.plan.seats]
    if ranks != sorted(ranks):
        yield f"seats are not in rank order: {ranks}"


def _fixed_stay(case: _Case) -> Iterator[str]:
    seats = {key: seat for (key, _), seat in zip(case.given, case.plan.seats, strict=False)}
    for member in case.gang.members:
        seat = seats.get(member.pod.key)
        if member.pod.node is None:
            if seat is not None and seat.bound:
                yield f"{member.pod.key} is said to be bound, but it has no node yet"
        elif seat is None or not seat.bound or seat.node != member.pod.node or seat.member.rank != member.rank:
            yield f"{member.pod.key} runs on {member.pod.node} and must stay there, with rank {member.rank}"


def _enough_members(case: _Case) -> Iterator[str]:
    if len(case.plan.seats) < case.gang.min_member:
        yield f"{len(case.plan.seats)} members have a node, minMember is {case.gang.min_member}"
    for member in case.plan.left_out:
        if member.role == "leader":
            yield f"{member.pod.key} is the leader and cannot be left out"


def _nodes_pass(case: _Case) -> Iterator[str]:
    position, verdicts = case.snapshot.topology.position, case.verdicts
    for seat in case.plan.seats:
        if seat.node not in case.snapshot.nodes:
            if seat.bound:
                continue  # it runs on a node that is gone: nothing can be asked of that node any more
            yield f"{seat.member.pod.key}: node {seat.node} does not exist"
        elif not seat.bound and not verdicts[seat.member.pod.shape][position[seat.node]]:
            yield f"{seat.member.pod.key}: node {seat.node} does not pass the node checks"


def _capacity(case: _Case) -> Iterator[str]:
    joining: dict[NodeName, list[Shape]] = {}
    for seat in case.new:
        joining.setdefault(seat.node, []).append(seat.member.pod.shape)
    here = others(case.snapshot, case.gang, joining)
    for node in sorted(joining):
        yield from room_left(case.snapshot, node, here[node], joining[node])


def _ports(case: _Case) -> Iterator[str]:
    here = others(case.snapshot, case.gang, {s.node for s in case.new})
    for seat in case.new:
        for pod in here[seat.node] if seat.member.pod.shape.ports else ():
            for port in seat.member.pod.shape.ports:
                if any(meet(port, other) for other in pod.shape.ports):
                    yield f"{seat.member.pod.key} and {pod.key} want port {port.port}/{port.protocol} of node {seat.node}"
        here[seat.node].append(seat.member.pod)


def _repelled(case: _Case) -> Iterator[str]:
    """Look for pods that run already and whose required anti-affinity a newcomer violates."""
    holders = [p for p in case.snapshot.repelling if p.node in case.snapshot.nodes]
    for seat in case.new if holders else ():
        labels = case.snapshot.nodes[seat.node].labels
        for pod, term in ((p, t) for p in holders for t in p.repels):
            value = labels.get(term.topology_key)
            there = case.snapshot.nodes[pod.node or seat.node].labels.get(term.topology_key)
            if value is not None and value == there and meant(term, seat.member.pod):
                yield f"{seat.member.pod.key}: pod {pod.key} does not tolerate it in {term.topology_key} {value} (anti-affinity)"


def _required_levels(case: _Case) -> Iterator[str]:
    for key in required(case.snapshot, case.gang):
        yield from _one_domain(case, key, case.plan.seats, "the gang")


def _one_domain(case: _Case, key: str, seats: Iterable[Seat], who: str) -> Iterator[str]:
    homes = {s.node: case.homes.domain(key, s.node) for s in seats}
    outside = sorted(node for node, home in homes.items() if home is None)
    if outside:
        yield f"{who} must lie in one domain of {key}; these nodes lie in none: {', '.join(outside)}"
    inside = sorted({home for home in homes.values() if home is not None})
    if len(inside) > 1:
        yield f"{who} must lie in one domain of {key}; it lies in {', '.join(inside)}"


def _segments(case: _Case) -> Iterator[str]:
    for layer, key, groups in _layers(case):
        for index in sorted(groups):
            yield from _one_domain(case, key, groups[index], f"segment {index} of {case.gang.demand.segments[layer].size}")


def _layers(case: _Case) -> Iterator[tuple[int, str, Mapping[int, Sequence[Seat]]]]:
    """Yield each layer of segments that has a level: its place, the level's key, the seats by segment."""
    ranked = sorted(case.gang.members, key=lambda m: (m.rank, m.pod.key)) if case.gang.demand.segments else []
    place = {m.pod.key: i for i, m in enumerate(ranked)}
    for at, layer in enumerate(case.gang.demand.segments):
        groups: dict[int, list[Seat]] = {}
        for seat in case.plan.seats if layer.required else ():
            groups.setdefault(segment_of(place.get(seat.member.pod.key, 0), len(place), layer), []).append(seat)
        groups.pop(-1, None)
        if layer.required:
            yield at, key_of(case.snapshot, layer.required), groups


def _cost_and_bound(case: _Case) -> Iterator[str]:
    counted = cost(case.snapshot, case.gang, (s.node for s in case.plan.seats), case.homes)
    if case.plan.cost != counted:
        yield f"the plan says cost {case.plan.cost}, counting gives {counted}"
    if case.plan.bound > case.plan.cost:
        yield f"the lower bound {case.plan.bound} exceeds the cost {case.plan.cost}"
    if case.plan.bound < 0:
        yield f"the lower bound {case.plan.bound} is negative, no cost is"


def _level_counts(case: _Case) -> Iterator[str]:
    weighted: Counter[str] = Counter()
    for key, weight in weights(case.snapshot, case.gang):
        weighted[key] += weight
    must = required(case.snapshot, case.gang)
    listed = [level.key for level in case.plan.levels]
    if Counter(listed) != Counter({*weighted, *must}):
        yield f"levels listed are {sorted(listed)}, demanded are {sorted({*weighted, *must})}"
    nodes = {s.node for s in case.plan.seats}
    for level in case.plan.levels:
        held = case.homes.domains(level.key, nodes)
        found = (level.count, set(level.domains), len(level.domains), level.weight, level.required)
        expected = (len(held), held, len(held), weighted[level.key], level.key in must)
        if found != expected:
            yield f"level {level.key}: the plan says {found}, counting gives {expected}"


def _segment_counts(case: _Case) -> Iterator[str]:
    told = [(x.layer, x.key, x.size, x.count, list(x.domains)) for x in case.plan.segments]
    counted = [
        (at, key, case.gang.demand.segments[at].size, len(groups), sorted(case.homes.domains(key, {s.node for g in groups.values() for s in g})))
        for at, key, groups in _layers(case)
    ]
    if told != counted:
        yield f"the plan says segments {told}, counting gives {counted}"


def _seat_domains(case: _Case) -> Iterator[str]:
    layers = [key_of(case.snapshot, layer.required) for layer in case.gang.demand.segments if layer.required]
    keys = sorted({*(key for key, _ in weights(case.snapshot, case.gang)), *required(case.snapshot, case.gang), *layers})
    nodes = {seat.node for seat in case.plan.seats}
    true_of = {node: {key: home for key in keys if (home := case.homes.domain(key, node)) is not None} for node in nodes}
    for seat in case.plan.seats:
        true = true_of[seat.node]
        told = seat.domains if seat.domains == true else {key: seat.domains[key] for key in keys if key in seat.domains}
        if told != true:
            yield f"{seat.member.pod.key}: the plan says domains {told}, node {seat.node} lies in {true}"


def _extras(case: _Case) -> Iterator[str]:
    """Where it is proved that no more members fit, not even one more may fit (segments are left to their own proof)."""
    if "extras" not in case.plan.decision.proved or case.gang.demand.segments:
        return
    for member in {m.pod.shape: m for m in case.plan.left_out}.values():
        node = next(_free_seats(case, member), None)
        if node is not None:
            yield f"{member.pod.key} is left out, but node {node} could take it"


def _free_seats(case: _Case, member: Member) -> Iterator[NodeName]:
    snapshot, shape = case.snapshot, member.pod.shape
    joined: dict[NodeName, list[Pod]] = {}
    for seat in case.new:
        joined.setdefault(seat.node, []).append(seat.member.pod)
    keys = required(snapshot, case.gang)
    taken = [{case.homes.domain(key, s.node) for s in case.plan.seats} for key in keys]
    passes = case.verdicts[shape]
    passing = [node for index, node in enumerate(map(NodeName, snapshot.topology.nodes)) if passes[index]]
    inside = [node for node in passing if all(case.homes.domain(k, node) in home for k, home in zip(keys, taken, strict=True))]
    here = others(snapshot, case.gang, inside)
    for node in inside:
        new = joined.get(node, [])
        met = any(meet(p, q) for p in shape.ports for pod in new for q in pod.shape.ports)
        if not met and not any(room_left(snapshot, node, here[node], [*(p.shape for p in new), shape])):
            yield node


RULES: Final[tuple[Callable[[_Case], Iterator[str]], ...]] = (
    _each_member_once,
    _ranks_permute_equals,
    _fixed_stay,
    _enough_members,
    _nodes_pass,
    _capacity,
    _ports,
    _repelled,
    _required_levels,
    _segments,
    _cost_and_bound,
    _level_counts,
    _segment_counts,
    _seat_domains,
    _extras,
)
"""Every rule that a placed plan must satisfy."""
