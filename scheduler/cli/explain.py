"""``coterie explain``: why a gang waits, or where it runs and at what cost."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.common import ClusterFiles, Format, Html, Kubeconfig, Namespace, Output, emit, errors, say, write_file
from scheduler.cli.plan import exit_status


def explain(
    gang: Annotated[str, typer.Argument(metavar="GANG", help="Name of the gang (for a LeaderWorkerSet NAME-GROUP), of its workload or PodGroup.")],
    cluster: ClusterFiles = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = "default",
    output: Output = Format.table,
    html: Html = None,
    budget: Annotated[float, typer.Option(min=0.001, help="Deterministic seconds of solving per gang.")] = 5.0,
) -> None:
    """Explain a gang of the cluster: decide what is pending of it as things stand now, or show its seats, cost and record.

    Example: coterie explain deepseek-r1-0 -n ai-inference

    Exit status: 0 placed or placeable, 2 no such gang or bad input, 3 proved infeasible, 4 unknown, unsupported or waiting, 1 anything else.
    """
    with errors(output):
        from scheduler.cli.sources import cluster_documents
        from scheduler.dryexplain import explain as explained
        from scheduler.dryrun import Question
        from scheduler.render import html as page
        from scheduler.render import text
        from scheduler.report import dump
        from scheduler.solve.solver import Budget

        documents = tuple(cluster_documents(cluster, kubeconfig))
        question = Question(objects=(), cluster=documents, namespace=namespace, budget=Budget(deterministic_seconds=budget))
        result = explained(gang, question)
        if output is Format.table:
            text.print_report(result.report, {n: result.snapshot.topology.domains_of(n) for n in result.snapshot.nodes})
        else:
            emit(dump(result.report), output)
        if html is not None:
            write_file(html, page.report_page(result.report, result.snapshot))
            say(f"wrote {html}")
        raise typer.Exit(exit_status([row.status for row in result.report.gangs]))
