"""The commit protocol with two leaders: every schedule of small clusters keeps every promise, and every schedule can end well.

The scheduler's own Committer and Recovery run against a server in memory, at every interleaving of their calls, with answers that are lost,
leaders that die or are paused for as long as the other one leads, watches that lag, and nodes and pods that change at any moment. A fault is
told with its shortest schedule; `Search(scenario).replay(steps)` goes it again.
"""

import logging
from collections.abc import Iterator

import pytest

from scheduler.kube.bindings.table import STATES
from tests.model.conforming import BY_COMMIT, BY_DELETION, edges, reaches
from tests.model.rows import ROWS
from tests.model.scenarios import Scenario
from tests.model.search import Search

ALLOWED = edges() | BY_COMMIT | BY_DELETION


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
    assert found.edges <= ALLOWED, f"records changed in a way that the state table does not have: {sorted(found.edges - ALLOWED)}"


def test_from_every_state_of_the_table_a_record_can_come_to_rest() -> None:
    # An unreadable record waits for a person: nobody else may mend it.
    assert [state for state in STATES if not reaches(state, ALLOWED)] == ["Unreadable"]


def test_a_schedule_can_be_gone_again_by_its_steps() -> None:
    search = Search(ROWS[0])
    steps = ("leader 0: takes in what its watches tell", "leader 0: POST placements epoch 1: train-0 on a0, train-0-1 on a1: done, answer lost")
    after = search.clusters[search.replay(steps).cluster]
    assert (len(after.records), [pod.node for pod in after.pods]) == (1, ["", ""])
    with pytest.raises(KeyError):
        search.replay(("leader 1: takes in what its watches tell",))
