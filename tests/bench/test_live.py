"""`coterie bench live` on the real control plane, small: what it tells, what it leaves behind, and what it refuses."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import jsonschema
import pytest

from scheduler.benchlive.cluster import refuse_real_nodes
from scheduler.kube.api import Api
from scheduler.state.problems import BadInput
from tests.bench.shapes import REPORT
from tests.controlplane import ControlPlane
from tests.controlplane.nodes import gpu_node
from tests.deploy.applying import Deployed

pytest_plugins = ("tests.deploy.fixture",)
ROOT = Path(__file__).parents[2]
FAKE = {"kwok.x-k8s.io/node": "fake"}


class Answers:
    """Stands for an API server that has one page of nodes."""

    def __init__(self, *annotations: dict[str, str] | None) -> None:
        """Give every node its annotations."""
        self.page = json.dumps({"metadata": {}, "items": [{"metadata": {"name": f"n{i}", "annotations": a}} for i, a in enumerate(annotations)]})

    async def get(self, _path: str, _query: object = None) -> bytes:
        return self.page.encode()


@pytest.mark.parametrize("real", [None, {}, {"kwok.x-k8s.io/node": "real"}, {"other": "fake"}])
def test_one_node_that_kwok_does_not_play_is_enough_to_refuse_a_cluster(real: dict[str, str] | None) -> None:
    with pytest.raises(BadInput, match=r"1 of 3 nodes without it, n1 among them"):
        asyncio.run(refuse_real_nodes(cast("Api", Answers(FAKE, real, FAKE))))


def test_nodes_that_kwok_plays_are_counted() -> None:
    assert asyncio.run(refuse_real_nodes(cast("Api", Answers(FAKE, FAKE)))) == 2


def run(control_plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler", "bench", "live", f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def left(control_plane: ControlPlane) -> set[str]:
    """Return names of nodes, and of namespaces that nobody has deleted."""
    admin = control_plane.admin
    there = [*admin.items("/api/v1/nodes"), *admin.items("/api/v1/namespaces")]
    return {each["metadata"]["name"] for each in there if "deletionTimestamp" not in each["metadata"]}


@pytest.mark.live
def test_gangs_are_bound_the_cluster_is_synced_and_nothing_is_left_behind(control_plane: ControlPlane, deployed: Deployed) -> None:
    assert deployed.status == 0, deployed.complaints
    before = left(control_plane)
    done = run(control_plane, "--runs=1", "--shrink=50", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, REPORT)
    (gang, bare, rate, sync) = found["scenarios"][0]["rows"]
    assert (gang["bound"], gang["unit"], len(gang["values"])) == (150, "ms", 4)
    assert (bare["bound"], rate["unit"]) == (None, "binds/s")
    assert (sync["bound"], sync["unit"]) == (3, "s")
    assert min(gang["least"], bare["least"], rate["least"], sync["least"]) > 0
    assert left(control_plane) == before


@pytest.mark.live
def test_a_cluster_with_a_real_node_is_refused_and_not_touched(control_plane: ControlPlane, deployed: Deployed) -> None:
    assert deployed.status == 0, deployed.complaints
    node = gpu_node("not-played")
    del node["metadata"]["annotations"]
    control_plane.admin.create("/api/v1/nodes", node)
    try:
        before = left(control_plane)
        done = run(control_plane, "--runs=1")
        assert done.returncode == 2
        assert "not-played among them" in done.stderr
        assert left(control_plane) == before
    finally:
        control_plane.admin.delete("/api/v1/nodes/not-played")
