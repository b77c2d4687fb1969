"""Schedulers killed in the middle of commits: whoever goes on finishes them as recorded. The long run kills at every position (`kills`)."""

import pytest

from tests.faults.kills import POSITIONS, SAMPLE, calls, drawn, kills_of, run
from tests.faults.longrun import Stage

pytestmark = pytest.mark.live
pytest_plugins = ("tests.faults.history_fixture",)


def test_the_long_run_kills_before_and_after_every_write_of_commits_of_2_8_and_64_pods() -> None:
    commits = {(p.size, p.nth, p.when) for p in POSITIONS if p.work == "commit"}
    assert commits == {(size, nth, when) for size in (2, 8, 64) for nth in range(size + 2) for when in ("before", "after")}
    assert all(position.nth < calls(position.work, position.size) for position in (*SAMPLE, *drawn(1, 500)))


def test_no_kill_at_any_write_of_a_commit_leaves_a_gang_half_bound_or_lost(theatre: Stage) -> None:
    counts = run(theatre, SAMPLE)
    assert counts["kills"] == kills_of(SAMPLE) == 20
    assert (counts["restart"], counts["hand-over"]) == (17, 2)
