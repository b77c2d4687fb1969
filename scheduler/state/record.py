"""A commit record (the Placement object) as a value: which pod goes to which node, and how far that is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import Ref

Phase = Literal["Committed", "Bound", "Releasing", "Released"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSeat:
    """One row of a record; ``uid`` is empty while the pod does not exist and its seat is only held."""

    pod: str
    uid: PodUid
    node: NodeName
    rank: int
    domains: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Placement as the API server tells it."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    gang: Ref
    """The gang's name, with kind and UID of the object that owns the record."""
    epoch: int
    deadline: float
    """Seconds since the epoch (of the calendar): when held seats are given back."""
    seats: tuple[RecordSeat, ...]
    phase: Phase = "Committed"
    observed_epoch: int = 0
    bound: int = 0
    terminating: bool = False
    guarded: bool = True
    """Whether our finalizer still keeps the object from going away."""
    written_by: str = ""
    created: float = 0.0
    """Seconds since the epoch of the calendar, from creationTimestamp: of two records that claim one pod the older one holds."""
    message: str = ""
    """The sentence of its condition: why it is being given up, which whoever resumes that repeats."""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def open(self) -> bool:
        """Whether the record must still be carried out, superseded or released."""
        return self.observed_epoch < self.epoch
