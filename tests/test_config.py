"""The configuration file: defaults, what is refused and how, and levels of one's own in every command that decides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.config import Config, identity, load
from scheduler.state.problems import BadInput
from tests.conformance import ROOT

LEVELS = """
apiVersion: coterie.dev/v1alpha1
kind: Configuration
topology:
  levels:
  - {key: example.com/hall, name: hall}
  - {key: example.com/row, name: row}
"""
CLUSTER = [
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"n{i}", "labels": {"example.com/hall": "h1", "example.com/row": f"r{i // 2}"}},
        "status": {"allocatable": {"nvidia.com/gpu": "8", "pods": "110"}},
    }
    for i in range(4)
]
GANG = {
    "apiVersion": "leaderworkerset.x-k8s.io/v1",
    "kind": "LeaderWorkerSet",
    "metadata": {"name": "serve", "annotations": {"coterie.dev/required-topology": "row"}},
    "spec": {
        "leaderWorkerTemplate": {
            "size": 2,
            "workerTemplate": {
                "spec": {"schedulerName": "coterie", "containers": [{"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "8"}}}]}
            },
        }
    },
}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def coterie(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "scheduler", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_file_every_field_has_its_default() -> None:
    assert load(None) == Config()
    assert Config().scheduler_name == "coterie"


def test_an_empty_configuration_is_the_default(tmp_path: Path) -> None:
    assert load(written(tmp_path, "kind: Configuration\n")) == Config()


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("kind: Configuration\nsolver: {wallSeconds: 0}\n", "solver.wallSeconds", "greater than 0"),
        ("kind: Configuration\nsolver: {wallSeconds: a while}\n", "solver.wallSeconds", "number"),
        ("kind: Configuration\nhtpp: {port: 1}\n", "htpp", "not permitted"),
        ("kind: Other\n", "kind", "Configuration"),
        ("[]", "", "a mapping of kind Configuration"),
        ("kind: [\n", "", "YAML"),
    ],
)
def test_a_bad_file_names_file_field_and_what_is_expected(text: str, field: str, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.field) == (str(path), field)
    assert expected in problem.expected


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    done = coterie("topology", "--cluster", "fixtures/clusters/h100-box.yaml", "--config", str(tmp_path / "no.yaml"))
    assert done.returncode == 2
    assert "no.yaml" in done.stderr


def test_levels_of_ones_own_are_shown_and_can_be_required_by_name(tmp_path: Path) -> None:
    config, cluster, gang = written(tmp_path, LEVELS), tmp_path / "cluster.json", tmp_path / "gang.json"
    cluster.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": CLUSTER}), encoding="utf-8")
    gang.write_text(json.dumps(GANG), encoding="utf-8")
    shown = json.loads(coterie("topology", "--cluster", str(cluster), "--config", str(config), "-o", "json").stdout)
    assert [level["name"] for level in shown["levels"]] == ["hall", "row", "host"]
    planned = coterie("plan", "-f", str(gang), "--cluster", str(cluster), "--config", str(config), "-o", "json")
    (row,) = json.loads(planned.stdout)["gangs"]
    assert (planned.returncode, row["status"]) == (0, "OPTIMAL")
    assert next(level for level in row["levels"] if level["required"])["domains"] in (["r0"], ["r1"])
    without = coterie("plan", "-f", str(gang), "--cluster", str(cluster), "-o", "json")
    assert without.returncode == 3
    assert json.loads(without.stdout)["gangs"][0]["unplaced"]["reason"] == "UnknownLevel"


def test_a_replica_is_called_after_its_pod_or_by_a_name_that_no_other_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "coterie-0")
    assert identity().name == "coterie-0"
    monkeypatch.delenv("POD_NAME")
    assert identity().name != identity().name
