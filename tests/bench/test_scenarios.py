"""What `coterie bench` runs and tells; sizes are tiny, and nothing here looks at how long anything took."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scheduler.bench.launch import CommandFailedError, weigh
from scheduler.bench.measure import Options, Row, repeated
from scheduler.bench.scenarios import SCENARIOS, Measured, Scenario, chosen, measure, report
from scheduler.state.problems import BadInput
from tests.bench.shapes import REPORT

ROOT = Path(__file__).parents[2]
TINY = Options(runs=2, shrink=500, instances=1)


def coterie(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "scheduler", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_every_scenario_runs_at_a_tiny_size_and_tells_the_same_shape(scenario: Scenario) -> None:
    found = report(measure([scenario], TINY), TINY)
    jsonschema.validate(json.loads(json.dumps(found)), REPORT)
    rows: list[dict[str, Any]] = found["scenarios"][0]["rows"]
    assert all(len(row["values"]) <= TINY.runs for row in rows)
    assert bool(scenario.bound) == any(row["bound"] is not None for row in rows), "a bound in words is a bound of a row"
    assert len({row["what"] for row in rows}) == len(rows)


def test_the_decisions_tell_status_and_proof_and_what_first_fit_came_to() -> None:
    # 500 nodes at most: gangs of four whole nodes fit where half of the GPUs are free, gangs of 1,000 do not.
    (decide,) = chosen(["decide"])
    rows = {row.what: row.facts for row in decide.run(Options(runs=1, shrink=200))}
    placed = [what.removesuffix(": cold") for what, facts in rows.items() if what.endswith(": cold") and facts["status"] == "OPTIMAL"]
    assert placed
    for what in placed:
        cold = rows[f"{what}: cold"]
        assert cold["cost"] == cold["bound"]
        fit = rows[f"{what}: first fit"]
        assert fit["status"] == "not placed" or float(fit["cost"]) >= float(cold["cost"])
        assert {"time over first fit", "solver ms"} <= rows[f"{what}: warm"].keys()
    refused = [facts for what, facts in rows.items() if what.endswith(": cold") and facts["status"] == "INFEASIBLE"]
    assert refused
    assert all("cost" not in facts for facts in refused)


def test_what_is_asked_of_decisions_is_asked_of_the_whole_and_of_the_solver() -> None:
    (decide,) = chosen(["decide"])
    rows = list(decide.run(Options(runs=1, shrink=1_000)))
    asked = [(row.what.rpartition(": ")[2], row.bound) for row in rows if row.bound is not None and row.unit == "ms"]
    warm = [(name, bound) for name, bound in asked if name.startswith("warm")]
    assert [bound for name, bound in warm if name == "warm"] == [2, 10, 30, 30, 100]
    assert [bound for name, bound in warm if name == "warm, the solver alone"] == [2, 10, 30, 30, 100]
    assert [bound for name, bound in asked if name == "cold"] == [20, 50, 100, 1_000]
    assert {row.bound for row in rows if row.unit == "bytes"} == {1_500, 3_000}


def test_a_row_that_was_not_run_is_named_with_its_reason() -> None:
    row = Row.not_run("a published answer", "no data")
    assert (row.median, row.holds, row.facts) == (None, None, {"not run": "no data"})
    found = report([Measured(scenario=SCENARIOS[0], rows=(row,))], TINY, {})
    jsonschema.Draft202012Validator(REPORT["properties"]["scenarios"]).validate(found["scenarios"])
    silent = Row(what="a published answer", unit="", values=())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report([Measured(scenario=SCENARIOS[0], rows=(silent,))], TINY)["scenarios"], REPORT["properties"]["scenarios"])


def test_scenarios_come_in_the_order_of_the_table_and_once() -> None:
    assert [s.name for s in chosen(["sync", "import", "sync"])] == ["import", "sync"]
    assert chosen([]) == SCENARIOS


def test_an_unknown_scenario_is_bad_input_that_names_all() -> None:
    done = coterie("bench", "speed", "import")
    assert done.returncode == 2
    assert "'speed'" in done.stderr
    assert all(s.name in done.stderr for s in SCENARIOS)
    assert done.stdout == ""


@pytest.mark.parametrize("flag", ["--runs=0", "--shrink=0", "--seed=-1", "--instances=0"])
def test_numbers_that_cannot_be_meant_are_bad_input(flag: str) -> None:
    done = coterie("bench", "import", flag)
    assert done.returncode == 2
    assert flag.partition("=")[0] in done.stderr


def test_live_without_a_kubeconfig_is_refused_before_anything_is_done() -> None:
    done = coterie("bench", "live", "import")
    assert done.returncode == 2
    assert "--kubeconfig" in done.stderr
    assert done.stdout == ""


def test_json_goes_to_stdout_alone_and_a_table_says_the_same() -> None:
    done = coterie("bench", "import", "--runs=1", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    jsonschema.validate(found, REPORT)
    table = coterie("bench", "import", "--runs=1").stdout
    assert all(row["what"] in table for row in found["scenarios"][0]["rows"])
    assert "at most 0.3" in table


def test_bench_never_loads_the_client_library() -> None:
    code = "import sys, scheduler.bench.scenarios, scheduler.cli.bench; print({'kubernetes', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_a_bound_is_kept_by_the_median() -> None:
    values = (1.0, 2.0, 9.0)
    assert Row(what="a", unit="s", values=values, bound=2.0).holds is True
    assert Row(what="a", unit="s", values=values, bound=1.9).holds is False
    assert Row(what="a", unit="binds/s", values=values, bound=2.1, at_least=True).holds is False
    assert Row(what="a", unit="s", values=values).holds is None


def test_what_takes_long_is_repeated_less_but_done_once() -> None:
    calls: list[int] = []
    assert len(repeated(lambda: calls.append(1), 3).seconds) == len(calls) == 3
    calls.clear()
    assert len(repeated(lambda: calls.append(1), 3, patience=0.0).seconds) == len(calls) == 1


def test_the_memory_of_the_measuring_process_is_not_counted() -> None:
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = weigh(["-c", "pass"], folder=ROOT)
    large = weigh(["-c", "x = bytearray(150_000_000); x[::4096] = b'x' * len(x[::4096])"], folder=ROOT)
    assert small.peak_megabytes < 100
    assert 150 < large.peak_megabytes < len(ballast) / 1e6


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(CommandFailedError, match=r"status 3.*why not"):
        weigh(["-c", "import sys; sys.stderr.write('why not'); sys.exit(3)"], folder=ROOT)


def test_options_divide_sizes_but_never_to_nothing() -> None:
    assert Options(shrink=500).size(10_000) == 20
    assert Options(shrink=500).size(100) == 1
    with pytest.raises(BadInput, match="--shrink"):
        Options(shrink=-1)
