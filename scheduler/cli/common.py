"""What the commands share: options, output formats, exit status, and errors as one sentence on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from scheduler.state.problems import BadInput, InputProblem


class Exit(IntEnum):
    """Exit status of every command."""

    OK = 0
    ERROR = 1
    BAD_INPUT = 2
    INFEASIBLE = 3
    UNKNOWN = 4


class Format(StrEnum):
    """What ``-o`` takes."""

    table = "table"
    json = "json"
    yaml = "yaml"


class EngineName(StrEnum):
    """What ``--engine`` takes; the names are those of `scheduler.solve.engines`."""

    auto = "auto"
    tree = "tree"
    cpsat = "cpsat"


Output = Annotated[Format, typer.Option("-o", "--output", help="What to print.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="The cluster to talk to; else KUBECONFIG, else ~/.kube/config, else the pod's ServiceAccount.")]
ClusterFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--cluster", help="A snapshot instead of a live cluster: `coterie snapshot`, or `kubectl get nodes,pods -A -o json`. May be given again."
    ),
]
Engine = Annotated[EngineName, typer.Option("--engine", help="Force one engine: it decides alone, or says that it cannot express the gang.")]
Namespace = Annotated[str, typer.Option("-n", "--namespace", help="Namespace of documents that name none.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="The scheduler's configuration file; every field has a default.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the page to this file too.")]


def emit(value: Mapping[str, Any], form: Format) -> None:
    """Print one JSON or YAML document on stdout."""
    if form is Format.json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return
    import yaml

    # The C emitter: ten thousand nodes take seconds less.
    yaml.dump(dict(value), sys.stdout, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)


def say(text: str) -> None:
    """Tell the person something that is not the answer: on stderr."""
    sys.stderr.write(text.rstrip("\n") + "\n")


def write_file(path: Path, text: str) -> None:
    """Write a file that the user asked for, or say why it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            InputProblem(file=str(path), field="--html", found=error.strerror or str(error), expected="a file that can be written")
        ) from error


@contextmanager
def errors(form: Format = Format.table) -> Iterator[None]:
    """Turn bad input, an unreachable cluster and Ctrl-C into a sentence and an exit status; bugs keep their traceback."""
    from scheduler.kube.errors import ApiError, NotConfigured

    try:
        yield
    except BadInput as error:
        refuse(form, error.problems)
    except NotConfigured as error:
        problem = InputProblem(field="--kubeconfig", found=str(error), expected="a kubeconfig that can be used")
        refuse(form, [problem], str(error))
    except ApiError as error:
        say(f"coterie: {error}")
        raise typer.Exit(Exit.ERROR) from None
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is wrong, and Python must not complain at exit.
        sys.stderr.close()
        raise typer.Exit(Exit.OK) from None


def refuse(form: Format, problems: Sequence[InputProblem], *sentences: str) -> NoReturn:
    """Say what is wrong with the input: sentences (else the problems) on stderr, and the report's problems on stdout where a program reads."""
    if form is not Format.table:
        from scheduler.report import PlacementReport, dump, problem_row

        emit(dump(PlacementReport(problems=[problem_row(p) for p in problems])), form)
    for sentence in sentences or problems:
        say(f"bad input: {sentence}")
    raise typer.Exit(Exit.BAD_INPUT) from None
