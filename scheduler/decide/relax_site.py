"""The ground of a search for pods to delete: what nodes have and would have, who stands where, and who keeps whom off a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Final

import numpy as np

from scheduler.decide import matching, usage
from scheduler.decide import relax_tables as tables
from scheduler.decide.counting import LARGEST, Bools, Ints, Role
from scheduler.decide.relax_disturb import Ledger
from scheduler.decide.relax_trial import CHECKS
from scheduler.decide.survey import Group, Survey
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.resources import GPU, PODS
from topology import HOSTNAME

_COUNTED: Final = 64
"""GPUs of a node up to which it is told which numbers its pods can give together; more are bounded by what is lacking."""
_ALL: Final = (1 << _COUNTED + 1) - 1
_WIDE: Final = 3
"""Pods that repel the gang from more than their node of which every subset is tried; of more only none, each and all."""


@dataclass(kw_only=True, eq=False)
class Site:
    """What a search reads, worked out where it looks."""

    survey: Survey
    ledger: Ledger
    _pods: dict[int, list[Pod]] = field(default_factory=dict)
    _blocking: dict[int, dict[PodUid, tuple[bool, ...]]] = field(default_factory=dict)
    _allowed: dict[frozenset[PodUid], Bools] = field(default_factory=dict)
    _most: dict[int | None, Ints] = field(default_factory=dict)
    _bounds: dict[int | None, list[int]] = field(default_factory=dict)
    _amounts: dict[PodUid, tuple[int, ...]] = field(default_factory=dict)
    _reach: dict[int | None, tables.Reach] = field(default_factory=dict)
    _inside: dict[int, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def shape(self) -> tables.Shape:
        """The axes of the tables."""
        return tables.Shape(ground=self.survey.ground)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The domains that may hold the gang."""
        return self.survey.groups

    @cached_property
    def lowest(self) -> int:
        """The lowest priority of a pod that runs."""
        return min((pod.priority for pod in self.ledger.snapshot.pods.values()), default=0)

    @cached_property
    def spare(self) -> Ints:
        """int64[N, K]: what nodes have left; less than nothing where they are over-committed."""
        known = usage.table(self.ledger.snapshot)
        names = self.survey.ground.resources
        none = np.zeros(len(known.position), dtype=np.int64)
        return np.clip(np.stack([known.total(n) - known.used.get(n, none) for n in names], axis=1), -LARGEST, LARGEST)

    def emptied(self, forced: frozenset[PodUid], gone: Iterable[Pod]) -> Ints:
        """Return what nodes have left when these are gone."""
        spare = self.spare
        gone = list(gone)
        if gone or forced:
            spare = spare.copy()
            for pod in gone:
                at = self.ledger.snapshot.topology.position.get(pod.node or "")
                if at is not None:
                    spare[at] += np.array(self.amounts(pod), dtype=np.int64)
        return spare

    def most(self, below: int | None) -> Ints:
        """Return int64[N, K]: what nodes have left at most, when all pods (below a priority) are gone."""
        if below not in self._most:
            known = usage.table(self.ledger.snapshot)
            total = np.clip(np.stack([known.total(n) for n in self.survey.ground.resources], axis=1), 0, LARGEST)
            if below is not None:
                position = self.ledger.snapshot.topology.position
                for pod in self.ledger.snapshot.pods.values():
                    at = position.get(pod.node or "")
                    if at is not None and pod.priority >= below:
                        total[at] -= np.array(self.amounts(pod), dtype=np.int64)
            self._most[below] = total
        return self._most[below]

    def reach(self, below: int | None) -> tables.Reach:
        """Return which numbers of GPUs pods (below a priority) give together on each node."""
        if below not in self._reach:
            position = self.ledger.snapshot.topology.position
            sums = [1] * len(position)  # bit i: the pods seen so far can give i GPUs, the last bit: as many or more
            for pod in self.ledger.snapshot.pods.values():
                gpus, at = pod.used.amount(GPU), position.get(pod.node or "")
                if at is not None and gpus > 0 and (below is None or pod.priority < below):
                    given = sums[at] | sums[at] << min(gpus, _COUNTED)
                    sums[at] = given & _ALL | (given > _ALL) << _COUNTED
            rows = {mask: row for row, mask in enumerate(dict.fromkeys(sums))}
            least = np.array([_enough(mask) for mask in rows], dtype=np.int64)
            self._reach[below] = tables.Reach(row=np.array([rows[mask] for mask in sums], dtype=np.int64), least=least)
        return self._reach[below]

    def bound(self, group: int, below: int | None) -> int:
        """Return a price that no answer in a domain undercuts, `tables.NEVER` where there is none."""
        if below not in self._bounds:
            free = np.ones_like(self.survey.ground.allowed) if self.blocked else self.survey.ground.allowed
            priced = tables.bounds(self.shape, self.spare, np.maximum(self.spare, self.most(below)), free, self.reach(below))
            wholes = tables.together(priced, [group.nodes for group in self.groups])
            self._bounds[below] = [min((int(whole[target]) for target in self.shape.targets), default=tables.NEVER) for whole in wholes]
        return self._bounds[below][group]

    def pods(self, at: int) -> list[Pod]:
        """Return the pods of a node that may go."""
        if at not in self._pods:
            here = self.ledger.snapshot.pods_on.get(NodeName(self.ledger.snapshot.topology.nodes[at]), ())
            self._pods[at] = [pod for pod in here if self.ledger.deletable(pod)]
        return self._pods[at]

    def inside(self, group: int, pod: Pod) -> bool:
        """Tell whether a pod runs in a domain."""
        if group not in self._inside:
            self._inside[group] = frozenset(self.groups[group].nodes.tolist())
        return self.ledger.snapshot.topology.position.get(pod.node or "") in self._inside[group]

    def amounts(self, pod: Pod) -> tuple[int, ...]:
        """Return what a pod takes, in the order of the ground's resources."""
        if pod.uid not in self._amounts:
            self._amounts[pod.uid] = tuple([1 if n == PODS else min(LARGEST, pod.used.amount(n)) for n in self.survey.ground.resources])
        return self._amounts[pod.uid]

    @cached_property
    def blocked(self) -> bool:
        """Whether any pod keeps a role off nodes that it could use otherwise."""
        return bool(self.blockers) or bool(self.wide)

    @cached_property
    def blockers(self) -> Mapping[PodUid, tuple[bool, ...]]:
        """Pods that keep roles off their own node, by a host port or by anti-affinity."""
        roles = self.survey.ground.roles
        suspects = self.ledger.snapshot.pods.values() if any(r.shape.ports for r in roles) else self.ledger.snapshot.repelling
        wide = {pod.uid for pod in self.wide}
        found = {pod.uid: tuple(_in_the_way(pod, role) for role in roles) for pod in suspects if pod.uid not in wide}
        return {uid: blocks for uid, blocks in found.items() if any(blocks)}

    def blocking(self, at: int) -> Mapping[PodUid, tuple[bool, ...]]:
        """Return the blockers on a node."""
        if not self.blockers:
            return {}
        if at not in self._blocking:
            here = self.ledger.snapshot.pods_on.get(NodeName(self.ledger.snapshot.topology.nodes[at]), ())
            self._blocking[at] = {pod.uid: self.blockers[pod.uid] for pod in here if pod.uid in self.blockers}
        return self._blocking[at]

    @cached_property
    def wide(self) -> tuple[Pod, ...]:
        """Pods whose anti-affinity keeps the gang off more than their own node."""
        roles = self.survey.ground.roles
        found = [pod for pod in self.ledger.snapshot.repelling if any(_repels(pod, role, wide=True) for role in roles)]
        return tuple(sorted(found, key=lambda pod: (pod.key, pod.uid)))

    @cached_property
    def forced(self) -> tuple[frozenset[PodUid], ...]:
        """Sets of pods to force out, none first, so that what they repel can be used."""
        may = [pod.uid for pod in self.wide if self.ledger.deletable(pod)]
        sizes = range(len(may) + 1) if len(may) <= _WIDE else (0, 1, len(may))
        return tuple(frozenset(chosen) for size in sizes for chosen in combinations(may, size))

    def allowed(self, forced: frozenset[PodUid]) -> Bools:
        """Return bool[R, N]: where roles may go once no blocker stands there; wide ones repel unless they are forced out."""
        if not self.blocked:
            return self.survey.ground.allowed
        if forced not in self._allowed:
            view = self.ledger.snapshot.without({*self.blockers, *forced})
            rows = [CHECKS.allowed(view, role.shape, role.pods) for role in self.survey.ground.roles]
            self._allowed[forced] = np.array(rows, dtype=np.bool_).reshape(self.survey.ground.allowed.shape)
        return self._allowed[forced]


def _enough(sums: int) -> list[int]:
    """Return, for each number of GPUs that may be lacking, the least of these sums (as bits) that is enough."""
    found, least = [], tables.NEVER
    for number in reversed(range(_COUNTED + 1)):
        least = number if sums >> number & 1 else least
        found.append(least)
    return found[::-1]


def _in_the_way(pod: Pod, role: Role) -> bool:
    if role.shape.ports and matching.ports_conflict(role.shape.ports, pod.shape.ports):
        return True
    return _repels(pod, role, wide=False)


def _repels(pod: Pod, role: Role, *, wide: bool) -> bool:
    terms = (term for term in pod.repels if not wide or term.topology_key != HOSTNAME)
    return any(matching.repels(term, other) for term in terms for other in role.pods)
