"""Controllers of pods -> Workload: how many pods, of which templates, with which demands; one row in `WORKLOAD_KINDS` per kind.

Which pods a workload's controller would create from a manifest is `expand`'s work; how pods find their workload is `workloads`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Required

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse.fields import STRICT, Count, Metadata, PositiveInt
from scheduler.kube.parse.head import DEFAULT_NAMESPACE, Head, read_head, salvaged_head, text, whole
from scheduler.kube.parse.reading import Raw, Refused, read, read_part, refused
from scheduler.kube.parse.wire_objects import template_pod
from scheduler.state.objects import Pod
from scheduler.state.problems import BadInput
from scheduler.state.world import Workload

MOST_PODS: Final = 100_000
"""Pods of one workload that a plan expands; more is taken for a mistake."""

POD_ROLE: Final = "pod"
"""The role of the one template of workloads that have no roles."""


@with_config(STRICT)
class Template(TypedDict, total=False):
    """A pod template; what its spec holds is read as a pod."""

    metadata: dict[str, object] | None
    spec: Required[dict[str, object]]


@with_config(STRICT)
class SubGroupPolicy(TypedDict, total=False):
    """spec.leaderWorkerTemplate.subGroupPolicy."""

    subGroupSize: Required[PositiveInt]
    subGroupPolicyType: Literal["LeaderWorker", "LeaderExcluded"] | None


@with_config(STRICT)
class NetworkConfig(TypedDict, total=False):
    """spec.networkConfig of a LeaderWorkerSet."""

    subdomainPolicy: Literal["Shared", "UniquePerReplica"] | None


@with_config(STRICT)
class LeaderWorkerTemplate(TypedDict, total=False):
    """spec.leaderWorkerTemplate."""

    size: PositiveInt | None
    leaderTemplate: Template | None
    workerTemplate: Required[Template]
    subGroupPolicy: SubGroupPolicy | None
    volumeClaimTemplates: list[dict[str, object]] | None


@with_config(STRICT)
class LeaderWorkerSetSpec(TypedDict, total=False):
    """spec of a LeaderWorkerSet."""

    replicas: Count | None
    startupPolicy: Literal["LeaderCreated", "LeaderReady"] | None
    leaderWorkerTemplate: Required[LeaderWorkerTemplate]
    networkConfig: NetworkConfig | None


@with_config(STRICT)
class Ordinals(TypedDict, total=False):
    """spec.ordinals of a StatefulSet."""

    start: Count | None


@with_config(STRICT)
class ReplicatedSpec(TypedDict, total=False):
    """spec of a Deployment, ReplicaSet or StatefulSet."""

    replicas: Count | None
    template: Required[Template]
    ordinals: Ordinals | None
    volumeClaimTemplates: list[dict[str, object]] | None


@with_config(STRICT)
class JobSpec(TypedDict, total=False):
    """spec of a Job."""

    parallelism: Count | None
    completions: Count | None
    completionMode: Literal["NonIndexed", "Indexed"] | None
    suspend: bool | None
    template: Required[Template]


@with_config(STRICT)
class KnativeSpec(TypedDict, total=False):
    """spec of a Knative Service or Configuration."""

    template: Required[Template]


@with_config(STRICT)
class _Outer(TypedDict, total=False):
    apiVersion: str | None
    kind: str | None
    metadata: Required[Metadata]
    spec: object


_OUTER: Final = TypeAdapter(_Outer)
LEADER_WORKER_SET: Final = TypeAdapter(LeaderWorkerSetSpec)
REPLICATED: Final = TypeAdapter(ReplicatedSpec)
JOB: Final = TypeAdapter(JobSpec)
KNATIVE: Final = TypeAdapter(KnativeSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The workload at hand while its spec is read."""

    kind: str
    about: Head
    strict: bool

    @property
    def label(self) -> str:
        """How problems name it."""
        return f"{self.kind}/{self.about.namespace}/{self.about.name}"

    def template(self, given: Template, place: str) -> Pod:
        """Read a pod template; problems are told at their place in the workload."""
        try:
            return template_pod(given, namespace=self.about.namespace, strict=self.strict)
        except BadInput as error:
            raise BadInput([replace(p, object=self.label, field=f"{place}.{p.field}") for p in error.problems]) from None


Builder = Callable[[Subject, object], dict[str, Any]]
"""Reads a spec into the fields of Workload that it decides."""


def _leader_worker_set(subject: Subject, given: object) -> dict[str, Any]:
    spec = read_part(LEADER_WORKER_SET, given, place="spec", name=subject.label)
    inner = spec["leaderWorkerTemplate"]
    size, replicas = _or(inner.get("size"), 1), _or(spec.get("replicas"), 1)
    check_groups(size, replicas)
    place = "spec.leaderWorkerTemplate"
    claims = inner.get("volumeClaimTemplates")
    worker = subject.template(_claiming(inner["workerTemplate"], claims), f"{place}.workerTemplate")
    leader = inner.get("leaderTemplate")
    templates = {"leader": subject.template(_claiming(leader, claims), f"{place}.leaderTemplate") if leader else worker, "worker": worker}
    return {"replicas": replicas, "size": size, "startup_policy": spec.get("startupPolicy") or "LeaderCreated", "templates": templates}


def _replicated(subject: Subject, given: object) -> dict[str, Any]:
    spec = read_part(REPLICATED, given, place="spec", name=subject.label)
    replicas = _or(spec.get("replicas"), 1)
    check_many(replicas, "spec.replicas")
    template = _claiming(spec["template"], spec.get("volumeClaimTemplates"))
    return {"replicas": replicas, "templates": {POD_ROLE: subject.template(template, "spec.template")}}


def _claiming(template: Template, claims: list[dict[str, object]] | None) -> Template:
    """Return the template with one more volume for each claim that the StatefulSet makes for its pods."""
    if not claims:
        return template
    volumes = template["spec"].get("volumes")
    more = [{"name": f"claim {index}", "persistentVolumeClaim": {}} for index in range(len(claims))]
    return {**template, "spec": {**template["spec"], "volumes": [*(volumes if isinstance(volumes, list) else ()), *more]}}


def _job(subject: Subject, given: object) -> dict[str, Any]:
    spec = read_part(JOB, given, place="spec", name=subject.label)
    parallelism = job_pods(spec)
    check_many(parallelism, "spec.parallelism")
    return {"replicas": parallelism, "templates": {POD_ROLE: subject.template(spec["template"], "spec.template")}}


def _knative(subject: Subject, given: object) -> dict[str, Any]:
    spec = read_part(KNATIVE, given, place="spec", name=subject.label)
    return {"templates": {POD_ROLE: subject.template(spec["template"], "spec.template")}}


def _revision(subject: Subject, given: object) -> dict[str, Any]:
    template: Template = {"spec": {} if not isinstance(given, dict) else given}
    return {"templates": {POD_ROLE: subject.template(template, "spec")}}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadKind:
    """One kind of workload: where the server serves it, and how its spec reads."""

    group: str
    version: str
    kind: str
    plural: str
    build: Builder

    @property
    def api_version(self) -> str:
        """``group/version``."""
        return f"{self.group}/{self.version}"


WORKLOAD_KINDS: Final = (
    WorkloadKind(group="leaderworkerset.x-k8s.io", version="v1", kind="LeaderWorkerSet", plural="leaderworkersets", build=_leader_worker_set),
    WorkloadKind(group="apps", version="v1", kind="StatefulSet", plural="statefulsets", build=_replicated),
    WorkloadKind(group="apps", version="v1", kind="Deployment", plural="deployments", build=_replicated),
    WorkloadKind(group="apps", version="v1", kind="ReplicaSet", plural="replicasets", build=_replicated),
    WorkloadKind(group="batch", version="v1", kind="Job", plural="jobs", build=_job),
    WorkloadKind(group="serving.knative.dev", version="v1", kind="Service", plural="services", build=_knative),
    WorkloadKind(group="serving.knative.dev", version="v1", kind="Configuration", plural="configurations", build=_knative),
    WorkloadKind(group="serving.knative.dev", version="v1", kind="Revision", plural="revisions", build=_revision),
)
"""Every kind of workload that is read, one row each."""

_ROWS: Final = {row.kind: row for row in WORKLOAD_KINDS}


def workload(raw: Raw, *, strict: bool = True, namespace: str = DEFAULT_NAMESPACE, kind: str = "") -> Workload:
    """Read a workload of any row of WORKLOAD_KINDS.

    ``kind``: for items of a list, which do not name their own. Without ``strict`` a bad object comes back with its ``problem``.
    """
    named = kind or text(whole(raw), "kind")
    try:
        return _workload(raw, named, strict=strict, namespace=namespace)
    except Refused as error:
        problem = refused(error, named, raw)
    except BadInput as error:
        problem = error
    if strict:
        raise problem from None
    about = salvaged_head(raw, namespace)
    sentence = str(replace(problem.problems[0], object=""))
    return Workload(kind=named, namespace=about.namespace, name=about.name, uid=about.uid, problem=sentence)


def job_pods(spec: JobSpec) -> int:
    """Return how many pods of a Job run at once: its parallelism, never more than its completions."""
    parallelism, completions = spec.get("parallelism"), spec.get("completions")
    return min(_or(parallelism, 1), completions if completions is not None else _or(parallelism, 1))


def check_many(pods: int, place: str) -> None:
    """Refuse a workload of more pods than anybody means."""
    if pods > MOST_PODS:
        raise Refused(place, pods, f"a workload of at most {MOST_PODS:,} pods")


def check_groups(size: int, replicas: int) -> None:
    """Refuse a LeaderWorkerSet of more pods than anybody means; the number that is too large by itself is named."""
    if size * replicas <= MOST_PODS:
        return
    field, found = ("spec.replicas", replicas) if size <= MOST_PODS < replicas else ("spec.leaderWorkerTemplate.size", size)
    product = f"; size {size:,} times replicas {replicas:,} is {size * replicas:,}" if replicas != 1 else ""
    raise Refused(field, found, f"a workload of at most {MOST_PODS:,} pods{product}")


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _workload(raw: Raw, kind: str, *, strict: bool, namespace: str) -> Workload:
    if kind not in _ROWS:
        raise Refused("kind", kind, f"one of {', '.join(_ROWS)}")
    fields = read(_OUTER, raw, kind)
    about = read_head(fields["metadata"], strict=strict, namespace=namespace)
    built = _ROWS[kind].build(Subject(kind=kind, about=about, strict=strict), fields.get("spec"))
    return Workload(
        kind=kind,
        namespace=about.namespace,
        name=about.name,
        uid=about.uid,
        api_version=fields.get("apiVersion") or _ROWS[kind].api_version,
        owner=about.owner,
        annotations=_annotations(about, built["templates"]),
        created=about.created,
        resource_version=about.resource_version,
        **built,
    )


def _annotations(about: Head, templates: Mapping[str, Pod]) -> Mapping[str, str]:
    """Return the workload's own, then those of its templates (the leader's first) under keys that it does not have."""
    found = dict(about.annotations)
    for template in templates.values():
        for key, value in template.annotations.items():
            found.setdefault(key, value)
    return found
