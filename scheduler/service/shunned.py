"""Nodes that refused a pod: they are not proposed to its group again at once, and longer the more often they refuse.

A refused bind and a pod that a kubelet did not take count alike. The memory is of the group, not of the pod: a pod that is refused is made
anew under another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scheduler.kube.group.groups import GroupRef
from scheduler.kube.group.workloads import ALONE
from scheduler.state.ids import NodeName
from scheduler.state.objects import Pod

FIRST_SECONDS: Final = 60.0
"""How long a node that refused a group's pod is not proposed to that group again; doubled with every further refusal."""
LONGEST_SECONDS: Final = 1_800.0
FORGET_SECONDS: Final = 3_600.0
"""A node that was not proposed or did not refuse for so long begins anew."""
_MOST: Final = 10_000
"""Groups that are remembered; beyond it the oldest are forgotten."""


@dataclass(slots=True, kw_only=True)
class _Memory:
    times: int
    until: float


class Shunned:
    """Which nodes refused whom. Pure; the clock is an argument everywhere, in monotonic seconds."""

    def __init__(self) -> None:
        """Begin without memories."""
        self._of: dict[GroupRef, dict[NodeName, _Memory]] = {}

    def refuse(self, group: GroupRef, node: NodeName, now: float) -> None:
        """Remember that a node refused a pod of a group. Refusals of several pods in one go count once."""
        nodes = self._of.pop(group, {})
        self._of[group] = nodes
        if len(self._of) > _MOST:
            del self._of[next(iter(self._of))]
        memory = nodes.get(node)
        if memory is not None and now < memory.until:
            return
        times = 1 if memory is None or now >= memory.until + FORGET_SECONDS else memory.times + 1
        nodes[node] = _Memory(times=times, until=now + min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(times - 1, 10)))

    def of(self, group: GroupRef | None, now: float) -> Mapping[NodeName, float]:
        """Return the nodes that are not to be proposed to a group, and until when."""
        if group is None or group not in self._of:
            return {}
        nodes = self._of[group]
        for node in [node for node, memory in nodes.items() if now >= memory.until + FORGET_SECONDS]:
            del nodes[node]
        if not nodes:
            del self._of[group]
        return {node: memory.until for node, memory in nodes.items() if now < memory.until}


def keeper(group: GroupRef, pod: Pod) -> GroupRef:
    """Return under whom a refusal is remembered: the controller of a lone pod, because it makes the next one; else the group."""
    if group.kind != ALONE or pod.owner is None:
        return group
    return GroupRef(kind=pod.owner.kind, namespace=group.namespace, name=pod.owner.name, uid=pod.owner.uid)
