"""Documents: raw objects with the place where they stood, lists unfolded; whatever is no object is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from scheduler.kube.parse.reading import object_name
from scheduler.state.problems import BadInput, InputProblem, show

_OBJECT: Final = "an object with apiVersion, kind and metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One raw object and where it stood."""

    file: str
    """The file as the user named it; empty for objects that come from no file."""
    index: int
    """Position in the file, from 1."""
    raw: Any
    place: str = ""
    """Where in the document the object stands: ``items[3]``, empty for a document of its own."""

    @property
    def kind(self) -> str:
        """The object's kind, empty where it has none."""
        kind = self.raw.get("kind") if isinstance(self.raw, Mapping) else None
        return kind if isinstance(kind, str) else ""

    @property
    def api_version(self) -> str:
        """The object's apiVersion, empty where it has none."""
        version = self.raw.get("apiVersion") if isinstance(self.raw, Mapping) else None
        return version if isinstance(version, str) else ""

    def problem(self, *, field: str = "", found: str = "", expected: str = "") -> BadInput:
        """Say what is wrong with this document."""
        place = ".".join(part for part in (self.place, field) if part) if not self.kind else field
        name = object_name(self.raw, self.kind) if self.kind else ""
        return BadInput(InputProblem(file=self.file, document=self.index, object=name, field=place, found=found, expected=expected))

    def located(self, error: BadInput) -> BadInput:
        """Add file and document to problems that an object's reader found."""
        return BadInput([replace(p, file=self.file, document=self.index) for p in error.problems])


def documents(objects: Iterable[Any], *, file: str = "") -> list[Document]:
    """Return objects that come from a program as numbered documents, lists unfolded; raises BadInput for what is no object."""
    return unfold(Document(file=file, index=index, raw=raw) for index, raw in enumerate(objects, start=1))


def unfold(given: Iterable[Document]) -> list[Document]:
    """Return all objects, those inside of lists one by one; raises BadInput with every document that is no object."""
    found: list[Document] = []
    problems: list[InputProblem] = []
    for document in given:
        try:
            found.extend(_objects(document))
        except BadInput as error:
            problems.extend(error.problems)
    if problems:
        raise BadInput(problems)
    return found


def _objects(document: Document) -> Iterator[Document]:
    raw = document.raw
    if not isinstance(raw, Mapping):
        raise document.problem(found=show(raw), expected=_OBJECT)
    if not document.kind:
        raise document.problem(field="kind", found=show(raw["kind"]) if "kind" in raw else "nothing", expected=_OBJECT)
    if not document.api_version:
        raise document.problem(field="apiVersion", found=show(raw["apiVersion"]) if "apiVersion" in raw else "nothing", expected=_OBJECT)
    if not _is_list(document):
        yield document
        return
    items = raw.get("items")
    if items is None:
        return
    if not isinstance(items, list | tuple):
        raise document.problem(field="items", found=show(items), expected="a list of objects")
    for index, item in enumerate(items):
        place = f"{document.place}.items[{index}]" if document.place else f"items[{index}]"
        yield from _objects(Document(file=document.file, index=document.index, raw=_named(item, document), place=place))


def _is_list(document: Document) -> bool:
    return document.kind == "List" or (document.kind.endswith("List") and "items" in document.raw)


def _named(item: Any, above: Document) -> Any:  # noqa: ANN401 - any JSON value
    """Give the items of a typed list (PodList) the kind and version that they leave to the list."""
    if above.kind == "List" or not isinstance(item, Mapping) or "kind" in item:
        return item
    return {"apiVersion": above.api_version, "kind": above.kind.removesuffix("List"), **item}
