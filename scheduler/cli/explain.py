"""``coterie explain``: why a gang waits, or where it runs and at what cost."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from scheduler.cli.common import ClusterFiles, ConfigFile, Engine, EngineName, Format, Html, Kubeconfig, Namespace, Output, errors


def explain(
    gang: Annotated[str, typer.Argument(metavar="GANG", help="Name of the gang (for a LeaderWorkerSet NAME-GROUP), of its workload or PodGroup.")],
    cluster: ClusterFiles = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = "default",
    output: Output = Format.table,
    html: Html = None,
    config: ConfigFile = None,
    budget: Annotated[float, typer.Option(min=0.001, max=1e6, help="Deterministic seconds of solving per gang.")] = 5.0,
    engine: Engine = EngineName.auto,
) -> None:
    """Explain a gang of the cluster: decide what is pending of it as things stand now, or show its seats, cost and record.

    Example: coterie explain deepseek-r1-0 -n ai-inference

    Exit status: 0 placed or placeable, 2 no such gang or bad input, 3 proved infeasible, 4 unknown, unsupported or waiting, 1 anything else.
    """
    with errors(output):
        from scheduler.cli.answers import tell
        from scheduler.cli.sources import cluster_documents
        from scheduler.config import load
        from scheduler.dryexplain import explain as explained
        from scheduler.dryrun import Question
        from scheduler.solve.solver import Budget

        documents = tuple(cluster_documents(cluster, kubeconfig))
        question = Question(
            objects=(),
            cluster=documents,
            namespace=namespace,
            budget=Budget(deterministic_seconds=budget),
            levels=load(config).custom_levels,
            engine=engine.value,
        )
        # A snapshot file is explained as of its own time, which it does not tell: no deadline in it has passed.
        now = 0.0 if cluster else time.time()
        raise typer.Exit(tell(explained(gang, question, now=now), output, html))
