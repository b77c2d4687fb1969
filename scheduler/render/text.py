"""Reports as text. On a terminal with colour and at its width; in a pipe plain, nothing wrapped or shortened."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scheduler.report import AdviceRow, GangReport, PlacementReport, UnplacedRow

if TYPE_CHECKING:
    from scheduler.cases import Result

PIPE_WIDTH: Final = 100_000
"""Columns of a pipe: so many that nothing is ever wrapped."""
STYLES: Final[Mapping[str, str]] = {
    "OPTIMAL": "bold green",
    "FEASIBLE": "bold yellow",
    "INFEASIBLE": "bold red",
    "UNKNOWN": "bold magenta",
    "UNSUPPORTED": "bold magenta",
    "WAITING": "bold yellow",
    "warning": "yellow",
    "info": "cyan",
}


def console() -> Console:
    """Return a console for stdout that respects pipes and NO_COLOR."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PIPE_WIDTH, no_color=True, force_terminal=False, legacy_windows=False)


def print_report(report: PlacementReport, domains: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Print a placement report; ``domains`` gives each node's domain by level key, for the table of seats."""
    out = console()
    levels = ", ".join(f"{x.name} {x.domains}" + (f" ({x.nodes_without} nodes without)" if x.nodes_without else "") for x in report.cluster.levels)
    out.print(f"cluster: {report.cluster.nodes} nodes, {report.cluster.pods} pods; {levels or 'no topology levels'}")
    if report.ignored:
        out.print(f"ignored, no pods in it: {', '.join(report.ignored)}")
    for row in report.advice:
        _print_advice(out, row)
    for gang in report.gangs:
        out.print()
        _print_gang(out, gang, domains or {})


def print_cases(results: Sequence[Result]) -> None:
    """Print the cases that do not hold, expected against found, and how many hold."""
    out = console()
    for result in results:
        if not result.holds:
            out.print(Text.assemble(("FAIL ", STYLES["INFEASIBLE"]), (result.case.name, "bold"), f"  ({result.case.file})"))
            out.print(Padding(f"why: {result.case.why}", (0, 0, 0, 2)))
            for difference in result.differences:
                out.print(Padding(Text(difference), (0, 0, 0, 2)))
    failed = sum(not r.holds for r in results)
    out.print(f"{len(results) - failed} cases hold, {failed} do not")


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Make a plain table: aligned columns, no lines; long cells wrap on a terminal only."""
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False, header_style="bold")
    for title in header:
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def indent(out: Console, what: str | Text | Table) -> None:
    """Print something two columns to the right."""
    out.print(Padding(what, (0, 0, 0, 2), expand=False))


def _print_gang(out: Console, gang: GangReport, domains: Mapping[str, Mapping[str, str]]) -> None:
    place = f"{gang.namespace}/{gang.workload.name}"
    out.print(Text.assemble((gang.name, "bold"), f"  ({gang.workload.kind} {place})  ", (gang.status, STYLES[gang.status])))
    if gang.unplaced is None:
        _print_placed(out, gang, domains)
    else:
        _print_unplaced(out, gang, gang.unplaced)
    for row in gang.advice:
        _print_advice(out, row)
    if gang.nodes is not None:
        checks = ((n.role, n.node, "yes" if n.fits else "no", "; ".join(f"{c.check}: {c.message}" for c in n.checks)) for n in gang.nodes)
        out.print()
        indent(out, table(("role", "node", "fits", "checks"), checks))


def _print_placed(out: Console, gang: GangReport, domains: Mapping[str, Mapping[str, str]]) -> None:
    proof = "the least possible, proved" if gang.status == "OPTIMAL" else f"at least {gang.bound} is proved to be needed"
    terms = [f"{x.name} {x.weight} x ({x.count} - 1)" for x in gang.levels if x.weight]
    indent(out, f"cost {gang.cost}" + (f" = {' + '.join(terms)}" if terms else "") + f": {proof}")
    indent(out, f"decided in {gang.decision.milliseconds} ms by {gang.decision.engine}; demand from {gang.demand}")
    rows = ((x.name, x.key, "required" if x.required else f"weight {x.weight}", str(x.count), ", ".join(x.domains)) for x in gang.levels)
    indent(out, table(("level", "key", "wanted", "domains", "which"), rows))
    out.print()
    shown = [x for x in gang.levels if x.name != "host"]
    header = ("rank", "pod", "role", "node", *(x.name for x in shown), "")
    seats = (
        (
            str(m.rank),
            m.pod,
            m.role,
            m.node or "left out",
            *(domains.get(m.node or "", {}).get(x.key, "-") for x in shown),
            "running already" if m.bound else "",
        )
        for m in sorted(gang.members, key=lambda m: (m.rank, m.pod))
    )
    indent(out, table(header, seats))


def _print_unplaced(out: Console, gang: GangReport, unplaced: UnplacedRow) -> None:
    indent(out, Text(f"{unplaced.reason}: {unplaced.message}"))
    if unplaced.fits is not None:
        indent(out, f"at most {unplaced.fits} of {len(gang.members)} members fit; {gang.min_member} are needed")
    if unplaced.rooms:
        rows = ((f"{r.name} {r.domain}", f"{r.room} of {r.needed}", _amounts(r.short), _amounts(r.checks)) for r in unplaced.rooms)
        indent(out, table(("domain", "room", "short of", "nodes refused by"), rows))
    if unplaced.relaxations:
        out.print()
        indent(out, "What would make it fit; each alone is enough, the least harm first:")
        for i, relaxation in enumerate(unplaced.relaxations, start=1):
            indent(out, Text(f"{i}. {relaxation.kind}: {relaxation.summary}"))


def _amounts(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in amounts.items())


def _print_advice(out: Console, row: AdviceRow) -> None:
    place = f"{row.object} {row.field}".strip()
    indent(out, Text.assemble((row.level, STYLES[row.level]), f": {place}: {row.message}"))
