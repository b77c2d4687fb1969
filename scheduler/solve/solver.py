"""What every engine offers, and the budget that bounds it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from scheduler.solve.bounds import Bounds
from scheduler.solve.instance import Instance
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Load, Part, Solution

_MOST_WORKERS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much work one gang may cost.

    ``deterministic_seconds`` is OR-Tools' deterministic time: the same input gives the same answer on any machine.
    ``wall_seconds`` is the safety net of a running scheduler; ``None`` in tests and dry runs.
    """

    deterministic_seconds: float = 5.0
    wall_seconds: float | None = None
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse budgets that cannot be meant."""
        if not 0 < self.deterministic_seconds < inf:
            raise ValueError(f"budget: deterministic_seconds: found {self.deterministic_seconds}, expected a number above 0")
        if self.wall_seconds is not None and not 0 < self.wall_seconds < inf:
            raise ValueError(f"budget: wall_seconds: found {self.wall_seconds}, expected a number above 0, or None")
        for name, least, most in (("seed", 0, 2**31 - 1), ("workers", 1, _MOST_WORKERS)):
            number = getattr(self, name)
            if not isinstance(number, int) or not least <= number <= most:
                raise ValueError(f"budget: {name}: found {number}, expected a whole number from {least} to {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A valid placement to begin with; ``core`` are the loads of the least pods that must be placed, within ``loads``."""

    loads: tuple[Load, ...]
    core: tuple[Load, ...]
    parts: tuple[Part, ...] = ()
    """Where its segments lie, where the problem has some and it is known."""


class Exact(Protocol):
    """An exact engine behind the door: it gets what the door has derived and proved already."""

    def __call__(self, instance: Instance, bounds: Bounds, start: Start | None, budget: Budget) -> Solution:
        """Return the best placement found, never a worse one than the start."""
        ...


class Tree(Protocol):
    """An exact engine that has words only for some problems, and decides those without a search."""

    def __call__(self, instance: Instance, budget: Budget) -> Solution:
        """Return the optimum with its proof, the proof that there is none, or INEXPRESSIBLE and why."""
        ...


class Solver(Protocol):
    """What decides a problem from beginning to end: a pure function of problem and budget."""

    def __call__(self, problem: Problem, budget: Budget) -> Solution:
        """Return the best placement found, with its proof or without."""
        ...
