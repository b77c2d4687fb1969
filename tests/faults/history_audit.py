"""Who wrote what: the audit log of the API server beside the independent watch, and whether the two agree.

Both are complete, each in its own way: every successful write must be a revision, and every revision must have been written by somebody.
A hole in one of them is found by the other, so that the checker cannot lose an event and call the rest good.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Final

from tests.faults.history import History, Key, Kind, Object, Step, going, uid_of

_RESOURCES: Final[Mapping[tuple[str, str], Kind]] = {
    ("", "pods"): "pod",
    ("", "nodes"): "node",
    ("coterie.dev", "placements"): "placement",
    ("scheduling.run.ai", "podgroups"): "podgroup",
}
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write that the API server took or refused."""

    by: str
    verb: str
    """create, update, patch, delete, deletecollection; for pods also bind and evict."""
    kind: Kind
    key: Key
    """The name is empty for deletecollection."""
    code: int
    revision: int
    """The revision that the answer named; 0: none."""
    uid: str
    """UID of the pod that is bound or evicted, or of the object of the answer; empty: not named."""
    node: str = ""
    """Where a pod is bound."""
    at: float = 0.0
    """Seconds since the epoch when it was answered."""
    ends: bool = False
    """Whether it took the last finalizer off an object that was being deleted."""

    @property
    def done(self) -> bool:
        """Whether the server did it."""
        return self.code in _SUCCESS

    def __str__(self) -> str:
        """Return one line for people."""
        where = f" to {self.node}" if self.node else ""
        return f"{self.by} {self.verb} {self.kind} {'/'.join(filter(None, self.key))}{where}: {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Revisions that a dying API server may have made without writing them down: from its end on, and until it was back."""

    first: int
    last: int


@dataclass(slots=True)
class Agreed:
    """The history with its authors, and where the two sources contradict each other."""

    history: History
    writes: list[Write]
    quarrels: list[str] = field(default_factory=list)
    excused: int = 0
    """Steps without an author from the moments of an outage."""
    outages: Sequence[Outage] = ()


def writes(path: Path, offset: int = 0) -> Iterator[Write]:
    """Read the audit log from a byte on; a line that a kill cut off is left out."""
    with path.open(encoding="utf-8") as file:
        file.seek(offset)
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if (found := _write(event)) is not None:
                yield found


def _write(event: Object) -> Write | None:
    ref = event.get("objectRef") or {}
    kind = _RESOURCES.get((ref.get("apiGroup", ""), ref.get("resource", "")))
    if kind is None or "dryRun=All" in event.get("requestURI", ""):
        return None
    answer, request = event.get("responseObject") or {}, event.get("requestObject") or {}
    sub = ref.get("subresource", "")
    verb = {"binding": "bind", "eviction": "evict"}.get(sub) or str(event["verb"])
    metadata = answer.get("metadata") or {}
    uid = metadata.get("uid") or (answer.get("details") or {}).get("uid") or ""
    if verb == "bind":
        uid = (request.get("metadata") or {}).get("uid", "")
    if verb == "evict":
        uid = ((request.get("deleteOptions") or {}).get("preconditions") or {}).get("uid", "")
    return Write(
        by=event["user"]["username"],
        verb=verb,
        kind=kind,
        key=(ref.get("namespace", ""), ref.get("name") or metadata.get("name") or ""),
        code=int((event.get("responseStatus") or {}).get("code", 0)),
        revision=int(metadata.get("resourceVersion") or 0),
        uid=uid,
        node=(request.get("target") or {}).get("name", "") if verb == "bind" else "",
        at=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
        ends=kind != "pod" and "deletionTimestamp" in metadata and not metadata.get("finalizers"),
    )


def agree(history: History, log: Sequence[Write], outages: Sequence[Outage] = (), *, until: float = inf) -> Agreed:
    """Find the author of each step, and what one source knows and the other does not. ``until``: when the history's end was asked for."""
    done = [write for write in log if write.done]
    by_key: dict[tuple[Kind, Key], list[Write]] = defaultdict(list)
    for write in done:
        by_key[write.kind, write.key].append(write)
    agreed = Agreed(history, list(log), outages=outages)
    steps: list[Step] = []
    for step in history.steps:
        author = _author(step, by_key)
        if author is None and step.revision >= history.begins:
            if any(outage.first <= step.revision <= outage.last for outage in outages):
                agreed.excused += 1
            else:
                agreed.quarrels.append(f"nobody wrote what the watch told: {step}")
        if step.before is not None and step.after is not None and uid_of(step.before) != uid_of(step.after):
            agreed.quarrels.append(f"a deletion was not told before {step}")
        if step.binds and _changes_more(step):
            agreed.quarrels.append(f"a bind was not told before {step}")
        steps.append(replace(step, by=author.by if author is not None else ""))
    agreed.history = History(steps, history.begins, history.ends)
    agreed.quarrels.extend(_unseen(history, [write for write in done if write.revision or write.at <= until]))
    return agreed


def _author(step: Step, by_key: Mapping[tuple[Kind, Key], Sequence[Write]]) -> Write | None:
    mine = by_key.get((step.kind, step.key), ())
    if step.binds and step.before is not None:
        uid = uid_of(step.after or {"metadata": {}})
        return next((w for w in mine if w.verb == "bind" and w.node == step.binds and w.uid in ("", uid)), None)
    # A write that changed nothing answers with the revision that it found, so that the revision alone does not tell who deleted.
    if _leaves(step):
        return _remover(step, mine, by_key.get((step.kind, (step.key[0], "")), ()))
    found = next((w for w in mine if w.revision == step.revision and w.verb in ("create", "update", "patch")), None)
    return found or _evictor(step, mine)


def _evictor(step: Step, mine: Sequence[Write]) -> Write | None:
    """Find who announced an eviction: the server writes the condition DisruptionTarget first, as a step of its own, then deletes."""
    told = [_disrupted(obj) for obj in (step.before, step.after)]
    uid = uid_of(step.after or {"metadata": {}})
    return next((w for w in mine if w.verb == "evict" and w.uid in ("", uid)), None) if told == [False, True] else None


def _disrupted(obj: Object | None) -> bool:
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return any(each["type"] == "DisruptionTarget" and each["status"] == "True" for each in conditions)


def _changes_more(step: Step) -> bool:
    """Whether a step that brings a node changes what a bind does not."""
    if step.before is None or step.after is None:
        return False
    phases = [(obj.get("status") or {}).get("phase") for obj in (step.before, step.after)]
    return phases[0] != phases[1] or going(step.before) != going(step.after)


def _leaves(step: Step) -> bool:
    """Whether the object goes, begins to go, or gets less time to go: a deletion can take three steps."""
    if step.after is None:
        return True
    fields = ("deletionTimestamp", "deletionGracePeriodSeconds")
    return going(step.after) and any(step.after["metadata"].get(name) != (step.before or step.after)["metadata"].get(name) for name in fields)


def _remover(step: Step, mine: Sequence[Write], whole: Sequence[Write]) -> Write | None:
    """Find who deleted; the answer names the revision of the last step only, and an eviction's answer none."""
    uid = uid_of(step.after or step.before or {"metadata": {}})
    right = [write for write in mine if write.uid in ("", uid)]
    evicted = [w for w in right if w.verb == "evict"]
    if evicted and step.before is not None and not going(step.before):
        return evicted[0]
    later = sorted((w for w in right if w.verb == "delete" and w.revision >= step.revision), key=lambda w: w.revision)
    deleted = later or [w for w in right if w.verb == "delete"]
    # Where the last finalizer goes or the grace is over, the writer of that takes away what was deleted before.
    last = [w for w in right if step.after is None and w.verb in ("patch", "update") and w.uid == uid]
    found = [*deleted, *evicted, *(w for w in whole if w.verb == "deletecollection"), *reversed(last)]
    return found[0] if found else None


@dataclass(slots=True)
class _Told:
    """What the watch told, by object."""

    revisions: dict[tuple[Kind, Key], set[int]] = field(default_factory=lambda: defaultdict(set))
    nodes: set[tuple[Key, str, str]] = field(default_factory=set)
    """Pods with their UID (or none) and the node that they got."""
    leaving: dict[tuple[Kind, Key], set[str]] = field(default_factory=lambda: defaultdict(set))
    """UIDs of what began to go."""
    gone: dict[tuple[Kind, Key], set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, step: Step) -> None:
        """Take in one step."""
        about, uid = (step.kind, step.key), uid_of(step.after or step.before or {"metadata": {}})
        self.revisions[about].add(step.revision)
        if step.binds:
            self.nodes |= {(step.key, uid, step.binds), (step.key, "", step.binds)}
        if step.after is None or going(step.after):
            self.leaving[about] |= {uid, ""}
        if step.after is None:
            self.gone[about].add(uid)

    def lacks(self, write: Write, begins: int) -> bool:
        """Whether what was written is not among it."""
        about = (write.kind, write.key)
        unknown = write.revision >= max(1, begins) and write.revision not in self.revisions[about]
        if write.verb == "bind":
            return (write.key, write.uid, write.node) not in self.nodes
        if write.verb in ("delete", "evict"):
            return unknown or write.uid not in self.leaving[about]
        return write.uid not in self.gone[about] if write.ends else unknown


def _unseen(history: History, done: Sequence[Write]) -> Iterator[str]:
    """Yield writes that no step shows."""
    told = _Told()
    for step in history.steps:
        told.take(step)
    last = history.ends or (history.steps[-1].revision if history.steps else 0)
    for write in done:
        ever = (write.kind, write.key) in told.revisions or write.revision >= max(1, history.begins)
        if ever and write.revision <= last and told.lacks(write, history.begins):
            yield f"the watch did not tell what was written: {write} (revision {write.revision})"
