"""``from scheduler import plan``: what programs get, in the words of the page on the report."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from scheduler import BadInput, Budget, plan
from scheduler.cli.common import EngineName
from scheduler.dryrun import Question, answer
from scheduler.replay import documents
from scheduler.report import PlacementReport, dump
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Solver
from tests.raw import POD_GROUP, Raw, deployment, lws, lws_pod, node, pod, pod_group, policy, spec

RACKS = [node("n1", rack="r1"), node("n2", rack="r1"), node("n3", rack="r2"), node("n4", rack="r2"), node("n5", rack="r2")]


def timeless(report: PlacementReport) -> Any:
    """Return the report as JSON values without the one field that the promise leaves out."""
    found = json.loads(report.model_dump_json(by_alias=True))
    for gang in found["gangs"]:
        assert gang["decision"].pop("milliseconds") >= 0
    return found


def seats(report: PlacementReport) -> dict[str, str | None]:
    return {m.pod: m.node for gang in report.gangs for m in gang.members}


def outcome(objects: Iterable[Raw], cluster: Any) -> list[str]:
    return [gang.status for gang in plan(list(objects), cluster=cluster).gangs]


def test_the_report_says_where_each_pod_goes() -> None:
    report = plan([lws(required_topology="rack", size=3)], cluster=RACKS)
    (gang,) = report.gangs
    assert (gang.status, gang.name, gang.workload.kind) == ("OPTIMAL", "serve-0", "LeaderWorkerSet")
    assert sorted(str(node) for node in seats(report).values()) == ["n3", "n4", "n5"]
    assert (report.cluster.nodes, report.cluster.pods, report.problems) == (5, 0, [])


def test_what_json_prints_is_the_dump_of_the_report() -> None:
    report = plan([lws()], cluster=RACKS)
    assert report.model_dump(mode="json", by_alias=True) == dump(report)
    assert json.loads(json.dumps(dump(report))) == dump(report)


def test_a_cluster_may_be_a_list_object_or_several() -> None:
    def listed(*items: Raw) -> Raw:
        return {"apiVersion": "v1", "kind": "List", "items": list(items)}

    wanted = timeless(plan([lws()], cluster=RACKS))
    assert timeless(plan([lws()], cluster=listed(*RACKS))) == wanted
    assert timeless(plan([lws()], cluster=[listed(*RACKS[:2]), {"apiVersion": "v1", "kind": "NodeList", "items": RACKS[2:]}])) == wanted
    assert timeless(plan([listed(lws())], cluster=iter(RACKS))) == wanted


def test_neither_argument_is_changed() -> None:
    objects, cluster = [lws(replicas=2)], [*RACKS, pod("use", on="n1", gpus=2)]
    before = json.dumps([objects, cluster])
    plan(objects, cluster=cluster, per_node=True)
    assert json.dumps([objects, cluster]) == before


def test_the_same_arguments_give_the_same_bytes() -> None:
    def ask() -> str:
        report = plan([lws(replicas=3, size=2), deployment(replicas=2)], cluster=[*RACKS, pod("use", on="n1", gpus=2)], per_node=True)
        return json.dumps(timeless(report))

    assert ask() == ask()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_input_changes_nothing_but_the_order_of_what_it_lists(seed: int) -> None:
    objects = [policy(rack=10, host=1), lws("a"), lws("b", size=3, required_topology="rack"), pod("c", gpus=1)]
    cluster = [*RACKS, pod("use-1", on="n1", gpus=2, namespace="x"), pod("use-2", on="n3", gpus=1, namespace="x")]
    shuffled = random.Random(seed)  # noqa: S311 - a test that repeats
    wanted = timeless(plan(objects, cluster=cluster))
    assert timeless(plan(shuffled.sample(objects, len(objects)), cluster=shuffled.sample(cluster, len(cluster)))) == wanted


def test_neither_uids_nor_timestamps_nor_conditions_are_needed() -> None:
    bare = timeless(plan([lws()], cluster=[*RACKS, pod("use", on="n1")]))
    about = {"uid": "0f", "resourceVersion": "7", "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 3, "managedFields": []}

    def dressed(raw: Raw) -> Raw:
        status = {**raw.get("status", {}), "conditions": [{"type": "Ready", "status": "True"}]}
        return {**raw, "metadata": {**raw["metadata"], **about, "uid": f"uid-{raw['metadata']['name']}"}, "status": status}

    assert timeless(plan([dressed(lws())], cluster=[dressed(raw) for raw in (*RACKS, pod("use", on="n1"))])) == bare


def test_planned_objects_replace_their_namesakes() -> None:
    cluster = [*RACKS, lws(size=2), policy(rack=5)]
    report = plan([lws(size=3), policy(host=7)], cluster=cluster)
    assert [(gang.min_member, len(gang.members), gang.cost) for gang in report.gangs] == [(3, 3, 14)]


def test_policies_and_groups_of_the_cluster_count() -> None:
    cluster = [*RACKS, policy(host=7), pod_group("train", minimum=2)]
    report = plan([pod(f"t-{i}", labels={POD_GROUP: "train"}) for i in range(2)], cluster=cluster)
    assert [(gang.name, gang.cost, gang.demand) for gang in report.gangs] == [("train", 7, "TopologyPolicy default/policy")]


def test_a_workload_of_the_cluster_that_nobody_asks_about_is_not_planned() -> None:
    report = plan([pod("p")], cluster=[*RACKS, lws("other"), pod("waiting", labels={POD_GROUP: "none"})])
    assert [gang.name for gang in report.gangs] == ["p"]


def test_bound_pods_of_a_leaderworkerset_stay_where_they_are() -> None:
    cluster = [*RACKS, lws_pod(0, on="n1", size=2), lws_pod(1, on="n5", size=2)]
    report = plan([lws(size=2, preferred_topology="rack")], cluster=cluster)
    (gang,) = report.gangs
    assert [(m.pod, m.node, m.bound) for m in gang.members] == [("serve-0", "n1", True), ("serve-0-1", "n5", True)]
    assert (gang.status, gang.cost, gang.bound) == ("OPTIMAL", 100, 100)


def test_a_bound_leader_draws_its_worker_to_its_rack() -> None:
    report = plan([lws(size=2, required_topology="rack")], cluster=[*RACKS, lws_pod(0, on="n1", size=2)])
    assert seats(report) == {"serve-0": "n1", "serve-0-1": "n2"}
    assert [m.bound for m in report.gangs[0].members] == [True, False]


def of_replica_set(name: str) -> Raw:
    """Return a pod of the Deployment web that runs on n4, as its ReplicaSet made it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f", "uid": "rs", "controller": True}
    return pod(name, on="n4", gpus=4, labels={"app": "web", "pod-template-hash": "5d8f"}, ownerReferences=[owner])


def test_bound_pods_of_a_deployment_stand_for_as_many_planned_ones() -> None:
    running = [of_replica_set("web-5d8f-x2k4v"), of_replica_set("web-5d8f-q9z7p")]
    report = plan([deployment(replicas=3, min_member="3")], cluster=[*RACKS, *running])
    (gang,) = report.gangs
    assert (gang.status, gang.min_member) == ("OPTIMAL", 3)
    assert sorted((str(m.node), m.bound) for m in gang.members)[-2:] == [("n4", True), ("n4", True)]
    assert [m.bound for m in gang.members].count(False) == 1


def test_pods_of_a_running_deployment_are_reported_though_each_is_alone() -> None:
    running = [of_replica_set("web-5d8f-x2k4v"), of_replica_set("web-5d8f-q9z7p"), pod("stranger", on="n5")]
    report = plan([deployment(replicas=3)], cluster=[*RACKS, *running])
    assert sorted(m.bound for gang in report.gangs for m in gang.members) == [False, True, True]
    assert {gang.name for gang in report.gangs} >= {"web-5d8f-x2k4v", "web-5d8f-q9z7p"}


def test_a_workload_that_runs_as_a_whole_is_reported_with_its_cost() -> None:
    cluster = [*RACKS, lws_pod(0, on="n1"), lws_pod(1, on="n2")]
    assert outcome([lws()], cluster) == ["OPTIMAL"]


@pytest.mark.parametrize(
    ("other", "room"),
    [
        (pod("other", on="n1"), False),
        (pod("other", on="n1", phase="Pending"), False),
        (pod("other", on="n1", deletionTimestamp="2026-01-01T00:00:00Z"), False),
        (pod("other", on="n1", phase="Succeeded"), True),
        (pod("other", on="n1", phase="Failed"), True),
        (pod("other"), True),
        (pod("other", on="elsewhere"), True),
    ],
    ids=["running", "bound", "terminating", "succeeded", "failed", "without a node", "on a node that is not there"],
)
def test_which_pods_of_the_cluster_hold_room(other: Raw, *, room: bool) -> None:
    assert outcome([pod("p")], [node("n1"), other]) == ["OPTIMAL" if room else "INFEASIBLE"]


def test_a_nominated_pod_holds_room_against_its_equals_alone() -> None:
    coming = {**pod("coming"), "spec": spec(priority=5), "status": {"phase": "Pending", "nominatedNodeName": "n1"}}
    urgent = {**pod("p"), "spec": spec(priority=6)}
    assert outcome([pod("p")], [node("n1"), coming]) == ["INFEASIBLE"]
    assert outcome([urgent], [node("n1"), coming]) == ["OPTIMAL"]


def test_seats_of_an_earlier_gang_are_taken_for_the_next() -> None:
    assert outcome([pod("a"), pod("b")], [node("n1")]) == ["OPTIMAL", "INFEASIBLE"]


def test_missing_scheduler_name_is_advice_and_the_pods_are_planned() -> None:
    report = plan([lws(scheduler="")], cluster=RACKS)
    assert [gang.status for gang in report.gangs] == ["OPTIMAL"]
    assert [(a.level, a.object, a.field) for a in report.advice] == [
        ("warning", "LeaderWorkerSet/serve", "spec.leaderWorkerTemplate.workerTemplate.spec.schedulerName")
    ]
    assert "coterie" in report.advice[0].message
    assert plan([lws()], cluster=RACKS).advice == []


def test_per_node_lists_every_role_and_node_whatever_the_status() -> None:
    tainted = {**node("n6"), "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}
    report = plan([lws(size=7)], cluster=[*RACKS, tainted], per_node=True)
    (gang,) = report.gangs
    assert gang.status == "INFEASIBLE"
    assert gang.nodes is not None
    every = list(itertools.product(sorted({m.role for m in gang.members}), ["n1", "n2", "n3", "n4", "n5", "n6"]))
    assert sorted((row.role, row.node) for row in gang.nodes) == every
    assert {(row.node, row.fits, tuple(c.check for c in row.checks)) for row in gang.nodes} == {
        *((name, True, ()) for name in ("n1", "n2", "n3", "n4", "n5")),
        ("n6", False, ("TaintToleration",)),
    }


def test_without_per_node_the_field_is_not_there() -> None:
    assert "nodes" not in dump(plan([lws()], cluster=RACKS))["gangs"][0]


def test_objects_without_a_namespace_land_in_the_one_that_is_given() -> None:
    report = plan([lws(), policy(host=3)], cluster=RACKS, namespace="ai")
    assert [(gang.namespace, gang.cost) for gang in report.gangs] == [("ai", 3)]


def test_a_budget_that_is_spent_is_no_proof() -> None:
    """With next to no budget the answer may be found or not, but it is never called infeasible."""
    report = plan([lws(size=4)], cluster=RACKS, budget=Budget(deterministic_seconds=1e-9))
    assert report.gangs[0].status in {"OPTIMAL", "FEASIBLE", "UNKNOWN"}


def test_bad_input_raises_with_every_problem_and_its_document() -> None:
    with pytest.raises(BadInput) as error:
        plan([lws(size=0), pod("p", gpus=-1)], cluster=RACKS)
    assert [(p.file, p.document, p.object) for p in error.value.problems] == [
        ("objects", 1, "LeaderWorkerSet/default/serve"),
        ("objects", 2, "Pod/default/p"),
    ]


def test_bad_input_that_only_the_whole_shows_names_its_document() -> None:
    with pytest.raises(BadInput) as error:
        plan([pod("t-0", labels={POD_GROUP: "train"}), pod_group("train", minimum=2)], cluster=RACKS)
    (problem,) = error.value.problems
    assert (problem.document, problem.field, problem.found) == (2, "spec.minMember", "2")


def test_what_is_wrong_with_the_cluster_is_told_as_the_clusters() -> None:
    with pytest.raises(BadInput) as error:
        plan([pod("p")], cluster=[node("n1", gpus=-1)])
    assert (error.value.problems[0].file, error.value.problems[0].object) == ("cluster", "Node/n1")


@pytest.mark.parametrize("cluster", [[], {"apiVersion": "v1", "kind": "List", "items": []}, [pod("use", on="n1")]])
def test_a_cluster_without_nodes_is_bad_input(cluster: Any) -> None:
    with pytest.raises(BadInput) as error:
        plan([pod("p")], cluster=cluster)
    assert error.value.problems[0].found.startswith("0 nodes")


def test_nothing_to_plan_is_a_report_without_gangs() -> None:
    assert plan([], cluster=RACKS).gangs == []


def test_the_answer_keeps_the_cluster_as_it_was_before() -> None:
    found = answer(Question(objects=tuple(documents([lws()])), cluster=tuple(documents(RACKS))))
    assert [gang.status for gang in found.report.gangs] == ["OPTIMAL"]
    assert dict(found.snapshot.pods) == {}


def test_an_infeasible_gang_always_has_a_relaxation() -> None:
    worlds = ([lws(size=9)], [pod("p", gpus=99)], [lws(required_topology="no/such")], [lws(nvlink="required")])
    for objects in worlds:
        (gang,) = plan(objects, cluster=RACKS).gangs
        assert gang.unplaced is not None
        assert (gang.status, len(gang.unplaced.relaxations) > 0) == ("INFEASIBLE", True)


def test_loading_the_solver_is_no_part_of_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = engines.solver()

    def slow(_engine: engines.Engine, loading: Callable[[], AbstractContextManager[None]]) -> Solver:
        def solve(problem: Problem, budget: Budget) -> Solution:
            with loading():
                time.sleep(2)
            return quick(problem, budget)

        return solve

    plan([lws()], cluster=RACKS)  # everything else is loaded
    monkeypatch.setattr(engines, "solver", slow)
    (gang,) = plan([lws()], cluster=RACKS).gangs
    assert gang.decision.milliseconds < 2000


def test_the_solver_is_loaded_apart_when_it_is_asked() -> None:
    loaded: list[bool] = []

    @contextmanager
    def loading() -> Iterator[None]:
        yield
        loaded.append(True)

    nodes = [node("n0", gpus=4), node("n1", gpus=2), node("n2", gpus=2)]
    train = [pod_group(minimum=4), *(pod(f"p{at}", gpus=gpus, labels={POD_GROUP: "train"}) for at, gpus in enumerate((1, 1, 1, 3)))]
    question = Question(objects=tuple(documents(train, file="objects")), cluster=tuple(documents(nodes, file="cluster")))
    (gang,) = answer(replace(question, solver=engines.solver("cpsat", loading))).report.gangs
    assert (gang.decision.engine, loaded) == ("cpsat", [True])


def tray(name: str, rack: str, clique: str) -> Raw:
    """Return a node with an NVLink domain."""
    found = node(name, rack=rack)
    found["metadata"]["labels"]["nvidia.com/gpu.clique"] = clique
    return found


ACROSS = [tray("n1", "r1", "k1"), tray("n2", "r1", "k2"), tray("n3", "r2", "k1"), tray("n4", "r2", "k2")]
"""NVLink domains that lie across the racks."""


def test_either_engine_alone_gives_the_same_cost_and_says_that_it_decided() -> None:
    found = {engine: plan([lws()], cluster=RACKS, engine=engine).gangs[0] for engine in engines.ENGINES}
    assert {engine: gang.decision.engine for engine, gang in found.items()} == {"auto": "tree", "tree": "tree", "cpsat": "cpsat"}
    assert {(gang.status, gang.cost, gang.bound) for gang in found.values()} == {("OPTIMAL", found["auto"].cost, found["auto"].cost)}


def test_an_engine_that_cannot_express_the_gang_says_so() -> None:
    (gang,) = plan([lws()], cluster=ACROSS, engine="tree").gangs
    assert gang.unplaced is not None
    assert (gang.status, gang.unplaced.reason, gang.decision.engine) == ("UNSUPPORTED", "EngineCannot", "tree")
    assert "do not nest" in gang.unplaced.message
    (gang,) = plan([lws()], cluster=ACROSS).gangs
    assert gang.status == "OPTIMAL"


def test_a_forced_engine_still_explains_a_no() -> None:
    for engine in ("tree", "cpsat"):
        (gang,) = plan([lws(size=9)], cluster=RACKS, engine=engine).gangs
        assert gang.unplaced is not None
        assert (gang.status, len(gang.unplaced.relaxations) > 0, gang.unplaced.fits) == ("INFEASIBLE", True, 5)


def test_an_engine_that_nobody_knows_is_bad_input() -> None:
    with pytest.raises(BadInput, match="expected auto or tree or cpsat"):
        plan([lws()], cluster=RACKS, engine="fast")  # type: ignore[arg-type]
    assert {name.value for name in EngineName} == set(engines.ENGINES)


def test_a_forced_engine_decides_gangs_alone_and_tells_the_one_that_loses_by_it() -> None:
    """Together both fit: first can lie in r2, which is of no use to second."""
    cluster = [node("n1", rack="r1"), node("n2", rack="r1"), node("n3", rack="r2", gpus=4), node("n4", rack="r2", gpus=4)]
    rivals = [lws("first", gpus=4, required_topology="rack"), lws("second", gpus=8, required_topology="rack")]
    assert [gang.status for gang in plan(rivals, cluster=cluster).gangs] == ["OPTIMAL", "OPTIMAL"]
    for engine in ("tree", "cpsat"):
        _, second = plan(rivals, cluster=cluster, engine=engine).gangs
        assert second.unplaced is not None
        assert (second.status, second.unplaced.beside) == ("INFEASIBLE", ["default/first-0"])
        assert f"decided alone, because --engine {engine} was asked for" in second.advice[-1].message
    (hopeless,) = plan([lws(size=9)], cluster=cluster, engine="tree").gangs
    assert hopeless.advice == []
