"""Cases: questions about small worlds, with a stated reason, answered by the same function as ``coterie plan``.

A case file holds one case per YAML document: ``why``, ``cluster``, ``objects``, ``expect``. ``fixtures/README.md`` tells the format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scheduler.dryrun import Answer, Question, answer
from scheduler.replay import Document, read, read_text, read_yaml_documents
from scheduler.report import PlacementReport, dump, problem_row
from scheduler.solve.solver import Budget
from scheduler.state.problems import BadInput, InputProblem, show

FIELDS: Final = ("name", "why", "cluster", "objects", "namespace", "perNode", "expect")
NEEDED: Final = ("why", "cluster", "objects", "expect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question. ``text`` is given instead of ``objects`` where the input is to be read as a file of its own."""

    name: str
    file: Path
    why: str
    cluster: tuple[Document, ...]
    objects: tuple[Document, ...] | None
    text: str | None
    namespace: str
    per_node: bool
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Expected against found: ``differences`` is empty where the case holds."""

    case: Case
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether all that was expected was found."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {"case": self.case.name, "why": self.case.why, "holds": self.holds, "differences": list(self.differences)}


def run_all(paths: Sequence[Path]) -> tuple[Result, ...]:
    """Run every case of the files and folders; BadInput where a case cannot be read or none is found."""
    cases = [case for path in paths for case in cases_in(path)]
    if not cases:
        raise BadInput(
            InputProblem(file=", ".join(map(str, paths)), found="no case", expected="at least one file with why, cluster, objects and expect")
        )
    return tuple(run(case) for case in cases)


def cases_in(path: Path) -> Iterator[Case]:
    """Yield the cases of one file, or of all files below a folder whose documents are cases (others there are left alone)."""
    if path.is_dir():
        for file in sorted(path.rglob("*.yaml")):
            documents = read_yaml_documents(file)
            if all(isinstance(d, Mapping) and "expect" in d for d in documents):
                yield from _cases(file, documents)
        return
    yield from _cases(path, read_yaml_documents(path))


def run(case: Case) -> Result:
    """Ask the question and compare the answer with what is expected."""
    try:
        objects = case.objects if case.objects is not None else tuple(read_text(case.text or "", file=str(case.file)))
        found: Answer | None = answer(
            Question(objects=objects, cluster=case.cluster, namespace=case.namespace, budget=Budget(), per_node=case.per_node)
        )
    except BadInput as error:
        found = None
        report = PlacementReport(problems=[problem_row(p) for p in error.problems])
    else:
        report = found.report
    expect = {k: v for k, v in case.expect.items() if k != "unvisited"}
    differences = [*differences_of(expect, dump(report), "expect"), *_visited(case, found)]
    if found is None and "problems" not in case.expect:
        differences += [f"bad input: {p.object} {p.field}: found {p.found}, expected {p.expected}" for p in report.problems]
    return Result(case=case, differences=tuple(differences))


def differences_of(expected: Any, found: Any, where: str) -> list[str]:  # noqa: ANN401 - any JSON value
    """Compare any subset of a report with the report.

    A mapping must be part of the found mapping; ``{contains: text}`` matches any string that contains the text. A list of
    mappings must be matched item by item, in any order, by different found items; any other list must be equal.
    """
    if isinstance(expected, Mapping) and set(expected) == {"contains"}:
        return (
            []
            if isinstance(found, str) and str(expected["contains"]) in found
            else [f"{where}: expected text that contains {expected['contains']!r}, found {found!r}"]
        )
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [f"{where}: expected a mapping, found {show(found)}"]
        return [d for key, value in expected.items() for d in _field(key, value, found, f"{where}.{key}")]
    if isinstance(expected, list) and expected and all(isinstance(item, Mapping) for item in expected):
        return _items(expected, found, where)
    return [] if expected == found else [f"{where}: expected {show(expected)}, found {show(found)}"]


def _field(key: str, value: Any, found: Mapping[str, Any], where: str) -> list[str]:  # noqa: ANN401 - any JSON value
    return differences_of(value, found[key], where) if key in found else [f"{where}: expected {show(value)}, found no such field"]


def _items(expected: list[Any], found: Any, where: str) -> list[str]:  # noqa: ANN401 - any JSON value
    if not isinstance(found, list):
        return [f"{where}: expected a list, found {show(found)}"]
    rest, differences = list(found), []
    for i, item in enumerate(expected):
        match = next((f for f in rest if not differences_of(item, f, where)), None)
        if match is None:
            nearest = min(
                (differences_of(item, f, f"{where}[{i}]") for f in rest),
                key=len,
                default=[f"{where}[{i}]: expected {show(item)}, found nothing more"],
            )
            differences += nearest
        else:
            rest.remove(match)
    return differences


def _visited(case: Case, found: Answer | None) -> list[str]:
    """Complain of every seat in a domain that the case wants left alone."""
    unwanted = set(case.expect.get("unvisited", ()))
    if found is None or not unwanted:
        return []
    topology = found.snapshot.topology
    return [
        f"unvisited: {member.pod} sits on {member.node}, in {domain}"
        for gang in found.report.gangs
        for member in gang.members
        if member.node is not None and not member.bound
        for domain in sorted(unwanted & {member.node, *topology.domains_of(member.node).values()})
    ]


def _cases(file: Path, documents: Sequence[Any]) -> Iterator[Case]:
    for i, raw in enumerate(documents, start=1):
        problem = _case_problem(raw)
        if problem is not None:
            field, shown, expected = problem
            raise BadInput(InputProblem(file=str(file), document=i, field=field, found=shown, expected=expected))
        name = str(raw.get("name", file.stem if len(documents) == 1 else f"{file.stem}-{i}"))
        objects = raw["objects"]
        yield Case(
            name=name,
            file=file,
            why=str(raw["why"]),
            cluster=tuple(_cluster(raw["cluster"], file)),
            objects=None if isinstance(objects, str) else _documents(objects, file),
            text=objects if isinstance(objects, str) else None,
            namespace=str(raw.get("namespace", "default")),
            per_node=bool(raw.get("perNode", False)),
            expect=raw["expect"],
        )


def _case_problem(raw: Any) -> tuple[str, str, str] | None:  # noqa: ANN401 - any YAML value
    if not isinstance(raw, Mapping):
        return ("", show(raw), "a mapping with why, cluster, objects and expect")
    unknown = sorted(set(raw) - set(FIELDS))
    missing = [f for f in NEEDED if f not in raw]
    if unknown:
        return (unknown[0], "an unknown field", f"one of {', '.join(FIELDS)}")
    if missing:
        return (missing[0], "nothing", "a value")
    if not isinstance(raw["expect"], Mapping):
        return ("expect", show(raw["expect"]), "a mapping: any subset of the report")
    if not isinstance(raw["objects"], list | str):
        return ("objects", show(raw["objects"]), "a list of objects, or the text of a manifest")
    return None


def _documents(objects: Sequence[Any], file: Path) -> tuple[Document, ...]:
    return tuple(Document(file=str(file), index=i, raw=raw) for i, raw in enumerate(objects, start=1))


def _cluster(value: Any, file: Path) -> Iterator[Document]:  # noqa: ANN401 - any YAML value
    """Yield the objects of a file (a name in ``../clusters``, or a path from the case's folder), of inline objects, or of a list of both."""
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str):
            named = file.parent.parent / "clusters" / f"{part}.yaml"
            yield from read([named if named.exists() else file.parent / part], snapshot=True)
        else:
            yield from _documents([part], file)
