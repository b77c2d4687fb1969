"""Files become objects and objects become a world; every kind of bad input is told with file, document, field, found and expected."""

import errno
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler import replay
from scheduler.state.problems import BadInput, InputProblem

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "8", "pods": "110"}}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ml"}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}


def lws(**template: Any) -> dict[str, Any]:
    worker = {"spec": {"schedulerName": "coterie", "containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "l"},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": 2, "workerTemplate": worker, **template}},
    }


def gpus(amount: object) -> dict[str, Any]:
    return lws(workerTemplate={"spec": {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": amount}}}]}})


def named(kind: str, version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}


def problem_of(action: Callable[[], object]) -> InputProblem:
    with pytest.raises(BadInput) as error:
        action()
    return error.value.problems[0]


def plan(path: Path) -> replay.Sorted:
    return replay.world(replay.read([path]))


def snapshot(path: Path) -> replay.Sorted:
    return replay.world(replay.read([path], snapshot=True), planned=False)


@pytest.mark.parametrize(
    ("text", "document", "field", "found", "expected"),
    [
        ("a: [}", 1, "", "no YAML", "YAML or JSON"),
        ("", None, "", "an empty file", "at least one object"),
        ("# nothing\n---\n", None, "", "no object", "at least one object"),
        ("just words", 1, "", "'just words'", "an object with apiVersion"),
        ("- 1\n- 2", 1, "", "[1, 2]", "an object with apiVersion"),
        ("---\n---\nmetadata: {name: x}", 2, "kind", "nothing", "an object with apiVersion"),
        ("kind: Pod", 1, "apiVersion", "nothing", "an object with apiVersion"),
        ("kind: [Pod]\napiVersion: v1", 1, "kind", "['Pod']", "an object with apiVersion"),
        (json.dumps(named("Gremlin", "mogwai.dev/v1")), 1, "kind", "'Gremlin' of mogwai.dev/v1", "a kind that is known"),
        (
            json.dumps(named("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v7")),
            1,
            "apiVersion",
            "leaderworkerset.x-k8s.io/v7",
            "leaderworkerset.x-k8s.io/v1",
        ),
        (json.dumps(named("Deployment", "extensions/v1beta1")), 1, "apiVersion", "extensions/v1beta1", "apps/v1"),
        (json.dumps(named("PodGroup", "scheduling.run.ai/v3")), 1, "apiVersion", "v3", "one of scheduling.run.ai/v1, scheduling.run.ai/v2alpha2"),
        (json.dumps(named("DaemonSet", "apps/v1")), 1, "kind", "does not expand", "LeaderWorkerSet"),
        (json.dumps(named("List", items=7)), 1, "items", "7", "a list of objects"),
        (json.dumps(named("List", items=[NODE, 7])), 1, "items[1]", "7", "an object"),
        (json.dumps(named("List", items=[NODE, NODE])), 1, "metadata.name", "'n1', which document 1, items[0] has too", "one object of each"),
        ("[" * 3000 + "]" * 3000, None, "", "nesting deeper than 200", "at most 200"),
        ("kind: Pod\nx: " + "[" * 3000 + "]" * 3000, 1, "", "nesting deeper than 200", "at most 200"),
        (json.dumps(lws(size=0)), 1, "spec.leaderWorkerTemplate.size", "0", "at least 1"),
        (json.dumps(lws(size=-2)), 1, "spec.leaderWorkerTemplate.size", "-2", "at least 1"),
        (json.dumps(lws(size="two")), 1, "spec.leaderWorkerTemplate.size", "'two'", "a whole number"),
        (json.dumps(lws(size=10**9)), 1, "spec.leaderWorkerTemplate.size", "1000000000", "at most 100,000 pods"),
        (
            json.dumps(gpus("eight")),
            1,
            "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0].resources.limits.nvidia.com/gpu",
            "'eight'",
            "whole",
        ),
        (json.dumps(gpus("-8")), 1, "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0].resources.limits.nvidia.com/gpu", "'-8'", "from 0"),
        (
            json.dumps(gpus(10**25)),
            1,
            "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0].resources.limits.nvidia.com/gpu",
            "1000",
            "2^60",
        ),
        (json.dumps(lws(workerTemplate={"spec": {}})), 1, "spec.leaderWorkerTemplate", "null", "at least one container"),
        (json.dumps(lws(workerTemplate=None)), 1, "spec.leaderWorkerTemplate.workerTemplate", "null", "a mapping"),
        (json.dumps(named("PodGroup", "scheduling.run.ai/v1", spec={"minMember": 0})), 1, "spec.minMember", "0", "at least 1"),
        (
            json.dumps(named("TopologyPolicy", "scheduling.run.ai/v1", spec={"preferredTopology": [{"topologyKey": "zone", "weight": "big"}]})),
            1,
            "spec.preferredTopology[0].weight",
            "'big'",
            "a whole number",
        ),
        (
            json.dumps(lws(workerTemplate={"metadata": {"labels": {"app": "x" * 64}}, "spec": {"containers": [{"name": "c"}]}})),
            1,
            "spec.leaderWorkerTemplate.workerTemplate.metadata.labels.app",
            "xxx",
            "at most 63 characters",
        ),
        (json.dumps({**POD, "metadata": {"name": "Not A Name"}}), 1, "metadata.name", "'Not A Name'", "lower-case"),
    ],
)
def test_bad_manifests_are_told_by_file_document_field_found_and_expected(  # noqa: PLR0917 - one column for each part of a problem
    tmp_path: Path, text: str, document: int | None, field: str, found: str, expected: str
) -> None:
    file = tmp_path / "in.yaml"
    file.write_text(text, encoding="utf-8")
    problem = problem_of(lambda: plan(file))
    assert (problem.file, problem.document, problem.field) == (str(file), document, field)
    assert found in problem.found
    assert len(problem.found) < 130
    assert expected in problem.expected


def test_two_documents_of_one_kind_and_name_are_refused_whether_the_namespace_is_written_or_not(tmp_path: Path) -> None:
    first = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    second = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "else"}}
    file = tmp_path / "in.yaml"
    file.write_text(yaml.safe_dump_all([first, other, second]), encoding="utf-8")
    problem = problem_of(lambda: plan(file))
    assert (problem.document, problem.object) == (3, "ConfigMap/default/c")
    assert problem.found == "'c', which document 1 has too"


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("just words", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(json.dumps(NODE), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        replay.read([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    assert [Path(p.file).name for p in error.value.problems] == ["a.yaml", "c.yaml"]
    with pytest.raises(BadInput) as error:
        replay.world(replay.documents([lws(size=0), NODE, gpus("all") | {"metadata": {"name": "m"}}]))
    assert [p.document for p in error.value.problems] == [1, 3]


def test_aliases_that_explode_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30))]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert "more than 1,000,000 values" in problem_of(lambda: plan(tmp_path / "bomb.yaml")).found


def test_a_manifest_of_50_megabytes_is_refused_by_its_size_packed_or_not(tmp_path: Path) -> None:
    data = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"' + b"x" * 50_000_000 + b'"}}'
    (tmp_path / "big.json").write_bytes(data)
    (tmp_path / "big.json.gz").write_bytes(gzip.compress(data, 1))
    for name in ("big.json", "big.json.gz"):
        problem = problem_of(lambda name=name: plan(tmp_path / name))  # type: ignore[misc]
        assert (problem.found, problem.expected) == ("more than 16 MiB", "at most 16 MiB")


def _snapshot(*objects: dict[str, Any]) -> bytes:
    return replay.write(objects)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"apiVersion":"v1","kind":"List","items":[]}', "0 nodes (an empty list)"),
        (_snapshot(POD), "0 nodes (only Pod)"),
        (json.dumps(named("ConfigMap")).encode(), "0 nodes (only ConfigMap)"),
        (_snapshot(NODE, POD)[:-20], "JSON that ends in the middle"),
        (bytes(range(256)) * 20, "a binary file"),
        (gzip.compress(_snapshot(NODE, POD) * 50)[:-30], "a gzip file that ends in the middle"),
        (gzip.compress(_snapshot(NODE))[:12] + b"\xff" * 40, "a broken gzip file"),
        (_snapshot(NODE, {**NODE, "status": {}}), "'n1', which document 1, items[0] has too"),
        (_snapshot({**NODE, "status": {"allocatable": {"cpu": "-8"}}}), "'-8'"),
        (_snapshot(NODE, {**POD, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "lots"}}}]}}), "'lots'"),
    ],
)
def test_bad_snapshots_are_refused_with_what_was_found(tmp_path: Path, data: bytes, found: str) -> None:
    file = tmp_path / "cluster.json"
    file.write_bytes(data)
    problem = problem_of(lambda: snapshot(file))
    assert found in problem.found
    assert problem.file == str(file)


def test_files_that_cannot_be_read_are_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem_of(lambda: replay.read([tmp_path / "none.yaml"])).found == "no such file"
    assert problem_of(lambda: replay.read([tmp_path])).found == "a directory"

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path), mode)

    monkeypatch.setattr(Path, "open", refuse)  # the superuser, as whom tests may run, can read every file
    assert problem_of(lambda: replay.read([tmp_path / "locked.yaml"])).found == "a file that cannot be read (Permission denied)"


def test_a_name_that_no_file_can_have_is_told_like_a_missing_file() -> None:
    assert problem_of(lambda: replay.read(["a\0b"])).expected == "a readable file"


def test_yaml_json_and_gzip_of_both_give_the_same_objects(tmp_path: Path) -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": [NODE, POD]}
    files = {
        "a.yaml": yaml.safe_dump(whole).encode(),
        "b.json": json.dumps(whole).encode(),
        "c.yaml.gz": gzip.compress(yaml.safe_dump(whole).encode()),
        "d.json.gz": gzip.compress(json.dumps(whole).encode()),
        "e.yaml": yaml.safe_dump_all([NODE, POD]).encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert [d.raw for d in replay.read([tmp_path / name], snapshot=True)] == [NODE, POD], name


def test_standard_input_is_read_as_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(NODE).encode())))
    (found,) = replay.read(["-"])
    assert (found.file, found.raw) == ("-", NODE)


def test_items_of_a_typed_list_take_kind_and_version_from_it() -> None:
    item = {"metadata": {"name": "n1"}}
    (found,) = replay.documents([{"apiVersion": "v1", "kind": "NodeList", "items": [item]}])
    assert (found.kind, found.api_version, found.place) == ("Node", "v1", "items[0]")


def test_a_snapshot_is_the_same_bytes_in_whatever_order_its_objects_come() -> None:
    assert replay.write([POD, NODE]) == replay.write([NODE, POD])
    assert [d.raw for d in replay.read_text(replay.write([POD, NODE]).decode())] == [NODE, POD]


def test_objects_without_a_namespace_land_in_the_one_that_is_given() -> None:
    found = replay.world(replay.documents([lws(), named("PodGroup", "scheduling.run.ai/v1", spec={})]), namespace="ml")
    assert {pod.namespace for pod in found.world.pods.values()} == {"ml"}
    assert list(found.world.pod_groups) == [("ml", "x")]
    assert ("LeaderWorkerSet", "ml", "l") in found.world.workloads


def test_kinds_without_pods_are_listed_as_ignored_and_unknown_ones_only_in_a_cluster() -> None:
    unknown = named("Gremlin", "mogwai.dev/v1")
    assert replay.world(replay.documents([named("Service"), named("ConfigMap")])).ignored == ("Service/x", "ConfigMap/x")
    assert replay.world(replay.documents([NODE, unknown, named("DaemonSet", "apps/v1")]), planned=False).ignored == ("Gremlin/x", "DaemonSet/x")


def test_a_service_of_knative_is_a_workload_and_that_of_kubernetes_is_not() -> None:
    template = {"spec": {"containers": [{"image": "i"}]}}
    found = replay.world(replay.documents([named("Service"), named("Service", "serving.knative.dev/v1", spec={"template": template})]))
    assert found.ignored == ("Service/x",)
    assert [pod.labels["serving.knative.dev/service"] for pod in found.world.pods.values()] == ["x"]


def test_workloads_of_a_cluster_are_kept_and_not_expanded() -> None:
    found = replay.world(replay.documents([NODE, lws(), POD]), planned=False)
    assert [pod.name for pod in found.world.pods.values()] == ["p"]
    assert ("LeaderWorkerSet", "default", "l") in found.world.workloads


def test_pods_that_are_left_to_another_scheduler_are_told_by_field() -> None:
    found = replay.world(replay.documents([lws(leaderTemplate={"spec": {"containers": [{"name": "c"}]}})]))
    assert [(a.object, a.field) for a in found.advice] == [("LeaderWorkerSet/l", "spec.leaderWorkerTemplate.leaderTemplate.spec.schedulerName")]
    assert "default-scheduler" in found.advice[0].message


def test_priority_classes_are_read_and_the_built_in_ones_are_there() -> None:
    found = replay.world(replay.documents([named("PriorityClass", "scheduling.k8s.io/v1", value=5, globalDefault=True)]))
    assert found.world.priorities["x"] == 5
    assert found.world.priorities[""] == 5
    assert found.world.priorities["system-node-critical"] == 2_000_001_000


def test_two_pods_of_one_uid_are_refused() -> None:
    one, two = ({**POD, "metadata": {"name": name, "uid": "u"}} for name in ("p", "q"))
    assert problem_of(lambda: replay.world(replay.documents([one, two]), planned=False)).field == "metadata.uid"
