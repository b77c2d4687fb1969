"""The sentence of the pod condition PodScheduled=False: kube-scheduler's opening, the report's message, nodes counted by refusal.

Reason, rooms and the most that fits are decided in `scheduler.decide.refusal`, changes that would help in `scheduler.decide.relax`.
Node checks come in as a function, so that this stage does not know the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from scheduler.state.gang import Gang
from scheduler.state.objects import Pod, Shape
from scheduler.state.plan import Unplaced
from scheduler.state.snapshot import Snapshot

Summary: TypeAlias = Callable[[Snapshot, Shape, Iterable[Pod]], Sequence[tuple[str, int]]]
"""Nodes counted by what refuses one pod of a shape there first, in words (`scheduler.decide.filters.summary`)."""


def sentence(snapshot: Snapshot, plan: Unplaced, summary: Summary) -> str:
    """Return what a person reads who looks at a pending pod; for anything but a proved no it is the report's message alone."""
    if plan.status != "INFEASIBLE":
        return plan.message
    gang, size = plan.gang, len(plan.gang.members)
    wanted = f"all {size} members" if gang.min_member >= size else f"{gang.min_member} of the {size} members"
    if size == 1:
        wanted = "the one member"
    opening = f"0/{len(snapshot.topology.nodes)} nodes are available for {wanted} of gang {gang.namespace}/{gang.name}: {plan.message.rstrip('.')}"
    role, counts = _counts(snapshot, gang, summary)
    return f"{opening}; nodes for one {role}: {counts}." if counts else f"{opening}."


def _counts(snapshot: Snapshot, gang: Gang, summary: Summary) -> tuple[str, str]:
    """Count the nodes for the role that the fewest nodes take, of these the one with the most members."""
    roles: dict[tuple[str, Shape], list[Pod]] = {}
    for member in gang.pending:
        roles.setdefault((member.role, member.pod.shape), []).append(member.pod)
    counted = [(summary(snapshot, shape, pods), len(pods), name) for (name, shape), pods in roles.items()]
    if not counted:
        return "", ""
    rows, _, name = max(counted, key=lambda one: (sum(nodes for words, nodes in one[0] if not words.startswith("Insufficient")), one[1]))
    return name, ", ".join(f"{nodes} {words}" for words, nodes in rows)
