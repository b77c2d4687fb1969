"""``coterie plan``: the topology dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.common import ClusterFiles, ConfigFile, Engine, EngineName, Format, Html, Kubeconfig, Namespace, Output, errors


def plan(
    file: Annotated[list[Path], typer.Option("-f", "--file", help="Manifests to plan; `-` reads stdin. May be given again.")],
    cluster: ClusterFiles = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = "default",
    output: Output = Format.table,
    html: Html = None,
    config: ConfigFile = None,
    per_node: Annotated[bool, typer.Option("--per-node", help="Add a verdict per role and node.")] = False,
    budget: Annotated[float, typer.Option(min=0.001, max=1e6, help="Deterministic seconds of solving per gang.")] = 5.0,
    engine: Engine = EngineName.auto,
) -> None:
    """Say where every pod of a manifest would go, at what cost and with what proof; or why not, and what would help.

    Example: coterie plan -f fixtures/manifests/deepseek-r1.yaml --cluster fixtures/clusters/demo.yaml -n ai-inference

    Exit status: 0 placed, 2 bad input, 3 proved infeasible, 4 unknown, unsupported or waiting, 1 anything else.
    """
    with errors(output):
        from scheduler.cli.answers import tell
        from scheduler.cli.sources import cluster_documents
        from scheduler.config import load
        from scheduler.dryrun import Question, answer
        from scheduler.replay import read
        from scheduler.solve.solver import Budget

        question = Question(
            objects=tuple(read(file)),
            cluster=tuple(cluster_documents(cluster, kubeconfig)),
            namespace=namespace,
            budget=Budget(deterministic_seconds=budget),
            per_node=per_node,
            levels=load(config).custom_levels,
            engine=engine.value,
        )
        raise typer.Exit(tell(answer(question), output, html))
