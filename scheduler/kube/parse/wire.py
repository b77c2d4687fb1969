"""Kubernetes objects -> the values that decisions read: the one parser of live watches, manifests and snapshots.

Every function takes one raw object, as a mapping or as the bytes of its JSON. `strict` is for input that no API server has
checked (manifests, snapshots): whatever cannot be used raises BadInput with field, found and expected. Without it (live
watches) the value comes back with its `problem` set, so that one bad object is reported and never stops a watch.
"""

from scheduler.kube.parse.head import ANNOTATIONS, DEFAULT_NAMESPACE, synthetic_uid
from scheduler.kube.parse.reading import Raw
from scheduler.kube.parse.wire_budgets import disruption_budget
from scheduler.kube.parse.wire_groups import POD_GROUPS, GroupKind, pod_group, topology_policy
from scheduler.kube.parse.wire_objects import node, pod, priority_class
from scheduler.kube.parse.wire_workloads import WORKLOAD_KINDS, WorkloadKind, workload

__all__ = [
    "ANNOTATIONS",
    "DEFAULT_NAMESPACE",
    "POD_GROUPS",
    "WORKLOAD_KINDS",
    "GroupKind",
    "Raw",
    "WorkloadKind",
    "disruption_budget",
    "node",
    "pod",
    "pod_group",
    "priority_class",
    "synthetic_uid",
    "topology_policy",
    "workload",
]
