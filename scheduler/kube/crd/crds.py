"""Our three custom resources as pydantic models: PodGroup, TopologyPolicy and Placement, with the rules that the API server checks.

The models are the one source of deploy/base/crd-*.yaml (`scheduler.kube.crd.crdgen` writes them): docstrings become descriptions, bounds
become schema bounds, rows of `scheduler.kube.crd.celrules` become validation rules. Names and columns are rows of `scheduler.kube.crd.crdtable`;
reading objects off a watch is `scheduler.kube.parse.wire`; what follows from a field is decided elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scheduler.kube.crd import celrules as cel
from scheduler.kube.parse.group_fields import MOST_PREFERRED, MOST_SEGMENTS

MAX_MEMBERS: Final = 5000
"""Members that one Placement can hold: an object of the API server is limited to about 1.5 MB."""
MAX_WEIGHT: Final = 1_000_000
LARGEST: Final = 2**31 - 1
"""Of counts and seconds: more is a slip of the pen, and every client can hold this."""


class Part(BaseModel):
    """Manners of all models here: camelCase outside, frozen, attribute docstrings are descriptions."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, use_attribute_docstrings=True)


Count = Annotated[int, Field(ge=0, le=LARGEST, json_schema_extra={"format": "int64"})]
Level = Annotated[str, Field(min_length=1, max_length=317, json_schema_extra=cel.rules(cel.LEVEL))]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, json_schema_extra=cel.rules(cel.OBJECT_NAME))]
ShortText = Annotated[str, Field(min_length=1, max_length=253)]
Message = Annotated[str, Field(max_length=32768)]


class Condition(Part):
    """One observation about the object, in the form that all Kubernetes objects share."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """What is observed, for example Scheduled."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in one word for programs."""
    message: Message
    """Why, in a sentence with numbers for people."""
    last_transition_time: AwareDatetime
    """When status changed last."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """The metadata.generation that was looked at."""


Conditions = Annotated[list[Condition], Field(max_length=32, json_schema_extra=cel.list_map("type"))]


class PodGroupSegment(Part):
    """One layer of segments: consecutive members, size at a time, each segment inside one domain of requiredTopology."""

    size: Annotated[int, Field(ge=1, le=LARGEST, json_schema_extra={"format": "int64", **cel.rules(cel.SEGMENT_SIZE)})]
    """Members per segment."""
    required_topology: Level
    """The level (a node label key or a level name) of which one domain holds a whole segment."""


class PodGroupSpec(Part):
    """What the group asks for."""

    min_member: Annotated[int, Field(ge=1, le=LARGEST, json_schema_extra={"format": "int64", **cel.rules(cel.MIN_MEMBER)})] | None = None
    """Pods that must be placed together or not at all. Where the workload has a size (LeaderWorkerSet), its size counts."""
    schedule_timeout_seconds: Annotated[int, Field(ge=1, le=LARGEST, json_schema_extra={"format": "int64", **cel.rules(cel.SCHEDULE_TIMEOUT)})] = 600
    """How long the group may wait for a placement, in seconds, from the moment when its members can exist."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the group, for the order of groups."""
    project: ShortText | None = None
    """Project that the group belongs to."""
    topology_policy: ObjectName | None = None
    """Name of a TopologyPolicy in the same namespace."""
    required_topology: Level | None = None
    """The level (a node label key or a level name) of which one domain must hold the whole group."""
    segments: Annotated[list[PodGroupSegment], Field(max_length=MOST_SEGMENTS, json_schema_extra=cel.atomic(cel.SEGMENT_ORDER))] | None = None
    """Layers of segments, outermost first; members are cut in worker-index order, else in name order."""


class PodGroupStatus(Part):
    """What the scheduler did for the group; counts are sums over the gangs that the group makes or governs."""

    phase: Literal["Pending", "Scheduling", "Scheduled", "Running", "Unschedulable", "TimedOut"] | None = None
    """The least advanced phase among the gangs."""
    desired: Count | None = None
    """Members that are wanted."""
    scheduled: Count | None = None
    """Members that have a node."""
    running: Count | None = None
    """Members that run."""
    cost: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """Cost of the placement: over all weighted levels, weight times the domains beyond the first."""
    proof: Literal["OPTIMAL", "FEASIBLE", "INFEASIBLE", "UNKNOWN", "UNSUPPORTED", "WAITING"] | None = None
    """What is proved about the last decision."""
    message: Message | None = None
    """The last decision in a sentence with numbers."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """The metadata.generation that this status speaks about."""
    conditions: Conditions | None = None
    """Observations, by type."""


class PodGroup(Part):
    """A group of pods that is placed as a whole or not at all. Pods join with the label coterie.dev/pod-group."""

    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus | None = None


class PreferredLevel(Part):
    """A level to stay close in, with the price of each further domain."""

    topology_key: Level
    """The level: a node label key or a level name."""
    weight: Annotated[int, Field(ge=1, le=MAX_WEIGHT, json_schema_extra={"format": "int64", **cel.rules(cel.WEIGHT)})]
    """What each domain of this level beyond the first costs."""


class SelectorRequirement(Part):
    """One expression over pod labels."""

    model_config = ConfigDict(json_schema_extra=cel.rules(cel.EXPRESSION_VALUES))

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How key and values relate."""
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64, json_schema_extra=cel.atomic())] | None = None
    """The values of In and NotIn."""


class PodSelector(Part):
    """A label selector; an empty one matches every pod."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    match_labels: (
        Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=64, json_schema_extra=cel.rules(cel.LABEL_KEYS))] | None
    ) = None
    """Labels that a pod must carry."""
    match_expressions: Annotated[list[SelectorRequirement], Field(max_length=64, json_schema_extra=cel.atomic())] | None = None
    """Expressions that must all hold."""


class TopologyPolicySpec(Part):
    """What the policy says; weights given here replace all built-in ones."""

    preferred_topology: Annotated[list[PreferredLevel], Field(max_length=MOST_PREFERRED, json_schema_extra=cel.list_map("topologyKey"))] | None = None
    """Levels to stay close in, with weights."""
    required_topology: Level | None = None
    """The level of which one domain must hold a whole gang."""
    selector: PodSelector | None = None
    """Pods that the policy speaks about. A policy without a selector is the default of its namespace."""


class TopologyPolicyStatus(Part):
    """What the scheduler found about the policy."""

    conditions: Conditions | None = None
    """Observations, by type."""


class TopologyPolicy(Part):
    """Which topology levels the gangs of a namespace prefer or require."""

    spec: TopologyPolicySpec
    status: TopologyPolicyStatus | None = None


class PlacementGang(Part):
    """The gang that the record is about: its name, and kind and UID of the object that stands for it."""

    api_version: ShortText | None = None
    """apiVersion of the object that stands for the gang."""
    kind: Annotated[str, Field(min_length=1, max_length=63)]
    """Kind of the object that stands for the gang: Pod (the leader) for a LeaderWorkerSet group."""
    name: ShortText
    """Name of the gang."""
    uid: Annotated[str, Field(min_length=1, max_length=128)]
    """UID of the object that stands for the gang."""


class PlacementMember(Part):
    """One seat of the record."""

    pod: ShortText
    """Name of the pod, in the namespace of the record."""
    uid: Annotated[str, Field(max_length=128)] = ""
    """UID of the pod; empty while its controller has not created it and the seat is only held."""
    node: ShortText
    """The node that the pod is bound to."""
    rank: Count
    """The pod's rank in the gang, from 0."""
    domains: Annotated[dict[str, Annotated[str, Field(max_length=253)]], Field(max_length=32)] | None = None
    """The node's domain by level, for the levels that the gang prefers or requires."""


class PlacementSpec(Part):
    """The whole assignment: once written, the members will be bound as it says, also after a crash."""

    # Comparing lists counts their items only, so the rules stay far inside the server's cost budget even with 5,000 members.
    model_config = ConfigDict(json_schema_extra=cel.rules(cel.GANG_KEPT, cel.MEMBERS_KEPT))

    gang: PlacementGang
    epoch: Annotated[int, Field(ge=1, json_schema_extra={"format": "int64", **cel.rules(cel.EPOCH, cel.EPOCH_RISES)})]
    """Version of the assignment; whoever supersedes a record raises it."""
    deadline: AwareDatetime
    """When the record stops to hold the seats of members that are not bound."""
    # Atomic: with a key per item the server's bookkeeping (managedFields) would nearly double the size of the object.
    members: Annotated[list[PlacementMember], Field(min_length=1, max_length=MAX_MEMBERS, json_schema_extra=cel.atomic())]
    """One row per member, in rank order."""


class PlacementStatus(Part):
    """How far the record is carried out; a record without status is Committed."""

    model_config = ConfigDict(json_schema_extra=cel.rules(cel.OBSERVED_EPOCH_RISES))

    phase: Literal["Committed", "Bound", "Releasing", "Released"] | None = None
    """Committed: members are being bound. Bound: all are. Releasing: the group is being evicted. Released: it was given up and holds nothing."""
    bound: Count | None = None
    """Members that are bound."""
    observed_epoch: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """The spec.epoch that is settled; the record is open while it is less than spec.epoch."""
    conditions: Conditions | None = None
    """Observations, by type."""


class Placement(Part):
    """The commit record of one gang: which pod goes to which node. The scheduler writes it; people read it."""

    model_config = ConfigDict(json_schema_extra=cel.rules(cel.OBSERVED_EPOCH_KNOWN))

    spec: PlacementSpec
    status: PlacementStatus | None = None
