"""KINDS: every kind of object that a file may hold, one row each: what it is read as, and in which versions it is served.

A kind that is in no row is one that nobody knows: bad input in what is to be planned, left aside in a cluster's snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from scheduler.kube.parse.wire import POD_GROUPS, WORKLOAD_KINDS

Use = Literal["node", "pod", "pod_group", "policy", "workload", "priority", "budget", "levels", "ignored", "refused"]
"""``ignored``: without pods, or nothing a placement reads. ``refused``: makes pods in a way that `plan` does not expand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of one API group."""

    group: str
    versions: tuple[str, ...]
    kind: str
    use: Use
    namespaced: bool = True

    @property
    def api_versions(self) -> tuple[str, ...]:
        """``group/version`` of each version, ``v1`` for the core group."""
        return tuple(f"{self.group}/{v}" if self.group else v for v in self.versions)


def _many(group: str, versions: str, kinds: str, use: Use = "ignored", *, namespaced: bool = True) -> tuple[Kind, ...]:
    return tuple(Kind(group=group, versions=tuple(versions.split()), kind=k, use=use, namespaced=namespaced) for k in kinds.split())


def _pod_groups() -> tuple[Kind, ...]:
    groups = dict.fromkeys(row.group for row in POD_GROUPS)
    return tuple(
        Kind(group=group, versions=tuple(row.version for row in POD_GROUPS if row.group == group), kind="PodGroup", use="pod_group")
        for group in groups
    )


KINDS: Final[tuple[Kind, ...]] = (
    *_many("", "v1", "Node", "node", namespaced=False),
    *_many("", "v1", "Pod", "pod"),
    *_many("scheduling.run.ai", "v1", "TopologyPolicy", "policy"),
    *_pod_groups(),
    *(Kind(group=row.group, versions=(row.version,), kind=row.kind, use="workload") for row in WORKLOAD_KINDS),
    *_many("scheduling.k8s.io", "v1", "PriorityClass", "priority", namespaced=False),
    *_many("kueue.x-k8s.io", "v1beta2 v1beta1 v1alpha1", "Topology", "levels", namespaced=False),
    *_many("grove.io", "v1alpha1", "ClusterTopologyBinding ClusterTopology", "levels", namespaced=False),
    *_many("coterie.dev", "v1alpha1", "Placement"),
    *_many("", "v1", "Service ConfigMap Secret ServiceAccount PersistentVolumeClaim Endpoints Event LimitRange ResourceQuota PodTemplate"),
    *_many("", "v1", "Namespace PersistentVolume ComponentStatus", namespaced=False),
    *_many("apps", "v1", "ControllerRevision"),
    *_many("autoscaling", "v1 v2", "HorizontalPodAutoscaler"),
    *_many("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler"),
    *_many("policy", "v1", "PodDisruptionBudget", "budget"),
    *_many("networking.k8s.io", "v1", "Ingress NetworkPolicy"),
    *_many("networking.k8s.io", "v1", "IngressClass", namespaced=False),
    *_many("discovery.k8s.io", "v1", "EndpointSlice"),
    *_many("coordination.k8s.io", "v1", "Lease"),
    *_many("events.k8s.io", "v1", "Event"),
    *_many("rbac.authorization.k8s.io", "v1", "Role RoleBinding"),
    *_many("rbac.authorization.k8s.io", "v1", "ClusterRole ClusterRoleBinding", namespaced=False),
    *_many("storage.k8s.io", "v1", "StorageClass CSINode CSIDriver VolumeAttachment", namespaced=False),
    *_many("storage.k8s.io", "v1", "CSIStorageCapacity"),
    *_many("node.k8s.io", "v1", "RuntimeClass", namespaced=False),
    *_many("resource.k8s.io", "v1 v1beta2 v1beta1", "ResourceClaim ResourceClaimTemplate"),
    *_many("resource.k8s.io", "v1 v1beta2 v1beta1", "ResourceSlice DeviceClass", namespaced=False),
    *_many("apiextensions.k8s.io", "v1", "CustomResourceDefinition", namespaced=False),
    *_many("apiregistration.k8s.io", "v1", "APIService", namespaced=False),
    *_many(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
        namespaced=False,
    ),
    *_many("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema PriorityLevelConfiguration", namespaced=False),
    *_many("certificates.k8s.io", "v1", "CertificateSigningRequest", namespaced=False),
    *_many("gateway.networking.k8s.io", "v1 v1beta1", "Gateway HTTPRoute GRPCRoute"),
    *_many("gateway.networking.k8s.io", "v1 v1beta1", "GatewayClass", namespaced=False),
    *_many("monitoring.coreos.com", "v1", "ServiceMonitor PodMonitor PrometheusRule"),
    *_many("cert-manager.io", "v1", "Certificate Issuer"),
    *_many("serving.knative.dev", "v1", "Route"),
    *_many("serving.knative.dev", "v1beta1", "DomainMapping"),
    *_many("keda.sh", "v1alpha1", "ScaledObject"),
    *_many("kueue.x-k8s.io", "v1beta2 v1beta1", "LocalQueue Workload"),
    *_many("kueue.x-k8s.io", "v1beta2 v1beta1", "ClusterQueue ResourceFlavor", namespaced=False),
    *_many("scheduling.run.ai", "v2", "Queue", namespaced=False),
    *_many("kwok.x-k8s.io", "v1alpha1", "Stage", namespaced=False),
    *_many("", "v1", "ReplicationController", "refused"),
    *_many("apps", "v1", "DaemonSet", "refused"),
    *_many("batch", "v1", "CronJob", "refused"),
    *_many("jobset.x-k8s.io", "v1alpha2", "JobSet", "refused"),
    *_many("ray.io", "v1", "RayCluster RayJob RayService", "refused"),
    *_many("kubeflow.org", "v1 v2beta1", "PyTorchJob MPIJob TFJob", "refused"),
    *_many("serving.kserve.io", "v1beta1", "InferenceService", "refused"),
    *_many("apps.nvidia.com", "v1alpha1", "NIMService NIMPipeline NIMCache", "refused"),
    *_many("nvidia.com", "v1alpha1 v1beta1", "DynamoGraphDeployment DynamoComponentDeployment", "refused"),
    *_many("grove.io", "v1alpha1", "PodCliqueSet PodClique PodCliqueScalingGroup", "refused"),
    *_many("disaggregatedset.x-k8s.io", "v1", "DisaggregatedSet", "refused"),
    *_many("batch.volcano.sh", "v1alpha1", "Job", "refused"),
)
"""Rows of one group and kind are one kind in several versions; the order tells nothing."""

_BY_NAME: Final = {(row.group, row.kind): row for row in KINDS}


def group_of(api_version: str) -> str:
    """Return the API group of an apiVersion; empty for the core group."""
    return api_version.rpartition("/")[0]


def find(api_version: str, kind: str) -> Kind | None:
    """Return the row of a group and kind, whatever version is asked for; None for a kind that nobody knows."""
    return _BY_NAME.get((group_of(api_version), kind))


def named(kind: str) -> tuple[Kind, ...]:
    """Return all rows of a kind, in any group: what a wrong apiVersion may have meant."""
    return tuple(row for row in KINDS if row.kind == kind)
