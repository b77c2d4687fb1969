"""`coterie bench idle`, tiny: it measures what it says, and nothing is decided while nothing can help."""

from scheduler.bench.measure import Options
from scheduler.benchlive.idle import BOUND, idling


def test_gangs_in_vain_are_measured_idle_and_beside_a_visitor_and_none_is_decided_again() -> None:
    rows = list(idling(Options(runs=1, shrink=50)))
    assert [row.unit for row in rows] == ["% CPU"] * 2
    assert all(row.bound == BOUND and row.values[0] > 0 for row in rows)
    assert [row.facts["decided again"] for row in rows] == [0, 0]
