"""The one report: what `plan`, `explain`, `test`, conditions, events and the page render; docs/report.schema.json is its schema.

Fields may be added, never renamed. Turning plans into the report is here; turning it into text or HTML is `scheduler.render`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scheduler.state import segments
from scheduler.state.gang import Advice
from scheduler.state.plan import NodeVerdict, Placed, Plan, Relaxation, Unplaced
from scheduler.state.problems import InputProblem
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot

Status = Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN", "UNSUPPORTED", "WAITING"]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", from_attributes=True)


class ClusterLevel(_Model):
    """A topology level that the nodes' labels show."""

    name: str
    key: str
    domains: int
    nodes_without: int


class Cluster(_Model):
    """The cluster as the decision saw it; ``pods`` are those that hold room."""

    nodes: int = 0
    pods: int = 0
    levels: list[ClusterLevel] = []


class WorkloadRef(_Model):
    """What the user wrote."""

    kind: str
    name: str


class Level(_Model):
    """A required or weighted level of a gang and the domains of it that the gang occupies."""

    key: str
    name: str
    required: bool
    weight: int
    count: int
    domains: list[str]


class SegmentRow(_Model):
    """A layer of segments that has a level: how many segments are placed, and the domains of the level that they occupy."""

    layer: int
    """Index into each member's ``segments``."""
    key: str
    name: str
    size: int
    count: int
    domains: list[str]


class MemberSeat(_Model):
    """A member and its node; ``node`` is null for an elastic member that was left out and for every member of a gang that is not placed."""

    pod: str
    role: str
    rank: int
    node: str | None
    bound: bool
    gpus: int
    """GPUs that the pod requests."""
    segments: list[int | None] = []
    """The member's segment in each layer of the gang's segments, outermost first; null where it lies in none."""


class RoomRow(_Model):
    """Room in one domain of the required level."""

    key: str
    name: str
    domain: str
    room: int
    needed: int
    short: dict[str, int]
    checks: dict[str, int]
    unlabelled: dict[str, int] = {}
    """Nodes without the label of a required level, by its key."""
    segments: int | None = None
    """Whole segments that fit, where rooms are of segments; ``needed`` is one segment's then."""
    segments_needed: int | None = None


class RelaxationRow(_Model):
    """One change that alone makes the gang fit."""

    kind: str
    summary: str
    changes: list[dict[str, Any]]


class UnplacedRow(_Model):
    """Why a gang has no seats, and what would give it some."""

    reason: str
    message: str
    fits: int | None
    rooms: list[RoomRow]
    beside: list[str] = []
    """Gangs of the same plan, as ``namespace/name``, without whose seats it would fit."""
    relaxations: list[RelaxationRow]


class AdviceRow(_Model):
    """Something a person should know."""

    level: Literal["info", "warning"]
    object: str
    field: str
    message: str


class CheckRow(_Model):
    """One refusal by one check."""

    check: str
    message: str


class NodeRow(_Model):
    """Whether one role's pod alone could run on one node as things stand."""

    role: str
    node: str
    fits: bool
    checks: list[CheckRow]


class DecisionRow(_Model):
    """How the decision was made; ``milliseconds`` is the one field outside the byte-for-byte promise."""

    engine: str
    why: str = ""
    milliseconds: float
    proved: list[str]
    jointly: list[str] = []
    """Gangs, as ``namespace/name``, together with which it was decided: what is proved is proved of all of them together."""


class GangReport(_Model):
    """One gang: its status, seats, cost with proof, or why not."""

    namespace: str
    name: str
    workload: WorkloadRef
    status: Status
    min_member: int
    cost: int | None
    bound: int | None
    demand: str
    """Where the topology demand comes from."""
    levels: list[Level]
    segments: list[SegmentRow] = []
    """One row for each layer of segments that has a level, outermost first; empty for a gang that is not placed."""
    members: list[MemberSeat]
    unplaced: UnplacedRow | None
    advice: list[AdviceRow]
    nodes: list[NodeRow] | None = Field(default=None, exclude_if=lambda rows: rows is None)
    decision: DecisionRow


class ProblemRow(_Model):
    """One piece of bad input."""

    file: str
    document: int | None
    object: str
    field: str
    found: str
    expected: str


class PlacementReport(_Model):
    """The whole answer."""

    api_version: Literal["coterie.dev/v1alpha1"] = "coterie.dev/v1alpha1"
    kind: Literal["PlacementReport"] = "PlacementReport"
    cluster: Cluster = Cluster()
    gangs: list[GangReport] = []
    advice: list[AdviceRow] = []
    """What belongs to no gang, such as a PodGroup that nobody joined."""
    ignored: list[str] = []
    """Documents of kinds without pods that were read and left aside, as ``Kind/name``."""
    problems: list[ProblemRow] = []


def cluster_of(snapshot: Snapshot) -> Cluster:
    """Describe the cluster: counts and the levels of its topology, widest first."""
    topology = snapshot.topology
    levels = [
        ClusterLevel(name=level.name, key=level.key, domains=len(topology.column(level.key).domains), nodes_without=topology.nodes_without(level.key))
        for level in topology.levels
    ]
    return Cluster(nodes=len(snapshot.nodes), pods=len(snapshot.pods), levels=levels)


def gang_of(plan: Plan, *, milliseconds: float, verdicts: Sequence[NodeVerdict] | None = None) -> GangReport:
    """Turn one plan into its part of the report."""
    gang = plan.gang
    placed = plan if isinstance(plan, Placed) else None
    return GangReport(
        namespace=gang.namespace,
        name=gang.name,
        workload=WorkloadRef(kind=gang.workload.kind, name=gang.workload.name),
        status=status_of(plan),
        min_member=gang.min_member,
        cost=placed.cost if placed else None,
        bound=placed.bound if placed else None,
        demand=gang.demand.source,
        levels=[Level.model_validate(level) for level in plan.levels],
        segments=[SegmentRow.model_validate(layer) for layer in placed.segments] if placed else [],
        members=_members(plan),
        unplaced=_unplaced(plan) if isinstance(plan, Unplaced) else None,
        advice=[advice_row(a) for a in dict.fromkeys((*gang.advice, *plan.advice))],
        nodes=None if verdicts is None else [NodeRow.model_validate(v) for v in verdicts],
        decision=DecisionRow.model_validate(replace(plan.decision, milliseconds=round(milliseconds, 1))),
    )


def status_of(plan: Plan) -> Status:
    """Name the status of a plan as the report does."""
    if isinstance(plan, Unplaced):
        return plan.status
    return "OPTIMAL" if plan.optimal else "FEASIBLE"


def advice_row(advice: Advice) -> AdviceRow:
    """Turn one piece of advice into its row."""
    return AdviceRow.model_validate(advice)


def problem_row(problem: InputProblem) -> ProblemRow:
    """Turn one input problem into its row."""
    return ProblemRow.model_validate(problem)


def dump(report: PlacementReport) -> Mapping[str, Any]:
    """Return the report as plain JSON values: what ``-o json`` prints."""
    return report.model_dump(mode="json", by_alias=True)


def _members(plan: Plan) -> list[MemberSeat]:
    seats = {s.member.pod.uid: s.node for s in plan.seats} if isinstance(plan, Placed) else {}
    numbers = segments.numbers(plan.gang.members, plan.gang.demand.segments)
    return [
        MemberSeat(
            pod=member.pod.name,
            role=member.role,
            rank=member.rank,
            node=seats.get(member.pod.uid, member.pod.node),
            bound=member.pod.node is not None,
            gpus=member.pod.shape.requests.amount(GPU),
            segments=list(numbers[member.pod.key]),
        )
        for member in plan.gang.members
    ]


def _relaxation(relaxation: Relaxation) -> RelaxationRow:
    return RelaxationRow(kind=relaxation.kind, summary=relaxation.summary, changes=[dict(c) for c in relaxation.changes])


def _unplaced(plan: Unplaced) -> UnplacedRow:
    return UnplacedRow(
        reason=plan.reason,
        message=plan.message,
        fits=plan.fits,
        rooms=[RoomRow.model_validate(r) for r in plan.rooms],
        beside=list(plan.beside),
        relaxations=[_relaxation(r) for r in plan.relaxations],
    )
