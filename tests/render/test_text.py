"""What a person reads: whole and plain in a pipe, coloured and within its width on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.cases import Case, Result
from scheduler.render import text
from scheduler.render.out import Out
from scheduler.report import AdviceRow, Level, PlacementReport, RelaxationRow, RoomRow, UnplacedRow
from scheduler.topology_report import topology_report
from tests import builders
from tests.pages import FIXTURES, demo, gang_report, planned, report_on, snapshot_of

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
RACK = "fabric.topograph.run/tier-0"


@pytest.fixture
def piped(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().out


def written(write: Callable[[Out], None], encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as stream:
        write(Out(stream))
        stream.flush()
        return raw.getvalue().decode(encoding)


def lines_after(text: str, start: str) -> list[str]:
    lines = text.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.strip().startswith(start)) :]


def on_terminal(arguments: list[str], columns: int) -> str:
    """Run a program on a terminal of so many columns and return what it shows."""
    reader, writer = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(arguments, stdout=writer, stderr=subprocess.PIPE, env=environment) as program:
        os.close(writer)
        pieces = []
        while True:
            try:
                piece = os.read(reader, 65536)
            except OSError:  # the program closed its side
                break
            pieces.append(piece)
            if not piece:
                break
    os.close(reader)
    assert program.returncode == 0
    return b"".join(pieces).decode().replace("\r\n", "\n")


def coterie(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scheduler", *arguments]


DEMO = ("plan", "-f", str(FIXTURES / "manifests/deepseek-r1.yaml"), "--cluster", str(FIXTURES / "clusters/demo.yaml"), "-n", "ai-inference")
TOPOLOGY = ("topology", "--cluster", str(FIXTURES / "clusters/demo.yaml"))


def test_the_demo_tells_status_place_cost_and_proof_first(piped: Callable[[], str]) -> None:
    seen = demo()
    text.print_report(seen.report, {n: seen.snapshot.topology.domains_of(n) for n in seen.snapshot.nodes})
    lines = piped().splitlines()
    assert lines[:5] == [
        "cluster: 68 nodes in 2 zones, 2 spines, 6 racks, 2 NVLink domains, 55 pods on them",
        "",
        "deepseek-r1-0  OPTIMAL  LeaderWorkerSet ai-inference/deepseek-r1",
        "  2 pods placed in zone zone-b, on 2 nodes",
        "  cost 50 = zone 100 x (1 - 1) + host 50 x (2 - 1), proved to be the least possible",
    ]
    assert lines[-3:] == [
        "  rank  pod              role    GPUs  node       zone",
        "     0  deepseek-r1-0    leader     8  h100-b2-2  zone-b",
        "     1  deepseek-r1-0-1  worker     8  h100-b2-5  zone-b",
    ]


def test_each_layer_of_segments_is_told_with_its_domains_and_each_member_with_its_own(piped: Callable[[], str]) -> None:
    seen = planned("gb200-nvl72x4", size=24, gpus=4, segments=12, required="spine")
    text.print_report(seen.report, {n: seen.snapshot.topology.domains_of(n) for n in seen.snapshot.nodes})
    found = piped()
    levels = [re.split(r"  +", line.strip()) for line in lines_after(found, "level ")]
    assert levels[0] == ["level", "label key", "wanted", "domains", "which"]
    (domains,) = (row[4] for row in levels if row[:4] == ["nvlink", "accelerator.topograph.run/domain", "each segment of 12 in one", "2"])
    rows = [line.split() for line in lines_after(found, "rank")[:25]]
    assert rows[0][:2] == ["rank", "segment"]
    at = rows[0].index("nvlink")
    homes = sorted({(row[1], row[at]) for row in rows[1:]})
    assert [segment for segment, _ in homes] == ["0", "1"], "each segment lies in one domain"
    assert sorted(domain for _, domain in homes) == domains.split(", ")


def test_in_a_pipe_nothing_is_wrapped_shortened_coloured_or_padded(piped: Callable[[], str]) -> None:
    snapshot = builders.snapshot([builders.node("n" * 250, rack="r" * 60)])
    level = Level(key=RACK, name="rack", required=True, weight=0, count=1, domains=["r" * 60])
    gang = gang_report("g" * 200, seats=["n" * 250], levels=[level])
    text.print_report(report_on(snapshot, gang), {"n" * 250: {RACK: "r" * 60}})
    found = piped()
    assert "\x1b" not in found
    assert [line for line in found.splitlines() if line != line.rstrip()] == []
    assert f"leader     8  {'n' * 250}  {'r' * 60}" in found


def test_a_gang_without_seats_tells_why_what_helps_and_the_room(piped: Callable[[], str]) -> None:
    rooms = [
        RoomRow(
            key=RACK,
            name="rack",
            domain=f"r{i:02}",
            room=14 - i,
            needed=16,
            short={"memory": 2**34 + 5, "nvidia.com/gpu": 16},
            checks={"TaintToleration": 2},
        )
        for i in range(12)
    ]
    changes = [
        RelaxationRow(kind="free", summary="free 2 GPUs on n7 (pod batch/train-3)", changes=[]),
        RelaxationRow(kind="widen", summary="require one spine instead of one rack", changes=[]),
    ]
    unplaced = UnplacedRow(reason="NoDomainHoldsAll", message="No rack holds 16 members.", fits=14, rooms=rooms, relaxations=changes)
    snapshot = builders.snapshot([builders.node("n7", rack="r00")])
    text.print_report(report_on(snapshot, gang_report(seats=[None] * 16, status="INFEASIBLE", unplaced=unplaced)))
    assert piped().splitlines()[2:] == [
        "train  INFEASIBLE  LeaderWorkerSet ai/train",
        "  not placed: proved impossible as the cluster stands",
        "  NoDomainHoldsAll: No rack holds 16 members.",
        "",
        "  What would make it fit; each alone is enough, the least harm first:",
        "    1. free 2 GPUs on n7 (pod batch/train-3)",
        "    2. require one spine instead of one rack",
        "",
        "  domain    room      short of                          nodes refused by",
        *(f"  rack r{i:02}  {f'{14 - i} of 16':8}  16.1Gi memory, 16 nvidia.com/gpu  TaintToleration 2" for i in range(10)),
        "  and 2 more domains with room for 4 or fewer",
    ]


def test_a_plan_that_may_be_improved_says_so(piped: Callable[[], str]) -> None:
    snapshot = builders.snapshot([builders.node("n1")])
    text.print_report(report_on(snapshot, gang_report(seats=["n1"], status="FEASIBLE")))
    assert "  cost 50, not proved to be the least: that is at least 20" in piped().splitlines()


def test_running_members_and_left_out_ones_are_told_apart(piped: Callable[[], str]) -> None:
    snapshot = builders.snapshot([builders.node("n1"), builders.node("n2")])
    text.print_report(report_on(snapshot, gang_report(seats=["n1", "n2", None], bound=[0])))
    found = piped()
    assert "  2 of 3 pods placed (1 running already) on 2 nodes" in found.splitlines()
    assert lines_after(found, "rank") == [
        "  rank  pod      role    GPUs  node      state",
        "     0  train-0  leader     8  n1        running already",
        "     1  train-1  worker     8  n2",
        "     2  train-2  worker     8  left out",
    ]


def test_several_gangs_begin_with_an_overview_and_share_their_advice(piped: Callable[[], str]) -> None:
    row = AdviceRow(level="warning", object="LeaderWorkerSet/train", field="spec.x", message="Something is odd.")
    snapshot = builders.snapshot([builders.node("n1"), builders.node("n2")])
    unplaced = UnplacedRow(reason="Gated", message="A pod is gated.", fits=None, rooms=[], relaxations=[])
    gangs = [gang_report("a", seats=["n1"], advice=[row]), gang_report("bb", seats=[None], status="WAITING", unplaced=unplaced, advice=[row])]
    text.print_report(report_on(snapshot, *gangs))
    lines = piped().splitlines()
    assert lines[2:5] == [
        "gang  namespace  status   cost  outcome",
        "a     ai         OPTIMAL    50  1 pod placed on 1 node",
        "bb    ai         WAITING        not placed: it waits",
    ]
    assert lines[-1] == "warning: LeaderWorkerSet/train spec.x: Something is odd. (2 gangs)"
    assert sum("Something is odd" in line for line in lines) == 1


def test_what_was_ignored_is_named(piped: Callable[[], str]) -> None:
    text.print_report(PlacementReport(ignored=["Service/api", "ConfigMap/settings"]))
    assert "ignored, no pods in it: Service/api, ConfigMap/settings" in piped().splitlines()


def test_names_cannot_steer_a_terminal() -> None:
    found = written(lambda out: out.line("pod \x1b[2Jboom\r\nnext \ud800", indent=2))
    assert found == "  pod \\x1b[2Jboom\\x0d\\x0anext \\ud800\n"


def test_a_stream_that_is_not_utf8_gets_what_it_can_hold() -> None:
    assert written(lambda out: out.line("└─ rack"), encoding="ascii") == "\\u2514\\u2500 rack\n"


def test_a_column_without_a_word_is_left_out_and_numbers_stand_right() -> None:
    rows = [("a", "1,000", ""), ("bbbbb", "7", "")]
    found = written(lambda out: out.table(("name", "size", "notes"), rows, right=("size",)))
    assert found.splitlines() == ["name    size", "a      1,000", "bbbbb      7"]


@pytest.mark.parametrize("columns", [60, 120])
@pytest.mark.parametrize("arguments", [DEMO, TOPOLOGY], ids=["plan", "topology"])
def test_on_a_terminal_lines_keep_within_its_width_and_have_colour(arguments: tuple[str, ...], columns: int) -> None:
    found = on_terminal(coterie(*arguments), columns)
    assert ESCAPE.search(found)
    plain = ESCAPE.sub("", found).splitlines()
    assert max(len(line) for line in plain) <= columns
    assert any(not line.strip() for line in plain), "paragraphs are apart"


def test_on_a_terminal_the_tree_keeps_its_numbers_and_shortens_names() -> None:
    found = ESCAPE.sub("", on_terminal(coterie(*TOPOLOGY), 90))
    assert "rack nvl72-a · nvlink 7b968a6d-c...1be99c31.1: 18 nodes, 8 of 72 GPUs free" in found


@pytest.mark.parametrize("arguments", [DEMO, TOPOLOGY], ids=["plan", "topology"])
def test_through_a_pipe_the_command_is_plain(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(coterie(*arguments), capture_output=True, check=True, env={**os.environ, "COLUMNS": "40"})
    found = done.stdout.decode()
    assert "\x1b" not in found
    assert max(len(line) for line in found.splitlines()) > 80
    assert done.stderr == b""


def test_the_tree_of_the_demo_tells_every_rack_with_its_free_gpus(piped: Callable[[], str]) -> None:
    snapshot = snapshot_of("demo")
    text.print_topology(topology_report(snapshot), snapshot)
    found = piped()
    assert found.splitlines()[:3] == [
        "level   label key                    vocabulary    domains  nodes without",
        "zone    topology.kubernetes.io/zone  well known          2",
        "spine   fabric.topograph.run/tier-1  topograph v1        2",
    ]
    assert lines_after(found, "cluster:")[:6] == [
        "cluster: 68 nodes, 155 of 400 GPUs free",
        "├─ zone zone-a · spine spine-a: 34 nodes, 37 of 200 GPUs free",
        "│  ├─ rack leaf-a1: 8 nodes, 12 of 64 GPUs free",
        "│  │  └─ h100-a1-1 ... h100-a1-8: 0 2 0 0 6 0 4 0 free",
        "│  ├─ rack leaf-a2: 8 nodes, 17 of 64 GPUs free",
        "│  │  └─ h100-a2-1 ... h100-a2-8: 0 0 4 8 0 0 5 0 free",
    ]
    assert "h100-b2-7 cordoned" in found
    assert lines_after(found, "warning")[0].startswith("warning: Label nvidia.com/gpu.clique (nvlink) is missing on 32 of 68 nodes")


def test_ten_thousand_nodes_are_told_on_one_screen(piped: Callable[[], str]) -> None:
    snapshot = snapshot_of("10000")
    text.print_topology(topology_report(snapshot), snapshot)
    lines = piped().splitlines()
    assert len(lines) < 30
    assert any("rack rack-0001 ... rack-0480 (480 alike): 16 nodes each" in line for line in lines)


def test_cases_that_do_not_hold_are_told_with_what_was_found(piped: Callable[[], str]) -> None:
    case = Case(name="one", file=Path("cases/one.yaml"), why="it must fit", cluster=(), objects=(), namespace="default", per_node=False, expect={})
    results = [Result(case=case, differences=()), Result(case=case, differences=("expect.gangs[0].cost: expected 0, found 50",))]
    text.print_cases(results)
    assert piped().splitlines() == [
        "FAIL  one  cases/one.yaml",
        "  why: it must fit",
        "  expect.gangs[0].cost: expected 0, found 50",
        "",
        "1 case holds, 1 does not",
    ]
    text.print_cases(results[:1])
    assert piped().splitlines() == ["1 case holds, 0 do not"]


def test_every_gang_of_a_real_plan_is_told(piped: Callable[[], str]) -> None:
    seen = planned("demo", groups=3, size=8)
    text.print_report(seen.report)
    found = piped()
    for gang in seen.report.gangs:
        for m in gang.members:
            assert re.search(rf"^ +{m.rank}  {re.escape(m.pod)} +{m.role} +{m.gpus}  {re.escape(str(m.node))}$", found, re.MULTILINE)
