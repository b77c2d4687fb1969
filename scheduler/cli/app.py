"""The list of commands: one module each."""

from __future__ import annotations

import typer

from scheduler.cli import bench, explain, plan, run, run_cases, snapshot, topology
from scheduler.cli.refusals import Commands

app = typer.Typer(
    cls=Commands,
    name="coterie",
    help="Place groups of GPU pods close together, all or none, beside the default Kubernetes scheduler.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    ("run", run.run, "run the scheduler"),
    ("plan", plan.plan, "where every pod of a manifest would go, and why"),
    ("explain", explain.explain, "why a gang waits, or where it runs and at what cost"),
    ("topology", topology.topology, "levels and domains of a cluster's nodes"),
    ("snapshot", snapshot.snapshot, "write the cluster to a file that plan reads"),
    ("test", run_cases.run_cases, "run placement cases"),
    ("bench", bench.bench, "measure what the documentation claims"),
)
for name, command, summary in COMMANDS:
    app.command(name, short_help=summary)(command)
