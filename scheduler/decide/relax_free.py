"""Relaxation ``free``: the running pods whose deletion makes room, the fewest GPUs disturbed first, lower priority first.

In each domain the nodes that give most for least are emptied until the gang is counted to fit, then every pod that is not
needed is put back: the set that remains is minimal, not always the smallest of all. Counting finds, a trial placement proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from scheduler.decide import matching, usage
from scheduler.decide.counting import LARGEST, Ground, Ints, Role, best, capacity, combine, frontier, holds
from scheduler.decide.relax_trial import CHECKS, Trial, some
from scheduler.decide.survey import survey_of
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
    nodes: Ints
    """Positions in the grounds of the domain's nodes."""
    pods: dict[int, list[Pod]]
    """Deletable pods by position."""

    def without_nodes(self, nodes: Sequence[int]) -> Ground:
        """Return the ground when all deletable pods of these nodes are gone."""
        free, allowed = self.now.free.copy(), self.now.allowed.copy()
        free[list(nodes)], allowed[:, list(nodes)] = self.emptied.free[list(nodes)], self.emptied.allowed[:, list(nodes)]
        return replace(self.now, free=free, allowed=allowed)

    def part(self, chosen: Sequence[int]) -> _Stand:
        """Return the stand of some of its nodes alone, numbered from 0."""
        rows = list(chosen)
        return _Stand(
            now=replace(self.now, free=self.now.free[rows], allowed=self.now.allowed[:, rows]),
            emptied=replace(self.emptied, free=self.emptied.free[rows], allowed=self.emptied.allowed[:, rows]),
            nodes=np.arange(len(rows)),
            pods={index: self.pods[at] for index, at in enumerate(rows)},
        )


def free(trial: Trial) -> Iterator[Relaxation]:
    """Offer the least harmful sets of pods to delete, of up to three domains."""
    if not trial.survey.ground.roles or not trial.survey.ground.exact:
        return
    found = [victims for stand in _stands(trial) if (victims := _victims(stand))]
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
    position, ground = trial.snapshot.topology.position, trial.survey.ground
    groups = trial.survey.groups[:_DOMAINS]
    concerned = np.zeros(len(position), dtype=np.bool_)
    for group in groups:
        concerned[group.nodes] = True
    pods: dict[int, list[Pod]] = {}
    for pod in _candidates(trial):
        if concerned[position[pod.node or ""]]:
            pods.setdefault(position[pod.node or ""], []).append(pod)
    emptied = _emptied(trial, pods)
    for group in groups:
        yield _Stand(now=ground, emptied=emptied, nodes=group.nodes, pods={at: pods[at] for at in group.nodes.tolist() if at in pods})


def _emptied(trial: Trial, pods: Mapping[int, Sequence[Pod]]) -> Ground:
    """Return the ground with all deletable pods gone; checks are asked again where a pod can be in the way of one."""
    ground, known = trial.survey.ground, usage.table(trial.snapshot)
    spare = np.stack([known.total(n) - known.used.get(n, np.zeros(len(ground.free), dtype=np.int64)) for n in ground.resources], axis=1)
    for at, here in pods.items():
        spare[at] += sum((_amounts(ground, p) for p in here), np.zeros_like(spare[at]))
    allowed = ground.allowed
    gone = [p.uid for here in pods.values() for p in here]
    if any(r.shape.ports for r in ground.roles) or any(p.repels for here in pods.values() for p in here):
        allowed = survey_of(trial.snapshot.without(gone), trial.gang, CHECKS).ground.allowed
    return replace(ground, free=np.clip(spare, 0, LARGEST), allowed=allowed)


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


def _victims(stand: _Stand) -> tuple[Pod, ...]:
    """Return a minimal set of pods to delete in a domain, empty where even deleting all is not enough (or nothing is needed)."""
    nodes = stand.nodes
    if not stand.pods or not holds(stand.emptied, nodes)[1] or holds(stand.now, nodes)[1]:
        return ()
    ranked = _ranked(stand)
    if not holds(stand.without_nodes(ranked), nodes)[1]:
        ranked = sorted(stand.pods)
    low, high = 1, len(ranked)
    while low < high:
        middle = (low + high) // 2
        enough = holds(stand.without_nodes(ranked[:middle]), nodes)[1]
        low, high = (low, middle) if enough else (middle + 1, high)
    chosen = sorted(ranked[:low])
    rest = frontier(stand.now, np.setdiff1d(nodes, np.array(chosen, dtype=np.int64)), stand.now.free)
    part = stand.part(chosen)
    kept = [_shrink(part, order, rest) for order in _orders(part)]
    return min(kept, key=lambda pods: (_harm(pods), [p.key for p in pods]))


def _ranked(stand: _Stand) -> list[int]:
    """Order the nodes that gain something when emptied: the least harm for each member gained first."""
    nodes, now, emptied = stand.nodes, stand.now, stand.emptied
    gains = np.zeros(len(nodes), dtype=np.int64)
    for role in range(len(now.roles)):
        gains += capacity(emptied, role, nodes, emptied.free) - capacity(now, role, nodes, now.free)
    gain = dict(zip(nodes.tolist(), gains.tolist(), strict=True))
    return sorted((at for at in stand.pods if gain[at] > 0), key=lambda at: (_price(stand.pods[at]) / gain[at], _harm(stand.pods[at])[1], at))


def _price(pods: Sequence[Pod]) -> int:
    gpus, _, count = _harm(pods)
    return gpus * 1000 + count


def _orders(stand: _Stand) -> list[list[Pod]]:
    """Return the orders in which pods are put back: the most harmful pods first, and the most harmful nodes first."""
    by_pod = sorted((p for pods in stand.pods.values() for p in pods), key=lambda p: (_harm([p]), p.key), reverse=True)
    nodes = sorted(stand.pods, key=lambda at: (_harm(stand.pods[at]), at), reverse=True)
    by_node = [p for at in nodes for p in sorted(stand.pods[at], key=lambda p: (_harm([p]), p.key), reverse=True)]
    return [by_pod] if by_pod == by_node else [by_pod, by_node]


def _shrink(stand: _Stand, order: Sequence[Pod], rest: Ints) -> tuple[Pod, ...]:
    """Put back pod after pod while the gang is counted to fit beside the ``rest`` of the domain; many at a time where that succeeds."""
    where = {p.uid: at for at, pods in stand.pods.items() for p in pods}
    ground, gone = stand.emptied, list(order)
    at, step = 0, max(1, len(gone) // 4)
    refused: dict[int, list[Ints]] = {}
    while at < len(gone):
        if _too_much(refused, where[gone[at].uid], _amounts(ground, gone[at])):
            at += 1
            continue
        fuller = _put_back(ground, gone[at : at + step], where)
        if best(fuller, combine(rest, frontier(fuller, stand.nodes, np.maximum(fuller.free, 0)), fuller.roles[-1].count))[1]:
            ground = fuller
            del gone[at : at + step]
            step *= 2
        elif step > 1:
            step = max(1, step // 2)
        else:
            if not gone[at].shape.ports and not gone[at].repels:
                refused.setdefault(where[gone[at].uid], []).append(_amounts(ground, gone[at]))
            at += 1
    return tuple(sorted(gone, key=lambda p: p.key))


def _too_much(refused: Mapping[int, Sequence[Ints]], at: int, amounts: Ints) -> bool:
    """Tell whether a node had no room for as little already: nodes only become fuller, so that it has none now."""
    return any((amounts >= known).all() for known in refused.get(at, ()))


def _put_back(ground: Ground, pods: Sequence[Pod], where: Mapping[PodUid, int]) -> Ground:
    """Return the ground with pods put back; ``free`` may become negative."""
    free, allowed = ground.free.copy(), ground.allowed.copy()
    for pod in pods:
        at = where[pod.uid]
        free[at] -= _amounts(ground, pod)
        if pod.shape.ports or pod.repels:
            allowed[:, at] &= [not _in_the_way(pod, role) for role in ground.roles]
    return replace(ground, free=free, allowed=allowed)


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
