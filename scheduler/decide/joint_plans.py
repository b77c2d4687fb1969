"""From the answer to a window to the plans of its gangs: nodes for the loads of all, then seats, cost, proof and words for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scheduler.decide import ranks
from scheduler.decide.joint_arrays import Entry, Laid
from scheduler.decide.place import domains_at, nodes_of, placed
from scheduler.solve import cost as costs
from scheduler.solve.joint.window import Answer
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.state.gang import Advice, Gang, Member
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed, Seat
from scheduler.state.snapshot import Snapshot

_SHOWN = 3


def jointly(
    laid: Laid,
    answer: Answer,
    *,
    whole: bool,
    before: Sequence[Placed],
    advice: tuple[Advice, ...],
) -> list[Placed]:
    """Return the plan of each gang of the window.

    ``before`` are the plans that all but the last had by themselves, ``advice`` is the last one's. ``whole``: every gang that
    competes is in the window; else what is proved holds only while the others keep their seats, and earlier gangs keep the lower
    bound that they had.
    """
    world, entries = laid.snapshot, laid.entries
    nodes = nodes_of(world, laid.arrays, Solution(status=SolveStatus.OPTIMAL, loads=answer.loads)).by_role
    found = []
    for at, entry in enumerate(entries):
        alone = before[at] if at < len(before) else None
        taken = [(laid.arrays.roles[role], nodes[role]) for role in laid.window.contenders[at].roles]
        solution = _solution(laid, answer, at, alone=alone, whole=whole)
        rest = [e.gang for e in entries if e is not entry]
        others = names(rest)
        plan = placed(
            world,
            entry.gang,
            entry.demand,
            new=_seats(world, entry, taken),
            solution=replace(solution, why=f"placed jointly with {others}"),
            advice=advice if alone is None else alone.advice,
        )
        plan = replace(plan, decision=replace(plan.decision, jointly=tuple(f"{g.namespace}/{g.name}" for g in rest)))
        found.append(plan if alone is None else _told(plan, alone, others))
    return found


def names(gangs: Iterable[Gang]) -> str:
    """List gangs for people: the first few, and how many more."""
    every = [f"{gang.namespace}/{gang.name}" for gang in gangs]
    shown = ", ".join(every[:_SHOWN])
    return shown if len(every) <= _SHOWN else f"{shown} and {len(every) - _SHOWN:,} more"


def _solution(laid: Laid, answer: Answer, at: int, *, alone: Placed | None, whole: bool) -> Solution:
    """Return one gang's part of the answer. What a gang of higher priority had proved stays proved."""
    contender, proof = laid.window.contenders[at], answer.proofs[at]
    own = contender.own(answer.loads)
    cost = costs.cost(contender.problem, own)
    bound, proved = proof.bound, proof.proved
    if alone is not None and contender.held is not None:
        bound, proved = alone.bound, tuple(aim for aim in alone.decision.proved if aim != "harm")
    elif alone is not None and not whole:
        bound = min(bound, alone.bound)
    bound = min(cost, bound)
    optimal = bound == cost and {"core", "extras", "cost"} <= set(proved)
    return Solution(
        status=SolveStatus.OPTIMAL if optimal else SolveStatus.FEASIBLE, loads=own, cost=cost, bound=bound, proved=proved, engine=answer.engine
    )


def _seats(world: Snapshot, entry: Entry, taken: Sequence[tuple[tuple[Member, ...], Mapping[NodeName, int]]]) -> list[Seat]:
    """Seat as many members of each role as its nodes take, the oldest first, ranks close together."""
    chosen = [(members[: sum(nodes.values())], nodes) for members, nodes in taken]
    found = ranks.order(world.topology, entry.gang.fixed, chosen)
    return [
        Seat(member=m, node=found[m.pod.key], bound=False, domains=domains_at(world, entry.demand, found[m.pod.key]))
        for members, _ in chosen
        for m in members
    ]


def _told(plan: Placed, alone: Placed, others: str) -> Placed:
    """Say what it costs an earlier gang that the others fit too."""
    parts = []
    if plan.cost > alone.cost:
        parts.append(f"costs {plan.cost:,} and not {alone.cost:,}")
    if len(plan.left_out) > len(alone.left_out):
        count = len(plan.left_out)
        parts.append(f"leaves out {count:,} member{'' if count == 1 else 's'} and not {len(alone.left_out):,}")
    if not parts:
        return plan
    about = f"{plan.gang.workload.kind}/{plan.gang.workload.name}"
    message = f"Gang {plan.gang.namespace}/{plan.gang.name} {' and '.join(parts)}, so that it fits together with {others}."
    return replace(plan, advice=(*plan.advice, Advice(level="info", object=about, field="", message=message)))
