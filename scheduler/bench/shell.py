"""Scenarios that are measured from the shell: what a person waits for, start of the interpreter included."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import scheduler
from scheduler.bench.launch import Weighed, weigh
from scheduler.bench.measure import Options, Row, Taken
from scheduler.state.problems import BadInput, InputProblem
from topology.generate import fabric

IMPORT_SECONDS: Final = 0.3
DEMO_SECONDS: Final = 3.0
TOPOLOGY_NODES: Final = 10_000
TOPOLOGY_SECONDS: Final = 4.0
TOPOLOGY_MEGABYTES: Final = 400.0
ROOT: Final = Path(scheduler.__file__).parents[1]
_DEMO: Final = ("fixtures/manifests/deepseek-r1.yaml", "fixtures/clusters/demo.yaml")


def importing(options: Options) -> Iterator[Row]:
    """Import the package in a fresh process; the bare interpreter beside it tells how much of the time is Python's own start."""
    codes = (
        ("an empty program (yardstick)", "", None),
        ("import scheduler", "import scheduler", IMPORT_SECONDS),
        ("from scheduler import plan", "from scheduler import plan", None),
    )
    for what, code, bound in codes:
        options.tell(what)
        yield _taken(_runs(["-c", code], options)).row(what, unit="s", bound=bound)


def demo(options: Options) -> Iterator[Row]:
    """Plan the demo from the shell; needs a checkout, because the fixtures are not installed. Raises BadInput without one."""
    for name in _DEMO:
        if not (ROOT / name).is_file():
            raise BadInput(InputProblem(file=name, found="no such file", expected="a checkout: the demo's files are not installed with the package"))
    manifest, cluster = _DEMO
    command = ["-m", "scheduler", "plan", "-f", manifest, "--cluster", cluster, "-n", "ai-inference"]
    options.tell(f"coterie plan -f {manifest} --cluster {cluster}")
    yield _taken(_runs(command, options)).row("coterie plan, the demo", unit="s", bound=DEMO_SECONDS)


def topology(options: Options) -> Iterator[Row]:
    """Show the topology of a large cluster from the shell: reads, parses and draws one file."""
    nodes = options.size(TOPOLOGY_NODES)
    options.tell(f"generating {nodes:,} nodes")
    text = json.dumps(fabric(nodes=nodes, seed=options.seed).as_list())
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        file = Path(folder) / "cluster.json"
        file.write_text(text, encoding="utf-8")
        options.tell(f"coterie topology --cluster {file.name}")
        runs = _runs(["-m", "scheduler", "topology", "--cluster", str(file)], options)
    what = f"coterie topology, {nodes:,} nodes"
    yield _taken(runs).row(what, unit="s", bound=TOPOLOGY_SECONDS, facts={"bytes a node": len(text) // nodes})
    yield Row(what=f"{what}: peak memory", unit="MB", values=tuple(r.peak_megabytes for r in runs), bound=TOPOLOGY_MEGABYTES)


def _runs(arguments: list[str], options: Options) -> list[Weighed]:
    return [weigh(arguments, folder=ROOT) for _ in range(options.runs)]


def _taken(runs: list[Weighed]) -> Taken:
    return Taken(seconds=tuple(r.seconds for r in runs), cpu_seconds=tuple(r.cpu_seconds for r in runs))
