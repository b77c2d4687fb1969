"""The state table of commit records: what a record can be, what can be found about its pods and nodes, and what is done about it.

One row for every pair of a state and a finding. `scheduler.kube.bindings.judge` finds out state and finding and looks the action up here;
`scheduler.kube.bindings.recover` does it. docs/commit.md shows these tables; `make generate` writes them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

State: TypeAlias = Literal["Unreadable", "Open", "Orphaned", "Releasing", "Bound", "Released", "Ending"]
Finding: TypeAlias = Literal["TurnedAway", "NoPods", "Claimed", "Impossible", "Late", "TooFew", "Waiting", "Coming", "AllBound"]
Action: TypeAlias = Literal["nothing", "hold", "forward", "wait", "supersede", "release", "drop", "close"]

EVERY: Final[tuple[Finding, ...]] = get_args(Finding)
STATES: Final[tuple[State, ...]] = get_args(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of the table and what it means."""

    word: str
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One action with the calls that it makes, in order."""

    action: Action
    does: str
    calls: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is done in these states when this is found, and which state follows."""

    states: tuple[State, ...]
    findings: tuple[Finding, ...]
    action: Action
    then: str


STATE_WORDS: Final[tuple[Word, ...]] = (
    Word(word="Unreadable", means="the object exists and says something that cannot be used: edited, cut off, or written by a newer version"),
    Word(word="Open", means="`status.observedEpoch` < `spec.epoch`, and the gang exists"),
    Word(word="Orphaned", means="the same, but the record is being deleted with its owner, or no gang belongs to it any more"),
    Word(word="Releasing", means="the same, and `status.phase` is Releasing: the group is being given up, and nothing turns back"),
    Word(word="Bound", means="settled: `status.observedEpoch` = `spec.epoch`; it holds nothing, the pods themselves do"),
    Word(word="Released", means="settled, `status.phase` is Released: the assignment was given up"),
    Word(word="Ending", means="settled, being deleted, and our finalizer is still on it"),
)
"""In the order in which `scheduler.kube.bindings.judge` asks."""

FINDING_WORDS: Final[tuple[Word, ...]] = (
    Word(
        word="TurnedAway",
        means="a kubelet refused a bound member (`OutOf...`, `NodeAffinity`, `UnexpectedAdmissionError`), and fewer than minMember are left "
        "(pods of a Job excepted: each eviction would count against its backoffLimit)",
    ),
    Word(word="NoPods", means="none of the recorded pods exists any more, and no seat is held for one that is to come"),
    Word(word="Claimed", means="an older open record names one of its pods"),
    Word(
        word="Impossible",
        means="a member that is not bound cannot be bound as recorded: pod gone, replaced, going away or bound elsewhere; "
        "node gone, cordoned, tainted, no longer selected, in another domain of a required level, or without room",
    ),
    Word(word="Late", means="members were not created before `spec.deadline`"),
    Word(
        word="TooFew",
        means="the seats and the members that are bound beside them are fewer than the gang's minMember, and members that the record does not "
        "name wait: it was cut off, or the gang grew",
    ),
    Word(word="Waiting", means="members exist that are not bound, and their seats are possible"),
    Word(word="Coming", means="every member that exists is bound; others are still to be created"),
    Word(word="AllBound", means="every member is bound where the record says"),
)
"""In the order in which they are asked: the first that holds counts."""

DEEDS: Final[tuple[Deed, ...]] = (
    Deed(action="nothing", does="nothing", calls="none"),
    Deed(action="hold", does="the gang is not bound; its condition and an event on the record say what is wrong with the object", calls="none"),
    Deed(
        action="forward",
        does="count the open seats as taken; bind every member that waits; settle when all are bound",
        calls="where another leader wrote the record, or pods came for held seats: PATCH record (epoch + 1, their UIDs); "
        "POST pods/binding for each; PATCH record/status",
    ),
    Deed(action="wait", does="count the held seats as taken", calls="none"),
    Deed(
        action="supersede",
        does="raise the epoch; touch the members that are not bound; read all again; plan the missing ones with the bound ones fixed; bind. "
        "Without a plan for the moment: try again. Proved impossible: go on as release",
        calls="PATCH record (epoch + 1); PATCH pods/status and GET pod for each member; PATCH record (seats, epoch + 1); then as forward",
    ),
    Deed(
        action="release",
        does="fence as supersede does; then give the group up as a whole: evict it where its controller makes it anew, else say so in the condition",
        calls="if Releasing: PATCH record (epoch + 1) where another leader wrote it; else PATCH record (epoch + 1), "
        "PATCH pods/status and GET pod for each member, PATCH record/status (Releasing); "
        "POST pods/eviction for the leader or for each bound member; PATCH record/status (Released)",
    ),
    Deed(
        action="drop",
        does="fence as supersede does, then give the record up and leave the pods alone",
        calls="PATCH record (epoch + 1); PATCH pods/status and GET pod for each member; PATCH record/status (Released)",
    ),
    Deed(action="close", does="let the object go", calls="GET record; PATCH record (our finalizer off)"),
)

ROWS: Final[tuple[Row, ...]] = (
    Row(states=("Unreadable",), findings=EVERY, action="hold", then="Unreadable, until the object is mended or deleted"),
    Row(states=("Open",), findings=("TurnedAway", "Late"), action="release", then="Releasing, then Released"),
    Row(states=("Open",), findings=("NoPods", "Impossible", "TooFew"), action="supersede", then="Open with a higher epoch, or Releasing"),
    Row(states=("Orphaned",), findings=("TurnedAway", "Impossible", "Late", "TooFew"), action="release", then="Releasing, then Released"),
    Row(states=("Orphaned",), findings=("NoPods",), action="drop", then="Released"),
    Row(states=("Open", "Orphaned"), findings=("Claimed",), action="drop", then="Released"),
    Row(states=("Open", "Orphaned"), findings=("Waiting", "AllBound"), action="forward", then="Bound; the same, where a member could not be bound"),
    Row(states=("Open", "Orphaned"), findings=("Coming",), action="wait", then="the same"),
    Row(states=("Releasing",), findings=EVERY, action="release", then="Released; Releasing, while a disruption budget forbids it"),
    Row(states=("Bound",), findings=("TurnedAway",), action="release", then="Releasing, then Released"),
    Row(states=("Bound",), findings=EVERY[1:], action="nothing", then="Bound"),
    Row(states=("Released",), findings=EVERY, action="nothing", then="Released"),
    Row(states=("Ending",), findings=EVERY, action="close", then="gone"),
)
"""Every pair of a state and a finding stands in exactly one row."""

_ACTIONS: Final[dict[tuple[State, Finding], Action]] = {
    (state, finding): row.action for row in ROWS for state in row.states for finding in row.findings
}


def action_for(state: State, finding: Finding) -> Action:
    """Look up what is done."""
    return _ACTIONS[state, finding]
