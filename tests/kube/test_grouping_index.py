"""The index of groups: kept up event by event it says the same as one built anew, and it looks only at what has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.kube.group import assemble, grouping, names
from scheduler.kube.group.grouping import Index, gangs
from scheduler.state.objects import Pod
from scheduler.state.world import World
from tests.kube.worlds import NS, deployed, deployment, loose, lws_pod, lws_sets, pod_group, policy, world


def _population() -> list[Pod]:
    pods = [lws_pod(n, group=g, size=3, labels={names.POD_GROUP: "g"}) for g in range(2) for n in range(3)]
    pods += [lws_pod(1, group=0, size=3, leader="-old", on="n9"), lws_pod(2, group=1, size=4, leader="-old")]
    pods += [loose(f"l-{n}", group="h", gpus=n % 3, on="n1" if n == 2 else None) for n in range(5)]
    pods += [loose("k", annotations={names.KAI_POD_GROUP: "h"}), loose("missing", group="none"), loose("alone")]
    pods += [deployed(n, annotations={names.REQUIRED_TOPOLOGY: f"level-{n}"}) for n in range(3)]
    pods += [loose("other", scheduler_name="default-scheduler"), loose("joined", group="h", scheduler_name="default-scheduler")]
    return pods


def _world(pods: list[Pod], *, reverse: bool = False) -> World:
    it = world(
        pods,
        groups=[pod_group("g", min_member=2), pod_group("h", min_member=4), pod_group("nobody", min_member=3)],
        policies=[policy("a", required="rack", created=2), policy("b", created=1)],
        workloads=[*lws_sets(groups=2, size=3), *deployment(annotations={names.MIN_MEMBER: "2"})],
    )
    if not reverse:
        return it
    return World(
        pods=it.pods,
        pod_groups=dict(reversed(list(it.pod_groups.items()))),
        policies=dict(reversed(list(it.policies.items()))),
        workloads=dict(reversed(list(it.workloads.items()))),
    )


@settings(max_examples=60, deadline=None)
@given(st.permutations(_population()), st.booleans(), st.sampled_from([None, names.SCHEDULER_NAME]))
def test_the_order_of_objects_never_matters(pods: list[Pod], reverse: bool, scheduler: str | None) -> None:
    assert gangs(_world(pods, reverse=reverse), scheduler_name=scheduler) == gangs(_world(_population()), scheduler_name=scheduler)


_CHANGES = st.lists(
    st.tuples(st.integers(0, len(_population()) - 1), st.sampled_from(["remove", "add", "bind", "end", "finish", "label"])), max_size=25
)


def _change(pod: Pod, how: str) -> Pod:
    changed = {
        "bind": replace(pod, node="n3", phase="Running"),  # type: ignore[arg-type]  # a node's name is a string
        "end": replace(pod, terminating=True),
        "finish": replace(pod, phase="Succeeded"),
        "label": replace(pod, labels={**pod.labels, names.POD_GROUP: "h"}),
    }
    return changed.get(how, pod)


@settings(max_examples=80, deadline=None)
@given(_CHANGES)
def test_an_index_kept_up_event_by_event_says_what_one_built_anew_says(changes: list[tuple[int, str]]) -> None:
    population = _population()
    current = _world(population)
    index = Index.of(current)
    gangs(current, index=index)
    pods = dict(current.pods)
    for position, how in changes:
        pod = _change(population[position], how)
        if how == "remove":
            pods.pop(pod.uid, None)
            index.remove(pod.uid)
        else:
            pods[pod.uid] = pod
            index.apply(pod, current)
        current = replace(current, pods=dict(pods))
    assert gangs(current, index=index) == gangs(current)


_NAMED = ("g", "h", "nobody", "none", "hh", f"{names.NATIVE_GROUPS}/native", f"{names.X_K8S_GROUPS}/h")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_NAMED), st.sampled_from([None, 1, 2, 9])), max_size=12))
def test_pod_groups_that_come_change_and_go_are_taken_in_one_by_one(changes: list[tuple[str, int | None]]) -> None:
    pods = [*_population(), loose("native", scheduling_group="native"), loose("native-2", scheduling_group="native")]
    current = _world(pods)
    index = Index.of(current)
    gangs(current, index=index)
    for name, least in changes:
        space, _, plain = name.rpartition("/")
        found = dict(current.pod_groups)
        found.pop((NS, name), None)
        if least is not None:
            found[NS, name] = replace(pod_group(plain, min_member=least), api_version=f"{space or names.RUN_AI}/v1")
        current = replace(current, pod_groups=found)
        index.changed("PodGroup", NS, name, current)
        assert gangs(current, index=index) == gangs(current)


def test_a_pod_group_costs_the_groups_that_name_it_or_lack_one_a_look_and_no_others() -> None:
    pods = [*(loose(f"{group}-{n}", group=group) for group in ("a", "b", "c") for n in range(2)), loose("alone")]
    it = world(pods, groups=[pod_group("a", min_member=2), pod_group("b", min_member=2)])
    index = Index.of(it)
    gangs(it, index=index)
    index.changed("PodGroup", NS, "a", it)
    assert {ref.name for ref in index.dirty} == {"a", "c"}  # c lacks its PodGroup: this might have been it


def test_a_gang_that_is_busy_stays_as_it_was_until_it_is_busy_no_more() -> None:
    pods = [loose(f"{group}-{n}", group=group) for group in ("a", "b") for n in range(2)]
    it = world(pods, groups=[pod_group("a", min_member=2), pod_group("b", min_member=2)])
    index = Index.of(it)
    first, other = gangs(it, index=index).gangs
    bound = [replace(pod, node="n1") for pod in pods]  # type: ignore[arg-type]  # a node's name is a string
    later = replace(it, pods={pod.uid: pod for pod in bound})
    for pod in bound:
        index.apply(pod, later)
    found = gangs(later, index=index, busy={first.key})
    assert (found.gangs, [gang.key for gang in found.settled]) == ((first,), [other.key])
    assert (index.stale({first.key}), index.stale()) == (False, True)
    assert gangs(later, index=index) == gangs(later)
    assert not index.stale()


def test_workloads_and_policies_that_come_later_are_taken_in() -> None:
    full, bare = _world(_population()), world(_population())
    index = Index.of(bare)
    gangs(bare, index=index)
    for kind, namespace, name in full.workloads:
        index.changed(kind, namespace, name, full)
    for kind in ("PodGroup", "TopologyPolicy"):
        index.changed(kind, NS, "any", full)
    assert gangs(full, index=index) == gangs(full)


def test_a_priority_class_that_comes_later_is_taken_in() -> None:
    pods = [loose("p", priority_class="high")]
    index = Index.of(world(pods))
    assert gangs(world(pods), index=index).gangs[0].priority == 0
    later = world(pods, priorities={"high": 9})
    index.changed("PriorityClass", "", "high", later)
    assert gangs(later, index=index).gangs[0].priority == 9


def test_a_worker_becomes_a_member_when_its_stateful_set_is_seen() -> None:
    pods = [lws_pod(0), lws_pod(1)]
    before, after = world(pods, workloads=lws_sets()[:1]), world(pods, workloads=lws_sets())
    index = Index.of(before)
    assert gangs(before, index=index).gangs[0].waiting is not None
    index.changed("StatefulSet", NS, "r1-0", after)
    assert gangs(after, index=index).gangs[0].waiting is None


def test_only_groups_that_changed_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [lws_pod(n, group=g) for g in range(20) for n in (0, 1)]
    it = world(pods, workloads=lws_sets(groups=20))
    index = Index.of(it)
    gangs(it, index=index)
    made: list[str] = []

    def counted(ref: grouping.GroupRef, members: tuple[Pod, ...], setting: assemble.Setting) -> assemble.Made:
        made.append(ref.name)
        return assemble.make(ref, members, setting)

    monkeypatch.setattr(grouping, "make", counted)
    bound = replace(pods[5], node="n1")  # type: ignore[arg-type]  # a node's name is a string
    index.apply(bound, it)
    assert {ref.name for ref in index.dirty} == {"r1-2"}
    gangs(replace(it, pods={**it.pods, bound.uid: bound}), index=index)
    assert made == ["r1-2"]
    assert index.dirty == frozenset()


def test_pods_that_others_schedule_are_not_kept() -> None:
    it = world([loose(f"p-{n}", scheduler_name="default-scheduler", on="n1") for n in range(10)])
    index = Index.of(it)
    assert all(index.group(uid) is None for uid in it.pods)


def test_an_emptied_index_holds_nothing() -> None:
    it = _world(_population())
    index = Index.of(it)
    gangs(it, index=index)
    for uid in it.pods:
        index.remove(uid)
    empty = replace(it, pods={})
    assert gangs(empty, index=index) == gangs(empty)
    assert not index._members  # noqa: SLF001 - nothing may leak over months of pods
    assert not index._readers  # noqa: SLF001 - as above
    assert not index._joined  # noqa: SLF001 - as above
    assert not index._results.made  # noqa: SLF001 - as above
    assert not index._results.unsure  # noqa: SLF001 - as above
    assert not index._results._rows  # noqa: SLF001 - as above


def test_the_pods_of_a_group_can_be_asked_for() -> None:
    it = world([lws_pod(0), lws_pod(1), loose("p")])
    index = Index.of(it)
    ref = index.group(lws_pod(1).uid)
    assert ref is not None
    assert {pod.name for pod in index.pods(ref)} == {"r1-0", "r1-0-1"}
