"""Says of a record that cannot be used what is wrong with it, in sentences for people."""

from __future__ import annotations

from typing import Final

from scheduler.state.problems import BadInput

UNREADABLE: Final = "RecordUnreadable"
"""The reason for it, a row of REASONS."""
ORIGIN: Final = "It was edited, or written by a newer version of Coterie."
CORRECT: Final = "Correct or delete the Placement; until then the gang is not bound."


def cannot_be_used(place: str, problem: BadInput) -> str:
    """Name field, what was found, what is expected, and where such a record comes from; ``place`` is its ``namespace/name``."""
    first = problem.problems[0]
    found = f" is {first.found}" if first.found else ""
    return f"The record {place} cannot be used: {first.field or 'the object'}{found}, expected is {first.expected}. {ORIGIN}"
