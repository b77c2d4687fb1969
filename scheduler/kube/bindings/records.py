"""Placement objects <-> `scheduler.state.record`: how the commit record is named, written and read.

When it is written, and what is done with one that was found, is `scheduler.kube.bindings.commit` and `scheduler.kube.bindings.recover`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final, Required

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.api import PLACEMENTS, Body
from scheduler.kube.parse.fields import STRICT, Count, StringMap
from scheduler.kube.parse.reading import Raw, read, refused, seconds
from scheduler.kube.parse.reading import Refused as Unusable
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.objects import EMPTY, Ref
from scheduler.state.plan import Placed
from scheduler.state.record import Phase, Record, RecordSeat

FINALIZER: Final = "coterie.dev/placement"
WRITTEN_BY: Final = "coterie.dev/written-by"
"""Annotation: identity of the replica that wrote spec, and the term of its Lease; for people and for the audit of a dispute."""
CONDITION: Final = "Bound"
"""Type of the one condition of a record."""
MOST_SEATS: Final = 5000
"""Seats that one record can hold: one object of the API server is limited to 1.5 MB."""
_LONGEST_NAME: Final = 253
_HASH: Final = 10
_KNOWN: Final = ConfigDict(strict=True, extra="forbid")
"""For what is carried out: a field that is not known here was written by a newer version and may change what the others mean."""
_Text = Annotated[str, Field(min_length=1)]


@with_config(STRICT)
class _Meta(TypedDict, total=False):
    name: Required[str]
    namespace: Required[str]
    uid: Required[str]
    resourceVersion: str
    deletionTimestamp: str | None
    creationTimestamp: str | None
    finalizers: list[str] | None
    annotations: StringMap | None


@with_config(_KNOWN)
class _Gang(TypedDict, total=False):
    apiVersion: str | None
    kind: Required[_Text]
    name: Required[_Text]
    uid: Required[_Text]


@with_config(_KNOWN)
class _Member(TypedDict, total=False):
    pod: Required[_Text]
    uid: str | None
    node: Required[_Text]
    rank: Required[Count]
    domains: dict[str, str] | None


@with_config(_KNOWN)
class _Spec(TypedDict):
    gang: _Gang
    epoch: Annotated[int, Field(ge=1)]
    deadline: str
    members: Annotated[list[_Member], Field(min_length=1, max_length=MOST_SEATS)]


@with_config(STRICT)
class _Condition(TypedDict, total=False):
    type: str
    message: str | None


@with_config(STRICT)
class _Status(TypedDict, total=False):
    phase: Phase | None
    bound: int | None
    observedEpoch: int | None
    conditions: list[_Condition] | None


@with_config(STRICT)
class _Placement(TypedDict, total=False):
    apiVersion: str | None
    metadata: Required[_Meta]
    spec: Required[_Spec]
    status: _Status | None


@with_config(STRICT)
class _Written(TypedDict, total=False):
    """What an answer to a write of ours tells us that we did not write ourselves."""

    metadata: Required[_Meta]
    status: _Status | None


_PLACEMENT: Final = TypeAdapter(_Placement)
_WRITTEN: Final = TypeAdapter(_Written)


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


def _assignment(record: Record) -> dict[str, object]:
    return {
        "epoch": record.epoch,
        "deadline": timestamp(record.deadline),
        "members": [{"pod": seat.pod, "uid": seat.uid, "node": seat.node, "rank": seat.rank, "domains": dict(seat.domains)} for seat in record.seats],
    }


def placement(raw: Raw) -> Record:
    """Read a Placement; raises BadInput where it cannot be carried out as it stands: then it is neither obeyed nor overwritten."""
    fields = read(_PLACEMENT, raw, "Placement")
    try:
        return _record(fields)
    except Unusable as wrong:
        meta = fields["metadata"]
        raise refused(wrong, "Placement", {"metadata": {"name": meta["name"], "namespace": meta["namespace"]}}) from None


def answered(wanted: Record, raw: bytes) -> Record:
    """Return a record that we have just written, as the server's answer completes it; its seats, which we sent, are not read again."""
    fields = read(_WRITTEN, raw, "Placement")
    meta = fields["metadata"]
    return replace(
        wanted,
        uid=meta["uid"],
        resource_version=meta.get("resourceVersion") or "",
        **_meta(meta),
        **_status(fields.get("status") or _Status()),
    )


def _record(fields: _Placement) -> Record:
    meta, spec, status = fields["metadata"], fields["spec"], fields.get("status") or _Status()
    _usable(fields)
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
        **_meta(meta),
        **_status(status),
    )


def _usable(fields: _Placement) -> None:
    """Refuse what no replica of this version has written."""
    spec, status = fields["spec"], fields.get("status") or _Status()
    version = fields.get("apiVersion")
    if version not in (None, PLACEMENTS.api_version):
        raise Unusable("apiVersion", version, f"{PLACEMENTS.api_version}, which is what this version of Coterie writes")
    twice = [pod for pod, times in Counter(member["pod"] for member in spec["members"]).items() if times > 1]
    if twice:
        raise Unusable("spec.members", min(twice), "each pod once")
    observed = status.get("observedEpoch") or 0
    if observed > spec["epoch"]:
        raise Unusable("spec.epoch", spec["epoch"], f"at least {observed}, the epoch that status.observedEpoch says is settled")


class _MetaPart(TypedDict):
    terminating: bool
    guarded: bool
    written_by: str
    created: float


class _StatusPart(TypedDict):
    phase: Phase
    observed_epoch: int
    bound: int
    message: str


def _meta(meta: _Meta) -> _MetaPart:
    return {
        "terminating": bool(meta.get("deletionTimestamp")),
        "guarded": FINALIZER in (meta.get("finalizers") or ()),
        "written_by": (meta.get("annotations") or EMPTY).get(WRITTEN_BY) or "",
        "created": seconds(meta.get("creationTimestamp"), "metadata.creationTimestamp"),
    }


def _status(status: _Status) -> _StatusPart:
    said = next((each for each in status.get("conditions") or () if each.get("type") == CONDITION), _Condition())
    return {
        "phase": status.get("phase") or "Committed",
        "observed_epoch": status.get("observedEpoch") or 0,
        "bound": status.get("bound") or 0,
        "message": said.get("message") or "",
    }


def _seat(member: _Member) -> RecordSeat:
    return RecordSeat(
        pod=member["pod"],
        uid=PodUid(member.get("uid") or ""),
        node=NodeName(member["node"]),
        rank=member["rank"],
        domains=member.get("domains") or EMPTY,
    )
