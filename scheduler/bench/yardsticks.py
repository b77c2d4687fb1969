"""YARDSTICKS: methods of others, stated again by us, that scenarios compare with in the same run; each module names its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scheduler.bench.sites import Chosen
from scheduler.bench.yardsticks_fit import first_fit
from scheduler.bench.yardsticks_score import best_score
from scheduler.bench.yardsticks_tree import counted
from scheduler.state.gang import Gang
from scheduler.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """One method: it gives a node for each pending member, or None where it finds no place for all."""

    name: str
    place: Callable[[Snapshot, Gang], Chosen | None]
    segments: bool
    """Whether it can place segments."""


YARDSTICKS: Final = (
    Yardstick(name="first fit", place=first_fit, segments=True),
    Yardstick(name="tree counts", place=counted, segments=True),
    Yardstick(name="best score", place=best_score, segments=False),
)
