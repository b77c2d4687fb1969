"""Relaxation ``free``: the running pods whose deletion makes room, the fewest GPUs disturbed first, lower priority first.

In each domain the nodes that give most for least are emptied until the gang is counted to fit, then every pod that is not
needed is put back: the set that remains is minimal, not always the smallest of all. Counting finds, a trial placement proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from scheduler.decide import matching
from scheduler.decide.counting import LARGEST, Ground, Ints, Role, best, capacity, combine, frontier, holds
from scheduler.decide.relax_trial import CHECKS, Trial, some
from scheduler.decide.survey import Group, survey_of
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Relaxation
from scheduler.state.resources import GPU, quantity

FREE: Final = 5
SYSTEM: Final = "kube-system"
_DOMAINS: Final = 8
"""Domains that are looked at, nearest miss first."""
_OFFERED: Final = 3
_OWNED_BY_NODE: Final = ("DaemonSet", "Node")
"""Owners that put a deleted pod back on the same node."""

_Harm: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stand:
    """One domain with everything that may be deleted there: grounds as things stand, and with all of it gone."""

    now: Ground
    emptied: Ground
    group: Group
    pods: dict[int, list[Pod]]
    """Deletable pods by node position."""

    def without(self, gone: Sequence[Pod], position: Mapping[str, int]) -> Ground:
        """Return the ground when these pods are gone."""
        free, allowed = self.now.free.copy(), self.now.allowed.copy()
        victims = {p.uid for p in gone}
        for at in {position[p.node or ""] for p in gone}:
            stay = [p for p in self.pods[at] if p.uid not in victims]
            free[at] = np.maximum(self.emptied.free[at] - sum((_amounts(self.now, p) for p in stay), np.zeros_like(free[at])), 0)
            open_ = [not any(_in_the_way(p, role) for p in stay) for role in self.now.roles]
            allowed[:, at] = self.emptied.allowed[:, at] & open_
        return replace(self.now, free=free, allowed=allowed)

    def without_nodes(self, nodes: Sequence[int]) -> Ground:
        """Return the ground when all deletable pods of these nodes are gone."""
        free, allowed = self.now.free.copy(), self.now.allowed.copy()
        free[list(nodes)], allowed[:, list(nodes)] = self.emptied.free[list(nodes)], self.emptied.allowed[:, list(nodes)]
        return replace(self.now, free=free, allowed=allowed)


def free(trial: Trial) -> Iterator[Relaxation]:
    """Offer the least harmful sets of pods to delete, of up to three domains."""
    if not trial.survey.ground.roles or not trial.survey.ground.exact:
        return
    position = trial.snapshot.topology.position
    found = [victims for stand in _stands(trial) if (victims := _victims(stand, position))]
    offered = 0
    for victims in sorted(found, key=lambda pods: (_harm(pods), [p.key for p in pods])):
        offer = Relaxation(
            kind="free",
            summary=_summary(trial.survey.ground, victims),
            changes=tuple(map(_delete, victims)),
            harm=(FREE, *_harm(victims)),
        )
        if offered < _OFFERED and trial.checked(offer, snapshot=trial.snapshot.without([p.uid for p in victims])) is not None:
            offered += 1
            yield offer


def _stands(trial: Trial) -> Iterator[_Stand]:
    candidates = _candidates(trial)
    emptied = survey_of(trial.snapshot.without([p.uid for p in candidates]), trial.gang, CHECKS).ground
    position = trial.snapshot.topology.position
    for group in trial.survey.groups[:_DOMAINS]:
        inside = set(group.nodes.tolist())
        pods: dict[int, list[Pod]] = {}
        for pod in candidates:
            at = position[pod.node or ""]
            if at in inside:
                pods.setdefault(at, []).append(pod)
        yield _Stand(now=trial.survey.ground, emptied=emptied, group=group, pods=pods)


def _candidates(trial: Trial) -> list[Pod]:
    own = {m.pod.uid for m in trial.gang.members}
    return [pod for pod in sorted(trial.snapshot.pods.values(), key=lambda p: (p.key, p.uid)) if _deletable(trial, pod, own)]


def _deletable(trial: Trial, pod: Pod, own: set[PodUid]) -> bool:
    if pod.uid in own or pod.namespace == SYSTEM or pod.terminating or pod.node not in trial.snapshot.topology.position:
        return False
    if pod.owner is not None and pod.owner.kind in _OWNED_BY_NODE:
        return False
    # A pod that an earlier decision of the same dry run placed is no object of the input: it cannot be deleted there.
    return trial.raw is None or trial.raw("Pod", pod.namespace, pod.name) is not None


def _amounts(ground: Ground, pod: Pod) -> Ints:
    return np.array([1 if n == "pods" else min(LARGEST, pod.used.amount(n)) for n in ground.resources], dtype=np.int64)


def _in_the_way(pod: Pod, role: Role) -> bool:
    """Tell whether a pod keeps a role off its node by a port or by anti-affinity (whose other nodes the trial judges)."""
    if role.shape.ports and matching.ports_conflict(role.shape.ports, pod.shape.ports):
        return True
    return any(matching.repels(term, other) for term in pod.repels for other in role.pods)


def _victims(stand: _Stand, position: Mapping[str, int]) -> tuple[Pod, ...]:
    """Return a minimal set of pods to delete in a domain, empty where even deleting all is not enough (or nothing is needed)."""
    nodes = stand.group.nodes
    if not stand.pods or not holds(stand.emptied, nodes)[1] or holds(stand.now, nodes)[1]:
        return ()
    gains = sum(
        capacity(stand.emptied, r, nodes, stand.emptied.free) - capacity(stand.now, r, nodes, stand.now.free) for r in range(len(stand.now.roles))
    )
    gain = dict(zip(nodes.tolist(), np.asarray(gains).tolist(), strict=True))
    ranked = sorted((at for at in stand.pods if gain[at] > 0), key=lambda at: (_price(stand.pods[at]) / gain[at], _harm(stand.pods[at])[1], at))
    if not holds(stand.without_nodes(ranked), nodes)[1]:
        ranked = sorted(stand.pods)
    low, high = 1, len(ranked)
    while low < high:
        middle = (low + high) // 2
        enough = holds(stand.without_nodes(ranked[:middle]), nodes)[1]
        low, high = (low, middle) if enough else (middle + 1, high)
    chosen = ranked[:low]
    inside = np.array(sorted(chosen), dtype=np.int64)
    rest = frontier(stand.now, np.setdiff1d(nodes, inside), stand.now.free)
    kept = [_shrink(stand, order, position, (rest, inside)) for order in _orders(stand, chosen)]
    return min(kept, key=lambda pods: (_harm(pods), [p.key for p in pods]))


def _price(pods: Sequence[Pod]) -> int:
    gpus, _, count = _harm(pods)
    return gpus * 1000 + count


def _orders(stand: _Stand, chosen: Sequence[int]) -> list[list[Pod]]:
    """Return the orders in which pods are put back: the most harmful pods first, and the most harmful nodes first."""
    pods = [p for at in chosen for p in stand.pods[at]]
    by_pod = sorted(pods, key=lambda p: (_harm([p]), p.key), reverse=True)
    nodes = sorted(chosen, key=lambda at: (_harm(stand.pods[at]), at), reverse=True)
    by_node = [p for at in nodes for p in sorted(stand.pods[at], key=lambda p: (_harm([p]), p.key), reverse=True)]
    return [by_pod, by_node]


def _shrink(stand: _Stand, order: Sequence[Pod], position: Mapping[str, int], rest: tuple[Ints, Ints]) -> tuple[Pod, ...]:
    """Put back pods, several at a time while that succeeds, as long as the gang is counted to fit."""
    gone = list(order)
    at, step = 0, max(1, len(gone) // 4)
    while at < len(gone):
        fewer = gone[:at] + gone[at + step :]
        ground = stand.without(fewer, position)
        table = combine(rest[0], frontier(ground, rest[1], ground.free), ground.roles[-1].count)
        if best(ground, table)[1]:
            gone = fewer
        elif step > 1:
            step = max(1, step // 2)
        else:
            at += 1
    return tuple(sorted(gone, key=lambda p: p.key))


def _harm(pods: Sequence[Pod]) -> _Harm:
    """Return GPUs disturbed, the highest priority, and the number of pods."""
    return sum(p.used.amount(GPU) for p in pods), max((p.priority for p in pods), default=0), len(pods)


def _delete(pod: Pod) -> dict[str, dict[str, str]]:
    return {"delete": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name}}


def _summary(ground: Ground, pods: Sequence[Pod]) -> str:
    names = ["GPUs", GPU] if any(p.used.amount(GPU) for p in pods) else ["", ground.resources[0]]
    amount = quantity(names[1], sum(1 if names[1] == "pods" else p.used.amount(names[1]) for p in pods))
    what = f"{amount} GPU{'' if amount == '1' else 's'}" if names[0] else f"{amount} {names[1]}"
    nodes = sorted({str(p.node) for p in pods})
    return f"free {what} on {some(nodes)} (pod{'' if len(pods) == 1 else 's'} {some([p.key for p in pods])})"
