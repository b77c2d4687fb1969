"""Rooms: how many GPU thousandths a node offers to tasks of each size, now, or after a task was placed there.

G are the free thousandths on devices with room for such a task, 0 where the node has too few such devices or too little CPU. C are those
that the free CPU would suffice for. The room is G where C is more, else G x (C / G) ^ 0.3: a node that is short of CPU has less room, but not
in proportion, since other tasks ask for less CPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.bench.openb.devices import WHOLE, Demand, Fleet, Ints, Mask
from scheduler.bench.openb.mix import Size

SHORTAGE: Final = 0.3
"""How much a shortage of CPU counts: 0 not at all, as in FGD; 1 in full, as if no other task asked for less. 0.3 to 0.5 come to nearly the same."""

Rooms = NDArray[np.float32]
Bools = NDArray[np.bool_]


class RoomMeasure:
    """Measures rooms for a set of sizes, which all ask for GPUs."""

    def __init__(self, sizes: Iterable[Size]) -> None:
        """Give every size a column, and every kind of claim on devices one that several sizes share."""
        known = sorted(set(sizes))
        claims = sorted({(size.gpus, size.gpu_milli) for size in known})
        self.column = {size: at for at, size in enumerate(known)}
        self._claims = np.array(claims, dtype=np.int64).reshape(-1, 2)
        self._claim = np.array([claims.index((size.gpus, size.gpu_milli)) for size in known], dtype=np.int64)
        self._cpu = np.array([size.cpu_milli for size in known], dtype=np.float32)
        asked = np.array([size.gpus * size.gpu_milli for size in known], dtype=np.float32)
        self._rate = np.divide(asked, self._cpu, out=np.zeros_like(asked), where=self._cpu > 0)

    def rooms(self, cpu: Ints, free: Ints) -> Rooms:
        """Return nodes x sizes: the room of nodes with so much CPU and such devices free."""
        gpus, milli = self._claims[:, 0], self._claims[:, 1]
        roomy = free[:, :, None] >= milli
        usable = np.where(roomy.sum(axis=1) >= gpus, (free[:, :, None] * roomy).sum(axis=1), 0).astype(np.float32)
        by_gpu = usable[:, self._claim]
        by_cpu = np.where(self._cpu > 0, cpu[:, None].astype(np.float32) * self._rate, by_gpu)
        enough = np.divide(by_cpu, by_gpu, out=np.zeros_like(by_gpu), where=by_gpu > 0).clip(max=1)
        return np.asarray(by_gpu * enough ** np.float32(SHORTAGE) * (cpu[:, None] >= self._cpu), dtype=np.float32)


class RoomsAfter:
    """The rooms after a task of one size was placed, for every place there is: a row each, ordered by model, node and device."""

    def __init__(self, fleet: Fleet, measure: RoomMeasure, demand: Demand) -> None:
        """Lay out the rows: a share has a place on every device, everything else one on a node."""
        self._fleet, self._measure, self._demand = fleet, measure, demand
        order = np.argsort(fleet.model, kind="stable")
        places = fleet.gpus[order] if demand.shared else np.ones(len(order), dtype=np.int64)
        self.node: Ints = np.repeat(order, places)
        first = places.cumsum() - places
        self.device: Ints = np.arange(len(self.node)) - np.repeat(first, places)
        self._start = np.empty_like(first)
        self._start[order] = first
        self._slices = np.searchsorted(fleet.model[self.node], np.arange(len(fleet.models) + 1))
        self._rows = np.zeros((len(self.node), len(measure.column)), dtype=np.float32)
        self._seen = np.full(len(order), -1, dtype=np.int64)

    def refresh(self, fits: Mask) -> None:
        """Work out again the rows of those nodes that have changed."""
        fleet, demand = self._fleet, self._demand
        nodes = np.flatnonzero(fits & (self._seen != fleet.changes))
        if not len(nodes):
            return
        if demand.shared:
            at, devices = np.nonzero(fleet.free[nodes] >= demand.gpu_milli)
            nodes = nodes[at]
            free = fleet.free[nodes]
            free[np.arange(len(nodes)), devices] -= demand.gpu_milli
        else:
            devices = np.zeros(len(nodes), dtype=np.int64)
            free = without_whole(fleet.free[nodes], demand.gpus)
        self._rows[self._start[nodes] + devices] = self._measure.rooms(fleet.cpu[nodes] - demand.cpu_milli, free)
        self._seen[nodes] = fleet.changes[nodes]

    def open(self, fits: Mask) -> Bools:
        """Return for each row whether the task fits there."""
        found = fits[self.node]
        return found & (self._fleet.free[self.node, self.device] >= self._demand.gpu_milli) if self._demand.shared else found

    def worth(self, prices: Rooms) -> Rooms:
        """Return for each row the sum over sizes of room times price, with prices by model and size."""
        found = np.empty(len(self.node), dtype=np.float32)
        for model, price in enumerate(prices):
            rows = slice(self._slices[model], self._slices[model + 1])
            found[rows] = self._rows[rows] @ price
        return found


def without_whole(free: Ints, devices: int) -> Ints:
    """Return what is free on nodes when so many whole devices were taken, the first idle ones."""
    idle = free == WHOLE
    return np.where(idle & (idle.cumsum(axis=1) <= devices), 0, free)
