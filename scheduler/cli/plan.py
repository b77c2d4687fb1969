"""``coterie plan``: the topology dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.common import ClusterFiles, Exit, Format, Html, Kubeconfig, Namespace, Output, emit, errors, say, write_file


def plan(
    file: Annotated[list[Path], typer.Option("-f", "--file", help="Manifests to plan; `-` reads stdin. May be given again.")],
    cluster: ClusterFiles = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = "default",
    output: Output = Format.table,
    html: Html = None,
    per_node: Annotated[bool, typer.Option("--per-node", help="Add a verdict per role and node.")] = False,
    budget: Annotated[float, typer.Option(min=0.001, help="Deterministic seconds of solving per gang.")] = 5.0,
) -> None:
    """Say where every pod of a manifest would go, at what cost and with what proof; or why not, and what would help.

    Example: coterie plan -f fixtures/manifests/deepseek-r1.yaml --cluster fixtures/clusters/demo.yaml -n ai-inference

    Exit status: 0 placed, 2 bad input, 3 proved infeasible, 4 unknown, unsupported or waiting, 1 anything else.
    """
    with errors(output):
        from scheduler.cli.sources import cluster_documents
        from scheduler.dryrun import Question, answer
        from scheduler.render import html as page
        from scheduler.render import text
        from scheduler.replay import read
        from scheduler.report import dump
        from scheduler.solve.solver import Budget

        question = Question(
            objects=tuple(read(file)),
            cluster=tuple(cluster_documents(cluster, kubeconfig)),
            namespace=namespace,
            budget=Budget(deterministic_seconds=budget),
            per_node=per_node,
        )
        result = answer(question)
        if output is Format.table:
            text.print_report(result.report, {n: result.snapshot.topology.domains_of(n) for n in result.snapshot.nodes})
        else:
            emit(dump(result.report), output)
        if html is not None:
            write_file(html, page.report_page(result.report, result.snapshot))
            say(f"wrote {html}")
        raise typer.Exit(exit_status([gang.status for gang in result.report.gangs]))


def exit_status(statuses: list[str]) -> Exit:
    """Return the exit status of report.md for the statuses of all gangs."""
    if "INFEASIBLE" in statuses:
        return Exit.INFEASIBLE
    if any(status in ("UNKNOWN", "UNSUPPORTED", "WAITING") for status in statuses):
        return Exit.UNKNOWN
    return Exit.OK
