"""A gang: the pods that must run together, and what they demand of the topology."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from scheduler.state.ids import GangKey
from scheduler.state.objects import Pod, Ref
from scheduler.state.problems import InputProblem

NvlinkWish = Literal["required", "preferred", "ignore", "unasked"]
LeaderIn = Literal["member", "subgroup", "excluded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One preferred level with its weight: each domain of it beyond the first costs ``weight``."""

    level: str
    """A level name (``rack``) or a node label key, as the user wrote it."""
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One layer of segments: consecutive members in rank order, ``size`` at a time, each inside one domain of ``required``."""

    size: int
    required: str | None = None
    leader: LeaderIn = "member"
    """How the first member counts: as any other; as a LeaderWorkerSet counts it in its subgroups; or in no segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a gang asks of the topology, precedence already settled (product.md, "Precedence")."""

    required: str | None = None
    """The level that must hold the whole gang in one domain; a level name or a label key, as the user wrote it."""
    preferred: tuple[Preference, ...] | None = None
    """Explicit weights; ``None``: the built-in defaults for the levels that the nodes show."""
    segments: tuple[Segment, ...] = ()
    nvlink: NvlinkWish = "unasked"
    source: str = "built-in defaults"
    """Where the demand comes from, for people: ``TopologyPolicy ai-inference/inference-topology``."""
    segments_object: str = ""
    """The object that cuts the gang into segments, ``Kind/name``; empty where nobody does."""
    segments_field: str = ""
    """The field of that object which holds the layers: ``spec.segments``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One place in a gang: a pod that exists, or one that its controller is still to create (``pod.uid`` is then ``seat:<namespace>/<name>``)."""

    pod: Pod
    role: str
    """``leader``, ``worker``, or a name made from the shape; members of one role have one shape."""
    rank: int

    @property
    def held(self) -> bool:
        """Whether the pod does not exist yet and only its seat is to be held."""
        return self.pod.uid.startswith("seat:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a gang is not to be decided yet; ``code`` is a row of REASONS."""

    code: str
    message: str
    problem: InputProblem | None = None
    """The same as bad input, where a plan refuses what the live scheduler waits for: an annotation that is no number, a policy that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Something a person should know about an object: not an error, never silent."""

    level: Literal["info", "warning"]
    object: str
    """``Kind/name``."""
    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """Pods that run together or not at all.

    ``members`` holds all that are wanted, in rank order: bound ones (``pod.node`` set: they are fixed and pin every
    required domain), pending ones, and those that do not exist yet but whose seats must be held.
    """

    key: GangKey
    namespace: str
    name: str
    workload: Ref
    """What the user wrote: LeaderWorkerSet, PodGroup, Deployment, ... (a pod for a lone pod)."""
    owner: Ref
    """Owner of the commit record (commit.md): for LeaderWorkerSet the group's leader pod."""
    members: tuple[Member, ...]
    min_member: int
    demand: Demand = field(default_factory=Demand)
    priority: int = 0
    created: float = 0.0
    """When the clock of ``timeout_seconds`` started, in seconds since the epoch."""
    timeout_seconds: int = 600
    pod_group: str | None = None
    """The ``scheduling.run.ai`` PodGroup that sets the policy or makes the gang, if any."""
    waiting: Waiting | None = None
    advice: tuple[Advice, ...] = ()

    @property
    def fixed(self) -> tuple[Member, ...]:
        """Members that are bound already."""
        return tuple(m for m in self.members if m.pod.node is not None)

    @property
    def pending(self) -> tuple[Member, ...]:
        """Members that need a node."""
        return tuple(m for m in self.members if m.pod.node is None)
