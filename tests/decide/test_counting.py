"""Counting: the short way for roles that differ in name only counts what the long way counts, and putting pods back costs few counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from scheduler.decide import filters, relax_free
from scheduler.decide.counting import Ground, Ints, Role, frontier
from scheduler.decide.place import Checks, place
from scheduler.decide.relax_free import free
from scheduler.decide.relax_trial import trial_of
from scheduler.decide.room import fits
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget
from tests.builders import gang, node, pod, shape, snapshot
from tests.solve import problems

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


def test_pods_that_are_not_in_the_way_are_put_back_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0

    def counting(ground: Ground, nodes: Ints, room: Ints) -> Ints:
        nonlocal counted
        counted += 1
        return frontier(ground, nodes, room)

    monkeypatch.setattr(relax_free, "frontier", counting)
    idle = [pod(f"idle-{n}", on=f"n{n % 4}", gpus=0) for n in range(400)]
    busy = [pod(f"busy-{n}", on=f"n{n % 4}", gpus=2) for n in range(16)]
    world = snapshot([node(f"n{n}", pods=1000) for n in range(4)], [*idle, *busy])
    who = gang(pods=4, gpus=4)
    trial = trial_of(
        world, who, lambda seen, asked: place(seen, asked, solver=engines.default, budget=Budget(), checks=CHECKS), None, tries=60, fits=None
    )
    (found, *_) = free(trial)
    assert [change["delete"]["name"].split("-")[0] for change in found.changes] == ["busy"] * 8
    assert counted < 100


def test_the_most_that_fits_of_roles_that_differ_in_name_only_needs_no_search() -> None:
    def search(problem: Problem, budget: Budget) -> Solution:
        raise AssertionError(f"no search is needed, but {problem} is asked with {budget}")

    # Racks of 3 and 2 GPUs, a leader and four workers of one GPU each.
    two_racks = problems.problem(nodes=(1, 1), free=(3, 2), count=(1, 4), request=(1, 1), must=(1, 0), levels=(problems.racks(0, 1, required=True),))
    assert fits(two_racks, search, Budget()) == 3
    with pytest.raises(AssertionError, match="no search"):
        fits(problems.problem(nodes=(1, 1), free=(3, 2), count=(1, 4), request=(2, 1), must=(1, 0)), search, Budget())
