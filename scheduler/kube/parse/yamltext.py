"""YAML -> plain values in one pass over libyaml's events, because limits must hold before anything is built.

Nesting, the number of values (aliases counted as often as they are used), one value per key. Scalars mean what they mean to
Kubernetes: dates and times of day are strings; NaN and infinity do not exist.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from scheduler.kube.parse.badtext import MOST_LEVELS, MOST_VALUES, BadText, Parsed, too_deep

_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0[0-7_]*|[1-9][0-9_]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_LONGEST_NUMBER: Final = 64
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = object()


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being built."""

    value: Any
    line: int
    anchor: str | None = None
    values: int = 1
    levels: int = 1
    key: Any = None
    has_key: bool = False
    merged: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    values: int
    levels: int


def parse_yaml(data: bytes) -> list[Parsed]:
    """Return the documents of a YAML text; raises BadText."""
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f", at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise BadText(f"no YAML ({str(said)[:100]}{where})", "YAML or JSON", builder.index or None) from None
    return builder.documents


class _Builder:
    """Builds values from events; every limit is checked before the next value is made."""

    def __init__(self) -> None:
        self.documents: list[Parsed] = []
        self.index = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._values = 0
        self._root: Any = None
        self._blank = True
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.DocumentStartEvent: self._begin,
            yaml.DocumentEndEvent: self._end,
        }

    def take(self, event: object) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _begin(self, _: object) -> None:
        self.index += 1
        self._anchors.clear()
        self._blank = True

    def _end(self, _: object) -> None:
        self.documents.append(Parsed(index=self.index, value=self._root, empty=self._blank))
        self._root = None

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no types
        line = event.start_mark.line + 1
        plain = event.tag in (None, "!") and event.implicit[0]
        value = self._plain(event.value, line) if plain else self._tagged(event, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, 0)
        self._blank = self._blank and not self._stack and value is None and not event.value
        self._put(value, 1, 0, line, plain_merge=event.value == "<<" and bool(event.implicit[0]))

    def _tagged(self, event: Any, line: int) -> object:  # noqa: ANN401 - PyYAML's events have no types
        tag = event.tag
        if tag in (None, "!", "tag:yaml.org,2002:str"):
            return event.value
        if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
            return self._plain(event.value, line)
        raise self._bad(f"the tag {tag[:60]}, at line {line}", "values without tags of their own")

    def _plain(self, text: str, line: int) -> object:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "-+.0123456789":
            return text
        if _NOT_FINITE.fullmatch(text):
            raise self._bad(f"{text}, at line {line}", "a finite number")
        if len(text) > _LONGEST_NUMBER:
            return text
        if _INTEGER.fullmatch(text):
            return _integer(text)
        if _FLOAT.fullmatch(text):
            number = float(text.replace("_", ""))
            return number if math.isfinite(number) else text
        return text

    def _alias(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no types
        line = event.start_mark.line + 1
        known = self._anchors.get(event.anchor)
        if known is None:
            raise self._bad(f"the alias *{event.anchor[:40]} before its anchor is whole, at line {line}", "aliases of values that stand before them")
        self._put(known.value, known.values, known.levels, line, plain_merge=False)

    def _open(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events have no types
        if len(self._stack) >= MOST_LEVELS:
            raise too_deep(self.index)
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._bad(f"the tag {event.tag[:60]}, at line {event.start_mark.line + 1}", "values without tags of their own")
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(value, event.start_mark.line + 1, event.anchor))
        self._blank = False

    def _close(self, _: object) -> None:
        done = self._stack.pop()
        for other in done.merged:
            for key, value in other.items():
                done.value.setdefault(key, value)
        if done.anchor is not None:
            self._anchors[done.anchor] = _Anchored(done.value, done.values, done.levels)
        self._put(done.value, done.values, done.levels, done.line, plain_merge=False, counted=True)

    def _put(self, value: Any, values: int, levels: int, line: int, *, plain_merge: bool, counted: bool = False) -> None:  # noqa: ANN401 - any value
        self._values += 1 if counted else values
        if self._values > MOST_VALUES:
            raise self._bad(f"more than {MOST_VALUES:,} values, aliases counted as often as they are used", f"at most {MOST_VALUES:,}")
        if not self._stack:
            self._root = value
            return
        parent = self._stack[-1]
        parent.values += values
        parent.levels = max(parent.levels, levels + 1)
        if len(self._stack) + levels > MOST_LEVELS:
            raise too_deep(self.index)
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.has_key:
            self._store(parent, value)
        else:
            parent.key, parent.has_key = self._key(parent, value, line, plain_merge=plain_merge), True

    def _key(self, parent: _Open, key: Any, line: int, *, plain_merge: bool) -> object:  # noqa: ANN401 - any value
        if plain_merge:
            return _MERGE
        if isinstance(key, bool | int | float):
            key = json.dumps(key)  # as kubectl does with `8080: text`
        if not isinstance(key, str):
            raise self._bad(f"a key that is no string, at line {line}", "keys that are strings")
        if key in parent.value:
            raise self._bad(f"the key {key[:60]!r} twice in one mapping, at line {line}", "each key once")
        return key

    def _store(self, parent: _Open, value: Any) -> None:  # noqa: ANN401 - any value
        parent.has_key = False
        if parent.key is not _MERGE:
            parent.value[parent.key] = value
            return
        others = value if isinstance(value, list) else [value]
        if not all(isinstance(other, dict) for other in others):
            raise self._bad(f"a merge (<<) of what is no mapping, at line {parent.line}", "a mapping or a list of mappings")
        parent.merged.extend(others)

    def _bad(self, found: str, expected: str) -> BadText:
        return BadText(found, expected, self.index)


def _integer(text: str) -> int:
    digits = text.replace("_", "").lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    octal = digits.startswith("0") and digits.isdigit()
    return sign * int(digits, 8 if octal else 0)
