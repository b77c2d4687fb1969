"""The cache: what it gives out is what a cache built anew would give, never changes, and costs only what changed."""

from dataclasses import replace

from scheduler.state.assumed import Seating
from scheduler.state.events import Levels, PriorityClass, Synced, Unreadable
from scheduler.state.ids import NodeName, PodUid
from scheduler.state.record import Record
from scheduler.state.resources import GPU
from scheduler.state.world import PodGroup, TopologyPolicy, Workload
from tests.builders import gang, node, pod
from tests.state.caching import KEY, gone, held, plan, put, told
from topology import CustomLevel

# --- what counts


def test_a_bound_pod_takes_room_and_a_finished_one_gives_it_back() -> None:
    cache = told(node("n1"), pod("a", on="n1", gpus=4))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 4
    cache.apply(put(replace(pod("a", on="n1", gpus=4), phase="Succeeded")))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 8


def test_a_terminating_pod_still_takes_room() -> None:
    cache = told(node("n1"), replace(pod("a", on="n1", gpus=4), terminating=True))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 4


def test_a_pod_that_others_make_room_for_is_nominated_until_it_is_bound_or_gone() -> None:
    coming = replace(pod("a", gpus=4), nominated_node=NodeName("n1"))
    cache = told(node("n1"), coming)
    assert cache.nominated == (coming,)
    cache.apply(put(replace(coming, node=NodeName("n1"))))
    assert not cache.nominated
    cache.apply(put(coming))
    cache.apply(gone(coming))
    assert not cache.nominated


def test_a_pod_on_a_node_that_is_not_told_of_yet_counts_once_the_node_comes() -> None:
    cache = told(pod("a", on="n1", gpus=4))
    cache.apply(put(node("n1")))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 4


def test_an_unreadable_object_is_absent_until_it_is_corrected() -> None:
    cache = told(node("n1"))
    assert cache.apply(Unreadable(id=put(node("n1")).id, problem="no name"))
    assert (cache.snapshot().nodes, list(cache.problems.values())) == ({}, ["no name"])
    cache.apply(put(node("n1")))
    assert (list(cache.snapshot().nodes), cache.problems) == (["n1"], {})


def test_a_late_delete_of_a_former_pod_does_not_remove_the_one_that_bears_its_name() -> None:
    new = replace(pod("a", on="n1"), uid=PodUid("new"))
    cache = told(node("n1"), new)
    assert not cache.apply(gone(pod("a", on="n1")))
    assert list(cache.snapshot().pods) == ["new"]


def test_a_pod_under_a_name_whose_former_end_was_not_told_replaces_it() -> None:
    cache = told(node("n1"), pod("a", on="n1"), replace(pod("a", on="n1"), uid=PodUid("new")))
    assert list(cache.snapshot().pods) == ["new"]


def test_a_new_resource_version_alone_is_no_change_but_is_known() -> None:
    cache = told(replace(pod("a"), resource_version="1"))
    assert not cache.apply(put(replace(pod("a"), resource_version="2")))
    assert cache.world().pods[pod("a").uid].resource_version == "2"


def test_every_kind_of_object_stands_in_the_world_under_its_key() -> None:
    cache = told(
        PodGroup(namespace="ai", name="g"),
        TopologyPolicy(namespace="ai", name="p"),
        Workload(kind="Job", namespace="ai", name="w"),
        PriorityClass(name="high", value=7),
    )
    world = cache.world()
    assert list(world.pod_groups) == [("ai", "g")]
    assert list(world.policies) == [("ai", "p")]
    assert list(world.workloads) == [("Job", "ai", "w")]
    assert world.priorities == {"high": 7}
    assert cache.changes().objects == {("PodGroup", "ai", "g"), ("TopologyPolicy", "ai", "p"), ("Job", "ai", "w"), ("PriorityClass", "", "high")}
    assert cache.changes().objects == frozenset()


def test_a_version_alone_is_no_news_for_an_index_but_stands_in_the_world() -> None:
    cache = told(PodGroup(namespace="ai", name="g", min_member=2, resource_version="1"))
    cache.changes()
    before = cache.world()
    cache.apply(put(PodGroup(namespace="ai", name="g", min_member=2, resource_version="2")))
    assert cache.changes().objects == frozenset()
    assert cache.world().pod_groups["ai", "g"].resource_version == "2"
    cache.apply(put(PodGroup(namespace="ai", name="g", min_member=3, resource_version="3")))
    assert cache.changes().objects == {("PodGroup", "ai", "g")}
    cache.apply(gone(PodGroup(namespace="ai", name="g")))
    assert cache.changes().objects == {("PodGroup", "ai", "g")}
    assert list(before.pod_groups) == [("ai", "g")]


# --- sharing


def test_nothing_changed_means_the_same_snapshot_and_the_same_world() -> None:
    cache = told(node("n1"), pod("a", on="n1"))
    before = cache.snapshot(), cache.world()
    cache.apply(put(node("n1")))
    cache.apply(Synced(source="nodes"))
    assert (cache.snapshot() is before[0], cache.world() is before[1]) == (True, True)


def test_the_topology_is_built_anew_only_when_labels_or_levels_change() -> None:
    cache = told(node("n1", rack="r1"))
    first = cache.snapshot()
    cache.apply(put(pod("a", on="n1")))
    cache.apply(put(node("n1", rack="r1", unschedulable=True)))
    second = cache.snapshot()
    assert (second.topology is first.topology, second is first, cache.label_generation) == (True, False, 1)
    cache.apply(put(node("n1", rack="r2")))
    assert (cache.snapshot().topology is first.topology, cache.label_generation) == (False, 2)
    cache.apply(put(Levels(name="Topology/default", levels=(CustomLevel(key="my/row"),))))
    assert cache.label_generation == 3


def test_pods_alone_leave_every_other_part_of_the_world_shared() -> None:
    cache = told(PodGroup(namespace="ai", name="g"), TopologyPolicy(namespace="ai", name="p"), Workload(kind="Job", namespace="ai", name="w"))
    first = cache.world()
    cache.apply(put(pod("a")))
    second = cache.world()
    assert second.pods is not first.pods
    assert second.pod_groups is first.pod_groups
    assert second.policies is first.policies
    assert second.workloads is first.workloads
    assert second.priorities is first.priorities


def test_pods_alone_leave_nodes_and_the_tables_kept_for_them_shared() -> None:
    cache = told(node("n1"))
    first = cache.snapshot()
    cache.apply(put(pod("a", on="n1")))
    second = cache.snapshot()
    assert (second.nodes is first.nodes, second.memo is first.memo) == (True, True)
    cache.apply(put(node("n2")))
    assert cache.snapshot().memo is not first.memo


def test_two_users_of_the_cache_cannot_see_each_other() -> None:
    cache = told(node("n1"), node("n2"), pod("a"))
    mine, my_world = cache.snapshot(), cache.world()
    cache.assume(plan([pod("a")], ["n1"]))
    theirs = cache.snapshot()
    what_if = theirs.without([pod("a").uid])
    cache.apply(gone(node("n2")))
    assert (list(mine.nodes), list(mine.pods), my_world.pods[pod("a").uid].node) == (["n1", "n2"], [], None)
    assert (list(theirs.pods), list(theirs.used)) == ([pod("a").uid], ["n1"])
    assert (list(what_if.pods), what_if.used) == ([], {})


# --- assumed seats


def test_an_assumed_seat_takes_room_until_it_is_forgotten() -> None:
    cache = told(node("n1"), pod("a", gpus=4))
    cache.assume(plan([pod("a", gpus=4)], ["n1"]))
    assert (cache.snapshot().free(NodeName("n1")).amount(GPU), cache.world().pods[pod("a").uid].node) == (4, "n1")
    cache.forget(KEY)
    assert (cache.snapshot().free(NodeName("n1")).amount(GPU), cache.world().pods[pod("a").uid].node) == (8, None)


def test_the_watch_confirms_an_assumed_seat_and_forgetting_it_then_changes_nothing() -> None:
    cache = told(node("n1"), node("n2"), pod("a", gpus=4))
    cache.assume(plan([pod("a", gpus=4)], ["n1"]))
    cache.apply(put(pod("a", on="n2", gpus=4)))
    assert (cache.assumed(KEY), cache.assuming) == ((), frozenset())
    cache.forget(KEY)
    assert [cache.snapshot().free(NodeName(n)).amount(GPU) for n in ("n1", "n2")] == [8, 4]


def test_an_assumed_seat_is_over_when_its_pod_goes_finishes_or_is_replaced() -> None:
    for event in (
        gone(pod("a")),
        put(replace(pod("a"), terminating=True)),
        put(replace(pod("a"), phase="Failed")),
        put(replace(pod("a"), uid=PodUid("new"))),
    ):
        cache = told(node("n1"), pod("a"))
        cache.assume(plan([pod("a")], ["n1"]))
        cache.apply(event)
        assert (cache.snapshot().pods, cache.assuming) == ({}, frozenset()), event


def test_a_seat_for_a_pod_that_is_gone_already_is_not_assumed() -> None:
    cache = told(node("n1"))
    cache.assume(plan([pod("a")], ["n1"]))
    assert cache.snapshot().pods == {}


def test_the_seats_of_pods_that_do_not_exist_yet_all_take_room() -> None:
    cache = told(node("n1"))
    cache.assume(plan([held("a"), held("b")], ["n1", "n1"]))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 0
    assert cache.world().pods == {}, "a pod that does not exist is no member"


def test_a_held_seat_passes_to_its_pod_when_that_comes_and_is_over_when_it_is_bound() -> None:
    cache = told(node("n1"))
    cache.assume(plan([held("a")], ["n1"]))
    cache.apply(put(pod("a", gpus=4)))
    assert {uid: p.node for uid, p in cache.snapshot().pods.items()} == {pod("a").uid: "n1"}
    cache.apply(put(pod("a", on="n1", gpus=4)))
    assert (cache.snapshot().free(NodeName("n1")).amount(GPU), cache.assuming) == (4, frozenset())


def test_a_former_pod_under_the_name_of_a_held_seat_counts_beside_it() -> None:
    former = replace(pod("a", on="n1", gpus=4), uid=PodUid("former"), terminating=True)
    cache = told(node("n1"), former)
    cache.assume(plan([held("a")], ["n1"]))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 0
    cache.apply(gone(former))
    assert cache.snapshot().free(NodeName("n1")).amount(GPU) == 4


def test_assuming_again_replaces_what_was_assumed_for_the_gang() -> None:
    cache = told(node("n1"), node("n2"), pod("a"))
    cache.assume(plan([pod("a")], ["n1"]))
    cache.hold(KEY, [Seating(pod=pod("a"), node=NodeName("n2"))])
    assert cache.snapshot().used.keys() == {"n2"}


def test_compare_names_what_is_missing_what_is_too_much_and_what_differs() -> None:
    mine = told(node("n1"), node("n2", rack="r1"))
    theirs = told(node("n2", rack="r2"), node("n3"))
    found = mine.compare(theirs)
    assert [sentence.split(", ")[0].split(" as ")[0] for sentence in found] == [
        "Node n1 is cached",
        "Node n2 is cached",
        "Node n3 exists",
    ]
    assert mine.compare(told(node("n2", rack="r1"), node("n1"))) == ()


def test_a_what_if_costs_nothing_of_the_truth_of_its_tables() -> None:
    cache = told(node("n1"), node("n2"), pod("a", on="n1", gpus=2), pod("b", on="n2", gpus=3), pod("c"))
    base = cache.snapshot()
    seated = base.with_plan(plan([pod("c")], ["n2"]))
    for snapshot in (seated, base.without([pod("b").uid]), seated.without([pod("c").uid, pod("a").uid])):
        fresh = replace(snapshot)
        assert (snapshot.pods_on, snapshot.used) == (fresh.pods_on, fresh.used)
    assert seated.without([pod("c").uid]).pods == base.pods


def test_records_stand_by_namespace_and_name() -> None:
    record = Record(
        namespace="ai", name="train-1", uid="r", resource_version="1", gang=gang().owner, epoch=1, deadline=0.0, seats=(), observed_epoch=1
    )
    cache = told(record)
    assert cache.records == {("ai", "train-1"): record}
    cache.apply(gone(record))
    assert cache.records == {}
