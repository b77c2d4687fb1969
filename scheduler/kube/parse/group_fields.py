"""The fields of PodGroups, one spec per API group, and of topology policies; `scheduler.kube.parse.wire_groups` says what they mean."""

from __future__ import annotations

from typing import Annotated, Final, Required

from pydantic import Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse.fields import STRICT, Count, LabelSelectorFields, PositiveInt, Weight

Level = Annotated[str, Field(min_length=1)]
MOST_PREFERRED: Final = 16
"""Levels that one policy may prefer: no cluster has so many, and every further one costs the solver time."""
MOST_SEGMENTS: Final = 8
"""Layers of segments in one PodGroup."""


@with_config(STRICT)
class SegmentFields(TypedDict, total=False):
    """spec.segments[]."""

    size: Required[PositiveInt]
    requiredTopology: Level | None


@with_config(STRICT)
class RunAiSpec(TypedDict, total=False):
    """spec of scheduling.run.ai/v1."""

    minMember: PositiveInt | None
    scheduleTimeoutSeconds: PositiveInt | None
    priorityClassName: str | None
    project: str | None
    topologyPolicy: str | None
    requiredTopology: Level | None
    segments: Annotated[list[SegmentFields], Field(max_length=MOST_SEGMENTS)] | None


@with_config(STRICT)
class GangFields(TypedDict, total=False):
    """spec.schedulingPolicy.gang."""

    minCount: Required[PositiveInt]


@with_config(STRICT)
class SchedulingPolicy(TypedDict, total=False):
    """spec.schedulingPolicy."""

    gang: GangFields | None


@with_config(STRICT)
class TopologyConstraint(TypedDict, total=False):
    """spec.schedulingConstraints.topology[]."""

    key: Required[Level]


@with_config(STRICT)
class SchedulingConstraints(TypedDict, total=False):
    """spec.schedulingConstraints."""

    topology: list[TopologyConstraint] | None


@with_config(STRICT)
class NativeSpec(TypedDict, total=False):
    """spec of scheduling.k8s.io."""

    schedulingPolicy: SchedulingPolicy | None
    schedulingConstraints: SchedulingConstraints | None
    priorityClassName: str | None
    resourceClaims: list[object] | None


@with_config(STRICT)
class PluginsSpec(TypedDict, total=False):
    """spec of scheduling.x-k8s.io/v1alpha1."""

    minMember: Count | None
    scheduleTimeoutSeconds: Count | None


@with_config(STRICT)
class VolcanoSpec(TypedDict, total=False):
    """spec of scheduling.volcano.sh/v1beta1."""

    minMember: Count | None
    minTaskMember: dict[str, int] | None
    networkTopology: dict[str, object] | None
    subGroupPolicy: list[object] | None
    priorityClassName: str | None


@with_config(STRICT)
class KaiTopology(TypedDict, total=False):
    """spec.topologyConstraint of KAI."""

    requiredTopologyLevel: str | None
    preferredTopologyLevel: str | None


@with_config(STRICT)
class KaiSpec(TypedDict, total=False):
    """spec of KAI (scheduling.run.ai/v2alpha2)."""

    minMember: Count | None
    priorityClassName: str | None
    topologyConstraint: KaiTopology | None
    subGroups: list[object] | None


@with_config(STRICT)
class PreferenceFields(TypedDict, total=False):
    """spec.preferredTopology[]."""

    topologyKey: Required[Level]
    weight: Required[Weight]


@with_config(STRICT)
class PolicySpec(TypedDict, total=False):
    """spec of a TopologyPolicy."""

    preferredTopology: Annotated[list[PreferenceFields], Field(max_length=MOST_PREFERRED)] | None
    requiredTopology: Level | None
    selector: LabelSelectorFields | None
