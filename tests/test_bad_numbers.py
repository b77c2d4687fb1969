"""Numbers that nobody can mean get a clear answer through `scheduler.plan` and the command line: no crash, no wrong proof, no long wait."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler import BadInput, Budget, plan
from scheduler.bench.exact import judged
from scheduler.bench.families import FAMILIES, draw
from scheduler.bench.small import PODS, SmallWorld
from scheduler.report import GangReport
from scheduler.solve import engines
from scheduler.state.problems import InputProblem
from tests import raw

ROOT = Path(__file__).parents[1]
NAN, INF = float("nan"), float("inf")
NO_NUMBERS = (NAN, INF, -INF, "1", 1.5, True)
LARGEST = 2**60
"""The largest amount of anything that is read."""


def nodes(count: int = 4, **fields: Any) -> list[raw.Raw]:
    return [raw.node(f"n{i}", rack=f"r{i // 2}", **fields) for i in range(count)]


def loose(count: int) -> list[raw.Raw]:
    return [raw.pod(f"train-{i}", gpus=1, labels={raw.POD_GROUP: "train"}) for i in range(count)]


def answer(objects: list[raw.Raw], cluster: list[raw.Raw] | None = None) -> GangReport:
    (row,) = plan(objects, cluster=nodes() if cluster is None else cluster).gangs
    return row


def refused(objects: list[raw.Raw], cluster: list[raw.Raw] | None = None) -> tuple[str, str, str]:
    """Return field, found and expected of the first problem."""
    with pytest.raises(BadInput) as error:
        plan(objects, cluster=nodes() if cluster is None else cluster)
    first = error.value.problems[0]
    return first.field, first.found, first.expected


def segmented(*layers: dict[str, Any]) -> list[raw.Raw]:
    return [raw.pod_group(minimum=4, segments=list(layers)), *loose(4)]


def layer(size: object, level: object = "rack") -> dict[str, Any]:
    return {"size": size, "requiredTopology": level}


@pytest.mark.parametrize("value", [*NO_NUMBERS, None, 0, -1, 10**6 + 1, 2**63, 10**400])
def test_a_weight_is_a_whole_number_from_one_to_a_million(value: object) -> None:
    field, _, expected = refused([raw.policy(rack=value), raw.lws()])  # type: ignore[arg-type]  # what is no weight
    assert field == "spec.preferredTopology[0].weight"
    assert "number" in expected


def test_a_policy_prefers_at_most_sixteen_levels() -> None:
    most = {f"level-{i}": 10 for i in range(16)}
    assert answer([raw.policy("policy", **most), raw.lws(gpus=1)]).status == "OPTIMAL"
    field, _, expected = refused([raw.policy("policy", **most, level=10), raw.lws(gpus=1)])
    assert (field, expected.partition(",")[0]) == ("spec.preferredTopology", "a list of at most 16 entries")
    assert refused([raw.policy("policy", **{f"level-{i}": 10 for i in range(5000)}), raw.lws(gpus=1)])[0] == "spec.preferredTopology"


def test_a_pod_group_has_at_most_eight_layers_of_segments_as_its_definition_says() -> None:
    layers = [layer(2 ** (9 - i)) for i in range(9)]
    assert answer(segmented(*layers[:8])).status == "OPTIMAL"
    assert refused(segmented(*layers))[0] == "spec.segments"


def test_the_largest_weights_on_many_domains_add_up_exactly() -> None:
    policy = raw.policy(rack=10**6, host=10**6)
    cluster = [raw.node(f"n{i}", rack=f"r{i}", gpus=1) for i in range(300)]
    row = answer([policy, raw.lws(size=300, gpus=1)], cluster)
    assert (row.status, row.cost, row.bound) == ("OPTIMAL", 2 * 299 * 10**6, 2 * 299 * 10**6)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -1, 2**31])
def test_min_member_and_segment_sizes_are_whole_numbers_of_at_least_one(value: object) -> None:
    assert refused([raw.pod_group(minimum=value), *loose(2)])[0] == "spec.minMember"  # type: ignore[arg-type]  # what is no number
    assert refused(segmented(layer(value)))[0] == "spec.segments[0].size"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e3", "2.0", "", " 2", "9" * 30, "٣"])
def test_a_segment_size_in_an_annotation_is_a_whole_number_too(text: str) -> None:
    field, found, expected = refused([raw.lws(size=4, segment_size=text, segment_required_topology="rack")])
    assert field == "metadata.annotations[coterie.dev/segment-size]"
    assert text in found
    assert expected.startswith("a whole number from 1")


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([layer(4), layer(3, "host")], "spec.segments[1].size"),
        ([layer(2), layer(4, "host")], "spec.segments[1].size"),
        ([layer(2), layer(2)], "spec.segments[1].size"),
        ([layer(2, "")], "spec.segments[0].requiredTopology"),
        ([layer(2, " rack")], "spec.segments[0].requiredTopology"),
        ([layer(2, NAN)], "spec.segments[0].requiredTopology"),
    ],
    ids=["does not divide", "larger inside", "the same twice", "no level", "a space", "no text"],
)
def test_segments_that_contradict_each_other_are_bad_input(layers: list[dict[str, Any]], field: str) -> None:
    assert refused(segmented(*layers))[0] == field


def test_segments_in_a_circle_of_levels_demand_all_of_them() -> None:
    row = answer(segmented(layer(2, "rack"), layer(2, "host"), layer(2, "rack")))
    assert row.status == "OPTIMAL"
    on = [m.node for m in row.members]
    assert (on[0], on[2]) == (on[1], on[3])


def test_a_segment_larger_than_the_gang_holds_all_of_it() -> None:
    row = answer(segmented(layer(2**31 - 1)))
    assert (row.status, len({m.node for m in row.members})) == ("OPTIMAL", 1)


@pytest.mark.parametrize("value", [NAN, INF, -INF, "NaN", "inf", ".nan", -1, "-1", 0.5, LARGEST + 1, 2**70, 1e30, [], {}])
def test_an_amount_is_a_whole_number_that_can_be_counted(value: object) -> None:
    assert refused([raw.pod("a", gpus=value)])[0] == "spec.containers[0].resources.limits.nvidia.com/gpu"  # type: ignore[arg-type]
    assert refused([raw.pod("a")], [raw.node("n0", gpus=value)])[0] == "status.allocatable.nvidia.com/gpu"  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2**31, -(2**31) - 1])
def test_priorities_and_ports_are_numbers_that_kubernetes_takes(value: object) -> None:
    pod = raw.pod("a", gpus=1)
    pod["spec"]["priority"] = value
    assert refused([pod])[0] == "spec.priority"
    listening = raw.pod("a", gpus=1)
    listening["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": value}]
    assert refused([listening])[0] == "spec.containers[0].ports[0].hostPort"


@pytest.mark.parametrize("text", [".nan", ".inf", "-.inf", "1e999"])
def test_yaml_has_words_for_what_is_no_number_and_they_are_refused(text: str) -> None:
    manifest = json.dumps([raw.pod_group(minimum=2), *loose(2)]).replace('"minMember": 2', f'"minMember": {text}')
    done = coterie("plan", "-f", "-", "--cluster", "fixtures/clusters/h100-box.yaml", text=f"apiVersion: v1\nkind: List\nitems: {manifest}\n")
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("engine", ["auto", "cpsat"])
@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.checks], ids=lambda family: family.name)
def test_amounts_near_the_largest_are_decided_as_small_ones_are(family: Any, engine: Any) -> None:
    """What fits does not depend on the unit; only `fits` of a refusal, which is counted with smaller numbers, is left out here."""
    for number in range(8):
        small = judged(draw(5, number, family), engines.solver(engine))
        large = judged(scaled(draw(5, number, family), 2**46), engines.solver(engine))
        assert small.mismatch == ""
        assert (large.placed, "fit, expected" in large.mismatch or not large.mismatch) == (small.placed, True), large.mismatch


def scaled(world: SmallWorld, factor: int) -> SmallWorld:
    def larger(amounts: Any) -> dict[str, int]:
        return {name: amount if name == PODS else amount * factor for name, amount in amounts.items()}

    return replace(
        world,
        nodes=tuple(replace(node, room=larger(node.room)) for node in world.nodes),
        others=tuple(replace(pod, asks=larger(pod.asks)) for pod in world.others),
        shapes=tuple(replace(shape, asks=larger(shape.asks)) for shape in world.shapes),
    )


@pytest.mark.parametrize("amount", [1, 2**48])
def test_what_is_over_committed_has_nothing_left_and_that_is_said(amount: int) -> None:
    cluster = [raw.node("n0", gpus=amount), raw.pod("x", on="n0", gpus=amount), raw.pod("y", on="n0", gpus=amount), raw.node("n1", gpus=amount)]
    row = answer([raw.pod("a", gpus=amount)], cluster)
    assert (row.status, row.members[0].node) == ("OPTIMAL", "n1")
    both = answer([raw.lws(size=2, gpus=amount)], cluster)
    assert both.unplaced is not None
    assert (both.status, both.unplaced.fits) == ("INFEASIBLE", 1)
    assert all(room.room >= 0 and min(room.short.values(), default=0) >= 0 for room in both.unplaced.rooms)
    for found in (row, both):
        assert any("over-committed (n0)" in a.message and "nothing is left" in a.message for a in found.advice)


def test_a_level_with_one_domain_a_node_is_a_level_like_any_other() -> None:
    cluster = [raw.node(f"n{i}", rack=f"r{i}") for i in range(400)]
    assert answer([raw.lws(size=2, gpus=4, required_topology="rack")], cluster).status == "OPTIMAL"
    alone = answer([raw.lws(size=3, gpus=4, required_topology="rack")], cluster)
    assert (alone.status, alone.unplaced and alone.unplaced.reason) == ("INFEASIBLE", "NoDomainHoldsAll")
    apart = answer([raw.policy(rack=3), raw.lws(size=100)], cluster)
    assert (apart.status, apart.cost) == ("OPTIMAL", 3 * 99)
    pairs = answer([raw.policy(rack=3), raw.lws(size=100, gpus=4, segment_size="2", segment_required_topology="rack")], cluster)
    assert (pairs.status, pairs.cost) == ("OPTIMAL", 3 * 49)


def job(parallelism: int) -> raw.Raw:
    spec = {"parallelism": parallelism, "completions": parallelism, "template": {"spec": raw.spec()}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}


@pytest.mark.parametrize(
    "objects",
    [
        [raw.deployment(replicas=10**6)],
        [raw.deployment(replicas=10**6, min_member="1000000")],
        [raw.lws(size=10**6)],
        [raw.lws(size=2**31 - 1, replicas=2**31 - 1)],
        [job(10**6)],
    ],
    ids=["Deployment", "Deployment as a gang", "LeaderWorkerSet", "LeaderWorkerSet of the largest numbers", "Job"],
)
def test_a_million_pods_are_refused_before_any_is_made(objects: list[raw.Raw]) -> None:
    _, _, expected = refused(objects)
    assert expected.partition(";")[0] == "a workload of at most 100,000 pods"


@pytest.mark.parametrize(
    ("size", "replicas", "field", "found"),
    [
        (10**6, 2, "spec.leaderWorkerTemplate.size", 10**6),
        (2, 10**6, "spec.replicas", 10**6),
        (1000, 101, "spec.leaderWorkerTemplate.size", 1000),
    ],
)
def test_too_many_groups_or_too_large_ones_name_a_number_that_was_written_and_both_factors(size: int, replicas: int, field: str, found: int) -> None:
    told = refused([raw.lws(size=size, replicas=replicas)])
    assert told[:2] == (field, str(found))
    assert told[2].endswith(f"; size {size:,} times replicas {replicas:,} is {size * replicas:,}")
    assert refused([raw.lws(size=size, replicas=replicas)], [*nodes(), raw.lws("other")])[:2] == told[:2]


def test_a_million_pods_of_many_workloads_are_refused_as_soon_as_they_are_too_many() -> None:
    """The first one is small, so that little is made; the second alone would be let in."""
    field, found, expected = refused([raw.deployment("a", replicas=10), raw.deployment("b", replicas=100_000)])
    assert field == "spec"
    assert found == "100,000 pods beside 10 of the workloads before it"
    assert expected == "at most 100,000 pods to plan in all"


@pytest.mark.parametrize("field", ["deterministic_seconds", "wall_seconds", "seed", "workers"])
@pytest.mark.parametrize("value", [-1, NAN, INF, -INF])
def test_a_budget_is_a_number_above_zero(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"budget: {field}: found"):
        Budget(**{field: value})  # type: ignore[arg-type]  # what is no budget


def test_no_budget_at_all_is_refused_and_the_least_one_ends_without_a_wrong_answer() -> None:
    for field in ("deterministic_seconds", "wall_seconds", "workers"):
        with pytest.raises(ValueError, match="found 0"):
            Budget(**{field: 0})
    objects = [raw.pod_group(minimum=2), *[raw.pod(f"train-{i}", gpus=1 + i % 3, labels={raw.POD_GROUP: "train"}) for i in range(6)]]
    (row,) = plan(objects, cluster=nodes(gpus=3), budget=Budget(deterministic_seconds=1e-9)).gangs
    assert row.status in ("OPTIMAL", "FEASIBLE", "UNKNOWN")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e400", "much"])
def test_the_command_refuses_a_budget_that_is_none(value: str) -> None:
    done = coterie("plan", "-f", "fixtures/manifests/deepseek-r1.yaml", "--cluster", "fixtures/clusters/demo.yaml", f"--budget={value}")
    assert done.returncode == 2
    assert "--budget" in done.stderr
    assert "Traceback" not in done.stderr


def coterie(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scheduler", *arguments], cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("value", [NAN, INF, 10**30, -1, "", "x" * 5000, [], {}, None, True, 0])
def test_whatever_stands_where_a_number_belongs_is_answered_or_refused_but_never_crashes(value: object) -> None:
    """Every number of a manifest, a node and a running pod is replaced in turn."""
    objects = [raw.pod_group(minimum=2, segments=[layer(2)], scheduleTimeoutSeconds=60), raw.policy(rack=5), *loose(2), raw.lws(), raw.deployment()]
    cluster = [*nodes(2), raw.pod("busy", on="n0", gpus=1)]
    for part, index, path in [(p, i, path) for p, whole in enumerate((objects, cluster)) for i, o in enumerate(whole) for path in numbers(o)]:
        changed = copy.deepcopy((objects, cluster))
        put(changed[part][index], path, value)
        problems = problems_of(*changed)
        assert all(problem.expected for problem in problems), (path, value)


def problems_of(objects: list[raw.Raw], cluster: list[raw.Raw]) -> tuple[InputProblem, ...]:
    try:
        plan(objects, cluster=cluster)
    except BadInput as error:
        return tuple(error.problems)
    return ()


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all numbers, those in quotes too."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in numbers(inner, (*path, key))]
    if isinstance(value, list):
        return [found for key, inner in enumerate(value) for found in numbers(inner, (*path, key))]
    return [path] if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else []


def put(value: Any, path: tuple[Any, ...], new: object) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
