"""The tables of docs/benchmarks.md are written by a program, so that a new run replaces them all and nothing else."""

import json
from typing import Any

import pytest

from scheduler.bench.measure import Options, Row
from scheduler.bench.scenarios import OPENB, SCENARIOS, Measured, chosen, measure, report
from tests.bench.tables import PAGE, REGION, together, written

SMALL = Options(runs=1, shrink=500, instances=1)
PAGE_TEXT = "before\n<!-- table: {name} -->\nout of date\n<!-- end -->\nbetween\n<!-- table: other -->\nkept\n<!-- end -->\n"


def made(name: str, rows: list[Row] | None = None) -> dict[str, Any]:
    wanted = chosen([name])
    found = measure(wanted, SMALL) if rows is None else [Measured(scenario=wanted[0], rows=tuple(rows))]
    answer: dict[str, Any] = json.loads(json.dumps(report(found, SMALL)))
    return answer


@pytest.mark.parametrize("name", ["decide", "quality", "tight"])
def test_a_table_holds_every_row_of_the_report_and_nothing_else_on_the_page_changes(name: str) -> None:
    found = made(name)
    page = written(PAGE_TEXT.format(name=name), found)
    assert "out of date" not in page
    assert page.startswith(f"before\n<!-- table: {name} -->\n`coterie bench {name}`: 1 runs, seed 0, all sizes divided by 500")
    assert page.endswith("<!-- end -->\nbetween\n<!-- table: other -->\nkept\n<!-- end -->\n")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) <= 2, "one width a table"
    rows = found["scenarios"][0]["rows"]
    asked = sum("holds |" in line or "hold** |" in line for line in lines)
    expected = [row for row in rows if row["bound"] is not None and (name != "quality" or not row["what"].endswith(", refused"))]
    assert asked == len(expected)


def test_what_was_not_run_and_what_does_not_hold_are_seen_in_the_table() -> None:
    rows = [Row.not_run("a known answer", "no data"), Row(what="b", unit="%", values=(99.0,), bound=100.0, at_least=True)]
    page = written(PAGE_TEXT.format(name="tight"), made("tight", rows))
    assert "| a known answer | - |" in page
    assert "not run no data" in page
    assert "at least 100: **does not hold**" in page


def test_rows_of_several_reports_are_put_together_and_the_later_word_counts() -> None:
    first = made("tight", [Row(what="a", unit="%", values=(1.0,)), Row(what="b", unit="%", values=(2.0,))])
    later = made("tight", [Row(what="c", unit="%", values=(3.0,)), Row(what="a", unit="%", values=(4.0,))])
    (one,) = together([first, later])["scenarios"]
    assert [(row["what"], row["median"]) for row in one["rows"]] == [("a", 4.0), ("b", 2.0), ("c", 3.0)]


def test_every_scenario_has_a_table_on_the_page_and_every_table_a_scenario() -> None:
    names = [match["name"] for match in REGION.finditer(PAGE.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted([*(one.name for one in SCENARIOS), OPENB.name, "live"])
