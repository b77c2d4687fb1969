"""The commit protocol with two leaders: every schedule of small clusters keeps every promise, and every schedule can end well.

The scheduler's own Committer and Recovery run against a server in memory, at every interleaving of their calls, with answers that are lost,
leaders that die or are paused for as long as the other one leads, watches that lag, and nodes and pods that change at any moment. A fault is
told with its shortest schedule; `Search(scenario).replay(steps)` goes it again.
"""

import logging
from collections.abc import Iterator

import pytest

from tests.model.rows import ROWS
from tests.model.scenarios import Scenario
from tests.model.search import Search


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("scenario", ROWS, ids=lambda scenario: scenario.name)
def test_every_schedule_keeps_every_promise_and_can_end_well(scenario: Scenario) -> None:
    found = Search(scenario).run()
    assert not found.faults, "\n\n".join(str(fault) for fault in found.faults)
    assert found.states >= scenario.least, f"only {found.states} states were explored, there must be at least {scenario.least}"
    assert found.ends or scenario.most
