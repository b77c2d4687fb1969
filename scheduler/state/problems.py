"""Bad input as a value: which file, document, object and field, what was found there and what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

SHOWN: Final = 80
"""Characters of a found value that a message shows."""
_LONGEST: Final = 400
"""Characters of any other part: paths and names have their limits, keys that somebody made up have none."""
_SHOWN_INTEGER: Final = 10**60
_SHOWN_ITEMS: Final = 4
_SHOWN_DEPTH: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem:
    """One thing in the input that cannot be read or cannot be meant."""

    file: str = ""
    """The file as the user named it; ``-`` for standard input, empty where the value came from no file."""
    document: int | None = None
    """Position in the file, from 1; ``None`` where the whole file is meant."""
    object: str = ""
    """``Kind/name`` or ``Kind/namespace/name``, as far as it could be read."""
    field: str = ""
    """Path of the field: ``spec.leaderWorkerTemplate.size``."""
    found: str = ""
    """What stood there, cut to 80 characters."""
    expected: str = ""

    def __post_init__(self) -> None:
        """Keep every part short and printable, whatever the input held."""
        for name in ("file", "object", "field", "found"):
            text: str = getattr(self, name)
            if len(text) > _LONGEST or not text.isascii():
                safe = text[:_LONGEST].encode(errors="backslashreplace").decode()
                object.__setattr__(self, name, safe if len(text) <= _LONGEST else f"{safe}...")

    def __str__(self) -> str:
        """Say it in one line: place, then found, then expected."""
        document = "" if self.document is None else f"document {self.document}"
        place = ", ".join(part for part in (self.file, document, self.object, self.field) if part)
        said = ", ".join(part for part in (f"found {self.found}" if self.found else "", f"expected {self.expected}" if self.expected else "") if part)
        return f"{place}: {said}" if place and said else place or said


class BadInput(Exception):  # noqa: N818 - the public name, as the report page settles it
    """The input cannot be used as it stands; nothing of it was applied."""

    def __init__(self, problems: Iterable[InputProblem] | InputProblem) -> None:
        """Keep the problems, at least one."""
        self.problems: tuple[InputProblem, ...] = (problems,) if isinstance(problems, InputProblem) else tuple(problems)
        if not self.problems:
            raise ValueError("BadInput without a problem")
        super().__init__("\n".join(str(p) for p in self.problems))


def show(value: object) -> str:
    """Render what was found in at most 80 characters, never walking more of it than is shown (aliases can make it endless)."""
    return cut(_sketch(value, _SHOWN_DEPTH))


def cut(text: str) -> str:
    """Shorten a text to 80 characters."""
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _sketch(value: object, depth: int) -> str:
    if isinstance(value, str):
        return repr(value[: SHOWN + 1])
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _SHOWN_INTEGER:
        return "an integer of more than 60 digits"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping | list | tuple):
        return _sketch_container(value, depth)
    return f"a {type(value).__name__}"


def _sketch_container(value: Mapping[object, object] | list[object] | tuple[object, ...], depth: int) -> str:
    left, right = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    if depth == 0:
        return f"{left}...{right}" if value else left + right
    parts: list[str] = []
    for item in value:
        if len(parts) == _SHOWN_ITEMS:
            parts.append("...")
            break
        if isinstance(value, Mapping):
            parts.append(f"{_sketch(item, 0)}: {_sketch(value[item], depth - 1)}")
        else:
            parts.append(_sketch(item, depth - 1))
    return left + ", ".join(parts) + right
