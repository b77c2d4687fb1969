"""``coterie test``: run cases, questions about small worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.common import Exit, Format, Output, emit, errors


def run_cases(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Case files, or folders that hold them.")],
    output: Output = Format.table,
) -> None:
    """Run placement cases and print expected against found.

    Example: coterie test fixtures/

    Exit status: 0 all cases hold, 1 some do not, 2 a case cannot be read.
    """
    with errors(output):
        from scheduler.cases import run_all
        from scheduler.render import text

        results = run_all(paths)
        if output is Format.table:
            text.print_cases(results)
        else:
            emit({"cases": [result.to_json() for result in results]}, output)
        raise typer.Exit(Exit.OK if all(result.holds for result in results) else Exit.ERROR)
