"""The planner of the model check: first fit inside one rack. What matters here is what becomes of plans, not how good they are."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.state.gang import Gang
from scheduler.state.objects import Node
from scheduler.state.plan import Decision, Placed, Plan, Seat, Unplaced
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK

_ENGINE = Decision(engine="none")


def first_fit(snapshot: Snapshot, gang: Gang, *, backwards: bool) -> Plan:
    """Seat the members in one rack, in that of the bound ones if there are any; ``backwards``: try racks and nodes from the last one."""
    if gang.waiting is not None or len(gang.members) < gang.min_member:
        return Unplaced(gang=gang, status="WAITING", reason="MembersMissing", message="members are missing", decision=_ENGINE)
    nodes = snapshot.nodes
    fixed = {nodes[where].labels[RACK] for m in gang.fixed if (where := m.pod.node) is not None and where in nodes}
    for rack in sorted({n.labels[RACK] for n in nodes.values()}, reverse=backwards):
        here = sorted((n for n in nodes.values() if n.labels[RACK] == rack), key=lambda n: n.name, reverse=backwards)
        seats = _seats(snapshot, gang, here) if fixed <= {rack} else None
        if seats is not None:
            return Placed(gang=gang, seats=seats, cost=0, bound=0, levels=(), decision=_ENGINE)
    return Unplaced(gang=gang, status="INFEASIBLE", reason="NoRoom", message="no rack has room for the gang", decision=_ENGINE)


def _seats(snapshot: Snapshot, gang: Gang, nodes: Iterable[Node]) -> tuple[Seat, ...] | None:
    free = {node.name: snapshot.free(node.name) for node in nodes if not node.unschedulable}
    found: list[Seat] = []
    for member in gang.members:
        if member.pod.node is not None:
            found.append(Seat(member=member, node=member.pod.node, bound=True))
            continue
        wanted = member.pod.used
        place = next((name for name, room in free.items() if all(room.amount(what) >= amount for what, amount in wanted.items())), None)
        if place is None:
            return None
        free[place] -= wanted
        found.append(Seat(member=member, node=place, bound=False))
    return tuple(found)
