"""The live scenario of ``coterie bench``: its options, before anything of it is loaded, and what could not be measured, after it has run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scheduler.state.problems import BadInput, InputProblem

if TYPE_CHECKING:
    from scheduler.bench.measure import Options, Row
    from scheduler.bench.scenarios import Measured, Scenario

LIVE: Final = "live"
ROWS: Final = ("flights", "gangs", "backlog", "arrivals", "recovery", "hopeless", "large", "medium", "sync")
"""The parts that can be measured alone, in the order in which they run."""
Kubeconfig = Annotated[
    Path | None, typer.Option(help="For live: a cluster whose nodes are all played by KWOK; nodes and pods are made and removed there.")
]
Rows = Annotated[list[str] | None, typer.Option(help=f"For live: only these parts, separated by commas: {', '.join(ROWS)}.")]
KubeScheduler = Annotated[
    Path | None,
    typer.Option(help="For live: a program kube-scheduler, started on the same nodes to compare with; without it those rows are named as not run."),
]
_FAILED: Final = "failed"
_BOUND: Final = "a gang of 8 bound within 60 ms; a backlog at 0.8 of a bare loop's rate; 1,000 open records carried out within 3 s"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What is asked of the live scenario alone."""

    kubeconfig: Path | None
    rows: tuple[str, ...]
    kube_scheduler: Path | None


def split(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of an option that may be given more than once and holds names with commas between them; raises BadInput."""
    names = tuple(name.strip() for each in given or () for name in each.split(","))
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise BadInput(InputProblem(field="--rows", found=repr(name), expected=f"some of {', '.join(ROWS)}") for name in unknown)
    return names


def scenario(names: Sequence[str], asked: LiveOptions) -> Scenario:
    """Return the row of the live scenario; nothing of it is loaded before it runs. Raises BadInput for what it lacks."""
    from scheduler.bench.scenarios import Scenario

    if LIVE in names:
        _check(asked)

    def run(options: Options) -> Iterable[Row]:
        from scheduler.benchlive.scenario import live

        return live(asked.kubeconfig or Path(), options, rows=asked.rows, peer=asked.kube_scheduler)

    return Scenario(name=LIVE, what="bind gangs and sync on a real API server", bound=_BOUND, run=run)


def noting(measured: Iterable[Measured], failed: list[str]) -> Iterator[Measured]:
    """Pass scenarios on, and note the rows that could not be measured, each with its reason."""
    for one in measured:
        failed.extend(f"{row.what}: {row.facts[_FAILED]}" for row in one.rows if _FAILED in row.facts)
        yield one


def _check(asked: LiveOptions) -> None:
    if asked.kubeconfig is None:
        expected = "the kubeconfig of a cluster whose nodes are all played by KWOK (make controlplane prints one)"
        raise BadInput(InputProblem(field="--kubeconfig", found="nothing", expected=expected))
    if asked.kube_scheduler is not None and not asked.kube_scheduler.is_file():
        raise BadInput(InputProblem(field="--kube-scheduler", found=str(asked.kube_scheduler), expected="a program"))
