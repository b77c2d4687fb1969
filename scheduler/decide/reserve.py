"""Where a gang that does not fit will fit first: the fewest running pods that must end for it, and the seats that it gets then.

Nobody is made to end: the room that it needs there is kept for it as it becomes free. How soon a pod ends is not known, so the fewest GPUs
that must come free count, as for the relaxation ``free`` (`scheduler.decide.relax_search`); where that search has no answer, any seats
among those that could come free are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from scheduler.decide import filters, verify
from scheduler.decide.arrays import Checks
from scheduler.decide.demand import weightless
from scheduler.decide.place import place
from scheduler.decide.relax_disturb import Ledger, Neighbours
from scheduler.decide.relax_search import Search
from scheduler.decide.relax_site import Site
from scheduler.decide.survey import survey_of
from scheduler.solve.solver import Budget, Solver
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Pod
from scheduler.state.plan import Placed
from scheduler.state.resources import GPU, NOTHING, PODS, Resources, total
from scheduler.state.snapshot import Snapshot

_DOMAINS: Final = 3
"""Domains whose fewest pods are tried; counting does not know segments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reserved:
    """Seats of a gang on the cluster as it will be when some pods have ended."""

    gang: Gang
    plan: Placed
    """Its seats; the weights of its levels may be left out of account."""
    ending: frozenset[PodUid]
    """Pods that must end."""
    nodes: Mapping[NodeName, object]
    """The nodes of its seats, as they were."""

    @cached_property
    def members(self) -> Mapping[NodeName, tuple[Pod, ...]]:
        """The members that are to come to each node; those first that keep others away."""
        found: dict[NodeName, list[Pod]] = {}
        for seat in self.plan.seats:
            if not seat.bound:
                found.setdefault(seat.node, []).append(seat.member.pod)
        return {name: tuple(sorted(pods, key=lambda p: (not (p.shape.ports or p.repels), p.key))) for name, pods in sorted(found.items())}

    @cached_property
    def needed(self) -> Mapping[NodeName, Resources]:
        """What they request together on each node."""
        return {name: _asked(pods) for name, pods in self.members.items()}


def reserve(
    snapshot: Snapshot,
    gang: Gang,
    running: Sequence[Gang],
    *,
    may_end: AbstractSet[PodUid],
    solver: Solver,
    budget: Budget,
    checks: Checks,
) -> Reserved | None:
    """Choose seats and the pods that must end for them; ``None`` where the gang would not fit if every pod that can end had ended.

    ``running`` are the gangs whose members run: they end together. Only pods that ``may_end`` are counted on; those that are being deleted
    already cost nothing.
    """
    leaving = frozenset(uid for uid, pod in snapshot.pods.items() if pod.terminating and uid in may_end)
    soon = snapshot.without(leaving) if leaving else snapshot
    ledger = Ledger(snapshot=soon, gang=gang, neighbours=Neighbours(gangs=tuple(running)), raw=None, running=may_end, budgeted=False)
    every = frozenset(uid for uid, pod in soon.pods.items() if ledger.plain(pod))
    everywhere = place(soon.without(every), weightless(gang), solver, budget, checks, explained=False)
    if not isinstance(everywhere, Placed):
        return None
    for ending in _fewest(soon, gang, ledger, checks):
        plan = place(soon.without(ending), gang, solver, budget, checks, explained=False)
        if isinstance(plan, Placed):
            return _trimmed(snapshot, gang, plan, ending | leaving)
    return _trimmed(snapshot, gang, everywhere, every | leaving)


def _fewest(snapshot: Snapshot, gang: Gang, ledger: Ledger, checks: Checks) -> Iterator[frozenset[PodUid]]:
    survey = survey_of(snapshot, gang, checks)
    ground = survey.ground
    if not ground.roles or not ground.exact or max(ground.need, sum(role.must for role in ground.roles)) <= 0:
        return
    search, asked = Search(site=Site(survey=survey, ledger=ledger), ledger=ledger), set[int]()
    while len(asked) < _DOMAINS:
        victims = search.smallest(asked)
        if victims is None:
            return
        asked.add(victims.group)
        yield frozenset(pod.uid for pod in victims.pods)


def _trimmed(snapshot: Snapshot, gang: Gang, plan: Placed, ending: frozenset[PodUid]) -> Reserved:
    """Leave out pods that need not end for these seats, the largest first."""
    nodes = {seat.node: snapshot.nodes[seat.node] for seat in plan.seats if not seat.bound}
    found = Reserved(gang=gang, plan=plan, ending=ending, nodes=nodes)
    kept: set[PodUid] = set()
    for name, needed in found.needed.items():
        here = [pod for pod in snapshot.pods_on.get(name, ()) if pod.uid in ending]
        room = _room(snapshot, name, here)
        for pod in sorted(here, key=lambda p: (-p.used.amount(GPU), p.key, p.uid)):
            without = room - _slot(pod)
            if not pod.shape.ports and not pod.repels and _covers(without, needed):
                kept.add(pod.uid)
                room = without
    elsewhere = {uid for uid in ending if (pod := snapshot.pods[uid]).node not in found.needed and not pod.repels}
    fewer = replace(found, ending=ending - kept - elsewhere)
    return found if verify.verify(snapshot.without(fewer.ending), plan, filters.allowed) else fewer


def possible(snapshot: Snapshot, reserved: Reserved) -> bool:
    """Tell whether the seats can still become free: their nodes are what they were, and nobody else has come who does not end."""
    for name, needed in reserved.needed.items():
        if name not in snapshot.nodes:
            return False
        going = [pod for pod in snapshot.pods_on.get(name, ()) if pod.uid in reserved.ending]
        if not _covers(_room(snapshot, name, going), needed):
            return False
    if all(snapshot.nodes[name] is node for name, node in reserved.nodes.items()):
        return True
    return not verify.verify(snapshot.without(reserved.ending & snapshot.pods.keys()), reserved.plan, filters.allowed)


def held(snapshot: Snapshot, reserved: Reserved) -> tuple[Pod, ...]:
    """Return pods that stand for the room which is free now and that the seats will need: what pods that end give is not yet there to be kept.

    Room on those nodes beyond that is anybody's.
    """
    found: list[Pod] = []
    for name, pods in reserved.members.items():
        if name not in snapshot.nodes:
            continue
        going = [pod for pod in snapshot.pods_on.get(name, ()) if pod.uid in reserved.ending]
        lack, free = reserved.needed[name] - total(map(_slot, going)), _room(snapshot, name, ())
        kept = Resources({n: min(amount, free.amount(n)) for n, amount in lack.items() if n != PODS and min(amount, free.amount(n)) > 0})
        wary = sum(bool(pod.shape.ports or pod.repels) for pod in pods)
        number = max(min(lack.amount(PODS), free.amount(PODS)), wary, min(1, len(kept)))
        for at, pod in enumerate(pods[: max(0, number)]):
            uid = PodUid(f"reserved:{pod.uid}")
            found.append(replace(pod, uid=uid, priority=reserved.gang.priority, nominated_node=name, used=NOTHING if at else kept))
    return tuple(found)


def _room(snapshot: Snapshot, name: NodeName, gone: Iterable[Pod]) -> Resources:
    """Return what a node has left when some of its pods are gone; pods are counted, whatever they request."""
    node, pods = snapshot.nodes[name], snapshot.pods_on.get(name, ())
    left = snapshot.free(name) + total(pod.used for pod in gone)
    slots = node.allocatable.amount(PODS) - len(pods) + sum(1 for _ in gone)
    return Resources({**left, PODS: slots})


def _slot(pod: Pod) -> Resources:
    return Resources({**pod.used, PODS: 1})


def _asked(pods: Sequence[Pod]) -> Resources:
    return Resources({**total(pod.shape.requests for pod in pods), PODS: len(pods)})


def _covers(room: Resources, needed: Resources) -> bool:
    return all(room.amount(name) >= amount for name, amount in needed.items())
