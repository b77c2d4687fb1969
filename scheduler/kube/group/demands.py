"""What a gang demands of the topology: per question the first source that speaks wins.

The order: annotation on the pod, on the workload, PodGroup, named policy, policies by selector, default policy, built-in defaults.
The questions: required level, preferred levels (explicit weights replace all built-in ones), segments, NVLink, minMember.
Whether the nodes carry a level that is named is not asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from scheduler.kube.group import names
from scheduler.kube.group.annotations import Layer, read
from scheduler.kube.group.misspelt import misspelt
from scheduler.kube.group.policies import Policies
from scheduler.kube.parse.group_fields import MOST_PREFERRED
from scheduler.state.gang import Advice, Demand, Preference, Segment, Waiting
from scheduler.state.objects import Pod
from scheduler.state.problems import InputProblem
from scheduler.state.world import PodGroup, TopologyPolicy, Workload

MOST_COST: Final = 2**50
"""The largest cost that a gang's weights may add up to; the solvers count exactly up to eight times as much."""
QUESTIONS: Final = ("required", "preferred", "segments", "nvlink", "min_member")
TOPOLOGY: Final = QUESTIONS[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A gang's demand, the minMember that somebody said, and what is to be told about them."""

    demand: Demand
    min_member: int | None = None
    min_source: str = ""
    advice: tuple[Advice, ...] = ()
    waiting: Waiting | None = None
    problems: tuple[InputProblem, ...] = ()


@dataclass(slots=True)
class _Found:
    """Layers in order of precedence with what came up while reading them."""

    layers: list[Layer]
    advice: list[Advice]
    waiting: list[Waiting]
    problems: list[InputProblem]

    def read(self, other: tuple[Layer, tuple[InputProblem, ...]]) -> Layer:
        layer, problems = other
        known = {(p.field, p.found) for p in self.problems}
        self.problems += [p for p in problems if (p.field, p.found) not in known]
        return layer


def settle(pods: Sequence[Pod], workloads: Sequence[Workload], pod_group: PodGroup | None, policies: Policies) -> Settled:
    """Settle what these members, in rank order, demand together; at least one."""
    found = _Found([], [], [], [])
    subgroups = pods[0].annotations.get(names.LWS_SUBGROUP_SIZE)
    above = [found.read(_of_workload(workload, subgroups)) for workload in workloads]
    found.layers = [_of_pods(pods, found), *above]
    _add_pod_group(pod_group, found)
    _add_policies(pods, pod_group, policies, found)
    holders = [(f"{w.kind}/{w.name}", w.annotations) for w in workloads] + [(f"Pod/{pod.name}", pod.annotations) for pod in pods if pod.annotations]
    found.advice += misspelt(holders)
    winners = {question: next((layer for layer in found.layers if getattr(layer, question) is not None), None) for question in QUESTIONS}
    required, preferred, segments, nvlink, least = (winners[question] for question in QUESTIONS)
    sources = dict.fromkeys(layer.source for question in TOPOLOGY if (layer := winners[question]) is not None)
    demand = Demand(
        required=required.required if required else None,
        preferred=preferred.preferred if preferred else None,
        segments=_led((segments.segments or ()) if segments else (), pods[0]),
        nvlink=(nvlink.nvlink or "unasked") if nvlink else "unasked",
        source="; ".join(sources) or "built-in defaults",
        segments_object=_plain(segments.source) if segments else "",
        segments_field=segments.segments_field if segments else "",
    )
    found.problems += _segment_problems(demand.segments, segments) + _preferred_problems(demand.preferred, preferred, len(pods))
    found.waiting += [_invalid(problem) for problem in found.problems]
    return Settled(
        demand=demand,
        min_member=least.min_member if least else None,
        min_source=least.source if least else "",
        advice=tuple(found.advice),
        waiting=found.waiting[0] if found.waiting else None,
        problems=(*found.problems, *(w.problem for w in found.waiting if w.problem is not None and w.problem not in found.problems)),
    )


def _invalid(problem: InputProblem) -> Waiting:
    message = f"{problem.object} cannot be used: {problem.field} is {problem.found}, expected is {problem.expected}."
    return Waiting(code="PodGroupInvalid", message=message, problem=problem)


def _of_workload(workload: Workload, subgroups: str | None) -> tuple[Layer, tuple[InputProblem, ...]]:
    place = f"{workload.namespace}/{workload.name}"
    return read(workload.annotations, source=f"{workload.kind} {place}", holder=f"{workload.kind}/{place}", subgroups=subgroups)


def _led(segments: tuple[Segment, ...], leader: Pod) -> tuple[Segment, ...]:
    """Leave the leader out of its LeaderWorkerSet's subgroups where that is what the set says; only the leader carries the word."""
    if leader.annotations.get(names.LWS_SUBGROUP_TYPE) != "LeaderExcluded":
        return segments
    return tuple(replace(s, leader="excluded") if s.leader == "subgroup" else s for s in segments)


def _of_pods(pods: Sequence[Pod], found: _Found) -> Layer:
    """Return what the members' annotations say, the first by rank where they disagree."""
    seen: dict[tuple[tuple[str, str], ...], Pod] = {}
    for pod in pods:
        said = tuple((key, pod.annotations[key]) for key in names.DEMAND_ANNOTATIONS if key in pod.annotations) if pod.annotations else ()
        seen.setdefault(said, pod)
    result = Layer(source=f"Pod {pods[0].key}")
    for said, pod in seen.items():
        layer = found.read(read(dict(said), source=f"Pod {pod.key}", holder=f"Pod/{pod.key}"))
        for question in QUESTIONS:
            ours, theirs = getattr(result, question), getattr(layer, question)
            if ours is None and theirs is not None:
                result = replace(result, **{question: theirs}, segments_field=result.segments_field or layer.segments_field)
            elif theirs not in (None, ours):
                found.advice.append(_disagreement(pod, question, ours, theirs))
    return result


def _disagreement(pod: Pod, question: str, ours: object, theirs: object) -> Advice:
    word = question.replace("_", "-")
    message = f"Pod {pod.name} asks for {word} {_said(theirs)}, but a member before it by rank for {_said(ours)}: that one counts for the gang."
    return Advice(level="warning", object=f"Pod/{pod.name}", field="metadata.annotations", message=message)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, Preference):
        return f"{value.level} (weight {value.weight})"
    if isinstance(value, Segment):
        return f"{value.size} in one {value.required}" if value.required else f"{value.size}"
    return str(value)


def _add_pod_group(group: PodGroup | None, found: _Found) -> None:
    if group is None:
        return
    place = f"{group.namespace}/{group.name}"
    if group.problem:
        field, _, said = group.problem.partition(": ")
        problem = InputProblem(
            object=f"PodGroup/{place}", field=field if said else "spec", found=said or group.problem, expected="a PodGroup that can be used"
        )
        found.waiting.append(Waiting(code="PodGroupInvalid", message=f"PodGroup {place} cannot be used: {group.problem}", problem=problem))
    source = f"PodGroup {place}"
    segments = group.segments or None
    found.layers.append(Layer(source=source, required=group.required, segments=segments, segments_field="spec.segments", min_member=group.min_member))
    found.layers.append(found.read(read(group.annotations, source=source, holder=f"PodGroup/{place}")))


def _add_policies(pods: Sequence[Pod], group: PodGroup | None, policies: Policies, found: _Found) -> None:
    if group is not None and group.topology_policy is not None:
        named = policies.by_name.get(group.topology_policy)
        if named is None:
            found.waiting.append(_missing_policy(group, group.topology_policy, policies))
        else:
            _add_policy(named, found)
    selected = policies.selected(pods)
    for policy in selected:
        _add_policy(policy, found)
    found.advice += _conflicts(selected)
    for policy in policies.default[:1]:
        _add_policy(policy, found)


def _missing_policy(group: PodGroup, name: str, policies: Policies) -> Waiting:
    known = ", ".join(sorted(policies.by_name)) or "none"
    message = f"PodGroup {group.namespace}/{group.name} names the TopologyPolicy {name}, which does not exist; its namespace has: {known}."
    problem = InputProblem(
        object=f"PodGroup/{group.namespace}/{group.name}",
        field="spec.topologyPolicy",
        found=f"{name!r}",
        expected=f"a TopologyPolicy of namespace {group.namespace}, which has: {known}",
    )
    return Waiting(code="PolicyMissing", message=message, problem=problem)


def _add_policy(policy: TopologyPolicy, found: _Found) -> None:
    place = f"{policy.namespace}/{policy.name}"
    if policy.problem:
        problem = InputProblem(object=f"TopologyPolicy/{place}", field="spec", found=policy.problem, expected="a TopologyPolicy that can be used")
        found.waiting.append(Waiting(code="PodGroupInvalid", message=f"TopologyPolicy {place} cannot be used: {policy.problem}", problem=problem))
    found.layers.append(Layer(source=f"TopologyPolicy {place}", required=policy.required, preferred=policy.preferred or None))


def _conflicts(selected: Sequence[TopologyPolicy]) -> list[Advice]:
    """Say which policies select the same gang and contradict the oldest of them."""
    advice = []
    for question in ("required", "preferred"):
        speaking = [policy for policy in selected if getattr(policy, question)]
        for policy in speaking[1:]:
            if getattr(policy, question) != getattr(speaking[0], question):
                message = (
                    f"It selects the same pods as TopologyPolicy {speaking[0].name}, which is older and counts: the {question} topology differs."
                )
                advice.append(Advice(level="warning", object=f"TopologyPolicy/{policy.name}", field="spec.selector", message=message))
    return advice


def _segment_problems(segments: Sequence[Segment], layer: Layer | None) -> list[InputProblem]:
    """Inner segments must divide the ones around them: cut otherwise, a segment would lie across the border of two."""
    problems = []
    for position, (outer, inner) in enumerate(pairwise(segments), start=1):
        if outer == inner:
            found, expected = f"{inner.size} in one {inner.required}, as in the layer around it", "a smaller size, or another level"
        elif outer.size % inner.size:
            found = f"{inner.size} inside segments of {outer.size}"
            expected = f"a size that divides {outer.size}, the size of the segments around it"
        else:
            continue
        place = layer.segments_field if layer else ""
        problems.append(InputProblem(object=_holder(layer), field=f"{place}[{position}].size", found=found, expected=expected))
    return problems


def _preferred_problems(preferred: Sequence[Preference] | None, layer: Layer | None, pods: int) -> list[InputProblem]:
    """Refuse a level that is preferred twice, more levels than are weighed, and weights that no exact sum over all pods can hold."""
    levels, total = [preference.level for preference in preferred or ()], sum(preference.weight for preference in preferred or ())
    wrong = [(f"{level!r} twice", "each level once") for level in sorted({level for level in levels if levels.count(level) > 1})]
    if len(levels) > MOST_PREFERRED:
        wrong.append((f"{len(levels)} levels", f"at most {MOST_PREFERRED} levels"))
    if total * pods > MOST_COST:
        wrong.append(
            (f"weights of {total:,} in all for {pods:,} pods", f"weights that cost at most {MOST_COST:,} when every pod is in domains of its own")
        )
    return [InputProblem(object=_holder(layer), field="spec.preferredTopology", found=found, expected=expected) for found, expected in wrong]


def _holder(layer: Layer | None) -> str:
    return layer.source.replace(" ", "/", 1) if layer else ""


def _plain(source: str) -> str:
    kind, _, place = source.partition(" ")
    return f"{kind}/{place.rpartition('/')[2]}"
