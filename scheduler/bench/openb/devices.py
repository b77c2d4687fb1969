"""GPUs as devices that can be shared: what is free on every device of every node, and what a demand takes of it.

A device is counted in thousandths. A demand asks for whole devices, for a share of one device, or for no device. A share lies on one
device; whole devices must be idle. Which place is the best is left to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

WHOLE: Final = 1000
"""Thousandths of a device."""

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one task asks for."""

    cpu_milli: int = 0
    memory_mib: int = 0
    gpus: int = 0
    gpu_milli: int = 0
    """Of each device; 0 exactly where ``gpus`` is 0."""
    models: frozenset[str] = frozenset()
    """GPU models that will do; empty: any."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant; raises ValueError."""
        if min(self.cpu_milli, self.memory_mib, self.gpus) < 0:
            raise ValueError("a negative amount")
        if not ((self.gpus and self.gpu_milli == WHOLE) or (self.gpus == 1 and 0 < self.gpu_milli < WHOLE) or self.gpus == self.gpu_milli == 0):
            raise ValueError(f"{self.gpus} devices of {self.gpu_milli} thousandths: neither whole devices nor a share of one")

    @property
    def shared(self) -> bool:
        """Whether it is a share of one device."""
        return 0 < self.gpu_milli < WHOLE

    @property
    def total_milli(self) -> int:
        """Thousandths of devices in all."""
        return self.gpus * self.gpu_milli


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node and its devices, all of one model."""

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node and devices of it, by position."""

    node: int
    devices: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Fleet:
    """The free room of many nodes, in the order of their names. ``take`` changes it; nobody else does."""

    names: tuple[str, ...]
    models: tuple[str, ...]
    """The models that occur, sorted."""
    model: Ints
    """Per node, the position of its model."""
    gpus: Ints
    cpu: Ints
    memory: Ints
    free: Ints
    """Nodes x devices: free thousandths; 0 where a node has no such device."""
    changes: Ints
    """Per node, how often something was taken: tells what was worked out before from what is stale."""
    capacity_milli: int
    used_milli: int = 0
    _allowed: dict[frozenset[str], Mask] = field(default_factory=dict)

    @classmethod
    def of(cls, machines: Iterable[Machine]) -> Fleet:
        """Return the machines with nothing taken."""
        nodes = sorted(machines, key=lambda machine: machine.name)
        models = tuple(sorted({node.model for node in nodes}))
        gpus = np.array([node.gpus for node in nodes], dtype=np.int64)
        slots = np.arange(max((node.gpus for node in nodes), default=0))
        return cls(
            names=tuple(node.name for node in nodes),
            models=models,
            model=np.array([models.index(node.model) for node in nodes], dtype=np.int64),
            gpus=gpus,
            cpu=np.array([node.cpu_milli for node in nodes], dtype=np.int64),
            memory=np.array([node.memory_mib for node in nodes], dtype=np.int64),
            free=np.where(slots < gpus[:, None], WHOLE, 0).astype(np.int64),
            changes=np.zeros(len(nodes), dtype=np.int64),
            capacity_milli=WHOLE * int(gpus.sum()),
        )

    def accepts(self, models: frozenset[str]) -> Mask:
        """Return for each model whether it is one of these; all are where these are none."""
        found = self._allowed.get(models)
        if found is None:
            found = self._allowed[models] = np.array([not models or model in models for model in self.models], dtype=np.bool_)
        return found

    def roomy(self, demand: Demand) -> Mask:
        """Return nodes x devices: whether a device has the room that the demand asks of each of its devices; none where it asks for none."""
        return self.free >= demand.gpu_milli if demand.gpus else np.zeros(self.free.shape, dtype=np.bool_)

    def fits(self, demand: Demand) -> Mask:
        """Return for each node whether the demand fits there now."""
        fits = (self.cpu >= demand.cpu_milli) & (self.memory >= demand.memory_mib)
        if demand.gpus:
            fits &= self.accepts(demand.models)[self.model]
            fits &= self.roomy(demand).sum(axis=1) >= demand.gpus
        return fits

    def first(self, node: int, demand: Demand) -> Place:
        """Return the place on the first devices of a node that have room: for whole devices, one choice is as good as another."""
        devices = np.flatnonzero(self.free[node] >= demand.gpu_milli)[: demand.gpus] if demand.gpus else ()
        return Place(node=node, devices=tuple(int(device) for device in devices))

    def take(self, place: Place, demand: Demand) -> None:
        """Take the demand's room at a place. Raises ValueError, and takes nothing, where it is not free there."""
        node, devices = place.node, list(place.devices)
        enough = self.cpu[node] >= demand.cpu_milli and self.memory[node] >= demand.memory_mib
        right = len(set(devices)) == len(devices) == demand.gpus and (not demand.gpus or self.accepts(demand.models)[self.model[node]])
        if not enough or not right or bool((self.free[node, devices] < demand.gpu_milli).any()):
            raise ValueError(f"{demand} does not fit on node {self.names[node]}, devices {devices}")
        self.cpu[node] -= demand.cpu_milli
        self.memory[node] -= demand.memory_mib
        self.free[node, devices] -= demand.gpu_milli
        self.changes[node] += 1
        self.used_milli += demand.total_milli
