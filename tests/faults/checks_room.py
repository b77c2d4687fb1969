"""The rules about nodes: room, being there, being open, and the domain that a gang must stay in.

A bind is judged as it lands, a record as it is written. Room that somebody else took while the news of it could not have arrived is excused:
that is the race which the kubelet decides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.faults.checks import Rule, Terms, Violation, record_of, violation
from tests.faults.history import GPU, GROUP_LABEL, Object, State, Step, finished, going, is_open, node_of, uid_of, wants

REQUIRED: Final = "coterie.dev/required-topology"
_CLOSING: Final = ("NoSchedule", "NoExecute")


@dataclass(slots=True)
class _Bind:
    """When and by whom a pod got its node."""

    at: float
    stranger: bool


@dataclass(slots=True)
class _Node:
    """What a node was over time: (moment, open to pods, labels); not there means closed."""

    was: list[tuple[float, bool, Mapping[str, str]]] = field(default_factory=list)
    changed: float = 0.0
    """When somebody could last have seen it closed or shut, or a stranger came."""


class Nodes(Rule):
    """H2: no bind of ours over-commits. H6: a record, and a lone pod's bind, name nodes that are there, open and have room. H8: one domain."""

    def __init__(self, terms: Terms, counts: Counter[str]) -> None:
        """Count what is excused, and what was judged, in ``counts``."""
        self._terms = terms
        self._counts = counts
        self._binds: dict[str, _Bind] = {}
        self._on: dict[str, dict[str, Object]] = defaultdict(dict)
        self._nodes: dict[str, _Node] = defaultdict(_Node)
        self._written: dict[str, float] = {}
        """When the present assignment of a record was written, by the record's UID."""

    def step(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge a bind or a record; learn what happens to nodes."""
        if not self._nodes:
            self._learn(state)
        if step.kind == "node":
            self._node(step)
        elif step.kind == "pod":
            if step.binds and step.after is not None:
                self._binds[uid_of(step.after)] = _Bind(step.at, step.by != self._terms.user)
                yield from self._bind(state, step, step.after)
            self._take(step)
        elif step.kind == "placement" and step.after is not None:
            yield from self._record(state, step, step.after)

    def _learn(self, state: State) -> None:
        for (_, name), node in state.of["node"].items():
            self._nodes[name].was.append((0.0, _open(node), node["metadata"].get("labels") or {}))
        for pod in state.pods.values():
            if node_of(pod) and not finished(pod):
                self._on[node_of(pod)][uid_of(pod)] = pod

    def _node(self, step: Step) -> None:
        name, now = step.key[1], step.after
        labels = (now or step.before or {"metadata": {}})["metadata"].get("labels") or {}
        self._nodes[name].was.append((step.at, now is not None and _open(now), labels))
        if now is None or not _open(now):
            self._nodes[name].changed = step.at

    def _take(self, step: Step) -> None:
        if step.before is not None and node_of(step.before):
            self._on[node_of(step.before)].pop(uid_of(step.before), None)
        if step.after is not None and node_of(step.after) and not finished(step.after):
            self._on[node_of(step.after)][uid_of(step.after)] = step.after
            if step.binds and step.by != self._terms.user:
                self._nodes[step.binds].changed = step.at

    # --- H2 and H6 of a bind

    def _bind(self, state: State, step: Step, pod: Object) -> Iterator[Violation]:
        node = state.node(step.binds)
        if step.by != self._terms.user:
            return
        self._counts["binds judged"] += 1
        record = record_of(state, pod)
        decided = self._written.get(uid_of(record), step.at) if record is not None else step.at
        if record is None:
            yield from self._usable(step, step.binds, decided)
        if node is not None:
            yield from self._fits("H2", step, node, {uid_of(pod): pod}, decided)

    def _fits(self, rule: str, step: Step, node: Object, more: Mapping[str, Object], decided: float) -> Iterator[Violation]:
        """Count the node with these pods more; without strangers who came when they could not be seen it must hold."""
        name = node["metadata"]["name"]
        there = {**self._on[name], **more}
        over = _over(node, there)
        if not over:
            return
        late = {uid for uid in there if (bind := self._binds.get(uid)) and bind.stranger and bind.at > decided - self._terms.blind}
        if late and not _over(node, {uid: pod for uid, pod in there.items() if uid not in late}):
            self._counts["over-commits by a stranger's race"] += 1
            return
        pods = sorted(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in there.values())
        yield violation(rule, step, f"the node {name} is over-committed: {over}; with {', '.join(pods)}", name)

    def _usable(self, step: Step, name: str, decided: float) -> Iterator[Violation]:
        """Judge whether the node was open when the scheduler looked last, or shortly before."""
        was = self._nodes[name].was
        now = [row for row in was if row[0] <= decided]
        recent = [row for row in was if decided - self._terms.blind <= row[0] <= decided]
        before = [row for row in was if row[0] < decided - self._terms.blind][-1:]
        if now and now[-1][1]:
            return
        if any(row[1] for row in (*before, *recent)):
            self._counts["nodes closed unseen"] += 1
            return
        yield violation("H6", step, f"the node {name} {'is closed' if now else 'does not exist'}", name)

    # --- H6 and H8 of a record

    def _record(self, state: State, step: Step, record: Object) -> Iterator[Violation]:
        former = step.before if step.before is not None and uid_of(step.before) == uid_of(record) else None
        same = former is not None and former["spec"]["members"] == record["spec"]["members"]
        if same:
            return
        self._counts["assignments judged"] += 1
        self._written[uid_of(record)] = step.at
        new: dict[str, dict[str, Object]] = defaultdict(dict)
        for member in record["spec"]["members"]:
            pod = state.pods.get((step.key[0], member["pod"]))
            if pod is None or node_of(pod) or member.get("uid") not in ("", uid_of(pod)) or finished(pod):
                continue
            new[member["node"]][uid_of(pod)] = pod
        for name in sorted(new):
            yield from self._usable(step, name, step.at)
            node = state.node(name)
            if node is not None:
                yield from self._fits("H6", step, node, {**self._promised(state, name, record, step.at), **new[name]}, step.at)
        yield from self._one_domain(state, step, record)

    def _promised(self, state: State, node: str, mine: Object, now: float) -> dict[str, Object]:
        """Return the pods that other open records put on a node, as far as nothing has made those records doubtful."""
        found: dict[str, Object] = {}
        for (namespace, _), record in state.placements.items():
            members = record["spec"]["members"]
            if record is mine or uid_of(record) == uid_of(mine) or not is_open(record) or all(m["node"] != node for m in members):
                continue
            since = self._written.get(uid_of(record), now)
            pods = {m["pod"]: state.pods.get((namespace, m["pod"])) for m in members}
            whole = all(pod is not None and uid_of(pod) == m.get("uid") and not going(pod) for m in members for pod in [pods[m["pod"]]])
            calm = all(self._nodes[m["node"]].changed < since - self._terms.blind for m in members)
            if whole and calm:
                found |= {uid_of(pod): pod for m in members if m["node"] == node and (pod := pods[m["pod"]]) is not None and not node_of(pod)}
        return found

    def _one_domain(self, state: State, step: Step, record: Object) -> Iterator[Violation]:
        level = _required(state, step.key[0], record)
        if not level:
            return
        self._counts["required levels judged"] += 1
        shared: set[str] | None = None
        for member in record["spec"]["members"]:
            pod = state.pods.get((step.key[0], member["pod"]))
            bound = self._binds.get(uid_of(pod)) if pod is not None and node_of(pod) else None
            since = (bound.at if bound is not None else step.at) - self._terms.blind
            values = self._values(member["node"], level, since)
            shared = values if shared is None else shared & values
        if not shared:
            where = ", ".join(f"{m['pod']} on {m['node']}" for m in record["spec"]["members"])
            yield violation("H8", step, f"no one domain of {level} holds the gang: {where}")

    def _values(self, node: str, level: str, since: float) -> set[str]:
        was = self._nodes[node].was
        old = [row for row in was if row[0] < since][-1:]
        return {row[2][level] for row in (*old, *(row for row in was if row[0] >= since)) if level in row[2]}


def _required(state: State, namespace: str, record: Object) -> str:
    gang = record["spec"]["gang"]
    if gang["kind"] == "PodGroup":
        group = state.of["podgroup"].get((namespace, gang["name"]))
        return str((group or {}).get("spec", {}).get("requiredTopology") or "")
    pods = [state.pods.get((namespace, member["pod"])) for member in record["spec"]["members"]]
    notes = [(pod["metadata"].get("annotations") or {}).get(REQUIRED, "") for pod in pods if pod is not None]
    groups = [(pod["metadata"].get("labels") or {}).get(GROUP_LABEL, "") for pod in pods if pod is not None]
    return next(filter(None, notes), "") if not any(groups) else ""


def _open(node: Object) -> bool:
    spec = node.get("spec") or {}
    return not spec.get("unschedulable") and not any(each["effect"] in _CLOSING for each in spec.get("taints") or [])


def _over(node: Object, pods: Mapping[str, Object]) -> str:
    taken: Counter[str] = Counter()
    for pod in pods.values():
        taken.update(wants(pod))
    room = node.get("status", {}).get("allocatable") or {}
    return ", ".join(f"{taken[what]} {what} taken, {room.get(what, 0)} there" for what in (GPU, "pods") if taken[what] > int(room.get(what, 0)))
