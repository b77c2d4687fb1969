"""Which running pods may be deleted to make room, and what that disturbs: gangs as a whole, PodDisruptionBudgets, kube-system.

A gang that loses more members than it can spare counts as disturbed with all that it runs. What a budget allows is what its status
says, else what its numbers leave of the pods that run now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from scheduler.decide import matching
from scheduler.decide.relax_changes import Raw
from scheduler.state.disruption import DisruptionBudget
from scheduler.state.gang import Gang
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot

SYSTEM: Final = "kube-system"
UNIT: Final = 2**22
"""Price of one GPU; a pod costs 1 beside its GPUs, so that fewer pods are better among equals."""
MOST_GPUS: Final = 2**20
"""More GPUs of one pod are priced as so many: prices of a hundred thousand pods stay below 2^60."""
_OWNED_BY_NODE: Final = ("DaemonSet", "Node")
"""Owners that put a deleted pod back on the same node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What runs beside the gang that asks, as far as it binds pods together."""

    gangs: tuple[Gang, ...] = ()
    budgets: tuple[DisruptionBudget, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limit:
    """Of these pods at most so many may go."""

    name: str
    most: int
    pods: frozenset[PodUid]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Company:
    """A gang that runs: up to ``spare`` members may go alone, else all of them are disturbed."""

    key: str
    name: str
    pods: tuple[Pod, ...]
    spare: Limit
    whole: bool
    """Whether all of it may be deleted."""

    @property
    def price(self) -> int:
        """What disturbing all of it costs."""
        return price(self.pods)


def price(pods: Iterable[Pod]) -> int:
    """Return GPUs disturbed, then the number of pods, as one number."""
    return sum(min(pod.used.amount(GPU), MOST_GPUS) * UNIT + 1 for pod in pods)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """Who may be deleted for one gang, worked out for the pods that are asked about."""

    snapshot: Snapshot
    gang: Gang
    neighbours: Neighbours
    raw: Raw | None
    running: AbstractSet[PodUid] | None = None
    """The pods that run; ``None``: all of the snapshot. Seats that a round has given away are nobody's to delete."""
    budgeted: bool = True
    """Whether PodDisruptionBudgets count; without them it shows whether they alone are in the way."""
    _companies: dict[int, Company | None] = field(default_factory=dict)
    _limits: dict[str, Limit] = field(default_factory=dict)

    def deletable(self, pod: Pod) -> bool:
        """Tell whether a pod may be deleted, alone or with its gang."""
        if not self.plain(pod) or any(limit.most < 1 for limit in self.limits(pod)):
            return False
        company = self.company(pod)
        return company is None or company.whole or company.spare.most > 0

    def plain(self, pod: Pod) -> bool:
        """Tell whether a pod may be deleted as far as itself goes."""
        if pod.uid in self._own or pod.namespace == SYSTEM or pod.terminating or pod.node not in self.snapshot.topology.position:
            return False
        if (pod.owner is not None and pod.owner.kind in _OWNED_BY_NODE) or (self.running is not None and pod.uid not in self.running):
            return False
        # A pod that an earlier decision of the same dry run placed is no object of the input: it cannot be deleted there.
        return self.raw is None or self.raw("Pod", pod.namespace, pod.name) is not None

    def spares(self, pods: Iterable[Pod]) -> bool:
        """Tell whether these may go together: gangs keep enough members or go with all, budgets allow it."""
        gone = {pod.uid: pod for pod in pods}
        limits = {limit.name: limit for pod in gone.values() for limit in self.limits(pod)}
        companies = {company.key: company for pod in gone.values() if (company := self.company(pod)) is not None}
        kept = (len(c.spare.pods & gone.keys()) <= c.spare.most or c.spare.pods <= gone.keys() for c in companies.values())
        return all(kept) and all(len(limit.pods & gone.keys()) <= limit.most for limit in limits.values())

    def limits(self, pod: Pod) -> tuple[Limit, ...]:
        """Return the budgets that cover a pod."""
        return tuple(self._limit(budget) for budget in self._budgets.get(pod.namespace, ()) if _covers(budget, pod))

    def company(self, pod: Pod) -> Company | None:
        """Return the gang that a running pod belongs to; ``None`` where it stands alone."""
        at = self._gang_of.get(pod.uid)
        if at is None:
            return None
        if at not in self._companies:
            self._companies[at] = self._company(self.neighbours.gangs[at])
        return self._companies[at]

    @cached_property
    def _own(self) -> frozenset[PodUid]:
        return frozenset(m.pod.uid for m in self.gang.members)

    @cached_property
    def _budgets(self) -> Mapping[str, tuple[DisruptionBudget, ...]]:
        found: dict[str, list[DisruptionBudget]] = {}
        for budget in sorted(self.neighbours.budgets, key=lambda b: b.key) if self.budgeted else ():
            found.setdefault(budget.namespace, []).append(budget)
        return {namespace: tuple(budgets) for namespace, budgets in found.items()}

    @cached_property
    def _gang_of(self) -> Mapping[PodUid, int]:
        gangs = enumerate(self.neighbours.gangs)
        return {m.pod.uid: at for at, gang in gangs if gang.min_member > 1 and gang.key != self.gang.key for m in gang.members}

    def _company(self, gang: Gang) -> Company | None:
        known = (self.snapshot.pods.get(m.pod.uid) for m in gang.members)
        pods = tuple(sorted((pod for pod in known if pod is not None and not pod.terminating), key=lambda pod: pod.key))
        uids = frozenset(pod.uid for pod in pods)
        name = f"{gang.namespace}/{gang.name}"
        covering = {limit.name: limit for pod in pods for limit in self.limits(pod)}
        whole = all(map(self.plain, pods)) and all(len(limit.pods & uids) <= limit.most for limit in covering.values())
        spare = Limit(name=f"gang {name}", most=max(0, len(pods) - gang.min_member), pods=uids)
        return Company(key=gang.key, name=name, pods=pods, spare=spare, whole=whole)

    def _limit(self, budget: DisruptionBudget) -> Limit:
        name = f"PodDisruptionBudget {budget.key}"
        if name not in self._limits:
            pods = [pod for pod in self.snapshot.pods.values() if pod.namespace == budget.namespace and _covers(budget, pod)]
            self._limits[name] = Limit(name=name, most=allowed(budget, pods), pods=frozenset(pod.uid for pod in pods))
        return self._limits[name]


def allowed(budget: DisruptionBudget, pods: Iterable[Pod]) -> int:
    """Return how many of the pods that run and that a budget covers may go now."""
    if budget.allowed is not None:
        return budget.allowed
    covered = list(pods)
    healthy = sum(not pod.terminating for pod in covered)
    if budget.max_unavailable is not None:
        return max(0, healthy - len(covered) + budget.max_unavailable.of(len(covered)))
    if budget.min_available is not None:
        return max(0, healthy - budget.min_available.of(len(covered)))
    return 0  # the disruption controller, too, lets none go where neither number is given


def _covers(budget: DisruptionBudget, pod: Pod) -> bool:
    return budget.selector is not None and all(matching.expression_matches(one, pod.labels) for one in budget.selector)
