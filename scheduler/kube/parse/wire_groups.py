"""PodGroups of every API group, and topology policies -> our words; one row in `POD_GROUPS` per API group.

What another scheduler's PodGroup asks for and Coterie does not do becomes the group's `problem`: its gangs then wait and the
problem is told, it is never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Required

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse.fields import STRICT, LabelSelectorFields, Metadata
from scheduler.kube.parse.group_fields import KaiSpec, NativeSpec, PluginsSpec, PolicySpec, RunAiSpec, VolcanoSpec
from scheduler.kube.parse.head import DEFAULT_NAMESPACE, Head, read_head, salvaged_head, text, whole
from scheduler.kube.parse.naming import EXPECTED_KEY, is_label_key
from scheduler.kube.parse.reading import Raw, Refused, read, read_part, refused
from scheduler.kube.parse.shape import selector
from scheduler.state.gang import Preference, Segment
from scheduler.state.objects import Requirement
from scheduler.state.problems import BadInput
from scheduler.state.world import PodGroup, TopologyPolicy


@with_config(STRICT)
class _Outer(TypedDict, total=False):
    apiVersion: str | None
    metadata: Required[Metadata]
    spec: object


_OUTER: Final = TypeAdapter(_Outer)
_RUN_AI: Final = TypeAdapter(RunAiSpec)
_NATIVE: Final = TypeAdapter(NativeSpec)
_PLUGINS: Final = TypeAdapter(PluginsSpec)
_VOLCANO: Final = TypeAdapter(VolcanoSpec)
_KAI: Final = TypeAdapter(KaiSpec)
_POLICY: Final = TypeAdapter(PolicySpec)
_SELECTOR: Final = TypeAdapter(LabelSelectorFields)

PREFERRED_BY_KAI: Final = "kai.scheduler/topology-preferred-placement"
"""KAI's annotation for a preferred level; the field of its PodGroup that says the same is handed on under this name."""

RUN_AI: Final = "scheduling.run.ai/v1"


def _level(level: str | None, place: str) -> str | None:
    if level is not None and not is_label_key(level):
        raise Refused(place, level, f"the name of a level or {EXPECTED_KEY}")
    return level


def _run_ai(about: Head, given: object) -> PodGroup:
    spec = read_part(_RUN_AI, given, place="spec", name=_name("PodGroup", about))
    return PodGroup(
        namespace=about.namespace,
        name=about.name,
        min_member=spec.get("minMember"),
        timeout_seconds=spec.get("scheduleTimeoutSeconds") or 600,
        priority_class=spec.get("priorityClassName") or "",
        project=spec.get("project") or "",
        topology_policy=spec.get("topologyPolicy") or None,
        required=_level(spec.get("requiredTopology"), "spec.requiredTopology"),
        segments=tuple(
            Segment(size=s["size"], required=_level(s.get("requiredTopology"), f"spec.segments[{i}].requiredTopology"))
            for i, s in enumerate(spec.get("segments") or ())
        ),
    )


def _native(about: Head, given: object) -> PodGroup:
    spec = read_part(_NATIVE, given, place="spec", name=_name("PodGroup", about))
    gang = (spec.get("schedulingPolicy") or {}).get("gang")
    keys = [c["key"] for c in (spec.get("schedulingConstraints") or {}).get("topology") or ()]
    problem = None
    if len(keys) > 1:
        problem = f"spec.schedulingConstraints.topology: found {len(keys)} keys, Coterie keeps a gang in one domain of one key"
    if spec.get("resourceClaims"):
        problem = "spec.resourceClaims: resource claims of a group are not allocated by Coterie yet"
    return PodGroup(
        namespace=about.namespace,
        name=about.name,
        min_member=gang["minCount"] if gang is not None else 1,
        priority_class=spec.get("priorityClassName") or "",
        required=_level(keys[0], "spec.schedulingConstraints.topology[0].key") if keys else None,
        problem=problem,
    )


def _plugins(about: Head, given: object) -> PodGroup:
    spec = read_part(_PLUGINS, given, place="spec", name=_name("PodGroup", about))
    return PodGroup(
        namespace=about.namespace,
        name=about.name,
        min_member=spec.get("minMember") or None,
        timeout_seconds=spec.get("scheduleTimeoutSeconds") or 600,
    )


def _volcano(about: Head, given: object) -> PodGroup:
    spec = read_part(_VOLCANO, given, place="spec", name=_name("PodGroup", about))
    asked = [field for field in ("minTaskMember", "networkTopology", "subGroupPolicy") if spec.get(field)]
    return PodGroup(
        namespace=about.namespace,
        name=about.name,
        min_member=spec.get("minMember") or None,
        priority_class=spec.get("priorityClassName") or "",
        problem=f"spec.{asked[0]}: Coterie does not do this part of Volcano's PodGroup" if asked else None,
    )


def _kai(about: Head, given: object) -> PodGroup:
    spec = read_part(_KAI, given, place="spec", name=_name("PodGroup", about))
    topology = spec.get("topologyConstraint") or {}
    preferred = topology.get("preferredTopologyLevel")
    annotations = {PREFERRED_BY_KAI: preferred, **about.annotations} if preferred else about.annotations
    return PodGroup(
        namespace=about.namespace,
        name=about.name,
        min_member=spec.get("minMember") or None,
        priority_class=spec.get("priorityClassName") or "",
        required=_level(topology.get("requiredTopologyLevel") or None, "spec.topologyConstraint.requiredTopologyLevel"),
        annotations=annotations,
        problem="spec.subGroups: Coterie does not do the subgroups of KAI's PodGroup" if spec.get("subGroups") else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupKind:
    """One API group and version that serves a PodGroup, and how its spec reads."""

    group: str
    version: str
    plural: str
    build: Callable[[Head, object], PodGroup]

    @property
    def api_version(self) -> str:
        """``group/version``."""
        return f"{self.group}/{self.version}"


POD_GROUPS: Final = (
    GroupKind(group="scheduling.run.ai", version="v1", plural="podgroups", build=_run_ai),
    GroupKind(group="scheduling.run.ai", version="v2alpha2", plural="podgroups", build=_kai),
    GroupKind(group="scheduling.k8s.io", version="v1alpha2", plural="podgroups", build=_native),
    GroupKind(group="scheduling.k8s.io", version="v1beta1", plural="podgroups", build=_native),
    GroupKind(group="scheduling.x-k8s.io", version="v1alpha1", plural="podgroups", build=_plugins),
    GroupKind(group="scheduling.volcano.sh", version="v1beta1", plural="podgroups", build=_volcano),
)
"""Every PodGroup that is read, one row each."""

_BUILDERS: Final = {row.api_version: row.build for row in POD_GROUPS}


def pod_group(raw: Raw, *, strict: bool = True, namespace: str = DEFAULT_NAMESPACE, api_version: str = "") -> PodGroup:
    """Read a PodGroup of any row of POD_GROUPS.

    ``api_version``: for items of a list, which do not name their own. Without ``strict`` a bad object comes back with its ``problem``.
    """
    try:
        return _pod_group(raw, strict=strict, namespace=namespace, api_version=api_version)
    except Refused as error:
        problem = refused(error, "PodGroup", raw)
    except BadInput as error:
        problem = error
    if strict:
        raise problem from None
    about = salvaged_head(raw, namespace)
    return replace(
        PodGroup(namespace=about.namespace, name=about.name, problem=_sentence(problem)),
        uid=about.uid,
        api_version=api_version or text(whole(raw), "apiVersion") or RUN_AI,
        generation=about.generation,
        resource_version=about.resource_version,
    )


def topology_policy(raw: Raw, *, strict: bool = True, namespace: str = DEFAULT_NAMESPACE) -> TopologyPolicy:
    """Read a TopologyPolicy. Without ``strict`` a bad object comes back with its ``problem``."""
    try:
        return _topology_policy(raw, strict=strict, namespace=namespace)
    except Refused as error:
        problem = refused(error, "TopologyPolicy", raw)
    except BadInput as error:
        problem = error
    if strict:
        raise problem from None
    about = salvaged_head(raw, namespace)
    return TopologyPolicy(
        namespace=about.namespace,
        name=about.name,
        uid=about.uid,
        generation=about.generation,
        resource_version=about.resource_version,
        selector=_salvaged_selector(raw),
        problem=_sentence(problem),
    )


def _salvaged_selector(raw: Raw) -> tuple[Requirement, ...] | None:
    """Return whom a bad policy is meant for: its selector where that can be read, nobody where it cannot."""
    spec = whole(raw).get("spec")
    given = spec.get("selector") if isinstance(spec, Mapping) else None
    if given is None:
        return None
    try:
        return selector(read_part(_SELECTOR, given, place="spec.selector", name=""), "spec.selector")
    except (BadInput, Refused):
        return (Requirement(key="", operator="In", values=()),)


def _pod_group(raw: Raw, *, strict: bool, namespace: str, api_version: str) -> PodGroup:
    fields = read(_OUTER, raw, "PodGroup")
    about = read_head(fields["metadata"], strict=strict, namespace=namespace)
    version = fields.get("apiVersion") or api_version or RUN_AI
    if version not in _BUILDERS:
        raise Refused("apiVersion", version, f"one of {', '.join(_BUILDERS)}")
    found = _BUILDERS[version](about, fields.get("spec"))
    return replace(
        found,
        uid=about.uid,
        api_version=version,
        annotations=found.annotations or about.annotations,
        created=about.created,
        generation=about.generation,
        resource_version=about.resource_version,
    )


def _topology_policy(raw: Raw, *, strict: bool, namespace: str) -> TopologyPolicy:
    fields = read(_OUTER, raw, "TopologyPolicy")
    about = read_head(fields["metadata"], strict=strict, namespace=namespace)
    spec = read_part(_POLICY, fields.get("spec"), place="spec", name=_name("TopologyPolicy", about))
    return TopologyPolicy(
        namespace=about.namespace,
        name=about.name,
        uid=about.uid,
        preferred=_preferences(spec),
        required=_level(spec.get("requiredTopology"), "spec.requiredTopology"),
        selector=selector(spec.get("selector"), "spec.selector"),
        created=about.created,
        generation=about.generation,
        resource_version=about.resource_version,
    )


def _preferences(spec: PolicySpec) -> tuple[Preference, ...]:
    found: dict[str, Preference] = {}
    for index, row in enumerate(spec.get("preferredTopology") or ()):
        place = f"spec.preferredTopology[{index}].topologyKey"
        level = row["topologyKey"]
        _level(level, place)
        if level in found:
            raise Refused(place, level, "each topologyKey once")
        found[level] = Preference(level=level, weight=row["weight"])
    return tuple(found.values())


def _name(kind: str, about: Head) -> str:
    return f"{kind}/{about.namespace}/{about.name}"


def _sentence(problem: BadInput) -> str:
    first = problem.problems[0]
    return str(replace(first, object=""))
