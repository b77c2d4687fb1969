"""Exactly the fields of Kubernetes objects that Coterie reads, typed; everything else in an object is skipped unread.

Typed dictionaries rather than models: pydantic fills no defaults for the many fields that an object does not carry, which
is half of the time of a sync. Names are the API's own. A field may be null wherever Kubernetes takes null for absent.
"""

from __future__ import annotations

from typing import Annotated, Literal, Required

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

STRICT = ConfigDict(strict=True, extra="ignore")

StringMap = dict[str, str | None]
Amounts = dict[str, object]
"""Quantities as they stand, whatever they are; `scheduler.kube.parse.quantity` reads or refuses them."""
PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Weight = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Port = Annotated[int, Field(ge=0, le=65535)]
Priority = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


@with_config(STRICT)
class OwnerReference(TypedDict, total=False):
    """metadata.ownerReferences[]."""

    apiVersion: str
    kind: Required[str]
    name: Required[str]
    uid: str
    controller: bool | None


@with_config(STRICT)
class Metadata(TypedDict, total=False):
    """ObjectMeta."""

    name: str | None
    generateName: str | None
    namespace: str | None
    uid: str | None
    labels: StringMap | None
    annotations: StringMap | None
    ownerReferences: list[OwnerReference] | None
    creationTimestamp: str | None
    deletionTimestamp: str | None
    resourceVersion: str | None
    generation: int | None


@with_config(STRICT)
class TaintFields(TypedDict, total=False):
    """spec.taints[] of a node."""

    key: Required[str]
    value: str | None
    effect: Required[Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]]


@with_config(STRICT)
class NodeSpec(TypedDict, total=False):
    """spec of a node."""

    taints: list[TaintFields] | None
    unschedulable: bool | None


@with_config(STRICT)
class NodeStatus(TypedDict, total=False):
    """status of a node."""

    allocatable: Amounts | None
    capacity: Amounts | None


@with_config(STRICT)
class NodeFields(TypedDict, total=False):
    """A node."""

    metadata: Required[Metadata]
    spec: NodeSpec | None
    status: NodeStatus | None


@with_config(STRICT)
class ResourceFields(TypedDict, total=False):
    """resources of a container, of a pod, and of their statuses."""

    requests: Amounts | None
    limits: Amounts | None


@with_config(STRICT)
class PortFields(TypedDict, total=False):
    """ports[] of a container."""

    containerPort: Port | None
    hostPort: Port | None
    protocol: str | None
    hostIP: str | None


@with_config(STRICT)
class ContainerFields(TypedDict, total=False):
    """containers[] and initContainers[]."""

    name: str | None
    resources: ResourceFields | None
    ports: list[PortFields] | None
    restartPolicy: str | None


@with_config(STRICT)
class ExpressionFields(TypedDict, total=False):
    """An expression of a node selector term."""

    key: Required[str]
    operator: Required[Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]]
    values: list[str] | None


@with_config(STRICT)
class TermFields(TypedDict, total=False):
    """nodeSelectorTerms[]."""

    matchExpressions: list[ExpressionFields] | None
    matchFields: list[ExpressionFields] | None


@with_config(STRICT)
class NodeSelectorFields(TypedDict, total=False):
    """The required part of a node affinity."""

    nodeSelectorTerms: list[TermFields] | None


@with_config(STRICT)
class NodeAffinityFields(TypedDict, total=False):
    """affinity.nodeAffinity."""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelectorFields | None


@with_config(STRICT)
class LabelExpressionFields(TypedDict, total=False):
    """An expression of a label selector."""

    key: Required[str]
    operator: Required[Literal["In", "NotIn", "Exists", "DoesNotExist"]]
    values: list[str] | None


@with_config(STRICT)
class LabelSelectorFields(TypedDict, total=False):
    """A label selector."""

    matchLabels: StringMap | None
    matchExpressions: list[LabelExpressionFields] | None


@with_config(STRICT)
class PodTermFields(TypedDict, total=False):
    """A required term of a pod affinity or anti-affinity."""

    topologyKey: Required[str]
    labelSelector: LabelSelectorFields | None
    namespaces: list[str] | None
    namespaceSelector: LabelSelectorFields | None


@with_config(STRICT)
class PodAffinityFields(TypedDict, total=False):
    """affinity.podAffinity and affinity.podAntiAffinity."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodTermFields] | None


@with_config(STRICT)
class AffinityFields(TypedDict, total=False):
    """spec.affinity."""

    nodeAffinity: NodeAffinityFields | None
    podAffinity: PodAffinityFields | None
    podAntiAffinity: PodAffinityFields | None


@with_config(STRICT)
class TolerationFields(TypedDict, total=False):
    """tolerations[]."""

    key: str | None
    operator: str | None
    value: str | None
    effect: str | None


@with_config(STRICT)
class SpreadFields(TypedDict, total=False):
    """topologySpreadConstraints[]: only whether it refuses nodes."""

    topologyKey: str | None
    whenUnsatisfiable: str | None


@with_config(STRICT)
class VolumeFields(TypedDict, total=False):
    """volumes[]: the kinds that carry a placement, each as it stands."""

    name: str | None
    persistentVolumeClaim: object
    ephemeral: object
    gcePersistentDisk: object
    awsElasticBlockStore: object
    iscsi: object
    rbd: object
    azureDisk: object
    cinder: object
    vsphereVolume: object
    portworxVolume: object


@with_config(STRICT)
class NamedFields(TypedDict, total=False):
    """An entry of which only the name is read (scheduling gates, resource claims)."""

    name: Required[str]


@with_config(STRICT)
class SchedulingGroupFields(TypedDict, total=False):
    """spec.schedulingGroup."""

    podGroupName: str | None


@with_config(STRICT)
class PodSpecFields(TypedDict, total=False):
    """spec of a pod or of a pod template."""

    nodeName: str | None
    schedulerName: str | None
    priority: Priority | None
    priorityClassName: str | None
    nodeSelector: StringMap | None
    affinity: AffinityFields | None
    tolerations: list[TolerationFields] | None
    containers: list[ContainerFields] | None
    initContainers: list[ContainerFields] | None
    resources: ResourceFields | None
    overhead: Amounts | None
    hostNetwork: bool | None
    volumes: list[VolumeFields] | None
    resourceClaims: list[NamedFields] | None
    schedulingGates: list[NamedFields] | None
    topologySpreadConstraints: list[SpreadFields] | None
    schedulingGroup: SchedulingGroupFields | None


@with_config(STRICT)
class ConditionFields(TypedDict, total=False):
    """status.conditions[]."""

    type: Required[str]
    status: str | None
    reason: str | None


@with_config(STRICT)
class ContainerStatusFields(TypedDict, total=False):
    """status.containerStatuses[]: what the container takes now (in-place resize)."""

    name: str | None
    resources: ResourceFields | None
    allocatedResources: Amounts | None


@with_config(STRICT)
class PodStatusFields(TypedDict, total=False):
    """status of a pod."""

    phase: str | None
    reason: str | None
    conditions: list[ConditionFields] | None
    containerStatuses: list[ContainerStatusFields] | None
    initContainerStatuses: list[ContainerStatusFields] | None
    resources: ResourceFields | None
    allocatedResources: Amounts | None
    nominatedNodeName: str | None


@with_config(STRICT)
class PodFields(TypedDict, total=False):
    """A pod."""

    metadata: Required[Metadata]
    spec: PodSpecFields | None
    status: PodStatusFields | None
