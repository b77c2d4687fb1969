"""Bytes -> the documents of a file, in JSON or YAML, with limits: no file can exhaust memory, stack or patience."""

from __future__ import annotations

import re
from typing import Final

from scheduler.kube.parse.badtext import BadText, Parsed
from scheduler.kube.parse.jsontext import check_levels, parse_json
from scheduler.kube.parse.yamltext import parse_yaml

__all__ = ["BadText", "Parsed", "parse"]

_JSON_LIKE: Final = re.compile(rb'\s*(?:\{\s*(?:["}]|\Z)|\[)')


def parse(data: bytes) -> list[Parsed]:
    """Return the documents of a JSON or YAML file; raises BadText."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = _utf16(data)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        raise BadText("a binary file", "text in YAML or JSON")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise BadText(f"bytes that are not UTF-8 (at byte {error.start})", "text in YAML or JSON") from None
    if not data.strip():
        raise BadText("an empty file", "at least one object")
    if not _JSON_LIKE.match(data):
        return parse_yaml(data)
    check_levels(data)
    found = parse_json(data)
    return parse_yaml(data) if found is None else found


def _utf16(data: bytes) -> bytes:
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError:
        raise BadText("a binary file", "text in YAML or JSON") from None
