"""`coterie bench live` on the real control plane, small: what it tells, what it leaves behind, and what it refuses."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import jsonschema
import pytest
from typer.testing import CliRunner

from scheduler.bench.measure import Options
from scheduler.benchlive import cluster, scenario
from scheduler.benchlive.backlogs import peer_row
from scheduler.benchlive.cluster import TookTooLongError, refuse_real_nodes
from scheduler.benchlive.gangs import centile
from scheduler.benchlive.peer import ABSENT, why_not
from scheduler.benchlive.scenario import PARTS
from scheduler.benchlive.site import Site
from scheduler.cli.app import app
from scheduler.cli.bench_live import ROWS
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
def test_every_part_is_measured_beside_its_yardsticks_and_nothing_is_left_behind(control_plane: ControlPlane, deployed: Deployed) -> None:
    assert deployed.status == 0, deployed.complaints
    before = left(control_plane)
    done = run(control_plane, "--runs=1", "--shrink=50", f"--kube-scheduler={control_plane.kube_scheduler}", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, REPORT)
    rows = found["scenarios"][0]["rows"]
    asked = {row["what"]: (row["unit"], row["bound"], row["at_least"]) for row in rows if row["bound"] is not None}
    assert asked == {
        "gang of 8 pods x 8 GPU on 10 idle nodes: last created to last bound": ("ms", 60, False),
        "gang of 8 pods x 8 GPU on 10 idle nodes: last created to last bound, p99 of 1": ("ms", 150, False),
        "5 gangs of 8 pods x 1 GPU, one rack each: racks a gang": ("racks", 1, False),
        "5 gangs of 8 pods x 1 GPU, one rack each: bound in part once settled": ("gangs", 0, False),
        "20 open records of 2 pods at the start: leading to the first recorded pod bound": ("s", 3, False),
        "20 open records of 2 pods at the start: leading to a new gang's first bind": ("s", 3, False),
        "20 open records of 2 pods at the start: leading to every recorded pod bound": ("s", 3, False),
        "10 gangs of 2 pods x 8 GPU that do not fit on 10 full nodes, a pod comes and goes each second: CPU": ("%", 5, False),
        "list, parse and cache 20 nodes, 200 pods": ("s", 3, False),
    }, "KWOK plays pods here, so that nothing is asked of ratios"
    assert all(len(row["values"]) == 1 for row in rows), [row["what"] for row in rows if len(row["values"]) != 1]
    by = {row["what"]: row for row in rows}
    assert by["5 gangs of 8 pods x 1 GPU, one rack each: racks a gang"]["median"] == 1.0
    assert by["5 gangs of 8 pods x 1 GPU, one rack each: bound in part once settled"]["median"] == 0.0
    assert by["5 gangs of 8 pods x 1 GPU, one rack each: kube-scheduler's topology mode (yardstick)"]["facts"]["racks a gang"] == 1.0
    hopeless = next(row for what, row in by.items() if "do not fit" in what)
    assert hopeless["facts"]["bound"] == 0
    assert min(row["least"] for row in rows if row["unit"] in ("ms", "s", "binds/s", "ratio")) > 0
    assert left(control_plane) == before


def test_without_kube_scheduler_the_rows_that_need_it_are_named_with_the_reason() -> None:
    nobody = cast("Api", Answers())
    site = Site(api=nobody, credentials=Path(), kubeconfig=Path(), peer=None, played=False, options=Options())
    missing = asyncio.run(why_not(site, "default"))
    row = peer_row("kube-scheduler's topology mode", "s", (), [], missing)
    assert (row.what, row.values, row.facts) == ("kube-scheduler's topology mode", (), {"not run": ABSENT})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["live"], "--kubeconfig"),
        (["live", "--kubeconfig=x", "--rows=gangs,racing"], "'racing'"),
        (["live", "--kubeconfig=x", "--kube-scheduler=nowhere/kube-scheduler"], "nowhere/kube-scheduler"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_cluster_is_asked(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_the_parts_that_the_command_line_names_are_those_that_exist() -> None:
    assert tuple(part.name for part in PARTS) == ROWS


def test_where_the_nodes_of_a_stage_cannot_be_had_each_of_its_parts_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def never(*_: object) -> AsyncIterator[None]:
        raise TookTooLongError("500 nodes ready: not within 180 s")
        yield

    monkeypatch.setattr(cluster, "nodes", never)
    site = Site(api=cast("Api", Answers()), credentials=Path(), kubeconfig=Path(), peer=None, played=False, options=Options(shrink=50))
    rows = asyncio.run(scenario.on_stage(site, scenario.STAGES[1], scenario.STAGES[1].parts))
    assert [(row.what, row.values) for row in rows] == [("one gang of 512", ()), ("15 gangs of 128, each in one rack", ())]
    assert {row.facts["failed"] for row in rows} == {"500 nodes ready: not within 180 s"}


def test_of_a_hundred_values_the_99th_part_is_the_last_but_one() -> None:
    assert centile([float(value) for value in range(100, 0, -1)], 99) == 99.0
    assert centile([3.0], 99) == 3.0


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
