"""One gang on one snapshot: gates, demand, arrays, solver, seats. It introduces the stages to each other and proves nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scheduler.decide import ranks, refusal
from scheduler.decide.arrays import Arrays, Checks, arrays
from scheduler.decide.demand import Wish, Wishes, wishes
from scheduler.decide.seating import groups
from scheduler.decide.spots import spots
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Advice, Gang
from scheduler.state.ids import NodeName
from scheduler.state.plan import Decision, LevelCount, Placed, Plan, Seat, SegmentCount
from scheduler.state.segments import cut
from scheduler.state.snapshot import Snapshot

__all__ = ["Checks", "place"]

_SHOWN = 3


def place(
    snapshot: Snapshot, gang: Gang, solver: Solver, budget: Budget, checks: Checks, *, explained: bool = True, what_if: Solver | None = None
) -> Plan:
    """Decide one gang.

    ``what_if`` answers the questions of an explanation, where the gang itself is to be decided by one engine alone.
    ``explained=False`` leaves out of an INFEASIBLE what needs more solving (``fits``, ``rooms``): what-ifs only ask whether.
    """
    early = refusal.gate(gang)
    if early is not None:
        return early
    held = {m.pod.uid for m in gang.pending} & snapshot.pods.keys()
    world = snapshot.without(held) if held else snapshot
    demand = wishes(world, gang)
    early = refusal.unknown_level(world, gang, demand) or refusal.split(world, gang, demand)
    if early is not None:
        return replace(early, advice=demand.advice)
    made = arrays(world, gang, demand.levels, checks, demand.segments) if gang.pending else None
    if made is None:
        return placed(world, gang, demand, new=(), solution=_no_search(world, gang, demand), advice=demand.advice)
    advice = (*demand.advice, *_overcommitted(world, gang, made))
    solution = solver(made.problem, budget)
    if solution.status is SolveStatus.MODEL_INVALID:
        raise AssertionError(f"gang {gang.key}: the solver calls its own model invalid")
    if solution.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
        new = _seats(world, gang, demand, made, solution)
        return placed(world, gang, demand, new=new, solution=solution, advice=advice)
    ask = refusal.Ask(snapshot=world, gang=gang, demand=demand, arrays=made, solver=what_if or solver, budget=budget, checks=checks)
    if solution.status is SolveStatus.INEXPRESSIBLE:
        return replace(refusal.inexpressible(gang, solution), advice=advice)
    if solution.status is SolveStatus.UNKNOWN:
        return replace(refusal.unknown(ask, solution), advice=advice)
    return replace(refusal.infeasible(ask, solution, explained=explained), advice=advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nodes:
    """The node that each load of a solution is put on, by role: how many of its members the node takes."""

    by_role: tuple[dict[NodeName, int], ...]
    node_class: dict[NodeName, int]


def nodes_of(snapshot: Snapshot, made: Arrays, solution: Solution) -> _Nodes:
    """Give each load nodes of its class: the fullest first, and of equally full ones those that lie close together."""
    by_role: tuple[dict[NodeName, int], ...] = tuple({} for _ in made.roles)
    node_class: dict[NodeName, int] = {}
    taken = [0] * len(made.classes)
    wanted = [0] * len(made.classes)
    for load in solution.loads:
        wanted[load.node_class] += load.nodes
    chosen = {c: spots(snapshot.topology, made.classes[c], made.problem.worth[c], n) for c, n in enumerate(wanted) if n}
    for load in sorted(solution.loads, key=lambda one: (one.node_class, [-n for n in one.pods])):
        start = taken[load.node_class]
        taken[load.node_class] += load.nodes
        for at in chosen[load.node_class][start : start + load.nodes].tolist():
            node = NodeName(snapshot.topology.nodes[at])
            node_class[node] = load.node_class
            for role, n in enumerate(load.pods):
                if n:
                    by_role[role][node] = n
    return _Nodes(by_role=by_role, node_class=node_class)


def _seats(snapshot: Snapshot, gang: Gang, demand: Wishes, made: Arrays, solution: Solution) -> tuple[Seat, ...]:
    """Seat the oldest members of each role on the chosen nodes, segments in their places, ranks close together."""
    nodes = nodes_of(snapshot, made, solution)
    chosen = groups(snapshot.topology, made, solution, nodes.by_role, nodes.node_class)
    found = ranks.order(snapshot.topology, gang.fixed, chosen)
    homes = {node: domains_at(snapshot, demand, node) for node in nodes.node_class}
    at = ((member, found[member.pod.key]) for members, _ in chosen for member in members)
    return tuple(Seat(member=member, node=node, bound=False, domains=homes[node]) for member, node in at)


def domains_at(snapshot: Snapshot, demand: Wishes, node: NodeName) -> dict[str, str]:
    """Return the domains that a node lies in, by level key, for the levels that a report shows, those of segments too."""
    at = snapshot.topology.position.get(node)
    found: dict[str, str] = {}
    for wish in (*demand.shown, *(wish for _, wish in demand.segments)) if at is not None else ():
        column = snapshot.topology.column(wish.key)
        if column.index[at] >= 0:
            found[wish.key] = column.domains[int(column.index[at])]
    return found


def placed(snapshot: Snapshot, gang: Gang, demand: Wishes, *, new: Sequence[Seat], solution: Solution, advice: tuple[Advice, ...]) -> Placed:
    """Return the plan: members that run and new seats in rank order, cost and proof as the solution has them."""
    bound = tuple(Seat(member=m, node=n, bound=True, domains=domains_at(snapshot, demand, n)) for m in gang.fixed if (n := m.pod.node) is not None)
    seats = tuple(sorted((*bound, *new), key=lambda s: (s.member.rank, s.member.role, s.member.pod.key)))
    seated = {s.member.pod.key for s in seats}
    return Placed(
        gang=gang,
        seats=seats,
        left_out=tuple(m for m in gang.members if m.pod.key not in seated),
        cost=solution.cost,
        bound=solution.bound,
        levels=levels(demand.shown, seats),
        segments=_segments(gang, demand, seats),
        decision=Decision(engine=solution.engine, why=solution.why, proved=solution.proved),
        advice=advice,
    )


def levels(shown: Sequence[Wish], seats: Sequence[Seat]) -> tuple[LevelCount, ...]:
    """Count the domains of each level that the seats occupy; a node without the label counts as ``node <name>``."""
    found = []
    for wish in shown:
        domains = tuple(sorted({s.domains.get(wish.key, f"node {s.node}") for s in seats}))
        found.append(LevelCount(key=wish.key, name=wish.name, required=wish.required, weight=wish.weight, count=len(domains), domains=domains))
    return tuple(found)


def _segments(gang: Gang, demand: Wishes, seats: Sequence[Seat]) -> tuple[SegmentCount, ...]:
    """Count the segments that have seats, and the domains of their level that these occupy."""
    layers = [layer for layer, segment in enumerate(gang.demand.segments) if segment.required is not None]
    found = []
    for layer, (segment, wish) in zip(layers, demand.segments, strict=True):
        index = {member.pod.key: i for i, part in enumerate(cut(gang.members, segment)) for member in part}
        inside = [seat for seat in seats if seat.member.pod.key in index]
        domains = tuple(sorted({s.domains.get(wish.key, f"node {s.node}") for s in inside}))
        count = len({index[s.member.pod.key] for s in inside})
        found.append(SegmentCount(layer=layer, key=wish.key, name=wish.name, size=segment.size, count=count, domains=domains))
    return tuple(found)


def _no_search(snapshot: Snapshot, gang: Gang, demand: Wishes) -> Solution:
    """Return the solution of a gang whose members all run: nothing is chosen, the cost is what it is."""
    nodes = sorted({m.pod.node for m in gang.fixed if m.pod.node is not None})
    cost = 0
    for wish in demand.shown:
        domains = {domains_at(snapshot, demand, node).get(wish.key, f"node {node}") for node in nodes}
        cost += wish.weight * max(0, len(domains) - 1)
    return Solution(status=SolveStatus.OPTIMAL, cost=cost, bound=cost, proved=("core", "extras", "cost", "harm"), engine="none")


def _overcommitted(snapshot: Snapshot, gang: Gang, made: Arrays) -> tuple[Advice, ...]:
    if not len(made.overcommitted):
        return ()
    names = [snapshot.topology.nodes[int(at)] for at in made.overcommitted]
    more = ", ..." if len(names) > _SHOWN else ""
    number = "1 node is" if len(names) == 1 else f"{len(names):,} nodes are"
    message = f"{number} over-committed ({', '.join(names[:_SHOWN])}{more}): pods use more than is allocatable, so nothing is left there."
    return (Advice(level="warning", object=f"{gang.workload.kind}/{gang.workload.name}", field="", message=message),)
