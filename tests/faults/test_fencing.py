"""Two real schedulers, one paused or cut off beyond its Lease: what it still writes when it comes back contradicts no record."""

from collections.abc import Iterator

import pytest

from tests.faults import fencing_lease
from tests.faults.fencing import Case, Duel, cases
from tests.faults.kills_scene import scene
from tests.faults.longrun import Stage

pytestmark = pytest.mark.live
pytest_plugins = ("tests.faults.history_fixture",)

SAMPLE = (
    Case(size=8, kind="record create", trouble="fill", wake="process first"),
    Case(size=8, kind="record create", side="after", trouble="cordon"),
    Case(size=8, kind="bind", nth=3, trouble="cordon"),
    Case(size=8, kind="bind", nth=3, trouble="cordon", way="hush"),
    Case(size=2, kind="bind", nth=1, way="cut"),
    Case(size=8, kind="pod status", work="supersede"),
    Case(size=8, kind="record rewrite", nth=1, work="supersede", wake="process first"),
)


@pytest.fixture(scope="module")
def both(theatre: Stage) -> Iterator[Duel]:
    with scene(theatre.control_plane, theatre.kubeconfig) as here:
        yield Duel(here)


@pytest.fixture
def duel(both: Duel) -> Duel:
    both.reset()
    return both


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_stale_leader_contradicts_no_record(duel: Duel, case: Case) -> None:
    before = duel.counts["late writes"]
    duel.play(case)
    assert duel.counts["late writes"] > before or case.side == "after"


def test_a_clock_that_jumps_forward_delays_a_commit_and_changes_nothing(duel: Duel) -> None:
    fencing_lease.jumps_forward(duel)


def test_a_clock_that_stands_still_does_not_stretch_a_lease(duel: Duel) -> None:
    fencing_lease.stands_still(duel)


def test_a_follower_whose_clock_jumps_takes_the_lease_and_the_gang_is_bound_once(duel: Duel) -> None:
    fencing_lease.follower_jumps_forward(duel)


@pytest.mark.parametrize(
    ("seconds", "renewed", "dated"),
    [(1, True, None), (None, False, None), (1, False, "2020-01-01T00:00:00.000000Z"), (2**31 - 1, False, None)],
    ids=["renewed for ever", "without duration and renewTime", "expired long ago", "for 68 years"],
)
def test_a_lease_of_a_stranger_is_respected_as_long_as_it_says(duel: Duel, seconds: int | None, renewed: bool, dated: str | None) -> None:
    fencing_lease.strangers(duel, seconds=seconds, renewed=renewed, dated=dated)


def test_the_long_run_holds_every_kind_of_write_of_a_commit_and_of_a_superseding() -> None:
    kinds = {(case.work, case.kind, case.side) for case in cases((2, 8, 64))}
    commit = {("commit", kind, side) for kind in ("record create", "bind") for side in ("before", "after")} | {("commit", "record status", "before")}
    assert kinds == commit | {("supersede", kind, "before") for kind in ("record rewrite", "pod status", "bind")}
