"""Placement objects <-> `scheduler.state.record`: how the commit record is named, written and read.

When it is written, and what is done with one that was found, is `scheduler.kube.bindings.commit` and `scheduler.kube.bindings.recover`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, Required

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.api import PLACEMENTS, Body
from scheduler.kube.parse.fields import STRICT, StringMap
from scheduler.kube.parse.reading import Raw, read, seconds
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import EMPTY, Ref
from scheduler.state.plan import Placed
from scheduler.state.record import Record, RecordSeat

FINALIZER: Final = "coterie.dev/placement"
WRITTEN_BY: Final = "coterie.dev/written-by"
"""Annotation: identity of the replica that wrote spec, and the term of its Lease; for people and for the audit of a dispute."""
MOST_SEATS: Final = 5000
"""Seats that one record can hold: one object of the API server is limited to 1.5 MB."""
_LONGEST_NAME: Final = 253
_HASH: Final = 10


@with_config(STRICT)
class _Meta(TypedDict, total=False):
    name: Required[str]
    namespace: Required[str]
    uid: Required[str]
    resourceVersion: str
    deletionTimestamp: str | None
    finalizers: list[str] | None
    annotations: StringMap | None


@with_config(STRICT)
class _Gang(TypedDict, total=False):
    apiVersion: str | None
    kind: Required[str]
    name: Required[str]
    uid: Required[str]


@with_config(STRICT)
class _Member(TypedDict, total=False):
    pod: Required[str]
    uid: str
    node: Required[str]
    rank: Required[int]
    domains: dict[str, str] | None


@with_config(STRICT)
class _Spec(TypedDict):
    gang: _Gang
    epoch: int
    deadline: str
    members: list[_Member]


@with_config(STRICT)
class _Status(TypedDict, total=False):
    phase: Literal["Committed", "Bound", "Released"] | None
    bound: int | None
    observedEpoch: int | None


@with_config(STRICT)
class _Placement(TypedDict, total=False):
    metadata: Required[_Meta]
    spec: Required[_Spec]
    status: _Status | None


_PLACEMENT: Final = TypeAdapter(_Placement)


def record_name(gang: Gang) -> str:
    """Return the name of the gang's record: ``<gang>-<short hash of kind and UID of the owner>``.

    Two leaders choose the same name for the same gang, so that only one can create it; a gang made anew under its old name has another
    owner UID and never meets the old record.
    """
    mark = hashlib.sha256(f"{gang.owner.kind}/{gang.owner.uid}".encode()).hexdigest()[:_HASH]
    stem = gang.name[: _LONGEST_NAME - _HASH - 1].rstrip("-.")
    return f"{stem}-{mark}"


def seats_of(plan: Placed) -> tuple[RecordSeat, ...]:
    """Return the rows of a record for a plan: bound seats too, because the record holds the whole assignment. Domains go by level name."""
    known = {level.key: level.name for level in plan.levels} | {layer.key: layer.name for layer in plan.segments}
    called = Counter(known.values())
    names = {key: name if called[name] == 1 else key for key, name in known.items()}
    return tuple(
        RecordSeat(
            pod=seat.member.pod.name,
            uid=PodUid("") if seat.member.held else seat.member.pod.uid,
            node=seat.node,
            rank=seat.member.rank,
            domains={names.get(key, key): seat.domains[key] for key in sorted(seat.domains)},
        )
        for seat in plan.seats
    )


def timestamp(moment: float) -> str:
    """Write seconds since the epoch as Kubernetes does."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_record(gang: Gang, seats: Sequence[RecordSeat], *, deadline: float, written_by: str) -> Record:
    """Return the first record of a gang, not yet written."""
    return Record(
        namespace=gang.namespace,
        name=record_name(gang),
        uid="",
        resource_version="",
        gang=Ref(kind=gang.owner.kind, name=gang.name, uid=gang.owner.uid, api_version=gang.owner.api_version),
        epoch=1,
        deadline=deadline,
        seats=tuple(seats),
        written_by=written_by,
    )


def body(record: Record, owner: Ref) -> Body:
    """Return the object to create.

    The owner reference has no blockOwnerDeletion: with it a LeaderWorkerSet group is not made anew for as long as the record stands.
    """
    return {
        "apiVersion": PLACEMENTS.api_version,
        "kind": "Placement",
        "metadata": {
            "name": record.name,
            "namespace": record.namespace,
            "finalizers": [FINALIZER],
            "ownerReferences": [{"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}],
            "annotations": {WRITTEN_BY: record.written_by},
        },
        "spec": {
            "gang": {"apiVersion": record.gang.api_version, "kind": record.gang.kind, "name": record.gang.name, "uid": record.gang.uid},
            **_assignment(record),
        },
    }


def rewrite(record: Record) -> Body:
    """Return the merge patch that supersedes what is written; it holds only for the resourceVersion that the record was read with."""
    return {
        "metadata": {"uid": record.uid, "resourceVersion": record.resource_version, "annotations": {WRITTEN_BY: record.written_by}},
        "spec": _assignment(record),
    }


def _assignment(record: Record) -> Body:
    return {
        "epoch": record.epoch,
        "deadline": timestamp(record.deadline),
        "members": [{"pod": seat.pod, "uid": seat.uid, "node": seat.node, "rank": seat.rank, "domains": dict(seat.domains)} for seat in record.seats],
    }


def placement(raw: Raw) -> Record:
    """Read a Placement; raises BadInput."""
    fields = read(_PLACEMENT, raw, "Placement")
    meta, spec, status = fields["metadata"], fields["spec"], fields.get("status") or _Status()
    gang = spec["gang"]
    return Record(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta.get("resourceVersion") or "",
        gang=Ref(kind=gang["kind"], name=gang["name"], uid=gang["uid"], api_version=gang.get("apiVersion") or ""),
        epoch=spec["epoch"],
        deadline=seconds(spec["deadline"], "spec.deadline"),
        seats=tuple(_seat(member) for member in spec["members"]),
        phase=status.get("phase") or "Committed",
        observed_epoch=status.get("observedEpoch") or 0,
        bound=status.get("bound") or 0,
        terminating=bool(meta.get("deletionTimestamp")),
        guarded=FINALIZER in (meta.get("finalizers") or ()),
        written_by=(meta.get("annotations") or EMPTY).get(WRITTEN_BY) or "",
    )


def _seat(member: _Member) -> RecordSeat:
    return RecordSeat(
        pod=member["pod"],
        uid=PodUid(member.get("uid") or ""),
        node=NodeName(member["node"]),
        rank=member["rank"],
        domains=member.get("domains") or EMPTY,
    )
