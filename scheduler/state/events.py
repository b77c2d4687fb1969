"""What happens to the cluster, one object at a time: the only input of `scheduler.state.cache`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from scheduler.state.objects import Node, Pod
from scheduler.state.record import Record
from scheduler.state.world import PodGroup, TopologyPolicy, Workload
from topology import CustomLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass:
    """A PriorityClass; ``default``: it counts for pods that name none."""

    name: str
    value: int
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The levels of a topology object of another scheduler (Kueue's Topology, Grove's ClusterTopologyBinding), widest first."""

    name: str
    levels: tuple[CustomLevel, ...]


Value: TypeAlias = Node | Pod | PodGroup | TopologyPolicy | Workload | PriorityClass | Record | Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Id:
    """Which object an event is about; ``source`` is the watched row that tells of it (``pods``, ``podgroups.scheduling.run.ai``)."""

    source: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """The object is now like this."""

    id: Id
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The object is gone."""

    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The object exists but cannot be used; until it is corrected it counts as absent."""

    id: Id
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """Everything of one row has been told once, or again after a re-list; or the server does not serve it."""

    source: str


Event: TypeAlias = Put | Removed | Unreadable | Synced
