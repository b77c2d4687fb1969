"""What the proxy knows about one call: who makes it, what it asks for, and which kind of call it is for a scheduler.

What is done to a call is `proxy_faults`, how it travels `proxy_wire`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal[
    "record create",
    "record rewrite",
    "record status",
    "record delete",
    "bind",
    "pod status",
    "pod write",
    "evict",
    "lease get",
    "lease write",
    "event",
    "watch",
    "list",
    "get",
    "other write",
]

COMMIT_WRITES: Final[frozenset[Kind]] = frozenset({"record create", "record rewrite", "record status", "bind", "pod status", "evict"})
"""The calls that a commit, a recovery or a release is made of."""
_READS: Final = ("GET", "HEAD")
# (plural, subresource, method): kind. A star stands for any; the first row that fits counts.
_KINDS: Final[tuple[tuple[str, str, str, Kind], ...]] = (
    ("placements", "status", "*", "record status"),
    ("placements", "", "POST", "record create"),
    ("placements", "", "DELETE", "record delete"),
    ("placements", "", "*", "record rewrite"),
    ("pods", "binding", "*", "bind"),
    ("pods", "eviction", "*", "evict"),
    ("pods", "status", "*", "pod status"),
    ("pods", "*", "*", "pod write"),
    ("leases", "*", "*", "lease write"),
    ("events", "*", "*", "event"),
    ("*", "*", "*", "other write"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names; name and subresource are empty where it names a collection."""

    plural: str
    namespace: str = ""
    name: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it arrived."""

    number: int
    """From 1, over all clients, in the order of arrival."""
    nth: int
    """From 0: how many calls of this kind this client made before."""
    client: str
    """Name of the port that it came in by."""
    agent: str
    method: str
    path: str
    """Without the query."""
    query: Mapping[str, str]
    kind: Kind
    target: Target
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it can change anything."""
        return self.method not in _READS

    @property
    def commits(self) -> bool:
        """Whether it is one of the writes that a commit is made of: no conditions for people, no finalizer of a record that is over."""
        match self.kind:
            case "record rewrite":
                return b'"finalizers"' not in self.body
            case "pod status":
                return b"coterie.dev/Placement" in self.body
            case _:
                return self.kind in COMMIT_WRITES

    def __str__(self) -> str:
        """Return one line for a log."""
        return f"#{self.number} {self.client} {self.kind} {self.method} {self.path}"


@dataclass(slots=True, kw_only=True)
class Entry:
    """One line of the proxy's log; what is not known yet is None."""

    call: Call
    fault: object = None
    """What a rule asked for."""
    status: int | None = None
    """What the server answered; None: not forwarded, or not answered yet. Of two answers the last."""
    told: int | None = None
    """What the client was answered; None: nothing (yet), the connection was reset."""
    at: float = field(default_factory=time.monotonic)
    """Monotonic seconds of the arrival."""
    done: float | None = None
    """Monotonic seconds of the server's answer."""

    def __str__(self) -> str:
        """Return one line: the call, what was done to it, what the server and the client heard."""
        fault = f" {self.fault}" if self.fault is not None else ""
        return f"{self.at:.3f} {self.call}{fault}: server {self.status or '-'}, client {self.told or 'nothing'}"


def target(path: str) -> Target:
    """Take a path apart: ``/api/v1/namespaces/a/pods/b/binding``, ``/apis/group/version/...``."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = [*rest[:3], "", "", ""][:3]
    return Target(plural=plural, namespace=namespace, name=name, sub=sub)


def split(raw: str) -> tuple[str, dict[str, str]]:
    """Return path and query of a request line's target."""
    parsed = urlsplit(raw)
    return parsed.path, dict(parse_qsl(parsed.query, keep_blank_values=True))


def kind(method: str, about: Target, query: Mapping[str, str]) -> Kind:
    """Say which kind of call it is."""
    if method in _READS:
        if query.get("watch") in ("true", "1"):
            return "watch"
        if about.plural == "leases":
            return "lease get"
        return "get" if about.name else "list"
    return next(row[3] for row in _KINDS if row[0] in ("*", about.plural) and row[1] in ("*", about.sub) and row[2] in ("*", method))
