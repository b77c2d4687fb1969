"""What the scenarios with known answers tell; sizes are small, and nothing here looks at how long anything took."""

import numpy as np
import pytest

from scheduler.bench.known import NVLINK, TREE, known_answers
from scheduler.bench.measure import Options, Row
from scheduler.bench.nested import nesting
from scheduler.bench.tight import JOBS, MOST_REPLICAS, NODES, planted, tight
from scheduler.bench.unplaceable import unplaceable
from scheduler.state.resources import GPU
from tests.conformance import shared


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


@pytest.mark.parametrize("in_rack", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_planted_jobs_fill_the_cluster_exactly_and_have_the_sizes_that_are_told(seed: int, *, in_rack: bool) -> None:
    jobs = planted(NODES, JOBS, np.random.default_rng(seed), in_rack=in_rack)
    assert len(jobs) == JOBS
    assert all(1 <= len(job.members) <= MOST_REPLICAS for job in jobs)
    assert sum(m.pod.shape.requests.amount(GPU) for job in jobs for m in job.members) == 8 * NODES
    assert [job.created for job in jobs] == list(range(JOBS)), "the queue is in the order of arrival"
    assert {job.demand.required is not None for job in jobs} == {in_rack}


def test_jobs_that_are_decided_at_once_fill_the_cluster_and_nobody_gives_out_more_than_there_is() -> None:
    rows = [row for row in tight(Options(runs=2, shrink=4)) if row.unit == "%"]
    assert len(rows) == 10, "ours twice and three yardsticks, anywhere and in racks"
    assert all(0 < value <= 100 for row in rows for value in row.values)
    asked = [row for row in rows if row.bound is not None]
    assert [(row.bound, row.at_least) for row in asked] == [(100, True)] * 2
    assert all(row.holds for row in asked), "one rack and thirteen jobs: few enough to be asked about together"


def test_known_answers_without_their_files_are_named_as_not_run() -> None:
    rows = list(known_answers(Options(), {}))
    assert len(rows) == 2
    assert [row.values for row in rows] == [(), ()]
    assert all(file in str(row.facts["not run"]) for row, file in zip(rows, (TREE, NVLINK), strict=True))


def test_our_answers_are_the_known_ones() -> None:
    folder = shared(f"data/fabrics/{TREE}").parent
    for options, environment in (
        (Options(data=folder), {}),
        (Options(data=folder.parent), {}),
        (Options(), {"COTERIE_CONFORMANCE": str(folder.parents[1])}),
    ):
        tree, nvlink = known_answers(options, environment)
        assert (tree.holds, tree.facts["nodes"], tree.facts["known"]) == (True, "n5 n7 n8", "n5 n7 n8")
        assert (nvlink.holds, nvlink.facts["status"]) == (True, "OPTIMAL, OPTIMAL")
