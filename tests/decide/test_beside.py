"""A gang that is refused beside the seats of others is told who they are, and only where it would fit without them."""

from __future__ import annotations

from dataclasses import replace

from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide
from scheduler.decide.place import Checks
from scheduler.decide.rehearsal import Again
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Gang
from scheduler.state.plan import Plan, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import gang, node, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
HOST = "kubernetes.io/hostname"
TWO = snapshot([node("a"), node("b")])


def judge(world: Snapshot, plan: Plan) -> tuple[str, ...]:
    return verify.verify(world, plan, filters.allowed)


def unchanged(_: Snapshot, __: Gang, found: Unplaced, ___: Again) -> Unplaced:
    return found


def last(world: Snapshot, *gangs: Gang) -> Unplaced:
    """Decide the gangs in this order, nobody jointly, and return what became of the last one."""
    queue = [replace(g, created=float(at)) for at, g in enumerate(gangs)]
    found = decide(world, queue, solver=engines.default, budget=Budget(), checks=CHECKS, verify=judge, explain=unchanged)[-1]
    assert isinstance(found, Unplaced), found
    return found


def test_the_one_gang_without_whose_seats_it_fits_is_named() -> None:
    found = last(TWO, gang("small", pods=1, gpus=1), gang("large", pods=1, gpus=8), gang("second", pods=1, gpus=8))
    assert found.beside == ("ai/large",)
    assert found.message.endswith("It would fit without the seats that ai/large takes in this plan.")


def test_where_no_single_gang_is_in_the_way_all_of_those_on_nodes_of_use_are_named() -> None:
    world = snapshot([node("a", labels={"size": "large"}), node("b", labels={"size": "large"}), node("c", labels={"kind": "old"})])
    x, y, z = (shape(gpus=8, node_selector=(wanted,)) for wanted in (("kind", "old"), (HOST, "a"), (HOST, "b")))
    both = gang("second", pods=2, worker=shape(gpus=8, node_selector=(("size", "large"),)))
    found = last(world, gang("x", pods=1, worker=x), gang("y", pods=1, worker=y), gang("z", pods=1, worker=z), both)
    assert found.beside == ("ai/y", "ai/z")
    assert found.message.endswith("It would fit without the seats that ai/y, ai/z take in this plan.")


def test_a_gang_that_does_not_fit_alone_either_blames_nobody() -> None:
    found = last(TWO, gang("first", pods=1, gpus=8), gang("second", pods=3, gpus=8))
    assert (found.beside, "in this plan" in found.message) == ((), False)


def test_a_gang_that_is_the_first_to_be_refused_blames_nobody() -> None:
    assert last(TWO, gang("first", pods=1, gpus=9), gang("second", pods=1, gpus=9)).beside == ()
