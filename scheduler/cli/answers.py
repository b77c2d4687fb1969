"""What `plan` and `explain` do with an answer: print it, write the page, and return the exit status of report.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scheduler.cli.common import Exit, Format, emit, say, write_file
from scheduler.dryrun import Answer
from scheduler.report import dump


def tell(answer: Answer, output: Format, html: Path | None) -> Exit:
    """Print the report, write the page where one is wanted, and return the exit status."""
    report, topology = answer.report, answer.snapshot.topology
    if output is Format.table:
        from scheduler.render import text

        text.print_report(report, {name: topology.domains_of(name) for name in answer.snapshot.nodes})
    else:
        emit(dump(report), output)
    if html is not None:
        from scheduler.render.html import report_page

        write_file(html, report_page(report, answer.snapshot))
        say(f"wrote {html}")
    return exit_status(gang.status for gang in report.gangs)


def exit_status(statuses: Iterable[str]) -> Exit:
    """Return the exit status for the statuses of all gangs."""
    found = set(statuses)
    if "INFEASIBLE" in found:
        return Exit.INFEASIBLE
    return Exit.UNKNOWN if found & {"UNKNOWN", "UNSUPPORTED", "WAITING"} else Exit.OK
