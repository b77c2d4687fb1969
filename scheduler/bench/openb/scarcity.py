"""Our rule: a task goes where it takes the least of what is scarce for the tasks that are yet to come.

The *price* of room for a kind of task is its weight over the room (`rooms`) that is left for it on all nodes together. So prices follow
what runs short, whichever it is: a model of GPU, CPU beside GPUs, idle nodes for eight GPUs; nothing is set by hand for any of them.

A place costs, over all kinds, price times room lost there; that is the gradient of sum(weight x log(room)) over the fleet. In FGD's
measure a kind's price is its share of the mix, however much room is left for it, and C does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from scheduler.bench.openb.devices import WHOLE, Demand, Fleet, Mask, Place
from scheduler.bench.openb.fits import BestFit
from scheduler.bench.openb.mix import Size, Typical
from scheduler.bench.openb.rooms import RoomMeasure, Rooms, RoomsAfter

FIT: Final = 0.05
"""Weight of BestFit in the cost. It decides among places that cost nearly the same: fill what is full, keep what is empty."""
SMALL: Final = 0.25
"""A kind's weight is its share of the mix over its GPUs to this power. By number alone (0) eight idle GPUs are kept for too long, while
they stand empty; by much more than this (1) not long enough."""
LEAST_LEFT: Final = WHOLE
"""Room of one device: less is counted as this much, so that no price becomes infinite."""
_SAME: Final = 1e-5
"""Costs that differ by less are equal, and the smallest name wins: more than what single precision may err by."""


class Scarcity:
    """Places tasks by what they take of scarce room; see the module."""

    def __init__(self, fleet: Fleet, mix: Sequence[Typical]) -> None:
        """Measure the rooms of the fleet as it is."""
        self._fleet = fleet
        self._fit = BestFit(fleet)
        self._measure = RoomMeasure(kind.size for kind in mix)
        self._size = np.array([self._measure.column[kind.size] for kind in mix], dtype=np.int64)
        self._weight = np.array([kind.share * (WHOLE / (kind.size.gpus * kind.size.gpu_milli)) ** SMALL for kind in mix])
        self._accepts = np.array([fleet.accepts(kind.models) for kind in mix], dtype=np.float64)
        self._seen = fleet.changes.copy()
        self._now = self._measure.rooms(fleet.cpu, fleet.free)
        self._totals = np.array([self._now[fleet.model == model].sum(axis=0, dtype=np.float64) for model in range(len(fleet.models))])
        self._after: dict[Size, RoomsAfter] = {}

    def choose(self, demand: Demand, fits: Mask) -> Place:
        """Return the cheapest place; among equals the smallest name, then the first device."""
        self._refresh()
        prices = self._prices()
        size = Size.of(demand)
        after = self._after.get(size)
        if after is None:
            after = self._after[size] = RoomsAfter(self._fleet, self._measure, demand)
        after.refresh(fits)
        before = np.einsum("ns,ns->n", self._now, prices[self._fleet.model])
        by_node = before + FIT * self._fit.left(demand)
        cost = np.where(after.open(fits), by_node[after.node] - after.worth(prices), np.inf)
        equal = np.flatnonzero(cost <= cost.min() + _SAME)
        best = equal[np.lexsort((after.device[equal], after.node[equal]))[0]]
        node = int(after.node[best])
        return Place(node=node, devices=(int(after.device[best]),)) if demand.shared else self._fleet.first(node, demand)

    def _refresh(self) -> None:
        """Bring the rooms up to date on the nodes that have changed."""
        fleet = self._fleet
        stale = np.flatnonzero(self._seen != fleet.changes)
        if len(stale):
            rooms = self._measure.rooms(fleet.cpu[stale], fleet.free[stale])
            np.add.at(self._totals, fleet.model[stale], rooms.astype(np.float64) - self._now[stale])
            self._now[stale] = rooms
            self._seen[stale] = fleet.changes[stale]

    def _prices(self) -> Rooms:
        """Return models x sizes: the price of room, times all GPUs of the fleet, so that it is the weight while all is free."""
        left = (self._accepts * self._totals.T[self._size]).sum(axis=1)
        price = self._weight * (self._fleet.capacity_milli / WHOLE) / np.maximum(left, LEAST_LEFT)
        found = np.zeros((len(self._measure.column), len(self._fleet.models)))
        np.add.at(found, self._size, price[:, None] * self._accepts)
        return np.ascontiguousarray(found.T, dtype=np.float32)
