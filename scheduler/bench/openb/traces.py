"""Reads the published lists: one CSV file of nodes, and one of tasks for each trace. What cannot be read is told row by row."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from scheduler.bench.openb.devices import Demand, Machine
from scheduler.state.problems import BadInput, InputProblem, show

VARIABLE: Final = "COTERIE_CONFORMANCE"
"""Names the folder of shared data; the lists lie below it in ``data/openb``."""
NODES: Final = "openb_node_list_gpu_node.csv"
_MOST_PROBLEMS: Final = 10
_MOST: Final = 2**40
"""Larger amounts are a slip, and sums of them would not be safe."""
_MOST_DEVICES: Final = 64
"""On one node."""

_Made = TypeVar("_Made", Machine, "Task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of a trace."""

    name: str
    demand: Demand


class _RowError(Exception):
    """A field of a row cannot be read."""

    def __init__(self, name: str, found: object, expected: str) -> None:
        super().__init__(name)
        self.problem = InputProblem(field=name, found=show(found), expected=expected)


def folder(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with the lists: the one that was given, or ``openb`` in it, else by the environment. Raises BadInput."""
    shared = environment.get(VARIABLE)
    tried = [given, given / "openb"] if given else [Path(shared) / "data" / "openb"] if shared else []
    found = next((place for place in tried if (place / NODES).is_file()), None)
    if found is None:
        looked = " and ".join(str(place) for place in tried)
        expected = f"a folder with {NODES} and the lists of tasks, from --data or, below it in data/openb, from {VARIABLE}"
        raise BadInput(InputProblem(field="--data", found=f"no {NODES} in {looked}" if looked else "nothing", expected=expected))
    return found


def read_nodes(path: Path) -> tuple[Machine, ...]:
    """Return the nodes of a list. Raises BadInput."""
    nodes = _read(path, ("sn", "cpu_milli", "memory_mib", "gpu", "model"), _machine)
    if not any(node.gpus for node in nodes):
        raise BadInput(InputProblem(file=str(path), field="gpu", found="no GPU on any node", expected="at least one"))
    return nodes


def read_tasks(path: Path) -> tuple[Task, ...]:
    """Return the tasks of a trace, sorted by name. Raises BadInput."""
    tasks = _read(path, ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"), _task)
    if not any(task.demand.gpus for task in tasks):
        raise BadInput(InputProblem(file=str(path), field="num_gpu", found="no task that asks for a GPU", expected="at least one"))
    return tasks


def _machine(row: Mapping[str, str | None]) -> Machine:
    return Machine(
        name=_text(row, "sn"),
        cpu_milli=_number(row, "cpu_milli"),
        memory_mib=_number(row, "memory_mib"),
        gpus=_number(row, "gpu", _MOST_DEVICES),
        model=_text(row, "model"),
    )


def _task(row: Mapping[str, str | None]) -> Task:
    gpus, milli = _number(row, "num_gpu", _MOST_DEVICES), _number(row, "gpu_milli")
    cpu, memory = _number(row, "cpu_milli"), _number(row, "memory_mib")
    models = frozenset(part for part in (row.get("gpu_spec") or "").split("|") if part)
    try:
        demand = Demand(cpu_milli=cpu, memory_mib=memory, gpus=gpus, gpu_milli=milli, models=models)
    except ValueError:
        expected = "0 for no GPU, 1 to 1000 for one, 1000 for several"
        raise _RowError("gpu_milli", f"{milli} with num_gpu {gpus}", expected) from None
    return Task(name=_text(row, "name"), demand=demand)


def _text(row: Mapping[str, str | None], name: str) -> str:
    found = row.get(name)
    if not found:
        raise _RowError(name, found, "a name")
    return found


def _number(row: Mapping[str, str | None], name: str, most: int = _MOST) -> int:
    found = row.get(name)
    if found is None or not (found.isascii() and found.isdigit()) or len(found) > len(str(_MOST)) or int(found) > most:
        raise _RowError(name, found, f"a whole number from 0 to {most}")
    return int(found)


def _read(path: Path, columns: Sequence[str], make: Callable[[Mapping[str, str | None]], _Made]) -> tuple[_Made, ...]:
    """Return what the rows of a file say, sorted by name, which must be unique; tells the first ten bad rows."""
    found: dict[str, _Made] = {}
    problems: list[InputProblem] = []
    for line, row in _rows(path, columns):
        try:
            made = make(row)
            _unknown(columns[0], made.name, found)
            found[made.name] = made
        except _RowError as error:
            at = error.problem
            problems.append(InputProblem(file=str(path), object=f"line {line}", field=at.field, found=at.found, expected=at.expected))
            if len(problems) == _MOST_PROBLEMS:
                break
    if problems:
        raise BadInput(problems)
    return tuple(found[name] for name in sorted(found))


def _unknown(field: str, name: str, known: Container[str]) -> None:
    if name in known:
        raise _RowError(field, name, "a name that no row before has")


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Yield the rows with their line numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                found = ", ".join(reader.fieldnames or ()) or "an empty file"
                raise BadInput(InputProblem(file=str(path), object="line 1", found=found, expected=f"the columns {', '.join(columns)}"))
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise BadInput(InputProblem(file=str(path), found=error.strerror or str(error), expected="a file that can be read")) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(InputProblem(file=str(path), found=show(str(error)), expected="CSV in UTF-8")) from None
