"""Whether a change of an object says anything new, and how an index of the world calls the object."""

from __future__ import annotations

from dataclasses import replace

from scheduler.state.events import PriorityClass, Value
from scheduler.state.objects import Pod
from scheduler.state.record import Record
from scheduler.state.world import PodGroup, TopologyPolicy, Workload


def alike(before: Value, after: Value) -> bool:
    """Whether two values that differ say the same to a decision: nothing but their versions is different."""
    if isinstance(before, Pod | PodGroup | TopologyPolicy | Workload | Record) and type(before) is type(after):
        return replace(before, resource_version=getattr(after, "resource_version", "")) == after
    return False


def called(value: Value) -> tuple[str, str, str] | None:
    """Return kind, namespace and name of an object of the world that is no pod; None for everything else."""
    if isinstance(value, PodGroup | TopologyPolicy):
        return type(value).__name__, value.namespace, value.name
    if isinstance(value, Workload):
        return value.kind, value.namespace, value.name
    return ("PriorityClass", "", value.name) if isinstance(value, PriorityClass) else None
