"""Precedence: per question the first source that speaks wins, and what is wrong is said and never counts as silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest

from scheduler.kube.group import names
from scheduler.kube.group.annotations import PREFERRED, REQUIRED, SEGMENTS
from scheduler.kube.group.demands import Settled, settle
from scheduler.kube.group.policies import Policies, by_namespace, several_defaults
from scheduler.state.gang import Preference, Segment
from scheduler.state.objects import Pod, Requirement
from scheduler.state.world import PodGroup, TopologyPolicy, Workload
from tests.kube.worlds import NS, loose, pod_group, policy, world

SELECTS_ALL = (Requirement(key="app", operator="Exists"),)


def _pod(annotations: Mapping[str, str] | None = None, name: str = "p-0", **labels: str) -> Pod:
    return loose(name, annotations=annotations or {}, labels={"app": "x", **labels})


def _workload(annotations: Mapping[str, str]) -> Workload:
    return Workload(kind="Deployment", namespace=NS, name="web", annotations=annotations)


def _settle(
    pods: Sequence[Pod], *, workloads: Sequence[Workload] = (), group: PodGroup | None = None, policies: Sequence[TopologyPolicy] = ()
) -> Settled:
    return settle(pods, workloads, group, by_namespace(world([], policies=policies)).get(NS, Policies()))


LADDER = ("pod", "workload", "PodGroup", "named", "selector", "default")


def _speaking(who: Sequence[str]) -> Settled:
    """Let each of these sources require a level of its own name."""
    policies = [policy("named", required="named" if "named" in who else None, selector=(Requirement(key="nobody", operator="Exists"),))]
    policies += [policy("selector", required="selector", selector=SELECTS_ALL)] if "selector" in who else []
    policies += [policy("default", required="default")] if "default" in who else []
    return _settle(
        [_pod({names.REQUIRED_TOPOLOGY: "pod"} if "pod" in who else {})],
        workloads=[_workload({names.REQUIRED_TOPOLOGY: "workload"} if "workload" in who else {})],
        group=pod_group(required="PodGroup" if "PodGroup" in who else None, topology_policy="named"),
        policies=policies,
    )


@pytest.mark.parametrize("who", [who for count in (1, 2, 6) for who in combinations(LADDER, count)])
def test_the_first_source_that_speaks_wins(who: tuple[str, ...]) -> None:
    assert _speaking(who).demand.required == who[0]


def test_nobody_speaking_leaves_the_built_in_defaults() -> None:
    demand = _speaking(()).demand
    assert (demand.required, demand.preferred, demand.segments, demand.nvlink, demand.source) == (None, None, (), "unasked", "built-in defaults")


def test_each_question_is_answered_by_the_first_that_speaks_about_it() -> None:
    settled = _settle(
        [_pod({names.NVLINK: "required"})],
        workloads=[_workload({names.MIN_MEMBER: "3"})],
        group=pod_group(min_member=4, segments=(Segment(size=2, required="nvlink"),)),
        policies=[policy("d", required="zone", preferred=(Preference(level="rack", weight=7),))],
    )
    demand = settled.demand
    assert demand.nvlink == "required"
    assert settled.min_member == 3
    assert settled.min_source == f"Deployment {NS}/web"
    assert demand.segments == (Segment(size=2, required="nvlink"),)
    assert (demand.required, demand.preferred) == ("zone", (Preference(level="rack", weight=7),))
    assert demand.source == f"TopologyPolicy {NS}/d; PodGroup {NS}/g; Pod {NS}/p-0"


def test_explicit_weights_replace_all_weights_of_the_sources_behind_them() -> None:
    behind = policy("d", preferred=(Preference(level="zone", weight=5), Preference(level="host", weight=1)))
    assert _settle([_pod({names.PREFERRED_TOPOLOGY: "rack"})], policies=[behind]).demand.preferred == (Preference(level="rack", weight=100),)


def test_a_policy_without_weights_leaves_the_built_in_ones() -> None:
    assert _settle([_pod()], policies=[policy("d", required="rack")]).demand.preferred is None


@pytest.mark.parametrize("key", REQUIRED)
def test_every_synonym_of_the_required_level_is_honoured(key: str) -> None:
    assert _settle([_pod({key: "rack"})]).demand.required == "rack"


@pytest.mark.parametrize("key", PREFERRED)
def test_every_synonym_of_a_preferred_level_weighs_100(key: str) -> None:
    assert _settle([_pod({key: "rack"})]).demand.preferred == (Preference(level="rack", weight=100),)


@pytest.mark.parametrize("words", SEGMENTS)
def test_every_pair_of_segment_annotations_is_honoured(words: object) -> None:
    row = next(w for w in SEGMENTS if w is words)
    assert _settle([_pod({row.size: "4", row.level: "nvlink"})]).demand.segments == (Segment(size=4, required="nvlink", leader=row.leader),)


LEVELS = sorted(row.level for row in SEGMENTS)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_without_a_size_is_for_the_subgroups_of_a_leader_worker_set(level: str) -> None:
    leader = _pod({names.LWS_SUBGROUP_SIZE: "4", names.LWS_SUBGROUP_TYPE: "LeaderWorker"})
    said_by_pod = _settle([_pod({names.LWS_SUBGROUP_SIZE: "4", level: "rack"})])
    said_by_set = _settle([leader, _pod({names.LWS_SUBGROUP_SIZE: "4"}, "p-1")], workloads=[_workload({level: "rack"})])
    for settled in (said_by_pod, said_by_set):
        assert settled.demand.segments == (Segment(size=4, required="rack", leader="subgroup"),)
        assert (settled.problems, settled.advice) == ((), ())


def test_a_leader_that_is_excluded_is_in_no_segment() -> None:
    leader = _pod({names.LWS_SUBGROUP_SIZE: "4", names.LWS_SUBGROUP_TYPE: "LeaderExcluded"})
    settled = _settle([leader, _pod({names.LWS_SUBGROUP_SIZE: "4"}, "p-1")], workloads=[_workload({names.SEGMENT_REQUIRED_TOPOLOGY: "rack"})])
    assert settled.demand.segments == (Segment(size=4, required="rack", leader="excluded"),)


def test_a_size_of_our_own_counts_the_leader_as_any_member() -> None:
    own = {names.SEGMENT_SIZE: "2", names.SEGMENT_REQUIRED_TOPOLOGY: "rack", names.LWS_SUBGROUP_SIZE: "4"}
    assert _settle([_pod(own)]).demand.segments == (Segment(size=2, required="rack"),)


def test_our_segment_size_speaks_without_a_level_and_others_do_not() -> None:
    assert _settle([_pod({names.SEGMENT_SIZE: "4"})]).demand.segments == (Segment(size=4),)
    assert _settle([_pod({names.LWS_SUBGROUP_SIZE: "4"})]).demand.segments == ()


def test_kueue_slices_in_layers_are_read_outermost_first() -> None:
    text = '[{"topology": "rack", "size": 16}, {"topology": "host", "size": 4}]'
    assert _settle([_pod({names.KUEUE_SLICES: text})]).demand.segments == (Segment(size=16, required="rack"), Segment(size=4, required="host"))


def test_our_own_annotation_comes_before_its_synonyms() -> None:
    assert _settle([_pod({names.KUEUE_REQUIRED: "zone", names.REQUIRED_TOPOLOGY: "rack"})]).demand.required == "rack"


def test_annotations_of_the_pod_group_speak_where_its_spec_is_silent() -> None:
    settled = _settle([_pod()], group=pod_group(required="rack", annotations={names.NVLINK: "ignore", names.REQUIRED_TOPOLOGY: "zone"}))
    assert (settled.demand.nvlink, settled.demand.required) == ("ignore", "rack")


@pytest.mark.parametrize("wish", ["required", "preferred", "ignore"])
def test_the_three_nvlink_wishes_are_kept(wish: str) -> None:
    assert _settle([_pod({names.NVLINK: wish})]).demand.nvlink == wish


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (names.MIN_MEMBER, "two", "whole number"),
        (names.MIN_MEMBER, "0", "whole number"),
        (names.MIN_MEMBER, "-1", "whole number"),
        (names.MIN_MEMBER, "", "whole number"),
        (names.MIN_MEMBER, "1.5", "whole number"),
        (names.MIN_MEMBER, "\u0663", "whole number"),
        (names.MIN_MEMBER, "9" * 10, "whole number"),
        (names.SEGMENT_SIZE, "0", "whole number"),
        (names.NVLINK, "maybe", "required, preferred or ignore"),
        (names.NVLINK, "unasked", "required, preferred or ignore"),
        (names.REQUIRED_TOPOLOGY, "", "level"),
        (names.REQUIRED_TOPOLOGY, "my rack", "level"),
        (names.PREFERRED_TOPOLOGY, "x" * 400, "level"),
        (names.KUEUE_SLICES, "[", "JSON list"),
        (names.KUEUE_SLICES, "[" * 100_000, "JSON list"),
        (names.KUEUE_SLICES, "{}", "JSON list"),
        (names.KUEUE_SLICES, "[]", "JSON list"),
        (names.KUEUE_SLICES, '[{"topology": "rack"}]', "JSON list"),
        (names.KUEUE_SLICES, '[{"topology": "rack", "size": true}]', "JSON list"),
    ],
)
def test_a_wrong_value_makes_the_gang_wait_and_names_pod_field_found_and_expected(key: str, value: str, expected: str) -> None:
    settled = _settle([_pod({key: value})])
    assert settled.waiting is not None
    assert settled.waiting.code == "PodGroupInvalid"
    problem = settled.waiting.problem
    assert problem is not None
    assert problem in settled.problems
    assert (problem.object, problem.field) == (f"Pod/{NS}/p-0", f"metadata.annotations[{key}]")
    assert expected in problem.expected
    for part in (problem.object, problem.field, problem.found, problem.expected):
        assert part in settled.waiting.message
    assert len(problem.found) <= 80


def test_a_segment_level_without_a_size_is_said() -> None:
    settled = _settle([_pod({names.SEGMENT_REQUIRED_TOPOLOGY: "rack"})])
    assert settled.waiting is not None
    assert names.SEGMENT_SIZE in settled.waiting.message
    assert settled.problems[0].found == "nothing"


def test_a_wrong_value_in_the_template_is_told_once_and_about_the_workload() -> None:
    bad = {names.MIN_MEMBER: "two"}
    settled = _settle([_pod(bad), _pod(bad, "p-1")], workloads=[_workload(bad)])
    assert [p.object for p in settled.problems] == [f"Deployment/{NS}/web"]


def test_members_that_disagree_get_advice_and_the_first_by_rank_counts() -> None:
    settled = _settle([_pod(), _pod({names.REQUIRED_TOPOLOGY: "rack"}, "p-1"), _pod({names.REQUIRED_TOPOLOGY: "zone"}, "p-2")])
    assert settled.demand.required == "rack"
    assert [a.object for a in settled.advice] == ["Pod/p-2"]
    assert "zone" in settled.advice[0].message
    assert "rack" in settled.advice[0].message


def test_members_that_are_silent_do_not_disagree() -> None:
    assert _settle([_pod({names.REQUIRED_TOPOLOGY: "rack"}), _pod(name="p-1")]).advice == ()


@pytest.mark.parametrize(
    "segments",
    [
        (Segment(size=4, required="rack"), Segment(size=8, required="nvlink")),
        (Segment(size=8, required="rack"), Segment(size=3, required="nvlink")),
        (Segment(size=4, required="rack"), Segment(size=4, required="rack")),
    ],
)
def test_segments_that_do_not_nest_are_said(segments: tuple[Segment, ...]) -> None:
    settled = _settle([_pod()], group=pod_group(segments=segments))
    assert settled.waiting is not None
    assert settled.waiting.code == "PodGroupInvalid"
    assert [p.object for p in settled.problems] == [f"PodGroup/{NS}/g"]


def test_segments_that_nest_are_taken() -> None:
    nested = (Segment(size=8, required="rack"), Segment(size=4, required="nvlink"), Segment(size=4, required="host"))
    settled = _settle([_pod()], group=pod_group(segments=nested))
    assert (settled.waiting, settled.demand.segments) == (None, nested)


def test_one_level_with_two_weights_is_said() -> None:
    twice = (Preference(level="rack", weight=1), Preference(level="rack", weight=2))
    settled = _settle([_pod()], policies=[policy("d", preferred=twice)])
    assert [(p.object, p.found) for p in settled.problems] == [(f"TopologyPolicy/{NS}/d", "'rack' twice")]


def test_a_policy_that_is_named_but_missing_makes_the_gang_wait_and_lists_those_that_exist() -> None:
    settled = _settle([_pod()], group=pod_group(topology_policy="inferense"), policies=[policy("inference")])
    assert settled.waiting is not None
    assert settled.waiting.code == "PolicyMissing"
    assert "inferense" in settled.waiting.message
    assert settled.problems == (settled.waiting.problem,)
    assert "inference" in settled.problems[0].expected


def test_a_policy_of_another_namespace_is_not_found() -> None:
    elsewhere = TopologyPolicy(namespace="other", name="inference", required="rack")
    settled = _settle([_pod()], group=pod_group(topology_policy="inference"), policies=[elsewhere])
    assert settled.waiting is not None
    assert settled.demand.required is None


def test_a_policy_that_cannot_be_used_makes_the_gangs_that_need_it_wait() -> None:
    bad = policy("d", problem="spec.preferredTopology[0].weight: found 'x', expected a whole number")
    settled = _settle([_pod()], policies=[bad])
    assert settled.waiting is not None
    assert settled.waiting.code == "PodGroupInvalid"
    assert "weight" in settled.waiting.message


def test_a_pod_group_that_cannot_be_used_makes_its_gang_wait() -> None:
    settled = _settle([_pod()], group=pod_group(problem="spec.minMember: found 0, expected a whole number of at least 1"))
    assert settled.waiting is not None
    assert settled.waiting.problem is not None
    assert "found 0" in settled.waiting.message


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        (Requirement(key="app", operator="In", values=("x", "y")), True),
        (Requirement(key="app", operator="In", values=("y",)), False),
        (Requirement(key="gone", operator="NotIn", values=("y",)), True),
        (Requirement(key="gone", operator="DoesNotExist"), True),
        (Requirement(key="app", operator="DoesNotExist"), False),
    ],
)
def test_a_selector_is_matched_with_the_pods_labels(requirement: Requirement, *, selected: bool) -> None:
    settled = _settle([_pod()], policies=[policy("s", required="rack", selector=(requirement,))])
    assert settled.demand.required == ("rack" if selected else None)


def test_a_selector_that_meets_one_member_speaks_for_the_gang() -> None:
    settled = _settle(
        [_pod(), _pod(name="p-1", role="worker")], policies=[policy("s", required="rack", selector=(Requirement(key="role", operator="Exists"),))]
    )
    assert settled.demand.required == "rack"


def test_an_empty_selector_selects_every_pod_and_is_no_default_policy() -> None:
    settled = _settle([_pod()], policies=[policy("s", required="rack", selector=(), created=2), policy("d", required="zone", created=1)])
    assert settled.demand.required == "rack"


def test_of_two_policies_by_selector_the_older_counts_and_the_other_gets_advice() -> None:
    old, new = policy("z-old", required="rack", selector=SELECTS_ALL, created=1), policy("a-new", required="zone", selector=SELECTS_ALL, created=2)
    settled = _settle([_pod()], policies=[new, old])
    assert settled.demand.required == "rack"
    assert [a.object for a in settled.advice] == ["TopologyPolicy/a-new"]


def test_of_two_default_policies_the_oldest_counts_and_both_get_advice() -> None:
    old, new = policy("z-old", required="rack", created=1), policy("a-new", required="zone", created=2)
    assert _settle([_pod()], policies=[new, old]).demand.required == "rack"
    advice, problems = several_defaults(by_namespace(world([], policies=[new, old]))[NS])
    assert [a.object for a in advice] == ["TopologyPolicy/z-old", "TopologyPolicy/a-new"]
    assert [p.object for p in problems] == [f"TopologyPolicy/{NS}/a-new"]


def test_one_default_policy_is_nothing_to_talk_about() -> None:
    assert several_defaults(by_namespace(world([], policies=[policy("d"), policy("s", selector=())]))[NS]) == ((), ())


def test_segments_that_do_not_nest_are_told_at_the_field_that_says_them() -> None:
    rows = (Segment(size=8, required="spine"), Segment(size=3, required="rack"))
    problem = _settle([_pod()], group=pod_group(segments=rows)).problems[0]
    assert (problem.field, problem.found) == ("spec.segments[1].size", "3 inside segments of 8")
    assert problem.expected == "a size that divides 8, the size of the segments around it"
    text = '[{"topology": "spine", "size": 8}, {"topology": "rack", "size": 3}]'
    problem = _settle([_pod({names.KUEUE_SLICES: text})]).problems[0]
    assert (problem.object, problem.field) == (f"Pod/{NS}/p-0", f"metadata.annotations[{names.KUEUE_SLICES}][1].size")


def test_a_layer_that_stands_twice_is_told_so_and_not_as_a_size_that_does_not_divide() -> None:
    twice = (Segment(size=2, required="rack"),) * 2
    problem = _settle([_pod()], group=pod_group(segments=twice)).problems[0]
    assert (problem.found, problem.expected) == ("2 in one rack, as in the layer around it", "a smaller size, or another level")


@pytest.mark.parametrize("key", [pair.size for pair in SEGMENTS[:3]])
def test_a_demand_says_which_object_and_field_cut_the_gang(key: str) -> None:
    pair = next(pair for pair in SEGMENTS if pair.size == key)
    demand = _settle([_pod()], workloads=[_workload({key: "2", pair.level: "rack"})]).demand
    assert (demand.segments_object, demand.segments_field) == ("Deployment/web", f"metadata.annotations[{key}]")
    late = _settle([_pod(), _pod({key: "2", pair.level: "rack"}, "p-1")]).demand
    assert late.segments_field == f"metadata.annotations[{key}]"
    assert _settle([_pod()]).demand.segments_field == ""


def test_weights_that_no_exact_sum_over_all_pods_can_hold_are_bad_input_that_names_the_policy() -> None:
    heavy = policy("heavy", preferred=(Preference(level="rack", weight=2**49),))
    pods = [_pod(name=f"p-{i}") for i in range(3)]
    assert _settle(pods[:2], policies=[heavy]).problems == ()
    (problem,) = _settle(pods, policies=[heavy]).problems
    assert (problem.object, problem.field) == (f"TopologyPolicy/{NS}/heavy", "spec.preferredTopology")
    assert "562,949,953,421,312 in all for 3 pods" in problem.found


def test_more_preferred_levels_than_are_weighed_are_bad_input_wherever_they_come_from() -> None:
    many = policy("many", preferred=tuple(Preference(level=f"l{i}", weight=1) for i in range(17)))
    (problem,) = _settle([_pod()], policies=[many]).problems
    assert (problem.found, problem.expected) == ("17 levels", "at most 16 levels")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("coterie.dev/topology-policy", "a policy is named by spec.topologyPolicy of a PodGroup"),
        ("coterie.dev/pod-group", "a group is joined by the label coterie.dev/pod-group"),
        ("coterie.dev/required-toplogy", "the nearest that is known is coterie.dev/required-topology."),
        ("coterie.dev/gpus", "Annotations that are known: coterie.dev/min-member, coterie.dev/required-topology"),
    ],
)
def test_an_annotation_that_is_not_known_is_told_with_what_was_meant_or_what_there_is(key: str, told: str) -> None:
    (advice,) = _settle([_pod({key: "x"})]).advice
    assert told in advice.message
    if "nearest" not in told:
        assert "nearest" not in advice.message
