"""Lists, page by page, as the API server tells them: for the first part of a watch, for recovery and for snapshot files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.kube.api import Api, Resource
from scheduler.kube.errors import Gone, NotFound
from scheduler.kube.follow.watched import LISTED, Listed
from scheduler.kube.parse.pages import ReadPage, whole

PAGE: Final = 500
_RESTARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list."""

    items: list[dict[str, object]]
    version: str
    """The resourceVersion of the whole list, the same on every page."""


async def pages(api: Api, resource: Resource, limit: int = PAGE, *, read: ReadPage = whole) -> AsyncIterator[Page]:
    """Yield a list page by page, each as far as ``read`` reads it; raises Gone when the list grew too old between two pages."""
    token = ""
    while True:
        query: dict[str, str | int] = {"limit": limit, **({"continue": token} if token else {})}
        answer = read(await api.get(resource.path(), query))
        metadata = answer.get("metadata") or {}
        yield Page(items=answer.get("items") or [], version=str(metadata.get("resourceVersion") or ""))
        token = str(metadata.get("continue") or "")
        if not token:
            return


async def objects(api: Api, row: Listed) -> list[dict[str, object]]:
    """Return all objects of a row, of one moment, with apiVersion and kind in each; empty where the server does not serve it."""
    for version in row.versions:
        try:
            return await _whole(api, row, row.resource(version))
        except NotFound:
            continue
    return []


async def snapshot(api: Api, rows: Sequence[Listed] = LISTED) -> dict[str, object]:
    """Return everything that decisions read as one Kubernetes List, like ``kubectl get -o json`` writes it, without managedFields."""
    items: list[dict[str, object]] = []
    for row in rows:
        items.extend(await objects(api, row))
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}


async def _whole(api: Api, row: Listed, resource: Resource) -> list[dict[str, object]]:
    for restart in range(_RESTARTS):
        try:
            # The last time in one piece: a list without pages cannot grow too old between them.
            limit = PAGE if restart < _RESTARTS - 1 else 0
            return [_named(item, row, resource) async for page in pages(api, resource, limit) for item in page.items]
        except Gone:
            if restart == _RESTARTS - 1:
                raise
    raise AssertionError("the last restart returns or raises")


def _named(item: dict[str, object], row: Listed, resource: Resource) -> dict[str, object]:
    # Items of built-in lists carry neither apiVersion nor kind.
    metadata = item.get("metadata")
    slim = {key: value for key, value in metadata.items() if key != "managedFields"} if isinstance(metadata, dict) else metadata
    return {"apiVersion": resource.api_version, "kind": row.kind, **item, "metadata": slim}
