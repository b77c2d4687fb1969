"""What a search of the model check hands back: counts, and promises that did not hold with their schedules."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.conforming import Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A promise that did not hold, with the steps that lead there."""

    message: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        """Say it with its schedule."""
        return "\n".join([self.message, *(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search has seen."""

    states: int
    steps: int
    ends: int
    minds: int
    faults: tuple[Fault, ...]
    edges: frozenset[Edge]
    """Changes of records' states, in words of the state table."""
