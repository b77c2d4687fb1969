"""BestFit and FGD: our own re-statements of what the FGD paper compares (Weng et al., Beware of Fragmentation, USENIX ATC 2023).

Known differences from the authors' simulator: the order of arrivals comes from another generator of random numbers; the task mix holds
every kind of task that asks for GPUs, theirs the most frequent ones that make 95 %; figures are read when 100 % has arrived, theirs are a
mean around it. As there, scores are whole numbers from 0 to 100, and among equals the smallest name wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scheduler.bench.openb.devices import WHOLE, Demand, Fleet, Ints, Mask, Place
from scheduler.bench.openb.mix import Size, Typical
from scheduler.bench.openb.rooms import without_whole

Floats = NDArray[np.float64]

_MOST: Final = 100
"""The best score."""


class BestFit:
    """Leaves the least: half of the score is CPU, half is GPUs, each by the most that a node has. A share goes to the fullest device."""

    def __init__(self, fleet: Fleet, _: Sequence[Typical] = ()) -> None:
        """Take the scales from the fleet as it is now."""
        self._fleet = fleet
        self._cpu = max(1, int(fleet.cpu.max()))
        self._gpu = max(1, int(fleet.free.sum(axis=1).max()))

    def left(self, demand: Demand) -> Floats:
        """Return for each node how much would be left there, from 0 to 1; meaningless where the demand does not fit."""
        cpu = (self._fleet.cpu - demand.cpu_milli) / self._cpu
        gpu = (self._fleet.free.sum(axis=1) - demand.total_milli) / self._gpu
        return np.asarray(0.5 * cpu + 0.5 * gpu, dtype=np.float64)

    def choose(self, demand: Demand, fits: Mask) -> Place:
        """Return the best place."""
        score = np.where(fits, np.floor(_MOST * (1 - self.left(demand))), -np.inf)
        node = int(score.argmax())
        if not demand.shared:
            return self._fleet.first(node, demand)
        free = self._fleet.free[node]
        return Place(node=node, devices=(int(np.where(free >= demand.gpu_milli, free, WHOLE + 1).argmin()),))


class Fgd:
    """Fragmentation gradient descent: places a task where it makes the least of the free GPUs useless to the task mix.

    A node's fragment F is the sum over typical tasks of their share times the free GPUs there that such a task could not use: all of
    them where it does not fit, else the devices with less room than it asks of one. The score is the sigmoid of how much F falls.
    """

    def __init__(self, fleet: Fleet, mix: Sequence[Typical]) -> None:
        """Build tables of the share of the mix that can use a device, by model, CPU and free thousandths (or idle devices)."""
        self._fleet = fleet
        self._levels = np.array(sorted({kind.size.cpu_milli for kind in mix}), dtype=np.int64)
        shape = (len(fleet.models), len(self._levels) + 1)
        self._single = np.zeros((*shape, WHOLE + 1))
        self._several = np.zeros((*shape, fleet.free.shape[1] + 1))
        for kind in mix:
            level = int(np.searchsorted(self._levels, kind.size.cpu_milli)) + 1
            table, least = (self._single, kind.size.gpu_milli) if kind.size.gpus == 1 else (self._several, kind.size.gpus)
            table[np.flatnonzero(fleet.accepts(kind.models)), level:, least:] += kind.share
        self._kept: dict[Size, tuple[Ints, Floats, Ints]] = {}

    def choose(self, demand: Demand, fits: Mask) -> Place:
        """Return the best place."""
        seen, score, device = self._known(Size.of(demand))
        stale = np.flatnonzero(fits & (seen != self._fleet.changes))
        if len(stale):
            score[stale], device[stale] = self._scores(demand, stale)
            seen[stale] = self._fleet.changes[stale]
        node = int(np.where(fits, score, -np.inf).argmax())
        return Place(node=node, devices=(int(device[node]),)) if demand.shared else self._fleet.first(node, demand)

    def _known(self, size: Size) -> tuple[Ints, Floats, Ints]:
        """Return what was worked out before for tasks of a size: when, the scores, and the devices."""
        if size not in self._kept:
            count = len(self._fleet.names)
            self._kept[size] = (np.full(count, -1, dtype=np.int64), np.zeros(count), np.zeros(count, dtype=np.int64))
        return self._kept[size]

    def _scores(self, demand: Demand, nodes: Ints) -> tuple[Floats, Ints]:
        """Return the scores of nodes where the demand fits, and the best device of each."""
        fleet = self._fleet
        free, cpu, model = fleet.free[nodes], fleet.cpu[nodes], fleet.model[nodes]
        before = self._usable(cpu, free, model)
        after = _each_device(free, demand) if demand.shared else without_whole(free, demand.gpus)[:, None]
        many = after.shape[1]
        spread = [np.repeat(column, many) for column in (cpu - demand.cpu_milli, model)]
        left = self._usable(spread[0], after.reshape(-1, free.shape[1]), spread[1]).reshape(-1, many)
        falls = (demand.total_milli - (before[:, None] - left)) / WHOLE
        score = np.floor(_MOST / (1 + np.exp(-falls)))
        if demand.shared:
            score = np.where(free >= demand.gpu_milli, score, -np.inf)
        best = score.argmax(axis=1)
        return np.take_along_axis(score, best[:, None], axis=1)[:, 0], best.astype(np.int64)

    def _usable(self, cpu: Ints, free: Ints, model: Ints) -> Floats:
        """Return per node the thousandths that the mix can use, on average over its tasks."""
        level = np.searchsorted(self._levels, cpu, side="right")
        single = (free * self._single[model[:, None], level[:, None], free]).sum(axis=1)
        idle = (free == WHOLE).sum(axis=1)
        return np.asarray(single + WHOLE * idle * self._several[model, level, idle], dtype=np.float64)


def _each_device(free: Ints, demand: Demand) -> Ints:
    """Return nodes x devices x devices: what is free when a share was taken of one device, of each in turn; never less than nothing."""
    taken = free[:, None, :] - demand.gpu_milli * np.eye(free.shape[1], dtype=np.int64)
    return np.asarray(np.maximum(taken, 0), dtype=np.int64)
