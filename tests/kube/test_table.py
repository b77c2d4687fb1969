"""The state table of commit records says one thing about everything."""

from itertools import product

from scheduler.kube.bindings.table import DEEDS, EVERY, FINDING_WORDS, ROWS, STATE_WORDS, STATES, action_for


def test_every_pair_of_a_state_and_a_finding_stands_in_exactly_one_row() -> None:
    pairs = [(state, finding) for row in ROWS for state in row.states for finding in row.findings]
    assert sorted(pairs) == sorted(product(STATES, EVERY))


def test_every_state_finding_and_action_is_explained_once_and_in_order() -> None:
    assert [word.word for word in STATE_WORDS] == list(STATES)
    assert [word.word for word in FINDING_WORDS] == list(EVERY)
    assert sorted(deed.action for deed in DEEDS) == sorted({row.action for row in ROWS})


def test_what_holds_no_promise_is_never_bound_and_what_is_being_given_up_never_turns_back() -> None:
    for finding in EVERY:
        assert action_for("Unreadable", finding) == "hold"
        assert action_for("Released", finding) == "nothing"
        assert action_for("Releasing", finding) == "release"


def test_nobody_is_evicted_for_a_record_whose_pods_another_one_has_or_that_are_gone() -> None:
    assert {action_for(state, "Claimed") for state in ("Open", "Orphaned")} == {"drop"}
    assert action_for("Orphaned", "NoPods") == "drop"
