"""From a world to its gangs: who is a member, how many must run together, who owns the record, why a gang waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scheduler.kube.group import names
from scheduler.kube.group.grouping import gangs
from scheduler.state.gang import Gang, Waiting
from scheduler.state.objects import Pod, Ref, Unsupported
from scheduler.state.resources import Resources
from scheduler.state.world import Workload, World
from tests.builders import shape
from tests.kube.worlds import NS, deployed, deployment, loose, lws_pod, lws_sets, names_of, pod_group, policy, worker_set, world


def _one(it: World, **arguments: Any) -> Gang:
    grouping = gangs(it, **arguments)
    (gang,) = (*grouping.gangs, *grouping.settled)
    return gang


def _waiting(it: World, **arguments: Any) -> Waiting:
    wait = _one(it, **arguments).waiting
    assert wait is not None
    return wait


def _lws(startup: str = "LeaderReady", size: int = 3, **fields: Any) -> Workload:
    template = loose("", gpus=4, annotations={names.LWS_SIZE: str(size)})
    return Workload(
        kind="LeaderWorkerSet",
        namespace=NS,
        name="r1",
        uid="uid-lws-r1",
        size=size,
        startup_policy=startup,
        templates={"worker": template, "leader": template},
        **fields,
    )


class TestLeaderWorkerSet:
    def test_a_complete_group_is_one_gang_of_its_size_named_by_its_index(self) -> None:
        gang = _one(world([lws_pod(n, size=3, group=7) for n in (2, 0, 1)], workloads=lws_sets(groups=8, size=3)))
        assert (gang.name, gang.min_member, gang.waiting) == ("r1-7", 3, None)
        assert names_of(gang) == ["r1-7", "r1-7-1", "r1-7-2"]
        assert [m.rank for m in gang.members] == [0, 1, 2]

    def test_the_record_belongs_to_the_leader_and_the_workload_is_what_the_user_wrote(self) -> None:
        gang = _one(world([lws_pod(0), lws_pod(1)], workloads=lws_sets()))
        assert gang.owner == Ref(kind="Pod", name="r1-0", uid="uid-r1-0", api_version="v1")
        assert (gang.workload.kind, gang.workload.name) == ("LeaderWorkerSet", "r1")

    def test_the_record_belongs_to_the_leader_also_when_a_pod_group_sets_the_policy(self) -> None:
        pods = [lws_pod(n, labels={names.POD_GROUP: "g"}) for n in (0, 1)]
        assert _one(world(pods, groups=[pod_group(min_member=2)], workloads=lws_sets())).owner.kind == "Pod"

    def test_a_group_is_not_complete_before_size_members_exist(self) -> None:
        wait = _waiting(world([lws_pod(0, size=4), lws_pod(2, size=4)], workloads=lws_sets(size=4)))
        assert wait.code == "MembersMissing"
        assert "2 of 4" in wait.message
        assert "r1-0-1" in wait.message
        assert wait.problem is None

    def test_groups_of_one_set_are_gangs_apart(self) -> None:
        pods = [lws_pod(n, group=g) for g in range(3) for n in (0, 1)]
        assert [g.name for g in gangs(world(pods, workloads=lws_sets(groups=3))).gangs] == ["r1-0", "r1-1", "r1-2"]

    def test_a_terminating_pod_is_never_a_member(self) -> None:
        wait = _waiting(world([lws_pod(0), lws_pod(1, terminating=True)], workloads=lws_sets()))
        assert wait.code == "MembersMissing"

    @pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
    def test_a_finished_pod_is_never_a_member(self, phase: str) -> None:
        assert _waiting(world([lws_pod(0), lws_pod(1, phase=phase, on="n1")], workloads=lws_sets())).code == "MembersMissing"

    def test_after_a_restart_old_workers_beside_the_new_leader_are_no_members(self) -> None:
        pods = [lws_pod(0, uid="new"), lws_pod(1)]
        grouping = gangs(world(pods, workloads=lws_sets()))
        (gang,) = grouping.gangs
        assert names_of(gang) == ["r1-0"]
        assert gang.key.endswith("/new")
        assert list(grouping.strays) == ["uid-r1-0-1"]
        assert "former leader" in grouping.strays[pods[1].uid]

    def test_old_workers_that_run_or_belong_to_another_scheduler_wait_for_nothing_from_us(self) -> None:
        for old in (lws_pod(1, on="n1"), lws_pod(1, scheduler_name="other")):
            grouping = gangs(world([lws_pod(0, uid="new"), old], workloads=lws_sets()))
            assert names_of(grouping.gangs[0]) == ["r1-0"]
            assert not grouping.strays

    def test_after_a_restart_the_workers_of_the_new_stateful_set_are_members(self) -> None:
        pods = [lws_pod(0, leader="-new"), lws_pod(1, leader="-new"), lws_pod(1, on="n1")]
        sets = [*lws_sets(), worker_set(leader="-new")]
        gang = _one(world(pods, workloads=sets))
        assert [m.pod.uid for m in gang.members] == ["uid-r1-0-new", "uid-r1-0-1-new"]
        assert gang.waiting is None

    def test_a_recreated_group_has_another_key_than_the_one_before(self) -> None:
        before, after = ([lws_pod(0, leader=x), lws_pod(1, leader=x)] for x in ("-a", "-b"))
        keys = {_one(world(pods, workloads=lws_sets(leader=x))).key for pods, x in ((before, "-a"), (after, "-b"))}
        assert len(keys) == 2

    def test_while_the_old_leader_goes_away_there_is_no_gang(self) -> None:
        grouping = gangs(world([lws_pod(0, terminating=True), lws_pod(1)], workloads=lws_sets()))
        assert grouping.gangs == ()
        assert "no living leader" in grouping.strays[lws_pod(1).uid]

    def test_a_worker_whose_stateful_set_has_not_been_seen_is_not_a_member_yet(self) -> None:
        top = lws_sets()[:1]
        assert _waiting(world([lws_pod(0), lws_pod(1)], workloads=top)).code == "MembersMissing"

    def test_without_any_stateful_sets_a_worker_older_than_its_leader_is_no_member(self) -> None:
        young, old = lws_pod(0, created=100.0), lws_pod(1, created=99.0)
        assert _waiting(world([young, old])).code == "MembersMissing"
        assert _one(world([young, replace(old, created=101.0)])).waiting is None

    def test_a_worker_from_a_manifest_joins_a_leader_that_runs_already(self) -> None:
        gang = _one(world([lws_pod(0, created=100.0, on="n1"), lws_pod(1, created=0.0)]))
        assert (gang.waiting, len(gang.fixed), len(gang.pending)) == (None, 1, 1)

    def test_a_worker_from_a_manifest_joins_it_also_where_stateful_sets_are_known(self) -> None:
        pods = [
            lws_pod(0, created=100.0, on="n1"),
            lws_pod(1, uid="manifest:ai/r1-0-1", owner=Ref(kind="StatefulSet", name="r1-0", uid="manifest:ai/r1-0")),
        ]
        assert _one(world(pods, workloads=lws_sets())).waiting is None

    def test_bound_members_are_fixed_members(self) -> None:
        gang = _one(world([lws_pod(0, on="n1"), lws_pod(1)], workloads=lws_sets()))
        assert [m.pod.name for m in gang.fixed] == ["r1-0"]
        assert gang.min_member == 2

    def test_a_group_of_one_has_no_workers_to_wait_for(self) -> None:
        gang = _one(world([lws_pod(0, size=1)], workloads=lws_sets(size=1)))
        assert (gang.name, gang.min_member, gang.waiting) == ("r1-0", 1, None)

    def test_when_members_disagree_on_the_size_the_stateful_set_decides(self) -> None:
        pods = [lws_pod(0, size=3), lws_pod(1, size=8), lws_pod(2, size=8)]
        gang = _one(world(pods, workloads=lws_sets(size=3)))
        assert (gang.min_member, gang.waiting) == (3, None)
        assert "3, 8" in gang.advice[0].message

    def test_when_members_disagree_and_nothing_decides_the_largest_size_counts(self) -> None:
        gang = _one(world([lws_pod(0, size=2), lws_pod(1, size=3)]))
        assert gang.min_member == 3
        assert gang.waiting is not None

    def test_a_size_that_is_no_number_is_said(self) -> None:
        wait = _waiting(world([lws_pod(0, size="two")]))
        assert wait.code == "PodGroupInvalid"
        assert wait.problem is not None
        assert wait.problem.field == f"metadata.annotations[{names.LWS_SIZE}]"

    def test_leader_and_workers_are_roles_and_workers_of_two_shapes_are_two(self) -> None:
        pods = [lws_pod(0, size=4), *(lws_pod(n, size=4, gpus=g) for n, g in ((1, 8), (2, 4), (3, 8)))]
        gang = _one(world(pods, workloads=lws_sets(size=4)))
        assert [m.role for m in gang.members] == ["leader", "worker", "worker-2", "worker"]
        assert all(len({m.pod.shape for m in gang.members if m.role == role}) == 1 for role in ("leader", "worker", "worker-2"))

    def test_a_leader_of_the_workers_shape_is_a_role_of_its_own(self) -> None:
        gang = _one(world([lws_pod(0), lws_pod(1)], workloads=lws_sets()))
        assert [m.role for m in gang.members] == ["leader", "worker"]

    def test_leader_ready_holds_the_seats_of_workers_that_do_not_exist_yet(self) -> None:
        gang = _one(world([lws_pod(0, size=3)], workloads=[_lws(), *lws_sets(size=3)[:1]]))
        assert (gang.waiting, gang.min_member) == (None, 3)
        assert names_of(gang) == ["r1-0", "r1-0-1", "r1-0-2"]
        assert [m.held for m in gang.members] == [False, True, True]
        assert {m.pod.uid for m in gang.members if m.held} == {f"seat:{NS}/r1-0-1", f"seat:{NS}/r1-0-2"}
        assert gang.members[1].pod.shape.requests.amount("nvidia.com/gpu") == 4
        assert gang.members[2].pod.labels[names.LWS_WORKER_INDEX] == "2"

    def test_leader_ready_with_a_bound_leader_has_nothing_to_decide_before_workers_come(self) -> None:
        grouping = gangs(world([lws_pod(0, size=3, on="n1")], workloads=[_lws(), *lws_sets(size=3)]))
        assert grouping.gangs == ()
        assert len(grouping.settled[0].pending) == 2

    def test_leader_ready_with_some_workers_keeps_the_seats_of_the_others(self) -> None:
        gang = _one(world([lws_pod(0, size=3, on="n1"), lws_pod(2, size=3)], workloads=[_lws(), *lws_sets(size=3)]))
        assert [(m.pod.name, m.held) for m in gang.members] == [("r1-0", False), ("r1-0-1", True), ("r1-0-2", False)]

    def test_leader_created_holds_no_seats(self) -> None:
        assert _waiting(world([lws_pod(0, size=3)], workloads=[_lws("LeaderCreated"), *lws_sets(size=3)])).code == "MembersMissing"

    def test_exclusive_topology_is_planned_whole_so_that_what_its_leader_uses_is_named(self) -> None:
        blocked = shape(unsupported=(Unsupported(field="spec.affinity.podAffinity", check="InterPodAffinity", message="pod affinity"),))
        leader = lws_pod(0, size=3, annotations={names.LWS_EXCLUSIVE: "rack"}, shape=blocked)
        gang = _one(world([leader], workloads=[_lws("LeaderCreated"), *lws_sets(size=3)]))
        assert (gang.waiting, len(gang.members), gang.demand.required) == (None, 3, "rack")
        assert gang.members[0].pod.shape.unsupported

    def test_no_seats_are_made_up_for_an_absurd_size(self) -> None:
        assert _waiting(world([lws_pod(0, size=900_000_000)], workloads=[_lws(size=900_000_000), *lws_sets()[:1]])).code == "MembersMissing"

    def test_workers_that_name_another_scheduler_are_named_in_the_reason(self) -> None:
        pods = [lws_pod(0), lws_pod(1, scheduler_name="default-scheduler")]
        gang = _one(world(pods, workloads=lws_sets()))
        assert gang.waiting is not None
        assert gang.waiting.code == "MembersMissing"
        assert "default-scheduler" in gang.waiting.message
        assert "r1-0-1" in gang.waiting.message
        assert [a.field for a in gang.advice] == ["spec.schedulerName"]

    def test_a_worker_that_another_scheduler_has_bound_is_a_member(self) -> None:
        pods = [lws_pod(0), lws_pod(1, scheduler_name="default-scheduler", on="n1")]
        assert _one(world(pods, workloads=lws_sets())).waiting is None

    def test_a_group_of_another_scheduler_is_not_ours(self) -> None:
        grouping = gangs(world([lws_pod(n, scheduler_name="default-scheduler") for n in (0, 1)], workloads=lws_sets()))
        assert (grouping.gangs, grouping.settled) == ((), ())


class TestPolicyOfFormedGroups:
    def _pods(self, groups: int = 2, **fields: Any) -> list[Pod]:
        return [lws_pod(n, group=g, labels={names.POD_GROUP: "g"}, **fields) for g in range(groups) for n in (0, 1)]

    def test_the_pod_group_sets_the_policy_of_each_group_and_merges_none(self) -> None:
        group = pod_group(min_member=2, required="rack", timeout_seconds=300, priority_class="high")
        found = gangs(world(self._pods(), groups=[group], workloads=lws_sets(groups=2), priorities={"high": 1000})).gangs
        assert [(g.name, g.min_member, g.demand.required, g.timeout_seconds, g.priority, g.pod_group) for g in found] == [
            ("r1-0", 2, "rack", 300, 1000, "g"),
            ("r1-1", 2, "rack", 300, 1000, "g"),
        ]

    def test_the_size_is_the_min_member_whatever_the_pod_group_says_and_the_difference_is_said(self) -> None:
        grouping = gangs(world(self._pods(), groups=[pod_group(min_member=3)], workloads=lws_sets(groups=2)))
        assert {g.min_member for g in grouping.gangs} == {2}
        assert {(a.object, a.field) for g in grouping.gangs for a in g.advice} == {("PodGroup/g", "spec.minMember")}

    def test_a_pod_group_without_min_member_takes_the_groups_size_and_nothing_differs(self) -> None:
        gang = gangs(world(self._pods(), groups=[pod_group()], workloads=lws_sets(groups=2))).gangs[0]
        assert (gang.min_member, gang.waiting, gang.advice) == (2, None, ())

    def test_a_min_member_above_all_its_pods_is_bad_input_of_a_plan(self) -> None:
        it = world(self._pods(), groups=[pod_group(min_member=5)], workloads=lws_sets(groups=2))
        (problem,) = gangs(it, scheduler_name=None).problems
        assert (problem.object, problem.field, problem.found) == (f"PodGroup/{NS}/g", "spec.minMember", "5")
        assert "4" in problem.expected

    def test_a_min_member_of_all_groups_together_is_not_bad_input(self) -> None:
        it = world(self._pods(), groups=[pod_group(min_member=4)], workloads=lws_sets(groups=2))
        assert gangs(it, scheduler_name=None).problems == ()

    def test_a_group_whose_pod_group_does_not_exist_waits(self) -> None:
        grouping = gangs(world(self._pods(), workloads=lws_sets(groups=2)))
        assert {g.waiting.code for g in grouping.gangs if g.waiting} == {"PodGroupMissing"}
        assert len(grouping.gangs) == 2

    def test_members_that_name_two_pod_groups_are_told_on_both(self) -> None:
        pods = [lws_pod(0, labels={names.POD_GROUP: "g"}), lws_pod(1, labels={names.POD_GROUP: "h"})]
        gang = _one(world(pods, groups=[pod_group("g", required="rack"), pod_group("h", required="zone")], workloads=lws_sets()))
        assert (gang.pod_group, gang.demand.required) == ("g", "rack")
        assert {a.object for a in gang.advice} == {"PodGroup/g", "PodGroup/h"}

    def test_the_label_in_one_template_only_sets_the_policy_of_the_whole_group(self) -> None:
        pods = [lws_pod(0), lws_pod(1, labels={names.POD_GROUP: "g"})]
        gang = _one(world(pods, groups=[pod_group(required="rack")], workloads=lws_sets()))
        assert (gang.pod_group, gang.demand.required, gang.advice) == ("g", "rack", ())

    def test_a_grove_gang_is_one_gang_with_the_pod_groups_policy(self) -> None:
        pods = [loose(f"p-{n}", group="g", labels={names.GROVE_POD_GANG: "pg-0", names.PART_OF: "pcs"}) for n in range(3)]
        gang = _one(world(pods, groups=[pod_group(min_member=2, required="rack")]))
        assert (gang.name, gang.min_member, gang.demand.required, gang.workload.kind) == ("pg-0", 3, "rack", "PodCliqueSet")


class TestLoosePods:
    def test_all_pods_that_carry_the_label_are_one_gang_named_as_the_pod_group(self) -> None:
        pods = [loose(f"p-{n}", group="g") for n in (10, 2, 1)]
        gang = _one(world(pods, groups=[pod_group(min_member=2)]))
        assert (gang.name, gang.min_member, gang.waiting) == ("g", 2, None)
        assert names_of(gang) == ["p-1", "p-2", "p-10"]
        assert gang.owner == Ref(kind="PodGroup", name="g", uid="uid-pg-g", api_version="scheduling.run.ai/v1")
        assert gang.workload == gang.owner

    def test_pods_of_several_deployments_with_the_label_are_one_gang(self) -> None:
        pods = [deployed(1, name="a", labels={names.POD_GROUP: "g"}), deployed(1, name="b", labels={names.POD_GROUP: "g"})]
        assert len(_one(world(pods, groups=[pod_group(min_member=2)])).members) == 2

    def test_a_pod_whose_pod_group_does_not_exist_waits_and_is_never_alone(self) -> None:
        wait = _waiting(world([loose("p", group="traning")], groups=[pod_group("training")]))
        assert wait.code == "PodGroupMissing"
        assert "traning" in wait.message
        assert "training" in wait.message.replace("traning", "")

    def test_a_pod_group_of_another_namespace_does_not_count(self) -> None:
        elsewhere = replace(pod_group(min_member=1), namespace="other")
        assert _waiting(world([loose("p", group="g")], groups=[elsewhere])).code == "PodGroupMissing"

    def test_bound_pods_with_the_label_are_members_and_count(self) -> None:
        pods = [loose("p-0", group="g", on="n1", scheduler_name="default-scheduler"), loose("p-1", group="g")]
        gang = _one(world(pods, groups=[pod_group(min_member=2)]))
        assert (gang.waiting, len(gang.fixed), len(gang.pending)) == (None, 1, 1)

    def test_loose_pods_without_min_member_wait(self) -> None:
        wait = _waiting(world([loose("p", group="g")], groups=[pod_group()]))
        assert wait.code == "PodGroupInvalid"
        assert wait.problem is None, "a plan says that they wait: it is no bad input"

    def test_fewer_members_than_min_member_wait_and_are_bad_input_of_a_plan(self) -> None:
        it = world([loose("p", group="g")], groups=[pod_group(min_member=3)])
        wait = _waiting(it)
        assert wait.code == "MembersMissing"
        assert "1 of 3" in wait.message
        (problem,) = gangs(it, scheduler_name=None).problems
        assert (problem.object, problem.field, problem.found) == (f"PodGroup/{NS}/g", "spec.minMember", "3")

    def test_members_beyond_min_member_are_elastic(self) -> None:
        gang = _one(world([loose(f"p-{n}", group="g") for n in range(4)], groups=[pod_group(min_member=2)]))
        assert (gang.min_member, len(gang.members)) == (2, 4)

    def test_a_member_that_goes_away_is_none(self) -> None:
        pods = [loose("p-0", group="g"), loose("p-1", group="g", terminating=True)]
        assert _waiting(world(pods, groups=[pod_group(min_member=2)])).code == "MembersMissing"

    def test_members_that_have_succeeded_are_not_waited_for_again(self) -> None:
        pods = [loose("p-0", group="g", phase="Succeeded", on="n1"), loose("p-1", group="g")]
        gang = _one(world(pods, groups=[pod_group(min_member=2)]))
        assert (names_of(gang), gang.min_member, gang.waiting) == (["p-1"], 1, None)

    def test_a_kai_annotation_joins_like_the_label(self) -> None:
        pods = [loose("p-0", annotations={names.KAI_POD_GROUP: "g"}), loose("p-1", group="g")]
        assert len(_one(world(pods, groups=[pod_group(min_member=2)])).members) == 2

    def test_a_native_pod_group_is_looked_up_in_its_own_api_group(self) -> None:
        native = pod_group(min_member=1, api_version="scheduling.k8s.io/v1beta1")
        ours = pod_group(min_member=5)
        it = world([loose("p", scheduling_group="g")], groups=[ours])
        both = replace(it, pod_groups={**it.pod_groups, (NS, "scheduling.k8s.io/g"): native})
        assert _waiting(it).code == "PodGroupMissing"
        gang = _one(both)
        assert (gang.min_member, gang.waiting, gang.pod_group) == (1, None, None)

    def test_a_named_policy_that_is_missing_makes_the_gang_wait(self) -> None:
        wait = _waiting(world([loose("p", group="g")], groups=[pod_group(min_member=1, topology_policy="none")]))
        assert wait.code == "PolicyMissing"

    def test_shapes_are_roles_in_rank_order(self) -> None:
        pods = [loose("p-0", group="g", gpus=1), loose("p-1", group="g", gpus=2), loose("p-2", group="g", gpus=1)]
        assert [m.role for m in _one(world(pods, groups=[pod_group(min_member=1)])).members] == ["pod", "pod-2", "pod"]


class TestOwners:
    def test_pods_of_a_deployment_are_gangs_of_one_named_like_themselves(self) -> None:
        found = gangs(world([deployed(n) for n in (1, 2)], workloads=deployment())).gangs
        assert [(g.name, g.min_member, len(g.members), g.workload.kind, g.workload.name) for g in found] == [
            ("web-abc-1", 1, 1, "Deployment", "web"),
            ("web-abc-2", 1, 1, "Deployment", "web"),
        ]

    def test_min_member_makes_a_gang_of_all_pods_of_the_owner_named_like_it(self) -> None:
        it = world([deployed(n) for n in (1, 2, 3)], workloads=deployment(annotations={names.MIN_MEMBER: "2"}))
        gang = _one(it)
        assert (gang.name, gang.min_member, len(gang.members), gang.waiting) == ("web", 2, 3, None)
        assert gang.owner == Ref(kind="Deployment", name="web", uid="uid-web", api_version="apps/v1")

    def test_min_member_on_the_pod_comes_before_that_on_the_workload(self) -> None:
        it = world([deployed(n, annotations={names.MIN_MEMBER: "1"}) for n in (1, 2)], workloads=deployment(annotations={names.MIN_MEMBER: "2"}))
        assert _one(it).min_member == 1

    def test_a_min_member_that_is_a_word_makes_the_gang_wait(self) -> None:
        it = world([deployed(n) for n in (1, 2)], workloads=deployment(annotations={names.MIN_MEMBER: "two"}))
        wait = _waiting(it)
        assert wait.code == "PodGroupInvalid"
        assert "'two'" in wait.message
        assert gangs(it, scheduler_name=None).problems == (wait.problem,)

    def test_a_min_member_above_the_pods_is_bad_input_of_a_plan(self) -> None:
        it = world([deployed(n) for n in (1, 2)], workloads=deployment(annotations={names.MIN_MEMBER: "3"}))
        (problem,) = gangs(it, scheduler_name=None).problems
        assert (problem.object, problem.found) == (f"Deployment/{NS}/web", "3")

    def test_where_the_deployments_uid_is_unknown_the_record_belongs_to_the_replica_set(self) -> None:
        gang = _one(world([deployed(1, annotations={names.MIN_MEMBER: "1"})]))
        assert (gang.name, gang.workload.kind, gang.owner.kind, gang.owner.uid) == ("web", "Deployment", "ReplicaSet", "uid-web-abc")

    def test_annotations_of_the_workload_speak_for_its_lone_pods(self) -> None:
        gang = _one(world([deployed(1)], workloads=deployment(annotations={names.REQUIRED_TOPOLOGY: "rack"})))
        assert gang.demand.required == "rack"

    def test_a_lone_pod_is_its_own_gang_and_owner(self) -> None:
        gang = _one(world([loose("p")]))
        assert (gang.name, gang.min_member, gang.workload, gang.owner) == (
            "p",
            1,
            Ref(kind="Pod", name="p", uid="uid-p", api_version="v1"),
            gang.workload,
        )

    def test_a_lone_pod_that_asks_for_more_members_waits(self) -> None:
        assert _waiting(world([loose("p", annotations={names.MIN_MEMBER: "2"})])).code == "MembersMissing"


class TestKnative:
    def _pod(self, number: int, **fields: Any) -> Pod:
        labels = {names.KNATIVE_REVISION: "rev-1", names.KNATIVE_REVISION_UID: "uid-rev", names.KNATIVE_SERVICE: "svc"}
        return deployed(number, name="rev-1-deployment", labels=labels, **fields)

    def test_the_first_pod_of_a_revision_waits_for_nobody(self) -> None:
        gang = _one(world([self._pod(1)]))
        assert (gang.name, gang.min_member, gang.waiting) == ("rev-1", 1, None)

    def test_later_pods_are_elastic_members_beside_the_running_ones(self) -> None:
        gang = _one(world([self._pod(1, on="n1"), self._pod(2)]))
        assert (gang.min_member, len(gang.fixed), len(gang.pending)) == (1, 1, 1)

    def test_min_member_in_the_template_makes_the_initial_set_a_gang(self) -> None:
        assert _waiting(world([self._pod(1, annotations={names.MIN_MEMBER: "2"})])).code == "MembersMissing"

    def test_the_record_belongs_to_the_revision_and_the_workload_is_the_service(self) -> None:
        gang = _one(world([self._pod(1)]))
        assert (gang.owner.kind, gang.owner.name, gang.owner.uid) == ("Revision", "rev-1", "uid-rev")
        assert (gang.workload.kind, gang.workload.name) == ("Service", "svc")

    def test_annotations_of_the_service_speak_for_its_revision(self) -> None:
        service = Workload(kind="Service", namespace=NS, name="svc", annotations={names.REQUIRED_TOPOLOGY: "rack"})
        assert _one(world([self._pod(1)], workloads=[service])).demand.required == "rack"


class TestPriorityAndClock:
    def test_without_a_class_the_highest_priority_of_the_members_counts(self) -> None:
        pods = [loose("p-0", group="g", priority=5), loose("p-1", group="g", priority_class="high")]
        assert _one(world(pods, groups=[pod_group(min_member=2)], priorities={"high": 7})).priority == 7

    def test_the_class_of_the_pod_group_counts_even_when_it_is_lower(self) -> None:
        pods = [loose("p-0", group="g", priority=5)]
        assert _one(world(pods, groups=[pod_group(min_member=1, priority_class="low")], priorities={"low": 1})).priority == 1

    def test_a_class_that_does_not_exist_is_said(self) -> None:
        gang = _one(world([loose("p", group="g", priority=5)], groups=[pod_group(min_member=1, priority_class="hihg")], priorities={"high": 1}))
        assert gang.priority == 5
        assert "high" in gang.advice[0].message

    def test_the_clock_starts_when_min_member_members_exist(self) -> None:
        pods = [loose(f"p-{n}", group="g", created=float(n)) for n in (10, 30, 20)]
        assert _one(world(pods, groups=[pod_group(min_member=2)])).created == 20.0

    def test_the_clock_of_a_late_member_starts_when_it_comes(self) -> None:
        pods = [loose("p-0", group="g", created=1.0, on="n1"), loose("p-1", group="g", created=500.0)]
        assert _one(world(pods, groups=[pod_group(min_member=1)])).created == 500.0

    def test_leader_ready_starts_the_clock_with_the_leader(self) -> None:
        assert _one(world([lws_pod(0, size=3, created=9.0)], workloads=[_lws(), *lws_sets(size=3)[:1]])).created == 9.0


class TestGates:
    def test_a_gang_that_needs_a_gated_member_waits_and_names_the_gate(self) -> None:
        pods = [loose("p-0", group="g"), loose("p-1", group="g", gates=("example.com/gate",))]
        wait = _waiting(world(pods, groups=[pod_group(min_member=2)]))
        assert wait.code == "Gated"
        assert "example.com/gate" in wait.message

    def test_a_gated_pod_that_is_not_needed_is_left_out_with_advice(self) -> None:
        pods = [loose("p-0", group="g"), loose("p-1", group="g", gates=("example.com/gate",))]
        gang = _one(world(pods, groups=[pod_group(min_member=1)]))
        assert (names_of(gang), gang.waiting) == (["p-0"], None)
        assert "p-1" in gang.advice[0].message

    def test_a_lone_gated_pod_waits(self) -> None:
        assert _waiting(world([loose("p", gates=("g",))])).code == "Gated"


class TestWhoIsOurs:
    def test_pods_of_other_schedulers_are_not_ours_and_all_are_in_a_plan(self) -> None:
        it = world([loose("p", scheduler_name="default-scheduler")])
        assert gangs(it).gangs == ()
        assert [g.name for g in gangs(it, scheduler_name=None).gangs] == ["p"]

    def test_another_scheduler_name_can_be_ours(self) -> None:
        assert [g.name for g in gangs(world([loose("p", scheduler_name="mine")]), scheduler_name="mine").gangs] == ["p"]

    def test_a_gang_without_pending_members_is_settled(self) -> None:
        grouping = gangs(world([lws_pod(0, on="n1"), lws_pod(1, on="n2")], workloads=lws_sets()))
        assert (grouping.gangs, [g.name for g in grouping.settled]) == ((), ["r1-0"])

    def test_a_lone_bound_pod_is_told_about_only_when_it_is_asked_for(self) -> None:
        it = world([loose("p", on="n1")])
        assert gangs(it, scheduler_name=None).settled == ()
        assert [g.name for g in gangs(it, scheduler_name=None, lone={loose("p").uid}).settled] == ["p"]


class TestPolicies:
    def _problems(self, pods: Sequence[Pod]) -> list[str]:
        it = world(pods, policies=[policy("a", created=1), policy("b", created=2)])
        return [p.object for p in gangs(it, scheduler_name=None).problems]

    def test_two_default_policies_are_bad_input_of_a_plan_in_that_namespace(self) -> None:
        assert self._problems([loose("p")]) == [f"TopologyPolicy/{NS}/b"]

    def test_two_default_policies_elsewhere_are_not(self) -> None:
        assert self._problems([loose("p", namespace="other")]) == []

    def test_live_both_get_advice_and_the_gang_is_decided(self) -> None:
        grouping = gangs(world([loose("p")], policies=[policy("a", created=1, required="rack"), policy("b", created=2)]))
        assert [a.object for a in grouping.advice] == ["TopologyPolicy/a", "TopologyPolicy/b"]
        assert (grouping.gangs[0].waiting, grouping.gangs[0].demand.required) == (None, "rack")


def test_members_keep_what_they_ask_for() -> None:
    gang = _one(world([loose("p", gpus=3)]))
    assert gang.members[0].pod.shape.requests == Resources({"nvidia.com/gpu": 3, "pods": 1})
