"""A manifest -> the raw pods that its controller would create; one row in `EXPANDERS` per kind.

Names that Kubernetes makes at random end in a counter here, UIDs say that they come from a manifest: the same manifest gives the
same pods, byte for byte. Kinds without a row are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from scheduler.kube.parse import expand_knative, expand_lws
from scheduler.kube.parse.fields import Metadata
from scheduler.kube.parse.head import DEFAULT_NAMESPACE, Head, read_head, synthetic_uid
from scheduler.kube.parse.naming import check_service_name
from scheduler.kube.parse.podraw import Maker, RawPod, admitted, short_hash, with_claims
from scheduler.kube.parse.reading import Refused, object_name, read_part, refused
from scheduler.kube.parse.wire_workloads import (
    JOB,
    KNATIVE,
    LEADER_WORKER_SET,
    POD_ROLE,
    REPLICATED,
    Template,
    check_groups,
    check_many,
    job_pods,
)
from scheduler.state.problems import BadInput, InputProblem, show

_METADATA: Final = TypeAdapter(Metadata)
Raw = Mapping[str, Any]
Expander = Callable[[Raw, Head, str], Iterator[RawPod]]


def pods_of(raw: Raw, namespace: str = DEFAULT_NAMESPACE) -> tuple[RawPod, ...]:
    """Return the raw pods of one workload or bare pod; ``namespace`` is for objects that name none. Raises BadInput."""
    kind = str(raw.get("kind", ""))
    name = object_name(raw, kind)
    if kind not in EXPANDERS:
        expected = f"a kind that plan expands: {', '.join(EXPANDERS)}"
        raise BadInput(InputProblem(object=name, field="kind", found=show(raw.get("kind")), expected=expected))
    metadata = read_part(_METADATA, _named(raw, kind), place="metadata", name=name)
    try:
        about = read_head(metadata, strict=True, namespace=namespace)
        found = tuple(EXPANDERS[kind](raw, about, name))
        for pod in found[:1]:
            _check_containers(pod, raw)
    except Refused as error:
        raise refused(error, kind, raw) from None
    return found


def scheduler_fields(raw: Raw) -> Mapping[str, str]:
    """Return, by role of `wire.workload`'s templates, where a manifest says which scheduler places the pods."""
    if raw.get("kind") == "LeaderWorkerSet":
        inner = "spec.leaderWorkerTemplate"
        found = {"worker": f"{inner}.workerTemplate.spec.schedulerName"}
        if raw["spec"]["leaderWorkerTemplate"].get("leaderTemplate"):
            found = {"leader": f"{inner}.leaderTemplate.spec.schedulerName", **found}
        return found
    return {POD_ROLE: "spec.schedulerName" if raw.get("kind") == "Revision" else "spec.template.spec.schedulerName"}


def _named(raw: Raw, kind: str) -> object:
    """Give a bare pod that leaves the end of its name to the server one that ends in a counter."""
    metadata = raw.get("metadata") or {}
    if kind == "Pod" and isinstance(metadata, Mapping) and not metadata.get("name") and isinstance(metadata.get("generateName"), str):
        return {**metadata, "name": f"{metadata['generateName']}00000"}
    return metadata


def _check_containers(pod: RawPod, raw: Raw) -> None:
    containers = pod["spec"].get("containers")
    if not isinstance(containers, list) or not containers:
        place = {"Pod": "spec.containers", "LeaderWorkerSet": "spec.leaderWorkerTemplate", "Revision": "spec.containers"}
        raise Refused(place.get(str(raw.get("kind")), "spec.template.spec.containers"), containers, "at least one container")


def _owner(raw: Raw, about: Head) -> dict[str, str]:
    return {"apiVersion": str(raw.get("apiVersion", "")), "kind": str(raw["kind"]), "name": about.name, "uid": about.uid}


def _pod(raw: Raw, about: Head, _: str) -> Iterator[RawPod]:
    spec = raw.get("spec")
    metadata = {**raw["metadata"], "name": about.name, "namespace": about.namespace, "uid": about.uid}
    if not isinstance(spec, Mapping):
        raise Refused("spec", spec, "a pod spec")
    yield {**raw, "metadata": metadata, "spec": admitted(spec)}


def _leader_worker_set(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    check_service_name(about.name)
    spec = read_part(LEADER_WORKER_SET, raw.get("spec"), place="spec", name=name)
    size, replicas = spec["leaderWorkerTemplate"].get("size"), spec.get("replicas")
    check_groups(1 if size is None else size, 1 if replicas is None else replicas)
    yield from expand_lws.pods(about.name, about.namespace, about.annotations, spec)


def _stateful_set(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    spec = read_part(REPLICATED, raw.get("spec"), place="spec", name=name)
    replicas, first = spec.get("replicas"), (spec.get("ordinals") or {}).get("start") or 0
    count = 1 if replicas is None else replicas
    check_many(count, "spec.replicas")
    labels = {"controller-revision-hash": f"{about.name}-{short_hash(spec['template'])}"}
    maker = Maker(namespace=about.namespace, template=spec["template"], owner=_owner(raw, about), labels=labels, annotations={})
    for ordinal in range(first, first + count):
        pod = f"{about.name}-{ordinal}"
        own = {"apps.kubernetes.io/pod-index": str(ordinal), "statefulset.kubernetes.io/pod-name": pod}
        claims = with_claims(spec["template"]["spec"], spec.get("volumeClaimTemplates"), pod)
        yield maker.pod(pod, labels=own, spec={"hostname": pod, **claims})


def _deployment(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    spec = read_part(REPLICATED, raw.get("spec"), place="spec", name=name)
    suffix = short_hash(spec["template"])
    replica_set = f"{about.name}-{suffix}"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": synthetic_uid(about.namespace, replica_set)}
    labels = {"pod-template-hash": suffix}
    maker = Maker(namespace=about.namespace, template=spec["template"], owner=owner, labels=labels, annotations={})
    yield from _replicas(maker, spec.get("replicas"))


def _replica_set(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    spec = read_part(REPLICATED, raw.get("spec"), place="spec", name=name)
    maker = Maker(namespace=about.namespace, template=spec["template"], owner=_owner(raw, about), labels={}, annotations={})
    yield from _replicas(maker, spec.get("replicas"))


def _replicas(maker: Maker, replicas: int | None) -> Iterator[RawPod]:
    count = 1 if replicas is None else replicas
    check_many(count, "spec.replicas")
    for index in range(count):
        yield maker.pod(f"{maker.owner['name']}-{index:05d}", labels={})


def _job(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    spec = read_part(JOB, raw.get("spec"), place="spec", name=name)
    count = 0 if spec.get("suspend") else job_pods(spec)
    check_many(count, "spec.parallelism")
    prefix = "batch.kubernetes.io/"
    labels = {f"{prefix}job-name": about.name, "job-name": about.name}
    maker = Maker(namespace=about.namespace, template=spec["template"], owner=_owner(raw, about), labels=labels, annotations={})
    indexed = spec.get("completionMode") == "Indexed"
    for index in range(count):
        own = {f"{prefix}job-completion-index": str(index)} if indexed else {}
        pod = f"{about.name}-{index}-00000" if indexed else f"{about.name}-{index:05d}"
        yield maker.pod(pod, labels=own, annotations=own, spec={"hostname": f"{about.name}-{index}"} if indexed else None)


def _knative(raw: Raw, about: Head, name: str) -> Iterator[RawPod]:
    check_service_name(about.name)
    spec = read_part(KNATIVE, raw.get("spec"), place="spec", name=name)
    yield from expand_knative.pods(str(raw["kind"]), about.name, about.namespace, spec["template"], "spec.template")


def _revision(raw: Raw, about: Head, _: str) -> Iterator[RawPod]:
    spec = raw.get("spec")
    if not isinstance(spec, Mapping):
        raise Refused("spec", spec, "the spec of a revision")
    metadata = {"labels": dict(about.labels), "annotations": raw["metadata"].get("annotations") or {}}
    template: Template = {"metadata": metadata, "spec": dict(spec)}
    yield from expand_knative.pods("Revision", about.name, about.namespace, template, "")


EXPANDERS: Final[Mapping[str, Expander]] = {
    "Pod": _pod,
    "LeaderWorkerSet": _leader_worker_set,
    "StatefulSet": _stateful_set,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "Job": _job,
    "Service": _knative,
    "Configuration": _knative,
    "Revision": _revision,
}
"""How the pods of each kind are made. ``Service`` is Knative's: Kubernetes' own has no pods and is never expanded."""
