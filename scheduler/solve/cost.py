"""What a placement costs, and the harm it does to later gangs: the aims, counted from the loads alone.

Cost: the sum over weighted levels of weight * (domains - 1), domains of fixed members included.

Harm (best fit): the sum, over every level of the demand and over the hosts, of the worth of the free room that each newly
used domain had before. A domain that was nearly full is worth little, so it is filled first, and large empty domains stay
empty. Wide levels weigh more by themselves because their domains are worth more. Before the harm, ties: the number of
domains of the tie-break levels.
"""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.solve.instance import occupied_count
from scheduler.solve.problem import LevelColumn, Problem
from scheduler.solve.solution import Load


def domains(problem: Problem, level: LevelColumn, loads: Iterable[Load]) -> int:
    """Return how many domains of the level the gang occupies, fixed members' domains included."""
    new: set[int] = set()
    alone = 0
    for load in loads:
        domain = -1 if level.host else int(level.domain[load.node_class])
        if domain >= 0:
            new.add(domain)
        elif not problem.occupied_host[load.node_class]:
            alone += load.nodes
    return len(new | level.occupied) + level.occupied_unlabelled + alone


def cost(problem: Problem, loads: Iterable[Load]) -> int:
    """Return the cost of fixed members and loads together."""
    kept = tuple(loads)
    return sum(v.weight * max(0, domains(problem, v, kept) - 1) for v in problem.levels if v.weight)


def ties(problem: Problem, loads: Iterable[Load]) -> int:
    """Return the number of domains of the tie-break levels."""
    kept = tuple(loads)
    return sum(domains(problem, v, kept) for v in problem.levels if v.tie)


def harm(problem: Problem, loads: Iterable[Load]) -> int:
    """Return the worth of the newly used domains and hosts; an unlabelled host counts at each level that it lacks too."""
    nodes: dict[int, int] = {}
    for load in loads:
        nodes[load.node_class] = nodes.get(load.node_class, 0) + load.nodes
    hosts = {c: int(problem.worth[c][:n].sum()) for c, n in nodes.items() if not problem.occupied_host[c]}
    found = sum(hosts.values())
    for level in problem.levels:
        if level.host:
            continue
        new = {int(level.domain[c]) for c in nodes} - level.occupied - {-1}
        found += sum(int(level.worth[domain]) for domain in new)
        found += sum(worth for c, worth in hosts.items() if level.domain[c] < 0)
    return found


def placed(loads: Iterable[Load]) -> int:
    """Return how many pods the loads hold."""
    return sum(sum(load.pods) * load.nodes for load in loads)


def fixed_cost(problem: Problem) -> int:
    """Return what the fixed members alone cost."""
    return sum(v.weight * max(0, occupied_count(v) - 1) for v in problem.levels)
