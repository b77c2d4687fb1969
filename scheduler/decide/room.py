"""How much of a gang each domain of its required level could hold, and what is short there; and the most that fits anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.decide.arrays import Arrays, Checks, pods_of
from scheduler.decide.demand import Wish, Wishes
from scheduler.decide.usage import NodeTable, table
from scheduler.solve import greedy
from scheduler.solve.instance import Instance, instance
from scheduler.solve.problem import Bools, Ints, Problem
from scheduler.solve.solution import Solution, SolveStatus
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang, Member
from scheduler.state.plan import Room
from scheduler.state.resources import GPU, PODS
from scheduler.state.snapshot import Snapshot

_EXACT: Final = 2**45
"""Free amounts of one node are cut here before they are added up."""
SEARCHED: Final = 0.2
"""Deterministic seconds that the search for the most that fits may take: it only explains."""
CLUSTER: Final = "cluster"
"""Name of the only room of a gang without a required level."""


def unpriced(problem: Problem, *, required: bool, need: int) -> Problem:
    """Return the problem without weights, with or without its required levels, for another number of pods."""
    levels = tuple(replace(v, weight=0, tie=False, required=v.required and required) for v in problem.levels)
    return replace(problem, levels=levels, need=need)


def fits(problem: Problem, solver: Solver, budget: Budget) -> int:
    """Return the most pods that fit under the same demands, the leaders among them; the most found when its part of the budget ends first."""
    if len(problem.count) == 1 and not problem.layers:
        return max((_single(known, known.play[known.cell[known.play] == c]) for known in [instance(problem)] for c in range(known.cells)), default=0)
    short = replace(budget, deterministic_seconds=min(budget.deterministic_seconds, SEARCHED))
    solution: Solution = solver(unpriced(problem, required=True, need=max(1, int(problem.must.sum()))), short)
    found = solution.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)
    return sum(sum(load.pods) * load.nodes for load in solution.loads) if found else 0


def in_segments(problem: Problem) -> int | None:
    """Return the most pods that fit in equal segments of one role and one layer, some of them in part; ``None`` for all others.

    A place with room for r pods takes whole segments of s pods while it can, and the rest of r once: the largest of these numbers over
    all places of a cell are taken, one for each segment. No other choice holds more, because no number of a place is larger than the one before.
    """
    if len(problem.count) > 1 or len(problem.layers) > 1 or len(problem.layers[0].kinds) > 1 or any(problem.layers[0].loose):
        return None
    (kind,) = problem.layers[0].kinds
    if kind.pinned is not None:
        return None
    known = instance(problem)
    held = np.zeros(int(known.places[0].max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(held, known.places[0][known.play], (known.rooms.single[0] * known.nodes)[known.play])
    cell = np.zeros(len(held), dtype=np.int64)
    cell[known.places[0][known.play]] = known.cell[known.play]
    size, best = kind.pods[0], 0
    for here in (held[cell == c] for c in range(known.cells)):
        whole = min(kind.times, int((here // size).sum()))
        parts = np.sort(here % size)[::-1][: kind.times - whole]
        best = max(best, whole * size + int(parts.sum()))
    return best


def rooms(
    snapshot: Snapshot, gang: Gang, demand: Wishes, made: Arrays, checks: Checks, *, parts: Sequence[Sequence[Member]] = ()
) -> tuple[Room, ...]:
    """Return the rooms of the gang's required level, largest first, then by name; of the whole cluster where it requires none.

    Where running members pin a domain, only that one is of use and is listed. With several roles a room is what best fit
    finds. With ``parts``, the pending members of each segment, it is also told how many whole ones fit.
    """
    wish = demand.required[-1] if demand.required else None
    column, names = _domains(snapshot, wish)
    here = _fixed(snapshot, gang, column)
    listed = sorted(here) if here and wish is not None else range(len(names))
    known = instance(made.problem)
    of_class = column[made.classes.first]
    judge = _Judge.of(snapshot, demand, made, checks, column=column, domains=len(names))
    pods = [_by_role(part, made) for part in parts]
    found = []
    for domain in listed:
        missing = made.problem.count - _held(known, known.play[of_class[known.play] == domain])
        needed = gang.min_member
        room = here.get(domain, 0) + int(made.problem.count.sum() - missing.sum())
        lacking = judge.needed(missing, needed - room, made.problem.must)
        lacking = judge.needed(missing, needed - room, made.problem.must)
        found.append(
            Room(
                key="" if wish is None else wish.key,
                name=CLUSTER if wish is None else wish.name,
                domain=names[domain],
                room=room,
                needed=needed,
                short=judge.short(domain, lacking),
                checks=judge.refused(domain),
                segments=_whole(made.problem.count - missing, pods) if pods else None,
                segments_needed=len(pods) or None,
                unlabelled={key: int(count[domain]) for key, count in sorted(judge.unlabelled.items()) if count[domain]},
            )
        )
    return tuple(sorted(found, key=lambda r: (-r.room, r.domain)))


def _by_role(members: Iterable[Member], made: Arrays) -> Ints:
    """Count members by role of the arrays."""
    role_of = {m.pod.key: role for role, listed in enumerate(made.roles) for m in listed}
    return np.bincount([role_of[m.pod.key] for m in members], minlength=len(made.roles)).astype(np.int64)


def _whole(held: Ints, parts: Iterable[Ints]) -> int:
    """Count the segments that are made of pods that fit together, the smallest first."""
    found, left = 0, held
    for part in sorted(parts, key=lambda pods: (int(pods.sum()), pods.tolist())):
        if (part <= left).all():
            found, left = found + 1, left - part
    return found


def _domains(snapshot: Snapshot, wish: Wish | None) -> tuple[Ints, tuple[str, ...]]:
    if wish is None:
        return np.zeros(len(snapshot.topology.nodes), dtype=np.int64), (CLUSTER,)
    column = snapshot.topology.column(wish.key)
    return column.index, column.domains


def _fixed(snapshot: Snapshot, gang: Gang, column: Ints) -> dict[int, int]:
    """Count running members by domain."""
    found: dict[int, int] = {}
    for member in gang.fixed:
        at = snapshot.topology.position.get(str(member.pod.node))
        if at is not None and column[at] >= 0:
            found[int(column[at])] = found.get(int(column[at]), 0) + 1
    return found


def _single(known: Instance, classes: Ints) -> int:
    return min(known.problem.total, int((known.rooms.single[0][classes] * known.nodes[classes]).sum()))


def _held(known: Instance, classes: Ints) -> Ints:
    """Return how many pods of each role fit on the classes of one domain, the best cell of it where cells are smaller."""
    best = np.zeros(len(known.problem.count), dtype=np.int64)
    for cell in np.unique(known.cell[classes]).tolist():
        inside = classes[known.cell[classes] == cell]
        if len(known.problem.count) == 1:
            held = np.array([_single(known, inside)], dtype=np.int64)
        else:
            loads = greedy.fill(known, inside, known.problem.count)
            held = sum((np.array(load.pods, dtype=np.int64) * load.nodes for load in loads), np.zeros_like(best))
        best = held if held.sum() > best.sum() else best
    return best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judge:
    """Why a domain has no more room: resources that are short on nodes that pass, checks that refuse the others."""

    requests: tuple[Mapping[str, int], ...]
    """By role: what one pod asks for, itself included."""
    wanted: tuple[int, ...]
    passing: tuple[Ints, ...]
    """By role: nodes of each domain that pass the checks."""
    free: Mapping[str, Ints]
    """By resource: what the nodes of each domain that pass for some role have left together."""
    limits: tuple[Mapping[str, Bools], ...]
    """By role and resource: whether more of this resource alone would let more pods of the role into the domain."""
    refusals: Mapping[str, Ints]
    unlabelled: Mapping[str, Ints]
    """By key of a level that is required, of the gang or of a segment: nodes of each domain that do not carry it."""

    @classmethod
    def of(cls, snapshot: Snapshot, demand: Wishes, made: Arrays, checks: Checks, *, column: Ints, domains: int) -> _Judge:
        """Ask the checks once for each role."""
        known = table(snapshot)
        shapes = [members[0].pod.shape for members in made.roles]
        bare = {w.key: snapshot.topology.column(w.key).index < 0 for w in (*demand.required, *(w for _, w in demand.segments))}
        inside = ~np.logical_or.reduce([np.zeros(len(column), dtype=np.bool_), *bare.values()])
        passing = [checks.allowed(snapshot, members[0].pod.shape, pods_of(members)) & inside for members in made.roles]
        either = np.logical_or.reduce(passing)
        requests = tuple({PODS: 1, **{n: amount for n, amount in s.requests.items() if amount > 0 and n != PODS}} for s in shapes)
        refusals: dict[str, Bools] = {}
        for members in made.roles:
            for name, mask in checks.refusals(snapshot, members[0].pod.shape, pods_of(members)):
                refusals[name] = refusals[name] | mask if name in refusals else mask
        return cls(
            requests=requests,
            wanted=tuple(len(members) for members in made.roles),
            passing=tuple(_sums(p, column, domains) for p in passing),
            free={n: _sums(np.minimum(known.free(n), _EXACT) * either, column, domains) for n in sorted({n for r in requests for n in r})},
            limits=tuple(
                _limits(known, asked, p, most=len(members), column=column, domains=domains)
                for asked, p, members in zip(requests, passing, made.roles, strict=True)
            ),
            refusals={name: _sums(mask, column, domains) for name, mask in refusals.items()},
            unlabelled={key: _sums(mask, column, domains) for key, mask in bare.items()},
        )

    def needed(self, missing: Ints, lacking: int, must: Ints) -> Ints:
        """Return those of the missing members without whom so many are lacking: the ones that must be placed, then those that ask for the least."""
        left = np.minimum(missing, must)
        names = (GPU, *sorted({name for asked in self.requests for name in asked}))
        for role in sorted(range(len(missing)), key=lambda r: (*(self.requests[r].get(name, 0) for name in names), r)):
            left[role] += min(max(0, lacking - int(left.sum())), int(missing[role] - left[role]))
        return left

    def short(self, domain: int, missing: Ints) -> dict[str, int]:
        """Return the amounts that the missing members ask for, of each resource that keeps them out."""
        found: dict[str, int] = {}
        for role, left in enumerate(missing.tolist()):
            if not left or not self.passing[role][domain]:
                continue
            for name, amount in self.requests[role].items():
                together = sum(n * asked.get(name, 0) for n, asked in zip(self.wanted, self.requests, strict=True))
                if self.limits[role][name][domain] or together > self.free[name][domain]:
                    found[name] = found.get(name, 0) + left * amount
        return dict(sorted(found.items()))

    def refused(self, domain: int) -> dict[str, int]:
        """Return how many nodes of the domain each check refuses for some role."""
        return {name: int(count[domain]) for name, count in sorted(self.refusals.items()) if count[domain]}


def _limits(known: NodeTable, asked: Mapping[str, int], passing: Bools, *, most: int, column: Ints, domains: int) -> dict[str, Bools]:
    rooms = {name: np.minimum(known.free(name) // amount, most) * passing for name, amount in asked.items()}
    every = _sums(np.min(list(rooms.values()), axis=0), column, domains)
    found = {}
    for name in rooms:
        others = np.min([room for key, room in rooms.items() if key != name] or [passing * most], axis=0)
        found[name] = (every < most) & (_sums(others, column, domains) > every)
    return found


def _sums(values: Ints | Bools, column: Ints, domains: int) -> Ints:
    inside = column >= 0
    return np.bincount(column[inside], values[inside].astype(float), minlength=domains).astype(np.int64)
