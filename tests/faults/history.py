"""The history of a cluster: every state that pods, nodes, placements and pod groups ever had, in one order, and who made it so.

Where it comes from is `history_etcd` (an independent watch), who wrote it `history_audit`; what must hold in it is `checks`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for nodes) and name."""
Kind = Literal["pod", "node", "placement", "podgroup"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
GPU: Final = "nvidia.com/gpu"
GROUP_LABEL: Final = "coterie.dev/pod-group"
PLACEMENT_NOTE: Final = "coterie.dev/placement"
LWS_NAME: Final = "leaderworkerset.sigs.k8s.io/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One object as it became at one revision; ``before`` is None where it was made, ``after`` where it was deleted."""

    revision: int
    """etcd's counter, one over all objects."""
    at: float
    """Seconds since the epoch when the watch told it: milliseconds later than it was."""
    kind: Kind
    key: Key
    before: Object | None
    after: Object | None
    by: str = ""
    """The user who did it, from the audit log; empty: not known."""

    @property
    def binds(self) -> str:
        """The node that a pod got by this step; empty: none."""
        if self.kind != "pod" or self.after is None or node_of(self.before):
            return ""
        return node_of(self.after)

    def __str__(self) -> str:
        """Return one line for people."""
        what = "made" if self.before is None else "gone" if self.after is None else "changed"
        who = f" by {self.by}" if self.by else ""
        return f"{self.revision} {self.kind} {'/'.join(filter(None, self.key))} {what}{who}{_words(self)}"


def _words(step: Step) -> str:
    obj = step.after or step.before or {}
    status = obj.get("status") or {}
    if step.kind == "pod":
        going = " terminating" if obj["metadata"].get("deletionTimestamp") else ""
        return f": uid {obj['metadata'].get('uid')}, node {node_of(obj) or '-'}, {status.get('phase', '-')}{going}"
    if step.kind == "placement":
        seats = " ".join(f"{member['pod']}={member['node']}" for member in obj["spec"]["members"])
        settled = f"{status.get('phase', 'Committed')} observed {status.get('observedEpoch', 0)} bound {status.get('bound', 0)}"
        return f": epoch {obj['spec']['epoch']}, {settled}, {seats}"
    if step.kind == "node":
        spec = obj.get("spec") or {}
        taints = ",".join(f"{each['key']}:{each['effect']}" for each in spec.get("taints") or [])
        return f": {'cordoned' if spec.get('unschedulable') else 'open'} {taints}".rstrip()
    return f": {status.get('phase', '-')}"


@dataclass(slots=True)
class State:
    """The whole cluster at one revision."""

    of: dict[Kind, dict[Key, Object]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def apply(self, step: Step) -> None:
        """Go on by one step."""
        if step.after is None:
            self.of[step.kind].pop(step.key, None)
        else:
            self.of[step.kind][step.key] = step.after

    @property
    def pods(self) -> dict[Key, Object]:
        """Pods by namespace and name."""
        return self.of["pod"]

    @property
    def placements(self) -> dict[Key, Object]:
        """Commit records by namespace and name."""
        return self.of["placement"]

    def node(self, name: str) -> Object | None:
        """Return a node, if there is one."""
        return self.of["node"].get(("", name))


@dataclass(frozen=True, slots=True)
class History:
    """All steps in the order of their revisions. What existed when the watch began are its first steps, with no author."""

    steps: Sequence[Step]
    begins: int = 0
    """The revision from which on every change was told."""
    ends: int = 0
    """The revision up to which every change was told; 0: that of the last step."""

    def __post_init__(self) -> None:
        """Refuse disorder: every rule relies on the order."""
        for one, two in zip(self.steps, self.steps[1:], strict=False):
            if one.revision > two.revision or (one.revision, one.kind, one.key) == (two.revision, two.kind, two.key):
                raise ValueError(f"the history is out of order: {one} stands before {two}")

    def about(self, words: Iterable[str], until: int, last: int = 40) -> list[Step]:
        """Return the last steps up to a revision about objects whose name is, or begins with, one of the words."""
        heads = tuple(words)
        found = [step for step in self.steps if step.revision <= until and step.key[1].startswith(heads)]
        return found[-last:]

    def write(self, path: Path) -> None:
        """Keep it in a file, one step on a line."""
        with path.open("w", encoding="utf-8") as file:
            file.write(f"{self.begins} {self.ends}\n")
            for s in self.steps:
                row = {"revision": s.revision, "at": s.at, "kind": s.kind, "key": list(s.key), "after": s.after, "by": s.by}
                file.write(json.dumps(row, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read what `write` wrote."""
        with path.open(encoding="utf-8") as file:
            begins, ends = map(int, file.readline().split())
            return cls(list(linked(map(json.loads, file))), begins, ends)


def linked(rows: Iterable[Object]) -> Iterator[Step]:
    """Make steps of rows that say only what an object became: what it was before follows from the order."""
    state = State()
    for row in rows:
        kind: Kind = row["kind"]
        key = (str(row["key"][0]), str(row["key"][1]))
        step = Step(
            revision=row["revision"],
            at=row["at"],
            kind=kind,
            key=key,
            before=state.of[kind].get(key),
            after=row["after"],
            by=row.get("by", ""),
        )
        if step.before is None and step.after is None:
            continue  # deleted before anybody looked
        state.apply(step)
        yield step


# --- what the objects mean; the scheduler's own parsers are not asked, for they are what is tested


def node_of(pod: Object | None) -> str:
    """Return the node that a pod is bound to; empty: none."""
    return str((pod or {}).get("spec", {}).get("nodeName") or "")


def finished(pod: Object) -> bool:
    """Whether the pod holds no room any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def going(pod: Object) -> bool:
    """Whether the pod is being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def uid_of(obj: Object) -> str:
    """Return an object's UID."""
    return str(obj["metadata"].get("uid", ""))


def wants(pod: Object) -> dict[str, int]:
    """Return what a pod takes of its node: GPUs, and one place."""
    gpus = 0
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        gpus += int((resources.get("requests") or resources.get("limits") or {}).get(GPU, 0))
    return {GPU: gpus, "pods": 1}


def is_open(placement: Object) -> bool:
    """Whether a commit record is still to be carried out."""
    return int((placement.get("status") or {}).get("observedEpoch") or 0) < int(placement["spec"]["epoch"])


def gang_label(pod: Object) -> str:
    """Return the gang that a pod says it belongs to: its PodGroup, or its LeaderWorkerSet's group; empty: it is alone."""
    labels = pod["metadata"].get("labels") or {}
    if LWS_NAME in labels:
        return f"{labels[LWS_NAME]}-{labels['leaderworkerset.sigs.k8s.io/group-index']}"
    return str(labels.get(GROUP_LABEL, ""))
