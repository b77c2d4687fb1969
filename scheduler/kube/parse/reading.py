"""From raw objects to typed fields: validates, and says in our words which field was refused, what stood there, what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from scheduler.state.problems import BadInput, InputProblem, show

Raw: TypeAlias = Mapping[str, object] | bytes
"""One object as parsed JSON or YAML, or as the bytes of its JSON."""

T = TypeVar("T")

_MOST_PROBLEMS: Final = 10
"""Problems told about one object: a list of a thousand wrong entries is one mistake."""

_EXPECTED: Final = {
    "missing": "a value",
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of at most 19 digits",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "json_invalid": "one JSON object",
    "extra_forbidden": "no such field",
}
"""What is expected, by pydantic's error type; rows that carry numbers are in `_expected`."""


class Refused(Exception):  # noqa: N818 - never leaves the parser: `refusing` turns it into BadInput
    """One field of the object at hand cannot be used."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        """Keep the path, the value as it stands and the expectation."""
        super().__init__(field)
        self.field = field
        self.found = found
        self.expected = expected


def read(adapter: TypeAdapter[T], raw: Raw, kind: str) -> T:
    """Return the fields that are read of one object; raises BadInput with up to ten problems."""
    try:
        return adapter.validate_json(raw) if isinstance(raw, bytes) else adapter.validate_python(raw)
    except ValidationError as error:
        name = object_name(raw, kind)
        rows = error.errors(include_url=False, include_context=True, include_input=True)[:_MOST_PROBLEMS]
        raise BadInput([_problem(row, name) for row in rows]) from None


def read_part(adapter: TypeAdapter[T], part: object, *, place: str, name: str) -> T:
    """Return the fields of one part of an object (``spec``); ``name`` is the object's for the problems."""
    try:
        return adapter.validate_python({} if part is None else part)
    except ValidationError as error:
        rows = error.errors(include_url=False, include_context=True, include_input=True)[:_MOST_PROBLEMS]
        raise BadInput([_problem(row, name, place) for row in rows]) from None


def refused(error: Refused, kind: str, raw: Raw) -> BadInput:
    """Turn a refusal inside one object into BadInput that names the object."""
    return BadInput(InputProblem(object=object_name(raw, kind), field=error.field, found=show(error.found), expected=error.expected))


def object_name(raw: object, kind: str) -> str:
    """Name an object as far as it can be read: ``Kind/name``, ``Kind/namespace/name`` or just ``Kind``."""
    metadata = raw.get("metadata") if isinstance(raw, Mapping) else None
    if not isinstance(metadata, Mapping):
        return kind
    parts = [kind, *(part[:253] for part in (metadata.get("namespace"), metadata.get("name")) if isinstance(part, str) and part)]
    return "/".join(parts)


def seconds(timestamp: str | None, field: str) -> float:
    """Read a Kubernetes timestamp as seconds since the epoch; 0 where there is none."""
    if not timestamp:
        return 0.0
    moment = _moment(timestamp)
    if moment is None:
        raise Refused(field, timestamp, "a time such as 2026-01-31T12:00:00Z")
    return moment


@lru_cache(maxsize=4096)  # pods of one workload are created in the same few seconds
def _moment(timestamp: str) -> float | None:
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()


def path(location: tuple[int | str, ...]) -> str:
    """Write a location as people write fields: ``spec.containers[0].name``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def _problem(row: ErrorDetails, name: str, *above: str) -> InputProblem:
    missing = row["type"] in ("missing", "json_invalid")
    found = "nothing" if row["type"] == "missing" else "text that is not JSON" if missing else show(row["input"])
    return InputProblem(object=name, field=path((*above, *row["loc"])), found=found, expected=_expected(row))


def _expected(row: ErrorDetails) -> str:
    context = row.get("ctx", {})
    match row["type"]:
        case "greater_than_equal":
            return f"a number of at least {context['ge']}"
        case "less_than_equal":
            return f"a number of at most {context['le']}"
        case "literal_error":
            return f"one of {context['expected']}"
        case "too_long":
            return f"a list of at most {context['max_length']} entries, not {context['actual_length'] or 'more'}"
        case "string_too_short":
            return "a string that is not empty"
        case kind:
            return _EXPECTED.get(kind, row["msg"])
