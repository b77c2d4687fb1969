"""``coterie topology`` as a program: JSON, YAML, page, bad input, and ten thousand nodes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scheduler.replay import write
from scheduler.topology_report import topology_report
from tests.pages import FIXTURES, snapshot_of
from topology.generate import fabric

CLUSTER = str(FIXTURES / "clusters/two-racks-one-clique.yaml")


def coterie(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "scheduler", *arguments], capture_output=True, check=False)


def test_json_and_yaml_print_the_report_and_nothing_else() -> None:
    expected = topology_report(snapshot_of("two-racks-one-clique")).model_dump(mode="json", by_alias=True)
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        done = coterie("topology", "--cluster", CLUSTER, "-o", form)
        assert (done.returncode, done.stderr) == (0, b"")
        assert load(done.stdout) == expected
    assert [level["name"] for level in expected["levels"]] == ["zone", "spine", "rack", "nvlink", "host"]
    assert expected["nodes"][0]["domains"]["network.topology.nvidia.com/leaf"] == "leaf-1"


def test_the_page_is_written_beside_the_text(tmp_path: Path) -> None:
    page = tmp_path / "topology.html"
    done = coterie("topology", "--cluster", CLUSTER, "--html", str(page))
    assert done.returncode == 0
    assert done.stderr.decode() == f"wrote {page}\n"
    assert done.stdout.startswith(b"level")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count('data-node="') == 22


def test_a_page_that_cannot_be_written_and_a_cluster_without_nodes_are_bad_input(tmp_path: Path) -> None:
    done = coterie("topology", "--cluster", CLUSTER, "--html", str(tmp_path))
    assert done.returncode == 2
    assert "--html" in done.stderr.decode()
    empty = tmp_path / "empty.json"
    empty.write_bytes(write([]))
    done = coterie("topology", "--cluster", str(empty))
    assert done.returncode == 2
    assert "Node" in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("form", [["-o", "table"], ["-o", "json"], ["--html", "page.html"]], ids=["tree", "json", "html"])
def test_ten_thousand_nodes_are_shown(form: list[str], tmp_path: Path) -> None:
    """How fast and in how much memory is `coterie bench topology`'s to show."""
    snapshot = tmp_path / "nodes.json"
    snapshot.write_bytes(write(fabric(nodes=10_000).nodes))
    done = coterie("topology", "--cluster", str(snapshot), *(str(tmp_path / word) if word.endswith(".html") else word for word in form))
    assert done.returncode == 0
    shown = (tmp_path / "page.html").read_bytes() if "--html" in form else done.stdout
    assert b"10000" in shown or b"10,000" in shown or shown.count(b'"freeGpus"') == 10_000
