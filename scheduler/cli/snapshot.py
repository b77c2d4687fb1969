"""``coterie snapshot``: what `plan` reads of a cluster, into a file."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.common import Kubeconfig, errors, say
from scheduler.state.problems import BadInput, InputProblem


def snapshot(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write; compressed when its name ends in .gz. Else stdout.")
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Write the cluster's nodes, pods, groups, policies and workloads as one List, as `coterie plan --cluster` reads it.

    Example: coterie snapshot -o cluster.json.gz
    """
    with errors():
        from scheduler.kube.follow.dump import dump_cluster
        from scheduler.replay import write

        data = write(dump_cluster(kubeconfig, progress=_progress))
        if output is None:
            sys.stdout.buffer.write(data)
            return
        _write(output, gzip.compress(data, mtime=0) if output.suffix == ".gz" else data)
        say(f"wrote {output}")


def _progress(what: str, count: int) -> None:
    if sys.stderr.isatty():
        say(f"listed {count:>7,} {what}")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(
            InputProblem(file=str(path), field="--output", found=error.strerror or str(error), expected="a file that can be written")
        ) from error
