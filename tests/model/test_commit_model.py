"""The commit protocol with two leaders: every schedule of small clusters keeps every promise, and every schedule can end well.

The scheduler's own Committer and Recovery run against a server in memory, at every interleaving of their calls, with answers that are lost,
leaders that die or are paused for as long as the other one leads, watches that lag, and nodes and pods that change at any moment. A fault is
told with its shortest schedule; `Search(scenario).replay(steps)` goes it again.
"""

import logging
from collections.abc import Iterator
from functools import cache
from typing import Final, TypeAlias

import pytest

from scheduler.kube.bindings import judge
from scheduler.kube.bindings.table import EVERY, STATES, Action, Finding, State, action_for
from tests.model.conforming import BY_COMMIT, BY_DELETION, edges, reaches
from tests.model.found import Found
from tests.model.rows import ROWS
from tests.model.search import Search

Pair: TypeAlias = tuple[State, Finding]
ALLOWED = edges() | BY_COMMIT | BY_DELETION

_NOT_MET: Final[tuple[tuple[State, tuple[Finding, ...]], ...]] = (
    # An unreadable record never reaches `judge`: it counts as absent, and the commit meets it on the server (scenarios "somebody edits ...").
    ("Unreadable", EVERY),
    # No scenario begins with two open records that name one pod, and leaders do not write a second one.
    ("Open", ("Claimed",)),
    # Held seats are late only where the gang still lives: with the leader goes the owner, and then its own pod is what is missing.
    ("Orphaned", ("Late",)),
    # Releasing begins because something is broken, and nothing mends it while evictions are under way.
    ("Releasing", ("Claimed", "Waiting", "Coming", "AllBound")),
    # A settled record is looked at only because a kubelet refused one of its pods, or because it ends.
    ("Bound", ("NoPods", "Claimed", "Impossible", "Late", "Waiting", "Coming")),
    ("Released", ("NoPods", "Claimed", "Impossible", "Late", "Waiting", "Coming", "AllBound")),
    # Held seats come to rest only when their pods came, and a settled record claims nothing.
    ("Ending", ("Claimed", "Late", "Coming")),
)
# No scenario cuts a record off so that it still can be read: too few seats are the affair of tests/kube/test_judge.py.
NOT_MET: Final = frozenset((state, finding) for state, findings in _NOT_MET for finding in (*findings, "TooFew")) | {("Open", "TooFew")}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@cache
def _explored(scenario: int) -> tuple[Found, frozenset[Pair]]:
    """Search a scenario, once; with it come the pairs of a state and a finding for which the real `judge` looked its action up."""
    seen: set[Pair] = set()

    def spy(state: State, finding: Finding) -> Action:
        seen.add((state, finding))
        return action_for(state, finding)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "action_for", spy)
        return Search(ROWS[scenario]).run(), frozenset(seen)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[scenario.name for scenario in ROWS])
def test_every_schedule_keeps_every_promise_and_can_end_well(number: int) -> None:
    scenario, (found, _) = ROWS[number], _explored(number)
    assert not found.faults, "\n\n".join(str(fault) for fault in found.faults)
    assert found.states >= scenario.least, f"only {found.states} states were explored, there must be at least {scenario.least}"
    assert found.ends or scenario.most
    assert found.edges <= ALLOWED, f"records changed in a way that the state table does not have: {sorted(found.edges - ALLOWED)}"


def test_from_every_state_of_the_table_a_record_can_come_to_rest() -> None:
    # An unreadable record waits for a person: nobody else may mend it.
    assert [state for state in STATES if not reaches(state, ALLOWED)] == ["Unreadable"]


def test_every_pair_of_the_table_is_met_but_for_those_that_are_named() -> None:
    met = {pair for number in range(len(ROWS)) for pair in _explored(number)[1]}
    assert {(state, finding) for state in STATES for finding in EVERY} - met == NOT_MET


def test_a_schedule_can_be_gone_again_by_its_steps() -> None:
    search = Search(ROWS[0])
    steps = ("leader 0: takes in what its watches tell", "leader 0: POST placements epoch 1: train-0 on a0, train-0-1 on a1: done, answer lost")
    after = search.clusters[search.replay(steps).cluster]
    assert (len(after.records), [pod.node for pod in after.pods]) == (1, ["", ""])
    with pytest.raises(KeyError):
        search.replay(("leader 1: takes in what its watches tell",))
