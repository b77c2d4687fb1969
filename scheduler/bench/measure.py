"""What a measurement is: runs of one thing in one unit, told as median and range beside the bound that was asked.

Absolute times do not hold from machine to machine, so rows that compare carry a ratio of two things measured in the same run.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from scheduler.state.problems import BadInput, InputProblem

Fact = str | int | float
Tell = Callable[[str], None]
"""Takes one line about what goes on."""

_PACKAGES: Final = ("coterie-scheduler", "ortools", "numpy", "pydantic")
_MOST_RUNS: Final = 1000
_MOST_INSTANCES: Final = 1_000_000


def nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to measure. ``shrink`` divides numbers of nodes, jobs, segments and worlds, not gangs: a quick try, for which the bounds mean nothing."""

    seed: int = 0
    runs: int = 5
    shrink: int = 1
    instances: int = 500
    """Random instances of each family and grade of spare room, where a scenario counts instances and not runs."""
    data: Path | None = None
    """Folder with the published data of others, where a scenario measures on some."""
    tell: Tell = nothing

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be meant; raises BadInput."""
        if not 1 <= self.runs <= _MOST_RUNS:
            raise BadInput(InputProblem(field="--runs", found=str(self.runs), expected=f"a number from 1 to {_MOST_RUNS}"))
        if not 1 <= self.instances <= _MOST_INSTANCES:
            raise BadInput(InputProblem(field="--instances", found=str(self.instances), expected=f"a number from 1 to {_MOST_INSTANCES}"))
        if self.shrink < 1:
            raise BadInput(InputProblem(field="--shrink", found=str(self.shrink), expected="a number of at least 1"))
        if self.seed < 0:
            raise BadInput(InputProblem(field="--seed", found=str(self.seed), expected="a number of at least 0"))

    def size(self, whole: int) -> int:
        """Return a size divided by ``shrink``, at least 1."""
        return max(1, whole // self.shrink)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was measured, run by run; no values where it could not be (`not_run`)."""

    what: str
    unit: str
    values: tuple[float, ...]
    bound: float | None = None
    """The most (with ``at_least``: the least) that is asked of the median; None where nothing is."""
    at_least: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What else was seen: status, cost, ratios."""

    @classmethod
    def not_run(cls, what: str, why: str) -> Row:
        """Return the row of a thing that was not measured, with the reason: it is named, never left out."""
        return cls(what=what, unit="", values=(), facts={"not run": why})

    @property
    def median(self) -> float | None:
        """The median over the runs; None where there was none."""
        return statistics.median(self.values) if self.values else None

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps the bound; None where there is none."""
        if self.bound is None or self.median is None:
            return None
        return self.median >= self.bound if self.at_least else self.median <= self.bound

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "least": min(self.values, default=None),
            "most": max(self.values, default=None),
            "values": list(self.values),
            "bound": self.bound,
            "at_least": self.at_least,
            "holds": self.holds,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the runs of one thing took, run by run."""

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()
    """Of this process, all its threads: steadier than the clock on the wall where others use the machine too. Empty: not taken."""

    def row(self, what: str, *, unit: Literal["s", "ms"], bound: float | None = None, facts: Mapping[str, Fact] | None = None) -> Row:
        """Return the row of these runs, with the CPU time among its facts; ``bound`` is in the unit."""
        factor, digits = (1000, 1) if unit == "ms" else (1, 3)
        cpu: dict[str, Fact] = {f"CPU {unit}": round(factor * statistics.median(self.cpu_seconds), digits)} if self.cpu_seconds else {}
        return Row(what=what, unit=unit, values=tuple(factor * s for s in self.seconds), bound=bound, facts={**cpu, **(facts or {})})


def repeated(action: Callable[[], object], runs: int, *, patience: float = float("inf")) -> Taken:
    """Run ``runs`` times; fewer, but at least once, when the runs together take longer than ``patience`` seconds.

    Rubbish of former runs is cleared away before each, so that nobody pays for another's.
    """
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < runs and (not wall or sum(wall) < patience):
        gc.collect()
        before = time.process_time()
        started = time.perf_counter()
        action()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    return Taken(seconds=tuple(wall), cpu_seconds=tuple(cpu))


def environment() -> dict[str, Fact]:
    """Say on what was measured: figures of two machines are not comparable."""
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "cpu": _cpu(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
