"""The command line, and the composition root: picks the source, the solver and the sink for each caller of the core."""

from __future__ import annotations

import gc
import sys
from typing import Final

GARBAGE: Final = (50_000, 20, 100)
"""New objects before Python looks for cycles among the youngest, and how often it looks among the older. The objects of a cluster are
many, live long and hold no cycles: with the defaults, looking at them again and again is half of the CPU time of a sync."""


def main() -> None:
    """Run ``coterie``; the exit status is that of report.md: 0 placed, 1 error, 2 bad input, 3 infeasible, 4 unknown."""
    gc.set_threshold(*GARBAGE)
    from scheduler.cli.app import app

    sys.exit(app())
