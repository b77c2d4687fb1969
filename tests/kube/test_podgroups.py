"""The status of a PodGroup as far as grouping knows it: counts, phase, and what is said when nobody joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.kube.group import names
from scheduler.kube.group.grouping import gangs, pod_group_status
from scheduler.kube.group.podgroups import PHASES, Condition, PodGroupStatus, least_advanced
from scheduler.state.objects import Pod
from scheduler.state.world import Workload, World
from tests.kube.worlds import NS, deployment, loose, lws_pod, lws_sets, pod_group, world


def _status(it: World, name: str = "g") -> PodGroupStatus:
    return pod_group_status(it, gangs(it))[NS, name]


def _condition(status: PodGroupStatus, kind: str) -> Condition:
    (found,) = (c for c in status.conditions if c.type == kind)
    return found


def _formed(*, groups: int, on: tuple[int, ...] = (), **fields: Any) -> list[Pod]:
    return [lws_pod(n, group=g, labels={names.POD_GROUP: "g"}, on="n1" if g in on else None, **fields) for g in range(groups) for n in (0, 1)]


def test_counts_are_sums_over_the_groups() -> None:
    status = _status(world(_formed(groups=3, on=(0, 2)), groups=[pod_group(min_member=2)], workloads=lws_sets(groups=3)))
    assert (status.desired, status.scheduled, status.running, len(status.gangs)) == (6, 4, 4, 3)


def test_the_phase_is_the_least_advanced_groups() -> None:
    assert _status(world(_formed(groups=2, on=(0,)), groups=[pod_group()], workloads=lws_sets(groups=2))).phase == "Scheduling"
    assert _status(world(_formed(groups=2, on=(0, 1)), groups=[pod_group()], workloads=lws_sets(groups=2))).phase == "Running"


def test_bound_members_that_do_not_run_yet_are_scheduled() -> None:
    status = _status(world(_formed(groups=1, on=(0,), phase="Pending"), groups=[pod_group()], workloads=lws_sets()))
    assert (status.phase, status.scheduled, status.running) == ("Scheduled", 2, 0)
    assert _condition(status, "Scheduled").status


def test_a_group_that_waits_is_pending_and_says_why() -> None:
    status = _status(world([loose("p", group="g")], groups=[pod_group(min_member=2)]))
    assert status.phase == "Pending"
    assert _condition(status, "Scheduled") == Condition(
        type="Scheduled", status=False, reason="MembersMissing", message=_condition(status, "Scheduled").message
    )
    assert "1 of 2" in _condition(status, "Scheduled").message
    assert status.desired == 2


def test_min_member_members_are_enough_for_running() -> None:
    pods = [loose("p-0", group="g", on="n1"), loose("p-1", group="g")]
    assert _status(world(pods, groups=[pod_group(min_member=1)])).phase == "Running"


def test_members_that_have_all_succeeded_are_still_scheduled() -> None:
    status = _status(world([loose("p", group="g", phase="Succeeded", on="n1")], groups=[pod_group(min_member=1)]))
    assert (status.phase, status.scheduled, _condition(status, "Joined").status) == ("Scheduled", 1, True)


def test_phases_are_ordered_from_least_to_most_advanced() -> None:
    assert least_advanced(PHASES) == "TimedOut"
    assert least_advanced(("Running", "Scheduling")) == "Scheduling"
    assert least_advanced(()) == "Pending"


def test_a_pod_group_that_nobody_joined_says_how_to_join_and_which_gang_looks_meant() -> None:
    pods = [lws_pod(n, lws="deepseek-r1") for n in (0, 1)]
    other = [lws_pod(n, lws="llama", size=4) for n in range(4)]
    it = world(
        [*pods, *other],
        groups=[pod_group("deepseek-r1-gang", min_member=2)],
        workloads=[*lws_sets(lws="deepseek-r1"), *lws_sets(lws="llama", size=4)],
    )
    condition = _condition(_status(it, "deepseek-r1-gang"), "Joined")
    assert (condition.status, condition.reason) == (False, "NobodyJoined")
    assert "coterie.dev/pod-group: deepseek-r1-gang" in condition.message
    assert "LeaderWorkerSet deepseek-r1 (pods: 2) looks meant" in condition.message


def test_a_workload_whose_pods_are_not_ours_can_look_meant() -> None:
    it = world([], groups=[pod_group("web-gang", min_member=2)], workloads=[*deployment("web"), *deployment("db")])
    assert "Deployment web" in _condition(_status(it, "web-gang"), "Joined").message


def test_a_workload_of_another_namespace_or_with_a_pod_group_already_does_not_look_meant() -> None:
    elsewhere = Workload(kind="LeaderWorkerSet", namespace="other", name="r2", size=2)
    it = world(_formed(groups=1), groups=[pod_group(min_member=2), pod_group("r1-gang", min_member=2)], workloads=[*lws_sets(), elsewhere])
    assert "looks meant" not in _condition(_status(it, "r1-gang"), "Joined").message


def test_the_gang_of_the_right_size_looks_meant_among_strange_names() -> None:
    pods = [*(lws_pod(n, lws="aa", size=2) for n in range(2)), *(lws_pod(n, lws="bb", size=3) for n in range(3))]
    it = world(pods, groups=[pod_group("q", min_member=3)])
    assert "LeaderWorkerSet bb" in _condition(_status(it, "q"), "Joined").message


def test_in_a_plan_a_pod_group_that_nobody_joined_is_a_warning() -> None:
    grouping = gangs(world([loose("p")], groups=[pod_group(min_member=1)]), scheduler_name=None)
    assert [(a.level, a.object) for a in grouping.advice] == [("warning", "PodGroup/g")]
    assert grouping.problems == ()


def test_pods_that_name_the_group_and_another_scheduler_are_said() -> None:
    it = world([loose("p", group="g", scheduler_name="default-scheduler")], groups=[pod_group(min_member=1)])
    condition = _condition(_status(it), "Joined")
    assert (condition.status, condition.reason) == (False, "OtherScheduler")
    assert "default-scheduler" in condition.message


def test_differing_sizes_are_a_condition() -> None:
    condition = _condition(_status(world(_formed(groups=1), groups=[pod_group(min_member=7)], workloads=lws_sets())), "Consistent")
    assert (condition.status, condition.reason) == (False, "SizesDiffer")
    assert "7" in condition.message


def test_members_that_name_two_pod_groups_are_a_condition_on_both() -> None:
    pods = [lws_pod(0, labels={names.POD_GROUP: "g"}), lws_pod(1, labels={names.POD_GROUP: "h"})]
    it = world(pods, groups=[pod_group("g"), pod_group("h")], workloads=lws_sets())
    for name in ("g", "h"):
        assert _condition(_status(it, name), "Consistent").reason == "SeveralPodGroups"


def test_a_pod_whose_annotation_names_another_pod_group_than_its_label_is_said_on_both_and_counts_where_the_label_says() -> None:
    other = {names.KAI_POD_GROUP: "h"}
    pods = [loose("p-0", group="g"), loose("p-1", group="g", annotations=other), loose("p-2", annotations=other)]
    it = world(pods, groups=[pod_group("g", min_member=2), pod_group("h", min_member=2)])
    for name in ("g", "h"):
        condition = _condition(_status(it, name), "Consistent")
        assert (condition.status, condition.reason) == (False, "SeveralPodGroups")
        assert condition.message == (
            "Pod p-1 names PodGroup g (label coterie.dev/pod-group) and PodGroup h (annotation pod-group-name): "
            "the label counts, the pod is a member of g."
        )
    assert _condition(_status(it, "h"), "Joined").message == "1 pod names the PodGroup; gangs: 1."


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"topology_policy": "none"}, "PolicyMissing"),
        ({"problem": "spec.minMember: found 0"}, "PodGroupInvalid"),
        ({"min_member": None}, "PodGroupInvalid"),
    ],
)
def test_what_cannot_be_used_is_not_accepted(fields: dict[str, Any], reason: str) -> None:
    condition = _condition(_status(world([loose("p", group="g")], groups=[replace(pod_group(min_member=1), **fields)])), "Accepted")
    assert (condition.status, condition.reason) == (False, reason)


def test_a_healthy_group_has_no_condition_that_complains() -> None:
    status = _status(world(_formed(groups=1, on=(0,)), groups=[pod_group(min_member=2)], workloads=lws_sets()))
    assert all(condition.status for condition in status.conditions)


def test_pod_groups_of_other_projects_get_no_status() -> None:
    foreign = pod_group(min_member=1, api_version="scheduling.volcano.sh/v1beta1")
    it = world([], groups=[foreign])
    assert pod_group_status(it, gangs(it)) == {}


def test_only_the_groups_asked_for_are_looked_at() -> None:
    it = world([], groups=[pod_group("a"), pod_group("b")])
    assert list(pod_group_status(it, gangs(it), only={(NS, "b"), (NS, "gone")})) == [(NS, "b")]
