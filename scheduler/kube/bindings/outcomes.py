"""What can become of a commit and of a record: values, told by `scheduler.kube.bindings.commit` and `scheduler.kube.bindings.recover`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from scheduler.kube.bindings.bind import Seated
from scheduler.state.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Every member is bound; ``record`` is None for a gang of one."""

    record: Record | None
    seats: tuple[Seated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Every member that exists is bound; the record holds the seats of those that their controller creates later."""

    record: Record
    seats: tuple[Seated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partly:
    """Some members could not be bound. With a record it stays open, and `scheduler.kube.bindings.recover` finishes or supersedes it."""

    record: Record | None
    seats: tuple[Seated, ...]

    @property
    def failed(self) -> tuple[Seated, ...]:
        """The seats that are in the way."""
        return tuple(s for s in self.seats if s.state not in ("bound", "absent"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was bound and nothing written. ``reason`` is one word: NotLeading, TooLarge, RecordOpen, Conflict, or the server's own."""

    reason: str
    message: str


Outcome: TypeAlias = Bound | Committed | Partly | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The record was given up. ``stay`` members remain bound where they are because nothing would make them anew."""

    record: Record
    why: str
    stay: int = 0
    evicted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Nothing more can be done now; the record stays open and is looked at again later."""

    record: Record
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The finalizer is off a finished record whose owner is gone."""

    record: Record


Recovered: TypeAlias = Outcome | Released | Stuck | Closed
