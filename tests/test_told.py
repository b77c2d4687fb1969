"""What is accepted but means nothing is told, and what is refused on the command line is told in the words of all bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from scheduler import plan
from scheduler.cli.app import app
from scheduler.dryexplain import explain
from scheduler.dryrun import Question, observe
from scheduler.replay import documents
from scheduler.state.problems import BadInput, InputProblem
from scheduler.topology_report import topology_report
from tests import raw

SPINE = "fabric.topograph.run/tier-1"
ROOT = Path(__file__).parents[1]
DEMO = str(ROOT / "fixtures/clusters/demo.yaml")
MANIFEST = str(ROOT / "fixtures/manifests/deepseek-r1.yaml")


def nodes(spines: str) -> list[raw.Raw]:
    """Return one node in a rack of its own per letter, in the spine of that letter."""
    found = [raw.node(f"n{i}", rack=f"r{i}") for i in range(len(spines))]
    for each, spine in zip(found, spines, strict=True):
        each["metadata"]["labels"][SPINE] = spine
    return found


def told(cluster: list[raw.Raw], *layers: tuple[int, str], **spec: Any) -> list[tuple[str, str, str, str]]:
    segments = [{"size": size, "requiredTopology": level} for size, level in layers]
    pods = [raw.pod(f"t-{i}", gpus=1, labels={raw.POD_GROUP: "train"}) for i in range(4)]
    report = plan([raw.pod_group(minimum=4, segments=segments, **spec), *pods], cluster=cluster)
    return [(a.level, a.object, a.field, a.message) for a in report.advice]


def test_an_inner_segment_in_a_wider_level_is_told_to_ask_for_nothing_more() -> None:
    (advice,) = told(nodes("aabb"), (4, "rack"), (2, "spine"))
    assert advice[:3] == ("info", "PodGroup/train", "spec.segments[1]")
    assert advice[3] == (
        "Segments of 2 members in one spine ask for nothing more: each segment of 4 members is in one rack already, and each rack lies in one spine."
    )
    assert told(nodes("aabb"), (1, "rack"), requiredTopology="rack")[0][3].startswith("Segments of 1 member in one rack ask for nothing more")
    assert "that is the same level" in told(nodes("aabb"), (4, "rack"), (2, "rack"))[0][3]
    assert "the whole gang is in one rack already" in told(nodes("aabb"), (2, "spine"), requiredTopology="rack")[0][3]


def test_segments_that_ask_for_more_or_for_what_the_labels_do_not_imply_get_no_advice() -> None:
    assert told(nodes("aabb"), (4, "spine"), (2, "rack")) == []
    bare = [raw.node(f"m{i}", rack="r") for i in range(2)]  # without a spine: each is one of its own
    assert [row for row in told([*nodes("a"), *bare], (4, "rack"), (2, "spine")) if "nothing more" in row[3]] == []


def test_explain_tells_of_idle_segments_too() -> None:
    group = raw.pod_group(minimum=1, segments=[{"size": 4, "requiredTopology": "rack"}, {"size": 2, "requiredTopology": "spine"}])
    question = Question(objects=(), cluster=tuple(documents([*nodes("aabb"), group, raw.pod("t-0", gpus=1, labels={raw.POD_GROUP: "train"})])))
    assert ["nothing more" in a.message for a in explain("train", question).report.advice] == [True]


def test_a_manifest_without_a_workload_is_told_to_have_nothing_to_plan_and_what_was_read() -> None:
    report = plan([raw.node("n9"), raw.node("n8"), raw.policy(rack=1)], cluster=nodes("a"))
    (advice,) = report.advice
    assert (advice.level, advice.object, report.gangs) == ("warning", "objects", [])
    assert advice.message.startswith(
        "There is nothing to plan: no pod is asked for. What was read: Node (2), TopologyPolicy (1). A plan is about Pod, "
    )


def test_a_workload_of_no_pods_is_told_and_one_with_pods_is_not() -> None:
    assert any("Deployment (1)" in a.message for a in plan([raw.deployment(replicas=0)], cluster=nodes("a")).advice)
    assert plan([raw.deployment(replicas=1)], cluster=nodes("a")).advice == []


def test_the_topology_tells_which_nodes_are_over_committed_in_which_resource_by_how_much() -> None:
    pods = [raw.pod(f"p{i}", on="n0", gpus=6) for i in range(2)] + [raw.pod("q", on="n1", gpus=8)]
    report = topology_report(observe(tuple(documents([*nodes("aab"), *pods]))))
    (warning,) = [w for w in report.warnings if w.code == "OverCommitted"]
    assert (warning.nodes, warning.count, warning.level) == (["n0"], 1, "")
    assert "1 node is over-committed in nvidia.com/gpu" in warning.message
    assert "n0 (short of 4)" in warning.message
    many = [raw.pod(f"p{i}", on=f"n{i}", gpus=9) for i in range(7)]
    (warning,) = [w for w in topology_report(observe(tuple(documents([*nodes("aaaaaaa"), *many])))).warnings if w.code == "OverCommitted"]
    assert (len(warning.nodes), warning.count) == (5, 7)
    assert "and 2 more" in warning.message


def nobody(name: str, namespace: str = "default", scheduler: str = "coterie") -> InputProblem:
    pend = raw.pod("pend", gpus=1, namespace="default")
    pend["spec"]["schedulerName"] = scheduler
    question = Question(objects=(), cluster=tuple(documents([*nodes("a"), pend])), namespace=namespace)
    with pytest.raises(BadInput) as error:
        explain(name, question)
    return error.value.problems[0]


def test_a_gang_that_does_not_exist_is_told_with_its_namespace_and_the_nearest_name() -> None:
    assert str(nobody("pnd")) == "GANG: found no gang pnd in namespace default, expected a gang that exists; nearest: pend"
    assert str(nobody("zzz")).endswith("expected a gang that exists; there are: pend")
    assert str(nobody("pend", "team")).endswith("expected a gang that exists; pend is in namespace default (-n)")
    assert str(nobody("pnd", "team")).startswith("GANG: found no gang pnd in namespace team, expected a gang with schedulerName coterie")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["plan", "-f", MANIFEST, "--cluster", DEMO, *words])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--engine", "simplex"], "bad input: --engine: found simplex, expected auto, tree or cpsat\n"),
        (["-o", "xml"], "bad input: --output: found xml, expected table, json or yaml\n"),
        (["--budget", "0"], "bad input: --budget: found 0, expected a number of at least 0.001\n"),
        (["--budget", "inf"], "bad input: --budget: found inf, expected a number of at most 1,000,000\n"),
        (["--budget", "much"], "bad input: --budget: found much, expected a number\n"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_as_all_bad_input(words: list[str], sentence: str) -> None:
    done = run(*words)
    assert (done.exit_code, done.stderr, done.stdout) == (2, sentence, "")


def test_a_program_reads_the_problem_of_an_option_as_of_any_field() -> None:
    done = run("-o", "json", "--budget", "0")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == 2
    assert [(p["field"], p["found"]) for p in found["problems"]] == [("--budget", "0")]


def test_an_option_that_nobody_knows_is_still_answered_with_the_nearest() -> None:
    done = run("--pernode")
    assert done.exit_code == 2
    assert "--per-node" in done.stderr
