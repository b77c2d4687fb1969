"""Whether a change of an object says anything new, and how an index of the world calls the object."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Final

from scheduler.state.events import PriorityClass, Value
from scheduler.state.objects import Pod
from scheduler.state.record import Record
from scheduler.state.world import PodGroup, TopologyPolicy, Workload

_VERSIONED: Final = (Pod, PodGroup, TopologyPolicy, Workload, Record)
_SAID: Final[dict[type, attrgetter[tuple[object, ...]]]] = {
    kind: attrgetter(*(each.name for each in fields(kind) if each.name != "resource_version")) for kind in _VERSIONED
}
"""What an object says, by its type: every field but its version."""


def alike(before: Value, after: Value) -> bool:
    """Whether two values that differ say the same to a decision: nothing but their versions is different."""
    said = _SAID.get(type(before))
    return said is not None and type(before) is type(after) and bool(said(before) == said(after))


def called(value: Value) -> tuple[str, str, str] | None:
    """Return kind, namespace and name of an object of the world that is no pod; None for everything else."""
    if isinstance(value, PodGroup | TopologyPolicy):
        return type(value).__name__, value.namespace, value.name
    if isinstance(value, Workload):
        return value.kind, value.namespace, value.name
    return ("PriorityClass", "", value.name) if isinstance(value, PriorityClass) else None
