"""Says which recorded seats the nodes can no longer give: the same checks as in deciding, for members that are not bound yet.

What becomes of the pods themselves is `scheduler.kube.bindings.judge`. Bound members are never asked about: they run where they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scheduler.decide import filters, matching
from scheduler.decide.demand import required_levels
from scheduler.decide.filters import Seen
from scheduler.state.assumed import Seating
from scheduler.state.gang import Demand, Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Pod, Shape
from scheduler.state.record import Record, RecordSeat
from scheduler.state.resources import NOTHING, Resources
from scheduler.state.snapshot import Snapshot

_ROOM: Final = "NodeResourcesFit"
_CORDON: Final = "NodeUnschedulable"


def hazards(record: Record, gang: Gang | None, claims: Sequence[Seating], snapshot: Snapshot) -> list[str]:
    """Say what stands in the way of the seats that are claimed, in sentences; ``snapshot`` must not count the claims themselves."""
    by_node: dict[NodeName, list[Pod]] = {}
    for claim in claims:
        by_node.setdefault(claim.node, []).append(claim.pod)
    problems: list[str] = []
    for name in sorted(by_node):
        node = snapshot.nodes.get(name)
        if node is None:
            problems.append(f"the node {name} does not exist any more")
        else:
            problems += _refusals(node, by_node[name], snapshot) or _room(node, by_node[name], snapshot)
    if claims and gang is not None and not problems:
        problems.extend(_apart(record, gang.demand, {claim.pod.name for claim in claims}, snapshot))
    return problems


def _refusals(node: Node, pods: Sequence[Pod], snapshot: Snapshot) -> list[str]:
    """Return what the node checks say against these pods, each sentence once."""
    known: dict[Shape, str | None] = {}
    found: dict[str, None] = {}
    for pod in pods:
        if pod.shape not in known:
            known[pod.shape] = _check(node, pod, snapshot)
        why = known[pod.shape] or _repelled(node, pod, snapshot)
        if why is not None:
            found[why] = None
    return list(found)


def _check(node: Node, pod: Pod, snapshot: Snapshot) -> str | None:
    seen = Seen(node=node, pods=snapshot.pods_on.get(node.name, ()), free=node.allocatable)
    failed = next((each for each in filters.judge(seen, pod.shape) if each.check != _ROOM), None)
    if failed is None:
        return None
    if failed.check == _CORDON:
        return f"the node {node.name} is cordoned"
    return f"the node {node.name} does not take the pod {pod.name} any more: {failed.check}: {failed.message}"


def _repelled(node: Node, pod: Pod, snapshot: Snapshot) -> str | None:
    for holder in snapshot.repelling:
        home = snapshot.nodes.get(holder.node) if holder.node is not None else None
        for term in holder.repels if home is not None else ():
            value = node.labels.get(term.topology_key)
            if value is not None and home is not None and value == home.labels.get(term.topology_key) and matching.repels(term, pod):
                return f"the pod {holder.key} does not tolerate the pod {pod.name} in {term.topology_key} {value} (anti-affinity)"
    return None


def _room(node: Node, pods: Sequence[Pod], snapshot: Snapshot) -> list[str]:
    wanted: Resources = NOTHING
    for pod in pods:
        wanted = wanted + pod.used
    free = snapshot.free(node.name)
    short = [f"{amount} {what} of {free.amount(what)} free" for what, amount in wanted.items() if amount > max(0, free.amount(what))]
    return [f"the node {node.name} has no room: needs {', '.join(short)}"] if short else []


def _apart(record: Record, demand: Demand, open_pods: set[str], snapshot: Snapshot) -> Iterator[str]:
    """Say which seats that the record put into one domain of a required level do not lie in one any more, because a label changed."""
    for level in _required(demand):
        for domain, seats in _together(record, level, snapshot).items():
            if not any(seat.pod in open_pods for seat in seats):
                continue
            now = {seat.node: _domain(seat.node, level, snapshot) for seat in seats}
            if len(set(now.values())) > 1 or None in now.values():
                nodes = ", ".join(f"{node} in {home or 'none'}" for node, home in sorted(now.items()))
                yield f"the members that the record puts into {level} {domain} do not lie in one {level} any more: {nodes}"


def _required(demand: Demand) -> list[str]:
    levels = (*required_levels(demand), *(layer.required for layer in demand.segments))
    return list(dict.fromkeys(level for level in levels if level))


def _together(record: Record, level: str, snapshot: Snapshot) -> Mapping[str, list[RecordSeat]]:
    found = snapshot.topology.resolve(level)
    called = (level,) if found is None else (level, found.name, found.key)
    groups: dict[str, list[RecordSeat]] = {}
    for seat in record.seats:
        domain = next((seat.domains[name] for name in called if name in seat.domains), None)
        if domain is not None:
            groups.setdefault(domain, []).append(seat)
    return groups


def _domain(node: NodeName, level: str, snapshot: Snapshot) -> str | None:
    found = snapshot.topology.resolve(level)
    if found is None or node not in snapshot.topology.position:
        return None
    return snapshot.topology.domains_of(node).get(found.key) or snapshot.topology.labels[node].get(found.key)
