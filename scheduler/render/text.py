"""Reports as text; how lines meet a terminal or a pipe is `scheduler.render.out`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from scheduler.render import tables, words
from scheduler.render.fabric import fabric
from scheduler.render.out import Out
from scheduler.render.tree import LONGEST, tree
from scheduler.report import GangReport, PlacementReport, UnplacedRow
from scheduler.state.snapshot import Snapshot

if TYPE_CHECKING:
    from scheduler.topology_report import TopologyReport

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
Domains = Mapping[str, Mapping[str, str]]
"""Domain by node and level key."""


class CaseTold(Protocol):
    """What is told of a case; `scheduler.cases` lies above this module."""

    @property
    def name(self) -> str: ...  # noqa: D102 - named by itself
    @property
    def file(self) -> Path: ...  # noqa: D102 - named by itself
    @property
    def why(self) -> str: ...  # noqa: D102 - named by itself


class ResultTold(Protocol):
    """What is told of a case's result."""

    @property
    def case(self) -> CaseTold: ...  # noqa: D102 - named by itself
    @property
    def differences(self) -> Sequence[str]: ...  # noqa: D102 - named by itself
    @property
    def holds(self) -> bool: ...  # noqa: D102 - named by itself


def print_report(report: PlacementReport, domains: Domains | None = None) -> None:
    """Print a placement report; ``domains`` gives each node's domain by level key, for the table of seats."""
    out = Out()
    levels = ", ".join(words.domains(x.domains, x.name) for x in report.cluster.levels if x.name != "host")
    pods = f", {words.count(report.cluster.pods, 'pod')} on them"
    out.line(f"cluster: {words.count(report.cluster.nodes, 'node')}{f' in {levels}' if levels else ''}{pods}")
    if report.ignored:
        out.line(f"ignored, no pods in it: {', '.join(report.ignored)}")
    if len(report.gangs) > 1:
        _print_overview(out, report.gangs)
    for gang in report.gangs:
        out.line()
        _print_gang(out, gang, domains)
    advice = list(words.advice(report))
    if advice:
        out.line()
    for row, gangs in advice:
        out.line((row.level, STYLES[row.level]), f": {f'{row.object} {row.field}'.strip()}: {row.message}{gangs}")


def print_topology(report: TopologyReport, snapshot: Snapshot) -> None:
    """Print the levels, the tree of domains with the GPUs that are free in them, and what is ragged in the labels."""
    out = Out()
    rows = ((x.name, x.key, x.vocabulary, f"{x.domains:,}", (f"{x.nodes_without:,}", "yellow") if x.nodes_without else "") for x in report.levels)
    out.table(("level", "label key", "vocabulary", "domains", "nodes without"), rows, right=("domains", "nodes without"))
    out.line()
    for line in tree(fabric(None, snapshot), longest=LONGEST if out.terminal else None):
        out.line(line, cut=True)
    if report.warnings:
        out.line()
    for warning in report.warnings:
        out.line(("warning", STYLES["warning"]), f": {warning.message} ({warning.code})")


def print_cases(results: Sequence[ResultTold]) -> None:
    """Print the cases that do not hold, expected against found, and how many hold."""
    out = Out()
    for result in (r for r in results if not r.holds):
        out.line(("FAIL", STYLES["INFEASIBLE"]), "  ", (result.case.name, "bold"), f"  {result.case.file}")
        out.line(f"why: {result.case.why}", indent=2)
        for difference in result.differences:
            out.line(difference, indent=2)
        out.line()
    failed = sum(not r.holds for r in results)
    verb = "holds" if len(results) - failed == 1 else "hold"
    out.line(
        (
            f"{words.count(len(results) - failed, 'case')} {verb}, {failed:,} {'does' if failed == 1 else 'do'} not",
            "bold red" if failed else "bold green",
        )
    )


def _print_overview(out: Out, gangs: Sequence[GangReport]) -> None:
    out.line()
    rows = ((g.name, g.namespace, (g.status, STYLES[g.status]), "" if g.cost is None else f"{g.cost:,}", words.seated(g)) for g in gangs)
    out.table(("gang", "namespace", "status", "cost", "outcome"), rows, right=("cost",))


def _print_gang(out: Out, gang: GangReport, domains: Domains | None) -> None:
    workload = f"{gang.workload.kind} {gang.namespace}/{gang.workload.name}"
    out.line((gang.name, "bold"), "  ", (gang.status, STYLES[gang.status]), f"  {workload}")
    out.line(words.seated(gang), indent=2)
    if gang.unplaced is None:
        _print_placed(out, gang)
    else:
        _print_unplaced(out, gang.unplaced)
    if any(m.node for m in gang.members):
        out.line()
        _print_seats(out, gang, domains)
    if gang.nodes is not None:
        out.line()
        verdicts = ((n.role, n.node, "yes" if n.fits else "no", "; ".join(f"{c.check}: {c.message}" for c in n.checks)) for n in gang.nodes)
        out.table(("role", "node", "fits", "checks"), verdicts, indent=2)


def _print_placed(out: Out, gang: GangReport) -> None:
    terms = words.terms(gang)
    out.line(f"cost {gang.cost:,}{f' = {terms}' if terms else ''}, {words.proof(gang)}", indent=2)
    out.line(f"demand from {gang.demand}; {words.decided(gang)}", indent=2)
    levels = tables.levels(gang)
    if levels:
        out.line()
        rows = ((x.name, x.key if x.key != x.name else "", x.wanted, f"{len(x.domains):,}", ", ".join(x.domains)) for x in levels)
        out.table(("level", "label key", "wanted", "domains", "which"), rows, indent=2, right=("domains",))


def _print_seats(out: Out, gang: GangReport, domains: Domains | None) -> None:
    shown = tables.columns(gang) if domains is not None else {}
    places = domains or {}
    cut = any(m.segments for m in gang.members)
    header = ("rank", *(("segment",) if cut else ()), "pod", "role", "GPUs", "node", *shown.values(), "state")
    rows = (
        (
            str(m.rank),
            *((words.segments(m.segments),) if cut else ()),
            m.pod,
            m.role,
            str(m.gpus) if m.gpus else "",
            m.node or "left out",
            *(places.get(m.node or "", {}).get(key, "-") for key in shown),
            "running already" if m.bound else "",
        )
        for m in sorted(gang.members, key=lambda m: (m.rank, m.pod))
    )
    out.table(header, rows, indent=2, right=("rank", "GPUs"))


def _print_unplaced(out: Out, unplaced: UnplacedRow) -> None:
    out.line((unplaced.reason, "bold"), f": {unplaced.message}", indent=2)
    if unplaced.relaxations:
        out.line()
        out.line(words.helps(len(unplaced.relaxations)), indent=2)
        for i, relaxation in enumerate(unplaced.relaxations, start=1):
            out.line(f"{i}. {relaxation.summary}", indent=4)
    if unplaced.rooms:
        out.line()
        shown, more = words.rooms(unplaced.rooms)
        rows = ((words.room_name(r), words.room(r), words.amounts(r.short), words.refusals(r)) for r in shown)
        out.table(("domain", "room", "short of", "nodes refused by"), rows, indent=2)
        if more:
            out.line(more, indent=2)
