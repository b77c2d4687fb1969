"""Cases: questions about small worlds, with a stated reason, answered by the same function as ``coterie plan``.

A case file holds one case per YAML document. Reading cases, asking and comparing is here; ``fixtures/README.md`` tells the
format, `scheduler.render.text` prints the outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from scheduler.dryrun import Answer, Question, answer
from scheduler.replay import Document, read, read_text, read_yaml_documents
from scheduler.report import PlacementReport, dump, problem_row
from scheduler.state.problems import BadInput, InputProblem, show

FIELDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "name": (str, "a text"),
    "why": (str, "a sentence that could be false"),
    "cluster": ((str, list, Mapping), "the name of a cluster file, an object, or a list of both"),
    "objects": ((str, list), "a list of objects, or the text of a manifest"),
    "namespace": (str, "the namespace of objects that name none"),
    "perNode": (bool, "true or false"),
    "expect": (Mapping, "a mapping: any subset of the report, and unvisited"),
}
"""Every field of a case with its types, and what is expected there."""
NEEDED: Final = ("why", "cluster", "objects", "expect")
UNVISITED: Final = "unvisited"
"""The one expectation that is no field of the report: domains (or nodes) in which no member may be seated."""
CONTAINS: Final = "contains"
IDENTITY: Final = ("pod", "name", "object", "kind", "domain", "key", "node", "check", "field")
"""Fields that tell one item of a list from another, the best first: a difference is told against the item that was meant."""
SUFFIXES: Final = (".yaml", ".yml")
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question and what its answer must hold."""

    name: str
    file: Path
    why: str
    cluster: tuple[Document, ...]
    objects: tuple[Document, ...] | str
    """Text is read as a manifest of its own, so that a case can ask about one that is no YAML."""
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
        return {
            "case": self.case.name,
            "file": str(self.case.file),
            "why": self.case.why,
            "holds": self.holds,
            "differences": list(self.differences),
        }


def run_all(paths: Sequence[Path]) -> tuple[Result, ...]:
    """Run every case of the files and folders; raises BadInput where a case cannot be read, or a path holds none."""
    return tuple(run(case) for case in cases_in(*paths))


def cases_in(*paths: Path) -> tuple[Case, ...]:
    """Return the cases of files, and of all case files below folders; raises BadInput where a case cannot be read, or a path holds none.

    Below a folder, files of Kubernetes objects (every document has a kind) are no case files.
    """
    found: list[Case] = []
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.suffix in SUFFIXES and f.is_file()) if path.is_dir() else [path]
        cases = [case for file in files for case in _cases_of(file, alone=file == path)]
        if not cases:
            raise BadInput(InputProblem(file=str(path), found="no case", expected="at least one document with why, cluster, objects and expect"))
        found += cases
    return tuple(found)


def run(case: Case) -> Result:
    """Ask the question and compare the answer with what is expected."""
    found: Answer | None = None
    try:
        objects = tuple(read_text(case.objects, file=str(case.file))) if isinstance(case.objects, str) else case.objects
        found = answer(Question(objects=objects, cluster=case.cluster, namespace=case.namespace, per_node=case.per_node))
        report = found.report
    except BadInput as error:
        report = PlacementReport(problems=[problem_row(p) for p in error.problems])
    expected = {key: value for key, value in case.expect.items() if key != UNVISITED}
    differences = differences_of(expected, dump(report), "expect")
    if report.problems and "problems" not in expected:
        differences += [f"expect: nothing about problems, found {_said(dump(report)['problems'])}"]
    if UNVISITED in case.expect:
        differences += _visited(case.expect[UNVISITED], found)
    return Result(case=case, differences=tuple(differences))


def differences_of(expected: object, found: object, where: str) -> list[str]:
    """Say where a found value does not hold what is expected.

    Of a mapping every expected field must be there. ``{contains: text}`` (or a list of texts) is held by any text with them in it. A list
    of mappings is held by a list in which every expected item has an item of its own, in any order; every other value must be equal.
    """
    if isinstance(expected, Mapping) and set(expected) == {CONTAINS}:
        wanted = expected[CONTAINS] if isinstance(expected[CONTAINS], list) else [expected[CONTAINS]]
        missing = [text for text in wanted if not isinstance(found, str) or str(text) not in found]
        return [f"{where}: expected text with {_said(text)} in it, found {_said(found)}" for text in missing]
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return [
            difference
            for key, value in expected.items()
            for difference in (
                differences_of(value, found[key], f"{where}.{key}")
                if key in found
                else [f"{where}.{key}: expected {_said(value)}, found no such field"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and expected and all(isinstance(item, Mapping) for item in expected):
        return _items(expected, found, where)
    return [] if expected == found and isinstance(expected, bool) == isinstance(found, bool) else [_differs(expected, found, where)]


def _differs(expected: object, found: object, where: str) -> str:
    return f"{where}: expected {_said(expected)}, found {_said(found)}"


def _items(expected: list[Any], found: list[Any], where: str) -> list[str]:
    """Give every expected item a found one of its own (by augmenting paths), and say what those lack that get none."""
    able = [[at for at, other in enumerate(found) if not differences_of(item, other, where)] for item in expected]
    holder: dict[int, int] = {}

    def give(item: int, tried: set[int]) -> bool:
        for at in able[item]:
            if at not in tried:
                tried.add(at)
                if at not in holder or give(holder[at], tried):
                    holder[at] = item
                    return True
        return False

    without = [item for item in range(len(expected)) if not give(item, set())]
    rest = [other for at, other in enumerate(found) if at not in holder]
    return [difference for item in without for difference in _nearest(expected[item], rest, f"{where}[{item}]")]


def _nearest(expected: Mapping[str, Any], rest: list[Any], where: str) -> list[str]:
    """Return the differences to the item that was probably meant."""

    def unlikeness(other: Any) -> tuple[list[bool], int]:  # noqa: ANN401 - any item of a report
        own = other if isinstance(other, Mapping) else {}
        others = [key in expected and bool(differences_of(expected[key], own.get(key), "")) for key in IDENTITY]
        return others, len(differences_of(expected, other, where))

    if not rest:
        return [f"{where}: expected {_said(expected)}, found nothing more"]
    return differences_of(expected, min(rest, key=unlikeness), where)


def _said(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _visited(unwanted: object, found: Answer | None) -> list[str]:
    """Complain of every new seat in a domain that the case wants left alone, and of domains and seats that do not exist."""
    if not isinstance(unwanted, list) or not unwanted:
        return [f"expect.{UNVISITED}: expected a list of domains or nodes, found {_said(unwanted)}"]
    seats = [(m.pod, m.node) for gang in found.report.gangs for m in gang.members if m.node is not None and not m.bound] if found else []
    if found is None or not seats:
        return [f"expect.{UNVISITED}: expected seats elsewhere than in {', '.join(map(str, unwanted))}, found no seat at all"]
    topology = found.snapshot.topology
    domains = {node: {node, *topology.domains_of(node).values()} for node in topology.nodes}
    known = set().union(*domains.values())
    return [f"expect.{UNVISITED}: expected a domain or node of the cluster, found {_said(name)}" for name in unwanted if name not in known] + [
        f"expect.{UNVISITED}: expected no seat in {domain}, found {pod} on {node}"
        for pod, node in seats
        for domain in sorted(domains[node].intersection(unwanted))
    ]


def _cases_of(file: Path, *, alone: bool) -> Iterator[Case]:
    documents = read_yaml_documents(file)
    if not alone and all(isinstance(raw, Mapping) and "kind" in raw for raw in documents):
        return
    for index, raw in enumerate(documents, start=1):
        problem = _problem(raw)
        if problem is not None:
            raise BadInput(replace(problem, file=str(file), document=index))
        yield Case(
            name=raw.get("name") or (file.stem if len(documents) == 1 else f"{file.stem}-{index}"),
            file=file,
            why=raw["why"],
            cluster=tuple(_cluster(raw["cluster"], file, index)),
            objects=raw["objects"] if isinstance(raw["objects"], str) else tuple(_documents(raw["objects"], file)),
            namespace=raw.get("namespace", "default"),
            per_node=raw.get("perNode", False),
            expect=raw["expect"],
        )


def _problem(raw: object) -> InputProblem | None:
    """Return what makes a document no case."""
    if not isinstance(raw, Mapping):
        return InputProblem(found=show(raw), expected="a mapping with why, cluster, objects and expect")
    for field in raw:
        if field not in FIELDS:
            return InputProblem(field=str(field), found="an unknown field", expected=f"one of {', '.join(FIELDS)}")
    for field, (types, expected) in FIELDS.items():
        if field in raw and not isinstance(raw[field], types):
            return InputProblem(field=field, found=show(raw[field]), expected=expected)
        if field in NEEDED and field != "objects" and not raw.get(field):
            return InputProblem(field=field, found=show(raw[field]) if field in raw else "nothing", expected=expected)
    return None if "objects" in raw else InputProblem(field="objects", found="nothing", expected=FIELDS["objects"][1])


def _documents(objects: Sequence[Any], file: Path) -> Iterator[Document]:
    return (Document(file=str(file), index=index, raw=raw) for index, raw in enumerate(objects, start=1))


def _cluster(value: Any, file: Path, document: int) -> Iterator[Document]:  # noqa: ANN401 - any YAML value
    """Yield the objects of files (a name in ``../clusters``, or a path from the case's folder) and inline objects, as they are listed."""
    parts = value if isinstance(value, list) else [value]
    for at, part in enumerate(parts):
        place = f"cluster[{at}]" if isinstance(value, list) else "cluster"
        if isinstance(part, str):
            yield from _named(part, file, InputProblem(file=str(file), document=document, field=place))
        else:
            yield Document(file=str(file), index=document, raw=part, place=place)


def _named(name: str, file: Path, place: InputProblem) -> Iterator[Document]:
    """Yield the objects of a cluster file; one that cannot be read is told with the field that names it."""
    named = file.parent.parent / "clusters" / f"{name}.yaml"
    path = named if named.exists() else file.parent / name
    try:
        yield from read([path], snapshot=True)
    except BadInput as error:
        where = f"a readable file {named}, or one at the path {name} from {file.parent}"
        wrong = [replace(place, found=f"{show(name)}: {p.found} ({p.file})", expected=p.expected if path.exists() else where) for p in error.problems]
        raise BadInput(p if p.document is not None else told for p, told in zip(error.problems, wrong, strict=True)) from None
