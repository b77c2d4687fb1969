"""JSON -> plain values, by the C parser; nesting is measured before anything is built."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from scheduler.kube.parse.badtext import MOST_LEVELS, BadText, Parsed, too_deep

_ALL_BUT_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^\[\]{}"]+', re.DOTALL)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_INNERMOST: Final = re.compile(rb"\[\]|\{\}")


def check_levels(data: bytes) -> None:
    """Refuse nesting before it is built: strip all but brackets, then take the innermost pairs away level by level."""
    brackets = _ALL_BUT_BRACKETS.sub(b"", data)
    for _ in range(MOST_LEVELS):
        shorter = _INNERMOST.sub(b"", brackets)
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    deepest = _unclosed(brackets)
    if deepest > MOST_LEVELS or _INNERMOST.search(brackets):
        raise too_deep(None)


def _unclosed(brackets: bytes) -> int:
    level = deepest = 0
    for byte in brackets:
        level += 1 if byte in b"[{" else -1
        deepest = max(deepest, level)
        if deepest > MOST_LEVELS:
            break
    return deepest


def parse_json(data: bytes) -> list[Parsed] | None:
    """Return the one document of a JSON text; None where another document follows it (then it is YAML); raises BadText."""
    try:
        value = json.loads(data, object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return None
        cut_off = error.pos >= len(data.rstrip()) - 1 or error.msg.startswith("Unterminated string")
        what = "JSON that ends in the middle" if cut_off else f"no JSON ({error.msg})"
        raise BadText(f"{what}, at line {error.lineno}, column {error.colno}", "one whole JSON document") from None
    except RecursionError:
        raise too_deep(1) from None
    except BadText:
        raise
    except ValueError:  # an integer of thousands of digits
        raise BadText("a number of thousands of digits", "numbers of at most 64 digits") from None
    if _SURROGATE.search(data) and not _is_text(value):
        raise BadText("half a surrogate pair", "text that is Unicode", 1)
    return [Parsed(index=1, value=value)]


def _is_text(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadText(f"the key {twice[:60]!r} twice in one mapping", "each key once", 1)
    return found


def _no_constant(name: str) -> NoReturn:
    raise BadText(name, "a finite number", 1)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadText(text[:60], "a finite number", 1)
    return number
