"""The rules that must hold at every step of a history, and the walk that asks them.

Each rule is a `Check`: it sees the state before a step and the step itself, and at the end the last state. The rules about records are here,
those about room and nodes in `checks_room`, those about ends in `checks_end`. All of them read raw objects; the scheduler's own code is what
they judge, so none of it is used. What the scheduler could not know yet is excused by `Terms.blind`, and counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from tests.faults.history import PLACEMENT_NOTE, History, Key, Object, State, Step, gang_label, is_open, node_of, uid_of

OURS: Final = "system:serviceaccount:coterie-system:coterie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the rules are measured with; all times are in seconds."""

    user: str = OURS
    """The scheduler under test, as the audit log names it."""
    blind: float = 0.0
    """How long the faults may keep the news of a change from the scheduler."""
    grace: float = 30.0
    """How long after its deadline a record may still be open."""
    must_bind: frozenset[Key] = frozenset()
    """Gangs (namespace and gang) whose members must all be bound at the end: there is room for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that did not hold."""

    rule: str
    revision: int
    about: tuple[str, ...]
    """Names of the objects that it is about."""
    message: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.rule} at revision {self.revision}: {self.message}"


class Check(Protocol):
    """One rule."""

    def step(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge a step; ``state`` is what was before it."""

    def end(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge the last state; ``step`` is the last one."""


@dataclass(slots=True)
class Judged:
    """What came of a walk."""

    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Steps, binds, records and what else was looked at: a walk that saw nothing proves nothing."""


def walk(history: History, checks: Sequence[Check]) -> Judged:
    """Go through all steps, and ask every rule at each."""
    judged, state = Judged(), State()
    for step in history.steps:
        judged.counts["steps"] += 1
        judged.counts["binds"] += bool(step.binds and step.revision >= history.begins)
        judged.counts["records"] += step.kind == "placement" and step.before is None
        if step.revision >= history.begins:
            for check in checks:
                judged.violations.extend(check.step(state, step))
        state.apply(step)
    if history.steps:
        for check in checks:
            judged.violations.extend(check.end(state, history.steps[-1]))
    return judged


class Rule:
    """A rule without an end of its own."""

    def end(self, state: State, step: Step) -> Iterator[Violation]:
        """Find nothing."""
        del state, step
        yield from ()


def violation(rule: str, step: Step, message: str, *about: str) -> Violation:
    """Return a violation at a step."""
    return Violation(rule=rule, revision=step.revision, about=(step.key[1], *about), message=f"{message} [{step}]")


def seat_of(placement: Object, pod: Object) -> Object | None:
    """Return the row of a record for a pod: its name with its UID, or with none."""
    for member in placement["spec"]["members"]:
        if member["pod"] == pod["metadata"]["name"] and member.get("uid", "") in ("", uid_of(pod)):
            found: Object = member
            return found
    return None


def record_of(state: State, pod: Object) -> Object | None:
    """Return the newest state of the record that a bound pod names."""
    name = (pod["metadata"].get("annotations") or {}).get(PLACEMENT_NOTE, "")
    return state.placements.get((pod["metadata"]["namespace"], name))


class BoundAsRecorded(Rule):
    """H1: a member gets its node only as the newest state of an open record says; lone pods have none. H6: nobody is bound twice."""

    def __init__(self, terms: Terms) -> None:
        """Judge the binds of this user."""
        self._terms = terms

    def step(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge a bind."""
        before, after = node_of(step.before), node_of(step.after)
        same = step.before is not None and step.after is not None and uid_of(step.before) == uid_of(step.after)
        if step.kind == "pod" and same and before and before != after:
            yield violation("H6", step, f"the pod moves from {before} to {after or 'no node'}")
        if not step.binds or step.by != self._terms.user or step.after is None:
            return
        pod = step.after
        gang, note = gang_label(pod), (pod["metadata"].get("annotations") or {}).get(PLACEMENT_NOTE, "")
        if not note:
            if gang:
                yield violation("H1", step, f"a member of {gang} is bound without a record", gang)
            return
        record = record_of(state, pod)
        if record is None:
            yield violation("H1", step, f"it is bound for the record {note}, which does not exist", note)
            return
        seat = seat_of(record, pod)
        if seat is None or seat["node"] != step.binds:
            says = seat["node"] if seat is not None else "nothing of this pod"
            yield violation("H1", step, f"it is bound to {step.binds}; the record {note} (epoch {record['spec']['epoch']}) says {says}", note)
        elif not is_open(record):
            yield violation("H1", step, f"it is bound to {step.binds} although the record {note} is closed", note)


class Epochs(Rule):
    """H3: the epoch only rises, an assignment changes only with it, and what is settled is no newer than what was written."""

    def step(self, _: State, step: Step) -> Iterator[Violation]:
        """Judge what became of a record."""
        if step.kind != "placement" or step.after is None:
            return
        epoch, settled = int(step.after["spec"]["epoch"]), int((step.after.get("status") or {}).get("observedEpoch") or 0)
        if settled > epoch:
            yield violation("H3", step, f"epoch {settled} is settled, {epoch} is written")
        if step.before is None or uid_of(step.before) != uid_of(step.after):
            return
        former, formerly = int(step.before["spec"]["epoch"]), int((step.before.get("status") or {}).get("observedEpoch") or 0)
        if epoch < former or settled < formerly:
            yield violation("H3", step, f"the epoch falls from {former} (settled {formerly}) to {epoch} (settled {settled})")
        if epoch == former and step.before["spec"]["members"] != step.after["spec"]["members"]:
            yield violation("H3", step, f"the assignment changes within epoch {epoch}")


class Deadlines(Rule):
    """H4: a half-bound gang has an open record whose deadline has not long passed, and a record that says Bound is right."""

    def __init__(self, terms: Terms) -> None:
        """Allow this grace."""
        self._terms = terms
        self._open: dict[Key, float] = {}
        self._late: set[Key] = set()

    def step(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge the record, and all open ones against the time of the step."""
        if step.kind == "placement":
            self._open.pop(step.key, None)
            if step.after is not None and is_open(step.after):
                self._open[step.key] = _seconds(step.after["spec"]["deadline"])
            yield from self._settled(state, step)
        for key, deadline in self._open.items():
            if step.at > deadline + self._terms.grace and key not in self._late and _half_bound(state, key):
                self._late.add(key)
                late = step.at - deadline
                yield violation("H4", step, f"the record {'/'.join(key)} holds a half-bound gang {late:.0f} s after its deadline", key[1])

    def _settled(self, state: State, step: Step) -> Iterator[Violation]:
        before, after = step.before, step.after
        if after is None:
            if before is not None and is_open(before):
                yield violation("H4", step, "the record goes away while it is open")
            return
        if is_open(after) or (before is not None and not is_open(before) and uid_of(before) == uid_of(after)):
            return
        status = after.get("status") or {}
        if status.get("phase") == "Released":
            told = [each for each in status.get("conditions") or [] if each.get("message")]
            if not told:
                yield violation("H5", step, "the record is given up without a word")
            return
        for member in after["spec"]["members"]:
            pod = state.pods.get((step.key[0], member["pod"]))
            if pod is not None and member.get("uid") == uid_of(pod) and node_of(pod) != member["node"]:
                where = node_of(pod) or "no node"
                message = f"it is settled, but {member['pod']} is on {where} and not on {member['node']}"
                yield violation("H4", step, message, member["pod"])


def _half_bound(state: State, key: Key) -> bool:
    record = state.placements.get(key)
    if record is None or not is_open(record):
        return False
    found = [pod for m in record["spec"]["members"] if (pod := state.pods.get((key[0], m["pod"]))) is not None and m.get("uid") in ("", uid_of(pod))]
    nodes = [bool(node_of(pod)) for pod in found]
    return any(nodes) and not all(nodes)


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
