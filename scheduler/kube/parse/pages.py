"""Pages of the two long lists, nodes and pods: only the fields that decisions read are made objects, half the work of reading a page.

The difficulty: one object that cannot be read must not cost its page. Such a page is read whole, and the parser of each object says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter, ValidationError, with_config
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.parse.fields import STRICT, NodeFields, PodFields

ReadPage: TypeAlias = Callable[[bytes], dict[str, Any]]
"""Turns the bytes of a page into its metadata and items."""


_Meta = TypedDict("_Meta", {"resourceVersion": str | None, "continue": str | None}, total=False)  # as a class it could not have a field "continue"


@with_config(STRICT)
class _Nodes(TypedDict, total=False):
    metadata: _Meta | None
    items: list[NodeFields] | None


@with_config(STRICT)
class _Pods(TypedDict, total=False):
    metadata: _Meta | None
    items: list[PodFields] | None


def _reader(adapter: TypeAdapter[Any]) -> ReadPage:
    def read(page: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = adapter.validate_json(page)
        except ValidationError:
            return whole(page)
        return found

    return read


def whole(page: bytes) -> dict[str, Any]:
    """Read a page with everything in it; raises ValueError where it is no JSON."""
    found: dict[str, Any] = from_json(page)
    return found


nodes: Final = _reader(TypeAdapter(_Nodes))
pods: Final = _reader(TypeAdapter(_Pods))
