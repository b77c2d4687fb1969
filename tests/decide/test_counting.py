"""Counting: the short way for roles that differ in name only counts what the long way counts, and putting pods back costs few counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scheduler.decide import filters, relax_tables
from scheduler.decide.arrays import arrays
from scheduler.decide.counting import Ground, Ints, Role, frontier
from scheduler.decide.demand import wishes
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import relax
from scheduler.decide.relax_free import free
from scheduler.decide.relax_trial import trial_of
from scheduler.decide.room import fits
from scheduler.decide.survey import most, survey_of
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang, Preference
from scheduler.state.plan import Placed, Plan, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)


@dataclass(frozen=True, kw_only=True, eq=False)
class Long(Ground):
    """A ground that never takes the short way."""

    alike = False


def _fields(counts: Sequence[int], room: Sequence[tuple[int, int]], allowed: Sequence[bool], request: Ints, *, conflict: bool) -> dict[str, object]:
    roles = len(counts)
    return {
        "roles": tuple(Role(name=f"r{i}", shape=shape(), pods=tuple(pod(f"p{i}-{n}") for n in range(many)), must=0) for i, many in enumerate(counts)),
        "need": sum(counts),
        "resources": ("nvidia.com/gpu", "pods"),
        "request": np.tile(request, (roles, 1)),
        "conflict": np.full((roles, roles), conflict),
        "free": np.array(room, dtype=np.int64),
        "allowed": np.tile(np.array(allowed, dtype=np.bool_), (roles, 1)),
    }


@settings(deadline=None)
@given(
    some.lists(some.integers(1, 4), min_size=1, max_size=3),
    some.lists(some.tuples(some.integers(0, 9), some.integers(0, 9), some.booleans()), min_size=1, max_size=5),
    some.integers(0, 3),
    some.booleans(),
)
def test_roles_that_differ_in_name_only_are_counted_as_one_by_one(
    counts: list[int], rows: list[tuple[int, int, bool]], gpus: int, conflict: bool
) -> None:
    fields = _fields(counts, [(a, b) for a, b, _ in rows], [ok for _, _, ok in rows], np.array([gpus, 1]), conflict=conflict)
    short, nodes = Ground(**fields), np.arange(len(rows))  # type: ignore[arg-type]  # one mapping for both classes
    long = Long(**fields)  # type: ignore[arg-type]
    assert short.alike
    assert frontier(short, nodes, short.free).tolist() == frontier(long, nodes, long.free).tolist()


def test_nodes_that_look_alike_are_worked_out_once_and_pods_that_give_nothing_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0

    def counting(form: relax_tables.Shape, look: relax_tables.Look) -> relax_tables.Emptying:
        nonlocal counted
        counted += 1
        found = emptying(form, look)
        assert len(found.chosen) < 10
        return found

    emptying = relax_tables.emptying
    monkeypatch.setattr(relax_tables, "emptying", counting)
    idle = [pod(f"idle-{n}", on=f"n{n % 4}", gpus=0) for n in range(400)]
    busy = [pod(f"busy-{n}", on=f"n{n % 4}", gpus=2) for n in range(16)]
    world = snapshot([node(f"n{n}", pods=1000) for n in range(4)], [*idle, *busy])
    who = gang(pods=4, gpus=4)
    trial = trial_of(
        world, who, lambda seen, asked: place(seen, asked, solver=engines.default, budget=Budget(), checks=CHECKS), None, tries=60, fits=None
    )
    (found, *_) = free(trial)
    assert [change["delete"]["name"].split("-")[0] for change in found.changes] == ["busy"] * 8
    assert counted == 1


@settings(deadline=None, max_examples=60)
@given(some.lists(some.integers(0, 5), min_size=1, max_size=5), some.integers(0, 4), some.integers(1, 3), some.integers(2, 5))
def test_the_most_that_fits_is_counted_as_it_is_searched(rooms: list[int], leader: int, worker: int, size: int) -> None:
    world = snapshot([node(f"n{at}", rack=f"r{at % 2}", gpus=gpus) for at, gpus in enumerate(rooms)])
    who = gang(pods=size, leader=shape(gpus=leader), worker=shape(gpus=worker), demand=Demand(required="rack"))
    counted = most(survey_of(world, who, CHECKS))
    found = place(world, who, engines.default, Budget(), CHECKS)
    made = arrays(world, who, wishes(world, who).levels, CHECKS)
    assert made is not None
    if isinstance(found, Placed):
        assert counted is None
    else:
        assert isinstance(found, Unplaced)
        assert counted == found.fits == fits(made.problem, engines.default, Budget())


def test_whether_a_change_is_enough_is_asked_without_weights() -> None:
    asked: list[Demand] = []

    def once(world: Snapshot, who: Gang) -> Plan:
        asked.append(who.demand)
        return place(world, who, engines.default, Budget(), CHECKS, explained=False)

    world = snapshot([node("n1", rack="r1"), node("n2", rack="r2")])
    relax(world, gang(demand=Demand(required="rack", preferred=(Preference(level="host", weight=5),))), once)
    assert asked
    assert {(demand.preferred, demand.nvlink) for demand in asked} == {((), "ignore")}
