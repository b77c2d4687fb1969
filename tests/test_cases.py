"""Every shipped case holds; and the runner tells expected from found, and a case from what is none."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from scheduler import cases, replay
from scheduler.state.problems import BadInput, InputProblem
from tests.raw import node, pod

FIXTURES = Path(__file__).parents[1] / "fixtures"
SHIPPED = cases.cases_in(FIXTURES)
WORLD = [node("n1", rack="r1"), node("n2", rack="r2", gpus=4)]
GOOD: dict[str, Any] = {"why": "four GPUs fill n2", "cluster": WORLD, "objects": [pod("p", gpus=4)], "expect": {"gangs": [{"status": "OPTIMAL"}]}}


@pytest.mark.parametrize("case", SHIPPED, ids=lambda case: f"{case.file.stem}: {case.name}")
def test_a_shipped_case_holds(case: cases.Case) -> None:
    result = cases.run(case)
    assert result.holds, "\n".join((case.why, *result.differences))


def test_shipped_cases_are_many_and_told_apart_by_name() -> None:
    names = [case.name for case in SHIPPED]
    assert len(names) >= 75
    assert sorted(names) == sorted(set(names))


def test_every_why_is_a_sentence() -> None:
    assert [case.name for case in SHIPPED if not case.why.endswith(".") or len(case.why.split()) < 4] == []


def test_the_case_that_the_readme_shows_holds(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "clusters").symlink_to(FIXTURES / "clusters")
    shown = re.search(r"```yaml\n(.*?)```", (FIXTURES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    (tmp_path / "cases" / "shown.yaml").write_text(shown[1], encoding="utf-8")
    assert [result.differences for result in cases.run_all([tmp_path / "cases"])] == [()]


def write(path: Path, *documents: object) -> Path:
    path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return path


def run(tmp_path: Path, **changes: object) -> tuple[str, ...]:
    """Run one case and return its differences."""
    (result,) = cases.run_all([write(tmp_path / "case.yaml", {**GOOD, **changes})])
    return result.differences


def problem(*paths: Path) -> InputProblem:
    with pytest.raises(BadInput) as error:
        cases.cases_in(*paths)
    return error.value.problems[0]


def test_a_case_that_holds_has_no_differences(tmp_path: Path) -> None:
    assert run(tmp_path) == ()


def test_a_wrong_expectation_fails_with_expected_against_found(tmp_path: Path) -> None:
    wrong = {"gangs": [{"status": "INFEASIBLE", "members": [{"pod": "p", "node": "n1"}]}]}
    assert set(run(tmp_path, expect=wrong)) == {
        'expect.gangs[0].status: expected "INFEASIBLE", found "OPTIMAL"',
        'expect.gangs[0].members[0].node: expected "n1", found "n2"',
    }


def test_a_field_that_the_report_does_not_have_is_a_difference(tmp_path: Path) -> None:
    assert run(tmp_path, expect={"gangs": [{"statuss": "OPTIMAL"}]}) == ('expect.gangs[0].statuss: expected "OPTIMAL", found no such field',)


def test_more_gangs_than_there_are_is_a_difference(tmp_path: Path) -> None:
    assert run(tmp_path, expect={"gangs": [{"name": "p"}, {"name": "q"}]}) == ('expect.gangs[1]: expected {"name": "q"}, found nothing more',)


def test_bad_input_that_was_not_expected_is_a_difference(tmp_path: Path) -> None:
    found = run(tmp_path, objects=[{"kind": "Pod"}])
    assert any("found no" in d or "found []" in d or "nothing more" in d for d in found)
    assert any("problems" in d and "apiVersion" in d for d in found)


def test_bad_input_that_was_expected_and_did_not_come_is_a_difference(tmp_path: Path) -> None:
    assert run(tmp_path, expect={"problems": [{"field": "kind"}]}) == ('expect.problems[0]: expected {"field": "kind"}, found nothing more',)


def test_objects_may_be_a_text_that_is_read_as_a_manifest(tmp_path: Path) -> None:
    assert run(tmp_path, objects=yaml.safe_dump(pod("p", gpus=4))) == ()
    assert run(tmp_path, objects="{", expect={"problems": [{"file": str(tmp_path / "case.yaml")}]}) == ()


def test_the_cluster_may_be_a_file_beside_the_case_compressed_or_not_with_objects_added(tmp_path: Path) -> None:
    (tmp_path / "capture.json.gz").write_bytes(gzip.compress(replay.write(WORLD)))
    use = pod("use", on="n2", gpus=1, namespace="other")
    assert run(tmp_path, cluster="capture.json.gz", expect={"gangs": [{"members": [{"node": "n2"}]}]}) == ()
    assert run(tmp_path, cluster=["capture.json.gz", use], expect={"gangs": [{"members": [{"node": "n1"}]}]}) == ()


def test_the_cluster_may_be_named_as_the_clusters_folder_does(tmp_path: Path) -> None:
    for folder in ("clusters", "cases"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "clusters" / "small.yaml", {"apiVersion": "v1", "kind": "List", "items": WORLD})
    file = write(tmp_path / "cases" / "one.yaml", {**GOOD, "cluster": "small"})
    assert [result.holds for result in cases.run_all([file])] == [True]


def test_a_cluster_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """By case file, document and field, as the person sees them, with the path where the file was looked for."""
    file = tmp_path / "case.yaml"
    found = problem(write(file, GOOD, {**GOOD, "cluster": "nowhere"}))
    assert (found.file, found.document, found.field) == (str(file), 2, "cluster")
    assert found.found == f"'nowhere': no such file ({tmp_path / 'nowhere'})"
    assert str(tmp_path.parent / "clusters" / "nowhere.yaml") in found.expected
    assert problem(write(file, {**GOOD, "cluster": [*WORLD, "nowhere"]})).field == "cluster[2]"


def test_a_cluster_file_that_holds_no_cluster_is_told_with_the_field_that_names_it_and_a_document_of_it_by_its_own_place(tmp_path: Path) -> None:
    write(tmp_path / "pods.yaml", pod("p"))
    found = problem(write(tmp_path / "case.yaml", {**GOOD, "cluster": "pods.yaml"}))
    assert (found.file, found.field) == (str(tmp_path / "case.yaml"), "cluster")
    assert "0 nodes (only Pod)" in found.found
    write(tmp_path / "odd.yaml", *WORLD, {"kind": "Node"})
    inner = problem(write(tmp_path / "case.yaml", {**GOOD, "cluster": "odd.yaml"}))
    assert (inner.file, inner.document, inner.field) == (str(tmp_path / "odd.yaml"), 3, "apiVersion")


def test_namespace_and_per_node_reach_the_question(tmp_path: Path) -> None:
    expect = {"gangs": [{"namespace": "ai", "nodes": [{"node": "n1", "fits": True}, {"node": "n2", "fits": True}]}]}
    assert run(tmp_path, namespace="ai", perNode=True, expect=expect) == ()
    assert len(run(tmp_path, expect=expect)) == 2


def test_a_seat_in_an_unvisited_domain_or_node_is_a_difference(tmp_path: Path) -> None:
    assert run(tmp_path, expect={"unvisited": ["r1", "n1"]}) == ()
    assert run(tmp_path, expect={"unvisited": ["r2"]}) == ("expect.unvisited: expected no seat in r2, found p on n2",)
    assert run(tmp_path, expect={"unvisited": ["n2"]}) == ("expect.unvisited: expected no seat in n2, found p on n2",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expect": {"unvisited": ["r9"]}}, "expected a domain or node of the cluster"),
        ({"expect": {"unvisited": "r1"}}, "expected a list of domains"),
        ({"expect": {"unvisited": []}}, "expected a list of domains"),
        ({"expect": {"unvisited": ["r1"]}, "objects": [pod("p", gpus=9)]}, "found no seat at all"),
        ({"expect": {"unvisited": ["r1"], "problems": [{}]}, "objects": "{"}, "found no seat at all"),
    ],
)
def test_unvisited_never_holds_by_accident(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    (difference,) = run(tmp_path, **changes)
    assert told in difference


@pytest.mark.parametrize(
    ("expected", "found", "differs"),
    [
        ({"contains": "rack"}, "one rack", False),
        ({"contains": ["rack", "one"]}, "one rack", False),
        ({"contains": ["rack", "two"]}, "one rack", True),
        ({"contains": "1"}, 1, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {}}, {"a": {"b": 2}}, False),
        ({"a": 1}, [1], True),
        ({"a": None}, {"a": None}, False),
        ({"a": None}, {"a": 0}, True),
        ({"a": None}, {}, True),
        ([], [], False),
        ([], [1], True),
        ([1, 2], [2, 1], True),
        (["a"], ["a", "b"], True),
        (1, True, True),
        (True, True, False),
        ([{"a": 1}], [{"a": 2}, {"a": 1}], False),
        ([{"a": 1}, {"a": 1}], [{"a": 1}], True),
        ([{"a": 1}, {"b": 2}], [{"a": 1, "b": 2}, {"a": 1}], False),
        ([{"b": 2}, {"a": 1}], [{"a": 1, "b": 2}, {"a": 1}], False),
    ],
)
def test_what_holds_what(expected: object, found: object, differs: bool) -> None:
    assert bool(cases.differences_of(expected, found, "expect")) is differs


def test_a_difference_is_told_against_the_item_that_was_meant() -> None:
    found = [{"pod": "a", "node": "n1"}, {"pod": "b", "node": "n2"}]
    assert cases.differences_of([{"pod": "b", "node": "n1"}], found, "members") == ['members[0].node: expected "n1", found "n2"']


@pytest.mark.parametrize(
    ("document", "field", "found", "expected"),
    [
        ({**GOOD, "expcet": {}}, "expcet", "an unknown field", "one of name, why"),
        ({k: v for k, v in GOOD.items() if k != "why"}, "why", "nothing", "a sentence"),
        ({**GOOD, "why": ""}, "why", "''", "a sentence"),
        ({**GOOD, "why": 3}, "why", "3", "a sentence"),
        ({k: v for k, v in GOOD.items() if k != "expect"}, "expect", "nothing", "a mapping"),
        ({**GOOD, "expect": {}}, "expect", "{}", "a mapping"),
        ({**GOOD, "expect": ["OPTIMAL"]}, "expect", "['OPTIMAL']", "a mapping"),
        ({k: v for k, v in GOOD.items() if k != "cluster"}, "cluster", "nothing", "the name of a cluster file"),
        ({k: v for k, v in GOOD.items() if k != "objects"}, "objects", "nothing", "a list of objects"),
        ({**GOOD, "objects": {"kind": "Pod"}}, "objects", "{'kind': 'Pod'}", "a list of objects"),
        ({**GOOD, "perNode": "yes"}, "perNode", "'yes'", "true or false"),
        ("a word", "", "'a word'", "a mapping with why"),
    ],
)
def test_what_is_no_case_is_told_with_document_and_field(tmp_path: Path, document: object, field: str, found: str, expected: str) -> None:
    told = problem(write(tmp_path / "case.yaml", GOOD, document))
    assert (told.file, told.document, told.field, told.found) == (str(tmp_path / "case.yaml"), 2, field, found)
    assert told.expected.startswith(expected)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.yaml").found == "no such file"
    (tmp_path / "case.yaml").write_text("why: [", encoding="utf-8")
    assert "no YAML" in problem(tmp_path / "case.yaml").found


def test_a_path_without_a_case_is_told_whatever_the_others_hold(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    write(empty / "node.yaml", node("n1"))
    told = problem(write(tmp_path / "case.yaml", GOOD), empty)
    assert (told.file, told.found) == (str(empty), "no case")


def test_below_a_folder_files_of_objects_are_left_alone_and_half_a_case_is_not(tmp_path: Path) -> None:
    write(tmp_path / "cluster.yaml", node("n1"), node("n2"))
    write(tmp_path / "case.yml", GOOD, {**GOOD, "name": "second"})
    assert [case.name for case in cases.cases_in(tmp_path)] == ["case-1", "second"]
    write(tmp_path / "half.yaml", {"why": "nothing is expected"})
    assert (problem(tmp_path).file, problem(tmp_path).field) == (str(tmp_path / "half.yaml"), "cluster")


def test_a_file_of_objects_that_is_named_itself_is_no_case(tmp_path: Path) -> None:
    assert problem(write(tmp_path / "node.yaml", node("n1"))).field == "apiVersion"


def test_the_command_prints_expected_against_found_and_its_exit_status_says_whether_all_hold(tmp_path: Path) -> None:
    from scheduler.cli.app import app  # noqa: PLC0415 - only this test needs the command line

    good = write(tmp_path / "good.yaml", GOOD)
    bad = write(tmp_path / "bad.yaml", {**GOOD, "name": "wrong node", "expect": {"gangs": [{"members": [{"node": "n1"}]}]}})
    none = write(tmp_path / "none.yaml", {"why": "half"})
    held, differed, broken = (CliRunner().invoke(app, ["test", str(path)]) for path in (good, bad, none))
    assert (held.exit_code, differed.exit_code, broken.exit_code) == (0, 1, 2)
    assert all(text in differed.output for text in ("wrong node", "four GPUs fill n2", 'expected "n1", found "n2"'))
    assert "none.yaml" in broken.output
