"""What leaves the core: for each gang a Placed or an Unplaced; outcomes are values, never exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scheduler.state.gang import Advice, Gang, Member
from scheduler.state.ids import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One member on its node. ``rank`` is the member's own; seats are in rank order."""

    member: Member
    node: NodeName
    bound: bool
    domains: Mapping[str, str] = field(default_factory=dict)
    """Domain by level key, for the levels of the gang's demand and of its segments (a node without the label is left out)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCount:
    """How many domains of one demanded level the gang occupies, and which."""

    key: str
    name: str
    required: bool
    weight: int
    count: int
    domains: tuple[str, ...]
    """Domain names; a node without the label shows as ``node <name>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCount:
    """How many segments of one layer are placed, and in which domains of their level."""

    layer: int
    """The layer's place in the demand, outermost first."""
    key: str
    name: str
    size: int
    count: int
    domains: tuple[str, ...]
    """Domain names, sorted; a node without the label shows as ``node <name>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a decision was made."""

    engine: str
    """``tree``, ``cpsat``, ``bound`` (best fit that meets the lower bound), ``counting`` (sums alone), ``none`` (nothing to decide)."""
    why: str = ""
    """Why this engine decided: a part of a sentence."""
    milliseconds: float = 0.0
    proved: tuple[str, ...] = ()
    """Aims of placement.md that are proved: ``core``, ``extras``, ``cost``, ``harm``."""
    jointly: tuple[str, ...] = ()
    """Gangs (``namespace/name``) together with which it was decided: what is proved is proved of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much of a gang one domain of its required level can hold, and what is short."""

    key: str
    name: str
    domain: str
    room: int
    """Members that fit there, the bound ones of the gang included."""
    needed: int
    short: Mapping[str, int] = field(default_factory=dict)
    """Amounts that are missing, by resource, for the members that do not fit (resources are the reason)."""
    checks: Mapping[str, int] = field(default_factory=dict)
    """Nodes refused by each check other than resources: ``{TaintToleration: 2}``."""
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    """Nodes that do not carry the label of a required level, that of a segment included, by its key."""
    segments: int | None = None
    """Whole segments that fit, where room for these is what counts."""
    segments_needed: int | None = None
    """Segments that the gang has, where room for these is what counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """One change that alone makes the gang fit; ``changes`` are report.md's delete, patch and create operations."""

    kind: str
    summary: str
    changes: tuple[Mapping[str, Any], ...] = ()
    harm: tuple[int, ...] = ()
    """Sort key: smaller is less harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Every aim met: ``seats`` for all members that have a node (bound ones too), ``left_out`` for elastic ones."""

    gang: Gang
    seats: tuple[Seat, ...]
    left_out: tuple[Member, ...] = ()
    cost: int
    bound: int
    """Proved lower bound of ``cost``; equal to it when the plan is optimal."""
    levels: tuple[LevelCount, ...]
    segments: tuple[SegmentCount, ...] = ()
    """One for each layer of segments that has a level, outermost first."""
    decision: Decision
    advice: tuple[Advice, ...] = ()

    @property
    def optimal(self) -> bool:
        """Whether aims one to three are proved: the core's cost, the number of the others, the cost of all."""
        return self.cost == self.bound and {"core", "extras", "cost"} <= set(self.decision.proved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """No seats; ``status`` keeps "no" apart from "I ran out" and from "not yet"."""

    gang: Gang
    status: Literal["INFEASIBLE", "UNKNOWN", "UNSUPPORTED", "WAITING"]
    reason: str
    """Code of a row of ``reasons.REASONS``."""
    message: str
    fits: int | None = None
    rooms: tuple[Room, ...] = ()
    beside: tuple[str, ...] = ()
    """Gangs (``namespace/name``) of the same plan without whose seats it would fit."""
    relaxations: tuple[Relaxation, ...] = ()
    levels: tuple[LevelCount, ...] = ()
    decision: Decision
    advice: tuple[Advice, ...] = ()


Plan: TypeAlias = Placed | Unplaced


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVerdict:
    """Whether one role's pod alone could run on one node as things stand (report.md, ``nodes``)."""

    role: str
    node: NodeName
    checks: tuple[CheckFailure, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every check passed."""
        return not self.checks


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailure:
    """One refusal: kube-scheduler's plugin name and a sentence like its own."""

    check: str
    message: str
