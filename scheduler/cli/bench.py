"""``coterie bench``: measure what the documentation claims, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scheduler.cli import bench_live
from scheduler.cli.common import Exit, Format, Output, emit, errors, say

if TYPE_CHECKING:
    from scheduler.bench.measure import Fact, Options, Row
    from scheduler.bench.scenarios import Measured, Scenario
    from scheduler.render.out import Out

_DIGITS: Final = {"s": 3, "ms": 1, "MB": 0, "bytes": 0, "%": 2, "instances": 0, "ratio": 3}
"""Digits behind the point, by unit; others get one."""
_VERDICTS: Final[Mapping[bool | None, tuple[str, str]]] = {True: ("holds", "green"), False: ("does not hold", "bold red"), None: ("", "")}


def bench(
    scenario: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]...", help="Names of scenarios (docs/benchmarks.md); without any, all that need neither a cluster nor data."
        ),
    ] = None,
    output: Output = Format.table,
    seed: Annotated[int, typer.Option(help="Of the generated clusters.")] = 0,
    runs: Annotated[int, typer.Option(help="How often each thing is done; the median counts.")] = 5,
    shrink: Annotated[
        int, typer.Option(help="Divide the numbers of nodes, jobs, segments and worlds by this: a quick try, for which what is asked means nothing.")
    ] = 1,
    instances: Annotated[int, typer.Option(help="For quality: random instances of each family and grade of spare room.")] = 500,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with data of others: for openb Alibaba's lists (or openb/ in it), which it needs; "
            "for tight knavigator's network topology workflows, without which that row is not run."
        ),
    ] = None,
    kubeconfig: bench_live.Kubeconfig = None,
    rows: bench_live.Rows = None,
    kube_scheduler: bench_live.KubeScheduler = None,
) -> None:
    """Measure: medians and ranges over the runs, beside the bounds that are asked.

    Example: coterie bench import sync

    Exit status: 0 measured (a bound that does not hold is marked), 1 something could not be measured, 2 bad input.
    """
    with errors(output):
        from scheduler.bench import scenarios
        from scheduler.bench.measure import Options

        asked = bench_live.LiveOptions(kubeconfig=kubeconfig, rows=bench_live.split(rows), kube_scheduler=kube_scheduler)
        options = Options(seed=seed, runs=runs, shrink=shrink, instances=instances, data=data, tell=_progress)
        wanted = scenarios.chosen(scenario or (), (*scenarios.SCENARIOS, scenarios.OPENB, _idle(), bench_live.scenario(scenario or (), asked)))
        for one in wanted:
            if one.ready:
                one.ready(options)
        failed = _measure(scenarios.measure(wanted, options), options, output)
        for what in failed:
            say(f"coterie: {what}")
        if failed:
            raise typer.Exit(Exit.ERROR)


def _measure(measuring: Iterable[Measured], options: Options, output: Format) -> list[str]:
    """Measure and print; return what could not be measured, and why."""
    from scheduler.bench import scenarios
    from scheduler.bench.launch import CommandFailedError
    from scheduler.bench.measure import environment

    seen = environment()
    failed: list[str] = []
    measured = bench_live.noting(measuring, failed)
    try:
        if output is Format.table:
            _print(measured, seen, options)
        else:
            emit(scenarios.report(measured, options, seen), output)
    except CommandFailedError as error:
        failed.append(str(error))
    return failed


def _idle() -> Scenario:
    """Return the row of the scenario that needs the scheduler's loop; nothing of it is loaded before it runs."""
    from scheduler.bench.scenarios import Scenario

    def run(options: Options) -> Iterable[Row]:
        from scheduler.benchlive.idle import idling

        return idling(options)

    return Scenario(name="idle", what="wait with 500 gangs that can never be placed, by name only", bound="at most 5 % of a CPU", run=run)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        say(line)


def _print(measured: Iterable[Measured], seen: dict[str, Fact], options: Options) -> None:
    """Print each scenario as soon as it is measured."""
    from scheduler.render.out import Out

    out = Out()
    out.line(_words(seen))
    out.line(f"runs {options.runs}, seed {options.seed}" + (f", sizes divided by {options.shrink}" if options.shrink > 1 else ""))
    for one in measured:
        about = one.scenario
        out.line()
        out.line((about.name, "bold"), f": {about.what}" + (f" ({about.bound})" if about.bound else ""))
        _print_rows(out, one.rows)


def _print_rows(out: Out, rows: Iterable[Row]) -> None:
    lines: list[tuple[str | tuple[str, str], ...]] = []
    for row in rows:
        digits = _DIGITS.get(row.unit, 1)
        median = "" if row.median is None else f"{row.median:,.{digits}f}"
        spread = f"{min(row.values):,.{digits}f} to {max(row.values):,.{digits}f}" if len(row.values) > 1 else ""
        bound = "" if row.bound is None else f"at {'least' if row.at_least else 'most'} {row.bound:g}: {_VERDICTS[row.holds][0]}"
        style = _VERDICTS[row.holds][1]
        lines.append((row.what, median, row.unit, spread, str(len(row.values)), (bound, style), _words(row.facts)))
    out.table(("what", "median", "unit", "range", "runs", "bound", "seen with it"), lines, indent=2, right=("median", "range", "runs"))


def _words(facts: Mapping[str, Fact]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in facts.items())


def _word(value: Fact) -> str:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return f"{int(value):,}" if whole else str(value)
