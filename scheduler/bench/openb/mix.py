"""The task mix: which demands are typical, and how often each occurs. It is all that a rule may know of tasks that are yet to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.bench.openb.devices import Demand


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Size:
    """What a task asks of one node: CPU in thousandths and devices. Memory is not looked at, as in FGD."""

    cpu_milli: int
    gpus: int
    gpu_milli: int

    @classmethod
    def of(cls, demand: Demand) -> Size:
        """Return the size of a demand."""
        return cls(cpu_milli=demand.cpu_milli, gpus=demand.gpus, gpu_milli=demand.gpu_milli)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typical:
    """A kind of task that asks for GPUs."""

    size: Size
    models: frozenset[str]
    share: float
    """Of all tasks that ask for GPUs, by number."""


def task_mix(demands: Iterable[Demand]) -> tuple[Typical, ...]:
    """Return the kinds of tasks that ask for GPUs, with their shares, in the order of sizes and models."""
    counted = Counter((Size.of(demand), demand.models) for demand in demands if demand.gpus)
    kinds = sorted(counted, key=lambda kind: (kind[0], sorted(kind[1])))
    return tuple(Typical(size=size, models=models, share=counted[size, models] / counted.total()) for size, models in kinds)
