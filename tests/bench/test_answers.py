"""What the scenarios with known answers tell; sizes are small, and nothing here looks at how long anything took."""

from scheduler.bench.measure import Options, Row
from scheduler.bench.nested import nesting
from scheduler.bench.unplaceable import unplaceable


def rows_of(rows: list[Row], ending: str) -> list[Row]:
    return [row for row in rows if row.what.endswith(ending)]


def test_nested_segments_are_placed_with_proof_and_no_yardstick_pays_less() -> None:
    rows = list(nesting(Options(runs=2, shrink=10)))
    assert [row.bound for row in rows if row.bound is not None] == [5, 5] * 2, "the whole and the solver, at both sizes"
    for ours in rows_of(rows, ": warm"):
        assert ours.facts["status"] == "OPTIMAL"
        assert ours.facts["cost"] == ours.facts["bound"]
        for name in ("first fit", "tree counts"):
            (theirs,) = rows_of(rows, f"{ours.what.removesuffix(': warm')}: {name}")
            assert theirs.facts["status"] == "placed"
            assert float(theirs.facts["cost"]) >= float(ours.facts["cost"])
    assert not rows_of(rows, "best score"), "it knows no segments and is not asked"


def test_what_cannot_fit_is_proved_with_what_would_help_and_what_just_fits_is_placed() -> None:
    rows = list(unplaceable(Options(runs=2, shrink=10)))
    refused, placed, theirs = rows[:3], rows[3], rows[4:]
    assert {(row.facts["status"], row.bound) for row in refused} == {("INFEASIBLE", 50)}
    assert all(row.facts["would help"] not in ("", "nothing") for row in refused)
    assert placed.facts["status"] == "OPTIMAL"
    assert "would help" not in placed.facts
    assert {row.what.rpartition(": ")[2]: row.facts["status"] for row in theirs}["first fit"] == "not placed"
