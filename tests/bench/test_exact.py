"""The long run against the oracle: what it counts, and that one mismatch is enough."""

from __future__ import annotations

import pytest

from scheduler.bench import exact
from scheduler.bench.measure import Options
from scheduler.bench.oracle import Best, optimum
from scheduler.bench.small import SmallWorld

TINY = Options(shrink=1000)
"""One world of each family."""


def test_every_family_is_a_row_without_a_mismatch() -> None:
    rows = list(exact.exact(TINY))
    assert [row.what for row in rows] == [f"{family.name}: mismatches" for family in exact.ALL]
    assert all((row.values, row.holds, row.facts["worlds"]) == ((0,), True, 1) for row in rows)
    assert {row.facts["placed"] for row in rows} == {0, 1}


def test_the_whole_run_has_twenty_thousand_worlds() -> None:
    assert exact.WORLDS // len(exact.ALL) * len(exact.ALL) >= 20_000


def test_several_processes_tell_the_same_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(shrink=exact.WORLDS // (4 * len(exact.ALL)))
    alone = list(exact.exact(options))
    monkeypatch.setattr(exact, "_BATCH", 2)
    assert list(exact.exact(options)) == alone


def test_one_mismatch_is_named_and_the_row_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(world: SmallWorld) -> Best | None:
        found = optimum(world)
        return found if found is None else Best(core=found.core, placed=found.placed, cost=found.cost + 1)

    monkeypatch.setattr(exact, "optimum", wrong)
    rows = [row for row in exact.exact(TINY) if row.facts["placed"] == 0 and row.facts["refused"] == 0]
    assert rows
    for row in rows:
        assert row.holds is False
        assert row.what.removesuffix(": mismatches") in str(row.facts["first"])
        assert "expected" in str(row.facts["first"])
