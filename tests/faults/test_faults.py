"""One seed of the long run, played in full; and what the checker says when its real history is spoilt."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random

import pytest

from tests.faults.checks_end import judge
from tests.faults.history import History, Object, State, Step, is_open, linked
from tests.faults.history_audit import Agreed, agree
from tests.faults.longrun import Outcome

pytestmark = pytest.mark.live
pytest_plugins = ("tests.faults.history_fixture",)


def test_after_three_hundred_faults_and_a_restart_of_the_server_no_rule_was_broken(outcome: Outcome) -> None:
    assert outcome.violations == [], outcome.report()
    assert outcome.faults.total() >= 300
    assert outcome.counts["binds judged"] >= 40
    assert outcome.counts["gangs"] >= 20
    assert outcome.counts["assignments judged"] >= 10
    assert outcome.actions["restart the API server"] == 1
    kinds = {each.split(":")[0] for each in outcome.faults}
    assert kinds >= {"bind", "record create", "record status", "lease write", "watch", "open watch", "get", "pod status", "event"}
    print(f"\n{outcome.summary()}")  # noqa: T201 - the counts are shown with pytest -s


# --- a real history that is spoilt: each row yields spoilt copies, each of which must be found

Rows = list[Object]


def rows_of(history: History) -> Rows:
    return [{"revision": s.revision, "at": s.at, "kind": s.kind, "key": list(s.key), "after": s.after} for s in history.steps]


def some(steps: Sequence[tuple[int, Step]], count: int = 8) -> list[int]:
    chosen = Random(7).sample(list(steps), min(count, len(steps)))  # noqa: S311 - which ones does not matter
    return sorted(at for at, _ in chosen)


def ours(agreed: Agreed) -> list[tuple[int, Step]]:
    """Return the binds of gangs by the scheduler."""
    return [
        (at, s) for at, s in enumerate(agreed.history.steps) if s.binds and "coterie" in s.by and s.after and "coterie.dev/placement" in str(s.after)
    ]


def dropped(agreed: Agreed) -> Iterator[Rows]:
    """Leave a step out, but none that only shortens the grace of a pod that goes at once: its deletion's answer names the next revision."""
    told = [(at, s) for at, s in enumerate(agreed.history.steps) if s.revision >= agreed.history.begins and not hurried(s)]
    for at in some(told, 40):
        rows = rows_of(agreed.history)
        yield rows[:at] + rows[at + 1 :]


def hurried(step: Step) -> bool:
    return step.after is not None and step.after["metadata"].get("deletionGracePeriodSeconds") == 0


def elsewhere(agreed: Agreed) -> Iterator[Rows]:
    """Let a bind land on another node."""
    for at in some(ours(agreed)):
        rows = deepcopy(rows_of(agreed.history))
        rows[at]["after"]["spec"]["nodeName"] = "another"
        yield rows


def promised_elsewhere(agreed: Agreed) -> Iterator[Rows]:
    """Let the record of a bind say another node, in all of its states."""
    for at in some(ours(agreed)):
        rows = deepcopy(rows_of(agreed.history))
        name = agreed.history.steps[at].key[1]
        for row in rows:
            if row["kind"] == "placement" and row["after"] is not None:
                for member in row["after"]["spec"]["members"]:
                    member["node"] = "another" if member["pod"] == name else member["node"]
        yield rows


def too_early(agreed: Agreed) -> Iterator[Rows]:
    """Let a bind happen before its record was written: both steps change places, and so do their writes."""
    for at in some(ours(agreed)):
        rows = deepcopy(rows_of(agreed.history))
        record = rows[at]["after"]["metadata"]["annotations"]["coterie.dev/placement"]
        first = next(n for n, row in enumerate(rows) if row["kind"] == "placement" and row["key"][1] == record)
        for name in ("kind", "key", "after"):
            rows[first][name], rows[at][name] = rows[at][name], rows[first][name]
        yield rows


def not_so_settled(agreed: Agreed) -> Iterator[Rows]:
    """Take the node of a member away again, just before its record is settled."""
    for at in some(settled(agreed.history)):
        rows = deepcopy(rows_of(agreed.history))
        member = rows[at]["after"]["spec"]["members"][0]
        for row in rows[:at]:
            if row["kind"] == "pod" and row["after"] and row["after"]["metadata"]["uid"] == member["uid"]:
                row["after"]["spec"].pop("nodeName", None)
        yield rows


def settled(history: History) -> list[tuple[int, Step]]:
    """Return the steps that settle a record whose first member is still there."""
    state, found = State(), []
    for at, step in enumerate(history.steps):
        if step.kind == "placement" and step.before and step.after and is_open(step.before) and not is_open(step.after):
            member = step.after["spec"]["members"][0]
            pod = state.pods.get((step.key[0], member["pod"]))
            if step.after["status"]["phase"] == "Bound" and pod is not None and pod["metadata"]["uid"] == member["uid"]:
                found.append((at, step))
        state.apply(step)
    return found


SPOILT: tuple[tuple[Callable[[Agreed], Iterator[Rows]], frozenset[str]], ...] = (
    (dropped, frozenset({"H0"})),
    (elsewhere, frozenset({"H1"})),
    (promised_elsewhere, frozenset({"H1", "H6"})),
    (too_early, frozenset({"H1"})),
    (not_so_settled, frozenset({"H4"})),
)


@pytest.mark.parametrize(("spoil", "rules"), SPOILT, ids=[row[0].__name__ for row in SPOILT])
def test_a_real_history_that_is_spoilt_is_found(outcome: Outcome, spoil: Callable[[Agreed], Iterator[Rows]], rules: frozenset[str]) -> None:
    """The authors stay those of the true history where the rules are to speak; they are worked out anew where the sources are to quarrel."""
    authors = {(s.revision, s.kind, s.key): s.by for s in outcome.agreed.history.steps}
    found = 0
    for rows in spoil(outcome.agreed):
        for row in rows:
            row["by"] = authors.get((row["revision"], row["kind"], tuple(row["key"])), "system:serviceaccount:coterie-system:coterie")
        history = History(list(linked(rows)), outcome.agreed.history.begins, outcome.agreed.history.ends)
        agreed = agree(history, outcome.agreed.writes, outcome.agreed.outages) if "H0" in rules else Agreed(history, outcome.agreed.writes)
        said = {each.rule for each in judge(agreed, outcome.terms).violations}
        assert said & rules, f"spoilt copy {found} of {spoil.__name__} is not found: {sorted(said)}"
        found += 1
    assert found >= 4


def test_a_line_that_is_missing_in_the_audit_log_is_found(outcome: Outcome) -> None:
    written = [w for w in outcome.agreed.writes if w.done and w.kind == "pod" and w.verb in ("bind", "create")]
    revisions = {s.revision: s for s in outcome.agreed.history.steps if s.revision >= outcome.agreed.history.begins}
    for write in Random(7).sample(written, 20):  # noqa: S311 - which ones does not matter
        if write.verb == "create" and write.revision not in revisions:
            continue
        twice = [w for w in written if (w.key, w.verb, w.uid, w.node) == (write.key, write.verb, write.uid, write.node)]
        left = [w for w in outcome.agreed.writes if w not in twice]
        assert agree(outcome.agreed.history, left).quarrels, f"nobody misses {write}"
