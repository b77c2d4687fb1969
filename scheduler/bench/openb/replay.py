"""The protocol of the FGD paper: tasks arrive one by one in an order that depends on a seed, stay where they fit, and never leave.

The tasks are sorted by name and shuffled; then uniform draws with replacement are appended until what they ask for is 130 % of all GPUs.
What does not fit when it arrives is dropped. What counts is the share of the GPUs that is not allocated when as many have been asked for
as there are. What arrives after that is drawn, but need not be placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from scheduler.bench.openb.devices import Demand, Fleet, Mask, Place
from scheduler.bench.openb.traces import Task

SEEDS: Final = tuple(range(42, 52))
_ASKED: Final = 1.3
"""How much is asked for in all, of what there is."""


class Rule(Protocol):
    """Says where a task goes, knowing the fleet as it is and the task mix, and no task that is yet to come."""

    def choose(self, demand: Demand, fits: Mask) -> Place:
        """Return a place on one of the nodes where the demand fits; there is at least one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one replay came to."""

    unallocated: float
    """Percent of all GPUs, when as many had been asked for as there are."""
    arrived: int
    dropped: int
    """Tasks that did not fit, those without GPUs too."""


def arrivals(tasks: Sequence[Task], *, seed: int, capacity_milli: int) -> tuple[Task, ...]:
    """Return the tasks in the order of their arrival. Raises ValueError where no task asks for a GPU: it would never end."""
    if not any(task.demand.gpus for task in tasks):
        raise ValueError("no task asks for a GPU")
    random = Random(seed)  # noqa: S311 - an order to try, no secret
    known = sorted(tasks, key=lambda task: task.name)
    order = list(known)
    random.shuffle(order)
    asked = sum(task.demand.total_milli for task in order)
    while asked < _ASKED * capacity_milli:
        order.append(random.choice(known))
        asked += order[-1].demand.total_milli
    return tuple(order)


def replay(order: Sequence[Task], fleet: Fleet, rule: Rule) -> Outcome:
    """Place tasks in their order until as many GPUs have been asked for as there are, or no task is left."""
    asked = arrived = dropped = 0
    for task in order:
        arrived += 1
        asked += task.demand.total_milli
        fits = fleet.fits(task.demand)
        if fits.any():
            fleet.take(rule.choose(task.demand, fits), task.demand)
        else:
            dropped += 1
        if asked >= fleet.capacity_milli:
            break
    return Outcome(unallocated=100 * (1 - fleet.used_milli / fleet.capacity_milli), arrived=arrived, dropped=dropped)
