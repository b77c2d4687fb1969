"""The list of commands: one module each."""

from __future__ import annotations

import typer

from scheduler.cli import bench, explain, plan, run, run_cases, snapshot, topology

app = typer.Typer(
    name="coterie",
    help="Place groups of GPU pods close together, all or none, beside the default Kubernetes scheduler.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    ("run", run.run),
    ("plan", plan.plan),
    ("explain", explain.explain),
    ("topology", topology.topology),
    ("snapshot", snapshot.snapshot),
    ("test", run_cases.run_cases),
    ("bench", bench.bench),
)
for name, command in COMMANDS:
    app.command(name)(command)
