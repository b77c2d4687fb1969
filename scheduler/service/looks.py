"""When a commit record is looked at again: something about it, its gang or the nodes changed, or its pause is over.

The difficulty: looking after a record changes it and its pods. What we wrote ourselves must not make it due again at once, or a record that
cannot be carried out for the moment would be superseded without end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from scheduler.kube.backoff import Backoff
from scheduler.state.gang import Gang
from scheduler.state.ids import PodUid
from scheduler.state.objects import Pod
from scheduler.state.record import Record

RecordKey: TypeAlias = tuple[str, str]
_Signature: TypeAlias = tuple[object, ...]


@dataclass(slots=True, kw_only=True)
class _Look:
    """What a record and its gang were when they were looked at last."""

    record: Record
    gang: Gang | None
    signature: _Signature
    nodes: int
    next: float
    stuck: bool = False
    """Whether nothing could be done: then only a change of the record or its gang, or the end of the pause, makes it due."""
    pauses: Backoff = field(default_factory=lambda: Backoff(first=0.5, most=30.0))


class Looks:
    """The memory over all records that are looked after."""

    def __init__(self) -> None:
        """Begin without memories."""
        self._looks: dict[RecordKey, _Look] = {}

    def keep(self, wanted: Collection[RecordKey]) -> dict[RecordKey, tuple[Record, Gang | None]]:
        """Forget all records but these; return those that are forgotten, with their gangs, as they were when they were looked at."""
        gone = {key: (look.record, look.gang) for key, look in self._looks.items() if key not in wanted}
        for key in gone:
            del self._looks[key]
        return gone

    def due(self, key: RecordKey, record: Record, gang: Gang | None, *, nodes: int, now: float) -> bool:
        """Whether the record wants a look; ``nodes`` rises with every change of a node."""
        look = self._looks.get(key)
        if look is None or now >= look.next or look.record != content(record):
            return True
        if look.gang is not gang:
            if look.signature != _signature(gang):
                return True
            look.gang = gang
        return look.nodes != nodes and not look.stuck

    def begin(self, key: RecordKey, record: Record, gang: Gang | None, *, nodes: int, now: float) -> None:
        """Note that the record is looked at."""
        look = self._looks.get(key)
        pauses = look.pauses if look is not None and look.record == content(record) else Backoff(first=0.5, most=30.0)
        self._looks[key] = _Look(record=content(record), gang=gang, signature=_signature(gang), nodes=nodes, next=now + pauses.next(), pauses=pauses)

    def end(self, key: RecordKey, record: Record | None, *, stuck: bool) -> None:
        """Note how it was left: ``record`` as we wrote it."""
        look = self._looks.get(key)
        if look is not None:
            look.stuck = stuck
            if record is not None:
                look.record = content(record)

    def next(self, passed: Collection[RecordKey] = ()) -> float:
        """Return the monotonic moment at which a record wants a look although nothing happens; not those that are ``passed`` over."""
        return min((look.next for key, look in self._looks.items() if key not in passed), default=float("inf"))


class OpenSeats:
    """Which open record names a pod: only one record may carry a pod out, whatever gang the pod is counted to by now."""

    def __init__(self) -> None:
        """Begin without records."""
        self._seen: Mapping[RecordKey, Record] = {}
        self._known: dict[RecordKey, Record] = {}
        self._holders: dict[tuple[str, str], tuple[RecordKey, PodUid]] = {}
        """By namespace and name of the pod: the record, and the UID that it names; empty: it waits for whoever comes under that name."""

    def update(self, records: Mapping[RecordKey, Record]) -> None:
        """Take the records in as they are now; costs what changed beyond one look at each."""
        if records is self._seen:
            return
        self._seen = records
        for key in [key for key, record in self._known.items() if records.get(key) is not record]:
            for name in [(key[0], seat.pod) for seat in self._known.pop(key).seats]:
                if self._holders.get(name, ("", ""))[0] == key:
                    del self._holders[name]
        for key, record in records.items():
            if record.open and key not in self._known:
                self._known[key] = record
                for seat in record.seats:
                    self._holders.setdefault((key[0], seat.pod), (key, seat.uid))

    def names(self, pod: Pod) -> bool:
        """Whether an open record names this pod; one that was made anew under the name of a recorded pod is somebody else."""
        found = self._holders.get((pod.namespace, pod.name))
        return found is not None and found[1] in ("", pod.uid)


def content(record: Record) -> Record:
    """Return the record without its version: writing the same status again is no change."""
    return replace(record, resource_version="")


def _signature(gang: Gang | None) -> _Signature:
    """Return what of a gang matters to its record: not that somebody wrote a condition on a pod."""
    if gang is None:
        return ()
    return (gang.waiting is None, *((m.pod.uid, m.pod.node) for m in gang.members))
