"""What reading a text gives: documents, or why it is none; and the limits that hold before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MOST_LEVELS: Final = 200
MOST_VALUES: Final = 1_000_000
"""Values of one YAML file, every use of an alias counted in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One document of a file; ``empty`` where nothing but comments stood between two separators."""

    index: int
    value: Any
    empty: bool = False


class BadText(ValueError):  # noqa: N818 - the same word as BadInput, which it becomes
    """The text is not what it should be; ``found`` and ``expected`` are for people, ``document`` counts from 1."""

    def __init__(self, found: str, expected: str, document: int | None = None) -> None:
        """Keep what is told."""
        super().__init__(f"found {found}, expected {expected}")
        self.found = found
        self.expected = expected
        self.document = document


def too_deep(document: int | None) -> BadText:
    """Say that the text nests too deep."""
    return BadText(f"nesting deeper than {MOST_LEVELS} levels", f"at most {MOST_LEVELS} levels", document)
