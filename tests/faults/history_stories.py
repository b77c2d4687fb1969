"""Histories made by hand, for the tests of the checker: a few objects, and a story that is told step by step."""

import time
from collections.abc import Sequence
from typing import Self

from tests.faults.checks import OURS, Judged, Terms
from tests.faults.checks_end import judge
from tests.faults.history import GPU, GROUP_LABEL, LWS_NAME, PLACEMENT_NOTE, History, Key, Kind, Object, linked
from tests.faults.history_audit import Write, agree

PLACE = "a"
ADMIN = "admin"
RACK = "example.com/rack"


def node(name: str, *, rack: str = "r1", gpus: int = 8, **spec: object) -> Object:
    """Return a node."""
    allocatable = {GPU: str(gpus), "pods": "110"}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": {RACK: rack}}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str, *, group: str = "g", gpus: int = 4, uid: str = "", owner: str = "", **labels: str) -> Object:
    """Return a pod of ours without a node; ``owner`` is the UID of its controller."""
    owners = [{"kind": "Pod", "name": "leader", "uid": owner, "controller": True}] if owner else []
    marks = {**({GROUP_LABEL: group} if group else {}), **labels}
    metadata = {"name": name, "namespace": PLACE, "uid": uid or f"uid-{name}", "labels": marks, "annotations": {}, "ownerReferences": owners}
    container = {"name": "main", "resources": {"limits": {GPU: str(gpus)}}}
    return {"metadata": metadata, "spec": {"schedulerName": "coterie", "containers": [container]}, "status": {"phase": "Pending"}}


def worker(name: str, index: int, *, owner: str = "uid-set") -> Object:
    """Return a pod of a LeaderWorkerSet's group."""
    made = pod(name, group="", owner=owner)
    head = "leaderworkerset.sigs.k8s.io"
    made["metadata"]["labels"] = {LWS_NAME: "set", f"{head}/group-index": "0", f"{head}/worker-index": str(index)}
    return made


def bound(obj: Object, where: str, *, record: str = "g-1") -> Object:
    """Return the pod with a node, bound for a record, or for none."""
    notes = {PLACEMENT_NOTE: record} if record else {}
    return {**obj, "metadata": {**obj["metadata"], "annotations": notes}, "spec": {**obj["spec"], "nodeName": where}}


def record(seats: dict[str, str], *, name: str = "g-1", epoch: int = 1, settled: int = 0, phase: str = "Committed", deadline: float = 4e9) -> Object:
    """Return a commit record: node by pod name."""
    members = [{"pod": pod, "uid": f"uid-{pod}", "node": where, "rank": rank} for rank, (pod, where) in enumerate(seats.items())]
    status = {"phase": phase, "observedEpoch": settled, "conditions": [{"type": "Bound", "status": "True", "message": "so it is"}]}
    spec = {"gang": {"kind": "PodGroup", "name": "g", "uid": "uid-g"}, "epoch": epoch, "deadline": _stamp(deadline), "members": members}
    return {"metadata": {"name": name, "namespace": PLACE, "uid": f"uid-{name}"}, "spec": spec, "status": status}


def group(name: str = "g", *, least: int = 2, level: str = "", told: str = "") -> Object:
    """Return a PodGroup."""
    conditions = [{"type": "Scheduled", "status": "False", "message": told}] if told else []
    spec = {"minMember": least, **({"requiredTopology": level} if level else {})}
    return {"metadata": {"name": name, "namespace": PLACE, "uid": f"uid-{name}"}, "spec": spec, "status": {"conditions": conditions}}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Story:
    """Steps with their writes, one second apart."""

    def __init__(self) -> None:
        """Begin at revision 1."""
        self.rows: list[Object] = []
        self.writes: list[Write] = []
        self.now = 1_000_000.0

    def put(self, kind: Kind, obj: Object, *, by: str = ADMIN, verb: str = "update") -> Self:
        """Write an object."""
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self._row(kind, key, obj)
        where = str(obj["spec"].get("nodeName", "")) if verb == "bind" else ""
        revision = 0 if verb in ("bind", "evict") else len(self.rows)
        self._wrote(kind, key, by, verb, revision=revision, uid=str(obj["metadata"]["uid"]), where=where)
        return self

    def bind(self, obj: Object, where: str, *, record: str = "g-1", by: str = OURS) -> Self:
        """Bind a pod."""
        return self.put("pod", bound(obj, where, record=record), by=by, verb="bind")

    def told(self, kind: Kind, obj: Object) -> Self:
        """Let an object be different without a line of its own in the audit log."""
        self._row(kind, (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]), obj)
        return self

    def delete(self, kind: Kind, name: str, *, by: str = ADMIN, verb: str = "delete") -> Self:
        """Delete an object."""
        key = ("" if kind == "node" else PLACE, name)
        self._row(kind, key, None)
        self._wrote(kind, key, by, verb, revision=0, uid="", where="")
        return self

    def wait(self, seconds: float) -> Self:
        """Let time pass."""
        self.now += seconds
        return self

    def history(self) -> History:
        """Return the history."""
        return History(list(linked(self.rows)), ends=len(self.writes))

    def rules(self, terms: Terms | None = None) -> set[str]:
        """Return the rules that do not hold."""
        return {violation.rule for violation in self.judged(terms).violations}

    def judged(self, terms: Terms | None = None) -> Judged:
        """Ask every rule."""
        return judge(agree(self.history(), self.writes), terms or Terms())

    def _row(self, kind: Kind, key: Key, after: Object | None) -> None:
        self.now += 1
        self.rows.append({"revision": len(self.rows) + 1, "at": self.now, "kind": kind, "key": list(key), "after": after})

    def _wrote(self, kind: Kind, key: Key, by: str, verb: str, *, revision: int, uid: str, where: str) -> None:
        self.writes.append(Write(by=by, verb=verb, kind=kind, key=key, code=200, revision=revision, uid=uid, node=where))


def scene(*nodes: Object, pods: Sequence[Object] = (), level: str = "") -> Story:
    """Return a story that begins with nodes, the group g and its pods p-0 and p-1."""
    story = Story()
    for each in nodes or (node("n1"), node("n2"), node("n3", rack="r2")):
        story.put("node", each)
    story.put("podgroup", group(level=level))
    for each in pods or (pod("p-0"), pod("p-1")):
        story.put("pod", each)
    return story


def committed(story: Story, seats: dict[str, str] | None = None) -> Story:
    """Go on with a record for p-0 and p-1, their binds, and the word that it is settled."""
    where = seats or {"p-0": "n1", "p-1": "n1"}
    story.put("placement", record(where), by=OURS, verb="create")
    for name, at in where.items():
        story.bind(pod(name), at)
    return story.put("placement", record(where, settled=1, phase="Bound"), by=OURS)
