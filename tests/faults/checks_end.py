"""The rules about ends: no gang is lost or left half bound, and what is evicted is evicted as a whole."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.faults.checks import BoundAsRecorded, Check, Deadlines, Epochs, Judged, Rule, Terms, Violation, violation, walk
from tests.faults.checks_room import Nodes
from tests.faults.history import GROUP_LABEL, LWS_NAME, Key, Object, State, Step, finished, gang_label, going, is_open, node_of, uid_of
from tests.faults.history_audit import Agreed, Write


class Ends:
    """H5: at the end each gang is bound as a whole, or not at all and told why, or released and told; what must be bound is."""

    def __init__(self, terms: Terms, counts: Counter[str]) -> None:
        """Judge by these terms; count gangs by how they end."""
        self._terms = terms
        self._counts = counts
        self._gangs: set[Key] = set()

    def step(self, _: State, step: Step) -> Iterator[Violation]:
        """Count gangs."""
        if step.kind == "pod" and step.after is not None and _ours(step.after) and (gang := gang_label(step.after)):
            self._gangs.add((step.key[0], gang))
        yield from ()

    def end(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge how every gang ended."""
        self._counts["gangs"] += len(self._gangs)
        gangs: dict[Key, list[Object]] = defaultdict(list)
        for (namespace, _), pod in state.pods.items():
            if _ours(pod) and not finished(pod) and not going(pod) and (gang := gang_label(pod)):
                gangs[namespace, gang].append(pod)
        for key, pods in sorted(gangs.items()):
            yield from self._gang(state, step, key, pods)
        for key, record in sorted(state.placements.items()):
            if is_open(record):
                yield violation("H5", step, f"the record {'/'.join(key)} is still open", key[1])

    def _gang(self, state: State, step: Step, key: Key, pods: list[Object]) -> Iterator[Violation]:
        name, bound = "/".join(key), [pod for pod in pods if node_of(pod)]
        needed = _least(state, key, pods)
        if len(bound) == len(pods):
            self._counts["gangs bound at the end"] += 1
            return
        if key in self._terms.must_bind:
            yield violation("H5", step, f"{len(bound)} of {len(pods)} members of {name} are bound, although there is room", key[1])
            return
        if len(pods) < needed and not bound:
            self._counts["gangs incomplete at the end"] += 1
            return
        if not _told(state, key, [pod for pod in pods if not node_of(pod)]):
            yield violation("H5", step, f"the gang {name} is lost: {len(bound)} of {len(pods)} members are bound, and nobody is told why", key[1])
        elif bound and len(bound) < needed and not _released(state, pods):
            yield violation("H5", step, f"the gang {name} is left half bound: {len(bound)} of {len(pods)} members", key[1])
        else:
            self._counts["gangs told why not at the end"] += 1


class Evictions(Rule):
    """H7: we delete no pod; we evict only a group's leader, which is made anew, and then the whole group goes."""

    def __init__(self, terms: Terms, writes: Sequence[Write]) -> None:
        """Judge what this user wrote."""
        self._user = terms.user
        self._asked = [w for w in writes if w.by == terms.user and w.done and w.kind == "pod" and w.verb in ("evict", "delete", "deletecollection")]
        self._evicted = {write.uid for write in self._asked if write.verb == "evict"}
        self._effects: Counter[str] = Counter()

    def step(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge a pod that begins to go because we said so."""
        if step.kind != "pod" or step.by != self._user or step.before is None:
            return
        pod = step.before
        if going(pod) or not (step.after is None or going(step.after)):
            return
        self._effects[uid_of(pod)] += 1
        labels = pod["metadata"].get("labels") or {}
        if not any(each.get("controller") for each in pod["metadata"].get("ownerReferences") or []):
            yield violation("H7", step, "a pod that no controller would make anew is evicted")
        elif LWS_NAME in labels and labels.get("leaderworkerset.sigs.k8s.io/worker-index") != "0":
            yield violation("H7", step, "a worker is evicted and not its group's leader")
        if self._effects[uid_of(pod)] > 1:
            yield violation("H7", step, "it is evicted a second time")
        del state

    def end(self, state: State, step: Step) -> Iterator[Violation]:
        """Judge what is left of groups whose leader was evicted, and whether we deleted anything."""
        for write in self._asked:
            if write.verb != "evict":
                yield violation("H7", step, f"the scheduler deletes pods: {write}", write.key[1])
        for pod in state.pods.values():
            owners = {each["uid"] for each in pod["metadata"].get("ownerReferences") or []}
            mine = uid_of(pod) in self._evicted or owners & self._evicted
            if mine and not going(pod):
                yield violation("H7", step, f"{pod['metadata']['name']} is left of a group that was evicted", pod["metadata"]["name"])


def _ours(pod: Object) -> bool:
    return bool(pod["spec"].get("schedulerName") == "coterie")


def _least(state: State, key: Key, pods: Sequence[Object]) -> int:
    sizes = [(pod["metadata"].get("annotations") or {}).get("leaderworkerset.sigs.k8s.io/size") for pod in pods]
    if (size := next(filter(None, sizes), None)) is not None:
        return int(size)
    group = state.of["podgroup"].get((key[0], (pods[0]["metadata"].get("labels") or {}).get(GROUP_LABEL, "")))
    return int((group or {"spec": {}})["spec"].get("minMember") or 1)


def _told(state: State, key: Key, pending: Sequence[Object]) -> bool:
    group = state.of["podgroup"].get(key)
    about = [*pending, *([group] if group is not None else [])]
    for obj in about:
        for condition in (obj.get("status") or {}).get("conditions") or []:
            if condition["type"] in ("PodScheduled", "Scheduled") and condition["status"] == "False" and condition.get("message"):
                return True
    return False


def _released(state: State, pods: Sequence[Object]) -> bool:
    uids = {uid_of(pod) for pod in pods}
    records = [record for record in state.placements.values() if uids & {member.get("uid") for member in record["spec"]["members"]}]
    return any((record.get("status") or {}).get("phase") == "Released" for record in records)


def judge(agreed: Agreed, terms: Terms) -> Judged:
    """Ask every rule about a history whose authors are known."""
    counts: Counter[str] = Counter()
    checks: list[Check] = [
        BoundAsRecorded(terms),
        Epochs(),
        Deadlines(terms),
        Nodes(terms, counts),
        Ends(terms, counts),
        Evictions(terms, agreed.writes),
    ]
    judged = walk(agreed.history, checks)
    judged.counts.update(counts)
    judged.counts["writes in the audit log"] = len(agreed.writes)
    for quarrel in agreed.quarrels:
        judged.violations.append(Violation(rule="H0", revision=0, about=(), message=quarrel))
    return judged
