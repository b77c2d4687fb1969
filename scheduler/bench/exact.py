"""Small worlds against the oracle: is what is decided the optimum? This is the long run of the property tests.

A decision goes from objects to a plan that the referee accepts, without relaxations. What disagrees with the oracle is a mismatch,
and one mismatch is enough for the row not to hold.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Final

from scheduler.bench.families import ELASTIC_LEADER, FAMILIES, draw
from scheduler.bench.measure import Fact, Options, Row
from scheduler.bench.oracle import Best, most, optimum
from scheduler.bench.small import SmallWorld, cluster, objects
from scheduler.decide import filters, verify
from scheduler.decide.cycle import RefereeError, decide
from scheduler.dryrun import CHECKS, snapshot_of
from scheduler.kube.group import grouping
from scheduler.kube.parse.documents import documents
from scheduler.kube.parse.merging import merged
from scheduler.kube.parse.sorting import world as sorted_world
from scheduler.solve import engines
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.plan import Placed, Plan
from scheduler.state.snapshot import Snapshot

WORLDS: Final = 21_000
ALL: Final = (*FAMILIES, ELASTIC_LEADER)
_BATCH: Final = 50
_SHOWN: Final = 3
_CONTRADICTED: Final = ("MembersSplit", "UnknownLevel")
"""Reasons for which nobody counts how many members fit."""

_judge = partial(verify.verify, passes=filters.allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one world came to; ``mismatch`` is empty where it is what the oracle says."""

    family: str
    placed: bool
    engine: str = ""
    """Which engine decided."""
    mismatch: str = ""


def exact(options: Options) -> Iterator[Row]:
    """Decide worlds of every family, twice, and compare with the oracle: one row a family."""
    count = max(1, options.size(WORLDS) // len(ALL))
    for family, verdicts in enumerate(_judged(options, count)):
        found = Counter("mismatches" if v.mismatch else "placed" if v.placed else "refused" for v in verdicts)
        wrong = [v.mismatch for v in verdicts if v.mismatch]
        facts: dict[str, Fact] = {"worlds": len(verdicts), "placed": found["placed"], "refused": found["refused"]}
        facts |= {f"by {engine}": n for engine, n in sorted(Counter(v.engine for v in verdicts).items())}
        facts |= {"first": "; ".join(wrong[:_SHOWN])} if wrong else {}
        yield Row(what=f"{ALL[family].name}: mismatches", unit="instances", values=(len(wrong),), bound=0, facts=facts)


def _judged(options: Options, count: int) -> Iterator[list[Verdict]]:
    """Give the verdicts of each family in order, judged by as many processes as there are processors."""
    starts = range(0, count, _BATCH)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(processors, len(starts))
    if workers == 1:
        yield from (judged_worlds(options.seed, family, range(count)) for family in _told(options))
        return
    # Not forked: this process may have threads already.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for family in _told(options):
            ranges = (range(start, min(start + _BATCH, count)) for start in starts)
            batches = [pool.submit(judged_worlds, options.seed, family, numbers) for numbers in ranges]
            yield [verdict for batch in batches for verdict in batch.result()]


def _told(options: Options) -> Iterator[int]:
    for family, about in enumerate(ALL):
        options.tell(f"worlds of {about.name}")
        yield family


def judged_worlds(seed: int, family: int, numbers: Iterable[int]) -> list[Verdict]:
    """Draw worlds of one family of `ALL` and judge each twice: as decided with what is kept from world to world, and by CP-SAT alone."""
    solvers = (engines.solver(), engines.solver("cpsat"))
    return [judged(draw(seed, number, ALL[family]), *solvers) for number in numbers]


def judged(world: SmallWorld, *solvers: Solver) -> Verdict:
    """Decide one world with each solver and compare with the oracle: status, cost, proof, members; of a refusal, how many would fit.

    The verdict is of the first solver, but for a mismatch of any.
    """
    expected = optimum(world)
    snapshot, gang = question(world)
    found = [_verdict(world, snapshot, gang, solver, expected) for solver in solvers or (engines.default,)]
    return replace(found[0], mismatch=next((one.mismatch for one in found if one.mismatch), ""))


def _verdict(world: SmallWorld, snapshot: Snapshot, gang: Gang, solver: Solver, expected: Best | None) -> Verdict:
    try:
        (plan,) = decide(snapshot, (gang,), solver=solver, budget=Budget(), checks=CHECKS, verify=_judge)
        mismatch = _mismatch(world, plan, expected)
    except RefereeError as error:
        plan, mismatch = error.plan, f"the referee: {error}"
    engine = plan.decision.engine
    return Verdict(
        family=world.family,
        placed=isinstance(plan, Placed),
        engine=engine,
        mismatch=f"{world.family} {world.number}, {engine}: {mismatch}" if mismatch else "",
    )


def _mismatch(world: SmallWorld, plan: Plan, expected: Best | None) -> str:
    if not isinstance(plan, Placed):
        if plan.status != "INFEASIBLE" or expected is not None:
            return f"found {plan.status} ({plan.reason}), expected {expected or 'INFEASIBLE'}"
        fits = None if plan.reason in _CONTRADICTED else most(world)
        return "" if fits in (None, plan.fits) else f"found that {plan.fits} members fit, expected {fits}"
    if expected is None:
        return f"found a placement of cost {plan.cost}, expected INFEASIBLE"
    found = (len(plan.seats), plan.cost, plan.bound)
    if found != (expected.placed, expected.cost, expected.cost):
        return f"found {found[0]} members at cost {found[1]} (bound {found[2]}), expected {expected.placed} at {expected.cost}"
    return ""


def decided(world: SmallWorld, solver: Solver = engines.default) -> Plan:
    """Parse the objects of a world and decide its gang; raises `RefereeError` where the referee refuses the plan."""
    snapshot, gang = question(world)
    (plan,) = decide(snapshot, (gang,), solver=solver, budget=Budget(), checks=CHECKS, verify=_judge)
    return plan


def question(world: SmallWorld) -> tuple[Snapshot, Gang]:
    """Parse the objects of a world: the snapshot and its one gang."""
    given = sorted_world(documents(cluster(world), file="cluster"), planned=False)
    together = merged(given, sorted_world(documents(objects(world), file="objects")))
    found = grouping.gangs(together.world, scheduler_name=None, lone=together.standing)
    (gang,) = (g for g in found.gangs if g.namespace == "default")
    return snapshot_of(together), replace(gang, min_member=world.least)
