"""The labels and annotations by which pods name their groups and their topology demands: each name once.

What the names mean is said in `scheduler.kube.group.workloads` (groups) and `scheduler.kube.group.demands` (topology).
"""

from __future__ import annotations

from typing import Final

SCHEDULER_NAME: Final = "coterie"
RUN_AI: Final = "scheduling.run.ai"
"""API group of the PodGroup and TopologyPolicy that Coterie serves."""
NATIVE_GROUPS: Final = "scheduling.k8s.io"
X_K8S_GROUPS: Final = "scheduling.x-k8s.io"
VOLCANO_GROUPS: Final = "scheduling.volcano.sh"
MADE_UP: Final = "manifest:"
"""How UIDs begin that stand for objects which have not been through an API server."""

POD_GROUP: Final = "coterie.dev/pod-group"
MIN_MEMBER: Final = "coterie.dev/min-member"
REQUIRED_TOPOLOGY: Final = "coterie.dev/required-topology"
PREFERRED_TOPOLOGY: Final = "coterie.dev/preferred-topology"
SEGMENT_SIZE: Final = "coterie.dev/segment-size"
SEGMENT_REQUIRED_TOPOLOGY: Final = "coterie.dev/segment-required-topology"
NVLINK: Final = "coterie.dev/nvlink"

KAI_POD_GROUP: Final = "pod-group-name"
KAI_REQUIRED: Final = "kai.scheduler/topology-required-placement"
KAI_PREFERRED: Final = "kai.scheduler/topology-preferred-placement"
KAI_SEGMENT_SIZE: Final = "kai.scheduler/segment-size"
KAI_SEGMENT_REQUIRED: Final = "kai.scheduler/segment-topology-required-placement"

KUEUE_REQUIRED: Final = "kueue.x-k8s.io/podset-required-topology"
KUEUE_PREFERRED: Final = "kueue.x-k8s.io/podset-preferred-topology"
KUEUE_SLICE_SIZE: Final = "kueue.x-k8s.io/podset-slice-size"
KUEUE_SLICE_REQUIRED: Final = "kueue.x-k8s.io/podset-slice-required-topology"
KUEUE_SLICES: Final = "kueue.x-k8s.io/podset-slice-required-topology-constraints"

LWS_NAME: Final = "leaderworkerset.sigs.k8s.io/name"
LWS_GROUP_INDEX: Final = "leaderworkerset.sigs.k8s.io/group-index"
LWS_WORKER_INDEX: Final = "leaderworkerset.sigs.k8s.io/worker-index"
LWS_SIZE: Final = "leaderworkerset.sigs.k8s.io/size"
LWS_LEADER_NAME: Final = "leaderworkerset.sigs.k8s.io/leader-name"
LWS_EXCLUSIVE: Final = "leaderworkerset.sigs.k8s.io/exclusive-topology"
LWS_SUBGROUP_SIZE: Final = "leaderworkerset.sigs.k8s.io/subgroup-size"
LWS_SUBGROUP_TYPE: Final = "leaderworkerset.sigs.k8s.io/subgroup-policy-type"
LWS_SUBGROUP_EXCLUSIVE: Final = "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology"

GROVE_POD_GANG: Final = "grove.io/podgang"
VOLCANO_POD_GROUP: Final = "scheduling.k8s.io/group-name"
X_K8S_POD_GROUP: Final = "scheduling.x-k8s.io/pod-group"
KNATIVE_REVISION: Final = "serving.knative.dev/revision"
KNATIVE_SERVICE: Final = "serving.knative.dev/service"
PART_OF: Final = "app.kubernetes.io/part-of"
KNATIVE_REVISION_UID: Final = "serving.knative.dev/revisionUID"
POD_TEMPLATE_HASH: Final = "pod-template-hash"
JOB_INDEX: Final = "batch.kubernetes.io/job-completion-index"
STATEFUL_INDEX: Final = "apps.kubernetes.io/pod-index"

DEMAND_ANNOTATIONS: Final = (
    MIN_MEMBER,
    REQUIRED_TOPOLOGY,
    PREFERRED_TOPOLOGY,
    SEGMENT_SIZE,
    SEGMENT_REQUIRED_TOPOLOGY,
    NVLINK,
    KAI_REQUIRED,
    KAI_PREFERRED,
    KAI_SEGMENT_SIZE,
    KAI_SEGMENT_REQUIRED,
    KUEUE_REQUIRED,
    KUEUE_PREFERRED,
    KUEUE_SLICE_SIZE,
    KUEUE_SLICE_REQUIRED,
    KUEUE_SLICES,
    LWS_EXCLUSIVE,
    LWS_SUBGROUP_SIZE,
    LWS_SUBGROUP_EXCLUSIVE,
)
"""Annotations of pods and workloads that demand something of the topology, or a number of members."""

GROUP_ANNOTATIONS: Final = (KAI_POD_GROUP, VOLCANO_POD_GROUP, LWS_SIZE, LWS_LEADER_NAME, LWS_SUBGROUP_TYPE, JOB_INDEX)
"""Annotations of pods that name a group, its size or a place in it."""

KEPT_ANNOTATIONS: Final = frozenset((*DEMAND_ANNOTATIONS, *GROUP_ANNOTATIONS))
"""All annotations that a parsed pod or workload must keep."""

GROUP_LABELS: Final = (POD_GROUP, GROVE_POD_GANG, LWS_NAME, X_K8S_POD_GROUP, KNATIVE_REVISION)
"""Labels that put a pod in a group."""
