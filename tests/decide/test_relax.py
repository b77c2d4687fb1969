"""Relaxations: which changes are offered for which obstacle, smallest first, each tried, never more trials than allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from scheduler.decide import filters, relax_changes
from scheduler.decide.place import Checks, place
from scheduler.decide.relax import relax
from scheduler.decide.relax_changes import Raw
from scheduler.kube.group import annotations as edge
from scheduler.kube.group import names
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.gang import Demand, Gang
from scheduler.state.ids import NodeName
from scheduler.state.objects import HostPort, Ref, Taint
from scheduler.state.plan import Placed, Plan, Relaxation
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, gang, node, pod, shape, snapshot

CHECKS = Checks(allowed=filters.allowed, conflicts=filters.conflicts, refusals=filters.refusals)
RESERVED = Taint(key="gpu", value="reserved")


class Trials:
    """Places what-ifs and counts them."""

    made = 0

    def __call__(self, world: Snapshot, who: Gang) -> Plan:
        self.made += 1
        return place(world, who, engines.default, Budget(), CHECKS, explained=False)


def _offers(world: Snapshot, who: Gang, raw: Raw | None = None, kind: str | None = None) -> list[Relaxation]:
    assert not isinstance(place(world, who, engines.default, Budget(), CHECKS), Placed), "the gang fits as it is"
    return [one for one in relax(world, who, Trials(), raw).relaxations if kind in (None, one.kind)]


def _raw(*objects: Mapping[str, Any]) -> Raw:
    known = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in objects}
    return lambda kind, namespace, name: known.get((kind, namespace, name)) or known.get((kind, "", name))


def _manifest(spec: Mapping[str, Any] | None = None, **annotated: str) -> dict[str, Any]:
    """Write the LeaderWorkerSet of `builders.gang`, with annotations of the workload by name (``required_topology="rack"``)."""
    found = {f"coterie.dev/{key.replace('_', '-')}": value for key, value in annotated.items()}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "train", "namespace": "ai", **({"annotations": found} if found else {})},
        "spec": {"leaderWorkerTemplate": {"size": 2, "workerTemplate": {"spec": {"containers": [], **(spec or {})}}}},
    }


def _deleted(one: Relaxation) -> list[str]:
    return [change["delete"]["name"] for change in one.changes]


def test_fewest_gpus_are_freed_then_lower_priority_and_only_what_is_needed() -> None:
    world = snapshot(
        [node("n1"), node("n2"), node("n3")],
        [
            *(pod(f"small-{i}", on="n1", gpus=1) for i in range(8)),
            pod("half", on="n2", gpus=4, priority=5),
            pod("other", on="n3", gpus=4, priority=1),
        ],
    )
    first = _offers(world, gang(pods=1, gpus=8), kind="free")[0]
    assert _deleted(first) == ["other"]
    assert first.summary == "free 4 GPUs on n3 (pod default/other)"


def test_a_pod_that_gives_nothing_is_not_deleted_with_its_neighbours() -> None:
    world = snapshot([node("n1")], [pod("gpu", on="n1", gpus=3), pod("web", on="n1", gpus=0)])
    assert [_deleted(one) for one in _offers(world, gang(pods=1, gpus=8), kind="free")] == [["gpu"]]


def test_each_domain_gives_its_own_offer_and_the_smaller_one_comes_first() -> None:
    nodes = [node(f"n{i}", rack=f"r{i // 2}") for i in range(4)]
    busy = [pod("a", on="n0", gpus=6), pod("b", on="n2", gpus=2)]
    offers = _offers(snapshot(nodes, busy), gang(pods=2, demand=Demand(required="rack")), kind="free")
    assert [_deleted(one) for one in offers] == [["b"], ["a"]]


def test_the_system_daemons_the_gang_itself_and_pods_that_are_no_objects_are_never_deleted() -> None:
    daemon = replace(pod("daemon", on="n1", gpus=1), owner=Ref(kind="DaemonSet", name="d"))
    system = pod("dns", on="n2", gpus=1, namespace="kube-system")
    who = gang(pods=2, gpus=8, on={0: "n3"}, demand=Demand(required="rack"))
    nodes = [node(f"n{i}", rack="r") for i in (1, 2, 3)]
    world = snapshot(nodes, [daemon, system, *(m.pod for m in who.fixed)])
    assert _offers(world, who, kind="free") == []
    planned = snapshot([node("n1")], [pod("seat", on="n1")])
    assert _offers(planned, gang(pods=1), _raw(_manifest()), kind="free") == []
    assert len(_offers(planned, gang(pods=1), kind="free")) == 1


def test_pods_whose_host_port_is_in_the_way_are_found() -> None:
    port = shape(gpus=0, ports=(HostPort(port=80),))
    world = snapshot([node("n1")], [pod("web", on="n1", of=port), pod("other", on="n1", gpus=0)])
    assert [_deleted(one) for one in _offers(world, gang(pods=1, worker=port), kind="free")] == [["web"]]


def test_the_required_level_is_widened_one_step_where_that_is_enough_and_the_change_is_made_where_it_was_said() -> None:
    nodes = [node(f"n{i}", rack=f"r{i}", spine="s") for i in range(2)]
    who = gang(pods=2, demand=Demand(required="rack"))
    (found,) = _offers(snapshot(nodes), who, _raw(_manifest(required_topology="rack")), kind="widen")
    assert found.summary == "require one spine (fabric.topograph.run/tier-1) instead of one rack (fabric.topograph.run/tier-0)"
    (change,) = found.changes
    assert change["ops"] == [
        {"op": "replace", "path": "/metadata/annotations/coterie.dev~1required-topology", "value": "fabric.topograph.run/tier-1"}
    ]


def test_a_level_from_a_policy_is_overruled_on_the_workload_and_not_changed_for_others() -> None:
    policy = {"kind": "TopologyPolicy", "metadata": {"name": "p", "namespace": "ai"}, "spec": {"requiredTopology": "rack"}}
    demand = Demand(required="rack", source="TopologyPolicy ai/p")
    nodes = [node(f"n{i}", rack=f"r{i}", spine="s") for i in range(2)]
    (found,) = _offers(snapshot(nodes), gang(pods=2, demand=demand), _raw(_manifest(), policy), kind="widen")
    assert found.changes[0]["patch"]["kind"] == "LeaderWorkerSet"
    assert found.changes[0]["ops"][0]["path"] == "/metadata/annotations"


def test_a_level_that_nobody_carries_is_replaced_by_the_nearest() -> None:
    nodes = [node(f"n{i}", rack="r") for i in range(2)]
    (found,) = _offers(snapshot(nodes), gang(pods=2, demand=Demand(required="raack")), kind="widen")
    assert found.summary == "require one rack (fabric.topograph.run/tier-0) instead of one raack"


def test_the_taint_of_most_nodes_is_tolerated_in_every_template() -> None:
    nodes = [node("n1", taints=[RESERVED]), node("n2", taints=[RESERVED]), node("n3", taints=[Taint(key="odd")])]
    manifest = _manifest({"tolerations": [{"key": "x", "operator": "Exists"}]})
    manifest["spec"]["leaderWorkerTemplate"]["leaderTemplate"] = {"spec": {"containers": []}}
    (found,) = _offers(snapshot(nodes), gang(pods=2), _raw(manifest), kind="tolerate")
    wanted = {"key": "gpu", "operator": "Equal", "value": "reserved", "effect": "NoSchedule"}
    assert found.summary == "tolerate the taint {gpu: reserved}"
    assert found.changes[0]["ops"] == [
        {"op": "add", "path": "/spec/leaderWorkerTemplate/workerTemplate/spec/tolerations/-", "value": wanted},
        {"op": "add", "path": "/spec/leaderWorkerTemplate/leaderTemplate/spec/tolerations", "value": [wanted]},
    ]


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        (("accelerator", "h10O"), "select accelerator=h100 instead of accelerator=h10O, which no node carries"),
        (("acelerator", "h100"), "select accelerator=h100 instead of acelerator=h100, which no node carries"),
    ],
)
def test_a_misspelled_selector_gets_the_nearest_spelling_first(selector: tuple[str, str], says: str) -> None:
    world = snapshot([node("n1", labels={"accelerator": "h100"}), node("n2", labels={"accelerator": "a100"})])
    offers = _offers(world, gang(pods=1, worker=shape(node_selector=(selector,))))
    assert (offers[0].kind, offers[0].summary) == ("relabel", says)


def test_nodes_without_a_selected_label_can_be_labelled_as_few_as_a_placement_takes() -> None:
    world = snapshot([node(f"n{i}") for i in range(4)])
    offers = _offers(world, gang(pods=2, gpus=8, worker=shape(gpus=8, node_selector=(("pool", "gpu"),))), kind="relabel")
    (found,) = [one for one in offers if one.summary.startswith("label ")]
    assert found.summary.startswith("label 2 nodes pool=gpu")
    assert [change["ops"][0] for change in found.changes] == [{"op": "add", "path": "/metadata/labels/pool", "value": "gpu"}] * 2


def test_only_the_cordoned_nodes_that_are_needed_are_uncordoned() -> None:
    world = snapshot([node("n1"), node("n2", unschedulable=True), node("n3", unschedulable=True)])
    (found,) = _offers(world, gang(pods=2), kind="uncordon")
    assert [change["ops"] for change in found.changes] == [[{"op": "remove", "path": "/spec/unschedulable"}]]


def test_min_member_is_lowered_to_the_most_that_fits_but_never_for_groups_of_one_size() -> None:
    world = snapshot([node("n1"), node("n2")])
    loose = replace(gang(pods=4), workload=Ref(kind="PodGroup", name="g"))
    group = {"apiVersion": "scheduling.run.ai/v1", "kind": "PodGroup", "metadata": {"name": "g", "namespace": "ai"}, "spec": {"minMember": 4}}
    (found,) = _offers(world, loose, _raw(group), kind="lowerMinMember")
    assert found.changes[0]["ops"] == [{"op": "replace", "path": "/spec/minMember", "value": 2}]
    assert _offers(world, gang(pods=4), kind="lowerMinMember") == []


def test_split_members_can_be_restarted_where_a_controller_makes_them_again() -> None:
    who = gang(pods=2, gpus=4, on={0: "n0", 1: "n1"}, demand=Demand(required="rack"))
    world = snapshot([node("n0", rack="r0"), node("n1", rack="r1")], [m.pod for m in who.fixed])
    (found,) = _offers(world, who, _raw(_manifest(required_topology="rack")), kind="restart")
    assert _deleted(found) == ["train-0", "train-1"]


def test_nodes_of_a_shape_that_exists_are_added_in_the_nearest_domain_and_as_few_as_needed() -> None:
    nodes = [node("n0", rack="r0"), node("n1", rack="r1"), node("n2", rack="r1")]
    (found,) = _offers(snapshot(nodes), gang(pods=4, demand=Demand(required="rack")), kind="addNodes")
    made = [change["create"] for change in found.changes]
    assert [one["metadata"]["labels"][RACK] for one in made] == ["r1", "r1"]
    assert made[0]["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert made[0]["metadata"]["name"] == "added-1"


def test_where_no_shape_of_node_would_do_nodes_are_as_large_as_the_pods() -> None:
    (found,) = _offers(snapshot([node("n0")]), gang(pods=2, gpus=16), kind="addNodes")
    assert [change["create"]["status"]["allocatable"]["nvidia.com/gpu"] for change in found.changes] == ["16", "16"]


def test_contradictory_wishes_still_get_an_offer() -> None:
    odd = shape(node_name=NodeName("n0"), node_selector=(("pool", "a"),))
    world = snapshot([node("n0", taints=[RESERVED], gpus=0)])
    assert _offers(world, gang(pods=1, worker=odd), _raw(_manifest({"nodeName": "n0", "nodeSelector": {"pool": "a"}}))) != []


def test_no_more_trials_are_made_than_allowed_and_one_offer_is_found_in_few() -> None:
    world = snapshot([node(f"n{i}", taints=[Taint(key=f"k{i}")], unschedulable=True) for i in range(12)])
    trials = Trials()
    found = relax(world, gang(pods=3, worker=shape(gpus=1, node_selector=(("pool", "a"),))), trials, tries=10).relaxations
    assert trials.made <= 10
    assert [one.kind for one in found] == ["addNodes"]


def test_offers_do_not_depend_on_the_order_of_nodes_and_pods() -> None:
    nodes = [node(f"n{i}", rack=f"r{i // 2}") for i in range(6)]
    busy = [pod(f"p{i}", on=f"n{i % 6}", gpus=1 + i % 3) for i in range(12)]
    who = gang(pods=2, demand=Demand(required="rack"))
    assert _offers(snapshot(nodes, busy), who) == _offers(snapshot(nodes[::-1], busy[::-1]), who)


def test_the_names_of_annotations_are_those_of_the_edge() -> None:
    assert relax_changes.REQUIRED == edge.REQUIRED
    assert tuple((row.size, row.level, row.alone) for row in edge.SEGMENTS) == relax_changes.SEGMENTS
    assert relax_changes.SLICES == names.KUEUE_SLICES
    assert (relax_changes.NVLINK, relax_changes.MIN_MEMBER) == (names.NVLINK, names.MIN_MEMBER)


def _levels(level: str) -> list[Relaxation]:
    nodes = [node(f"n{at}", rack=f"r{at}", spine="s0", gpus=2) for at in range(3)]
    return _offers(snapshot(nodes), gang(pods=3, worker=shape(gpus=2), demand=Demand(required=level)))


@pytest.mark.parametrize(
    ("level", "key"),
    [("nvlink", "accelerator.topograph.run/domain"), ("core", "fabric.topograph.run/tier-2"), ("example.com/row", "example.com/row")],
)
def test_new_nodes_carry_the_label_key_of_a_level_that_no_node_carries(level: str, key: str) -> None:
    (found,) = [one for one in _levels(level) if one.kind == "addNodes"]
    assert all(change["create"]["metadata"]["labels"][key] == "added" for change in found.changes)


def test_a_misspelt_level_is_corrected_or_widened_and_never_becomes_a_label() -> None:
    assert [(one.kind, one.summary) for one in _levels("spin")] == [("widen", "require one spine (fabric.topograph.run/tier-1) instead of one spin")]
    assert [one.summary for one in _levels("raack")] == ["require one spine (fabric.topograph.run/tier-1) instead of one raack"]


def test_what_is_dropped_beside_new_nodes_is_what_the_gang_demands() -> None:
    who = gang(pods=2, worker=shape(gpus=4, node_name=NodeName("n1")), demand=Demand(required="raack"))
    (found,) = _offers(snapshot([node("n1", rack="r0", gpus=2)]), who, kind="addNodes")
    assert found.summary.endswith("(added-1, added-2), and drop the required level and nodeName")
