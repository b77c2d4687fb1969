"""The command line, and the composition root: picks the source, the solver and the sink for each caller of the core."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``coterie``; the exit status is that of report.md: 0 placed, 1 error, 2 bad input, 3 infeasible, 4 unknown."""
    from scheduler.cli.app import app

    sys.exit(app())
