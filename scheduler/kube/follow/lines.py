"""Lines of a watch: splits raw pieces of any size into lines, and a line into its type and the bytes of its object."""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic_core import from_json

from scheduler.kube.errors import Unreachable

LONGEST_LINE: Final = 2**25
"""Bytes after which a line without an end is given up: etcd holds objects of 1.5 MB, so this is no watch any more."""
_EVENT: Final = re.compile(rb'\{"type":"([A-Z]+)","object":(?=\{)')


class Lines:
    """Collects pieces until a line is whole. A half line at the end of a stream is not an event: drop the splitter with it."""

    def __init__(self) -> None:
        """Begin without a half line."""
        self._half: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that this piece completes, without their ends, empty ones left out; raises Unreachable for an endless line."""
        if b"\n" not in piece:
            self._half.append(piece)
            self._size += len(piece)
            if self._size > LONGEST_LINE:
                raise Unreachable(f"a line of the watch is longer than {LONGEST_LINE} bytes")
            return []
        first, *rest = piece.split(b"\n")
        whole = [b"".join((*self._half, first)), *rest[:-1]]
        self._half = [rest[-1]]
        self._size = len(rest[-1])
        return [line for line in whole if line.strip()]


def event(line: bytes) -> tuple[str, bytes]:
    """Return type and object of one line.

    The API server writes type and object in this order and nothing else, so that the object can be cut out unread. Whatever
    looks different is parsed as JSON; raises Unreachable when that fails, because then the stream is broken.
    """
    found = _EVENT.match(line)
    tail = line.rstrip()
    if found is not None and tail.endswith(b"}}"):
        return found.group(1).decode(), tail[found.end() : -1]
    try:
        whole = from_json(line)
        return str(whole["type"]), json.dumps(whole["object"]).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"a line of the watch cannot be read: {line[:80]!r}") from error
