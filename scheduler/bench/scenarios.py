"""SCENARIOS: what ``coterie bench`` measures without a cluster, one row each, and the report that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scheduler.bench.decisions import deciding
from scheduler.bench.exact import exact
from scheduler.bench.measure import Fact, Options, Row, environment
from scheduler.bench.nested import nesting
from scheduler.bench.openb.scenario import openb
from scheduler.bench.openb.traces import folder
from scheduler.bench.quality import quality
from scheduler.bench.shell import demo, importing, topology
from scheduler.bench.syncing import syncing
from scheduler.bench.tight import tight
from scheduler.bench.unplaceable import unplaceable
from scheduler.state.problems import BadInput, InputProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to measure."""

    name: str
    what: str
    bound: str
    """What is asked of it, in words; empty where nothing is."""
    run: Callable[[Options], Iterable[Row]]
    ready: Callable[[Options], object] | None = None
    """Raises BadInput where what it needs is absent; asked before anything is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A scenario and what came of it."""

    scenario: Scenario
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return name, bound and rows as JSON."""
        about = self.scenario
        return {"name": about.name, "what": about.what, "bound": about.bound, "rows": [row.to_json() for row in self.rows]}


DECIDE: Final = "256 pods warm on 1k, 10k, 100k nodes: at most 2, 10, 100 ms, cold ten times that; 3 kB a node and 1.5 kB a pod"
NO: Final = "a proof and what would help within 50 ms"
QUALITY: Final = "none refused, domains as few as can be, all decided within the budget"
SCENARIOS: Final = (
    Scenario(name="import", what="import the package in a fresh process", bound="at most 0.3 s", run=importing),
    Scenario(name="demo", what="plan the demo from the shell", bound="at most 3 s", run=demo),
    Scenario(name="topology", what="show 10,000 nodes from the shell", bound="at most 4 s and 400 MB", run=topology),
    Scenario(name="decide", what="decide one gang, against first fit by domain", bound=DECIDE, run=deciding),
    Scenario(name="exact", what="decide small worlds, against trying every placement", bound="no mismatch", run=exact),
    Scenario(name="nested", what="decide 100 segments of 10, segment in rack, gang in block", bound="warm at most 5 ms", run=nesting),
    Scenario(name="tight", what="fill 32 nodes to the last GPU with 53 jobs", bound="100 % where all are decided at once", run=tight),
    Scenario(name="unplaceable", what="ask for what a full cluster cannot hold, and for what just fits", bound=NO, run=unplaceable),
    Scenario(name="quality", what="decide small gangs that all fit, by family and spare room", bound=QUALITY, run=quality),
    Scenario(name="sync", what="sync 1,000 nodes with 10,000 pods, and 10,000 with 100,000", bound="at most 3 s, and 10 s in 1 GB", run=syncing),
)
OPENB: Final = Scenario(
    name="openb",
    what="GPUs left unallocated on Alibaba's traces, by the protocol of FGD",
    bound="default 4.5, cpu250 5.2, gpuspec33 9, multigpu50 2.9, gpushare100 13 %",
    run=openb,
    ready=lambda options: folder(options.data),
)
"""Runs by name only: it needs data that are not shipped."""


def chosen(names: Sequence[str], known: Sequence[Scenario] = SCENARIOS, *, default: Sequence[Scenario] = SCENARIOS) -> tuple[Scenario, ...]:
    """Return the scenarios of these names, each once, in the order of the table; ``default`` for no names. Raises BadInput."""
    rows = {row.name: row for row in known}
    problems = [InputProblem(field="SCENARIO", found=repr(name), expected=f"one of {', '.join(rows)}") for name in names if name not in rows]
    if problems:
        raise BadInput(problems)
    return tuple(row for row in known if row.name in names) if names else tuple(default)


def measure(scenarios: Iterable[Scenario], options: Options) -> Iterator[Measured]:
    """Run scenarios one after the other, so that none disturbs another."""
    for scenario in scenarios:
        yield Measured(scenario=scenario, rows=tuple(scenario.run(options)))


def report(measured: Iterable[Measured], options: Options, seen: dict[str, Fact] | None = None) -> dict[str, Any]:
    """Return the whole as JSON; ``seen`` is the environment as it was at the beginning."""
    return {
        "apiVersion": "coterie.dev/v1alpha1",
        "kind": "BenchReport",
        "environment": environment() if seen is None else seen,
        "seed": options.seed,
        "runs": options.runs,
        "shrink": options.shrink,
        "scenarios": [one.to_json() for one in measured],
    }
