"""Applies a report's changes (delete, patch with RFC 6902 add, replace and remove, create) to Kubernetes objects: strict, nothing is guessed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def applied(objects: Iterable[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the objects after the changes; a change that meets no object, or a path that does not exist, is an error."""
    world = [copy.deepcopy(dict(o)) for o in objects]
    for change in changes:
        if "create" in change:
            world.append(copy.deepcopy(dict(change["create"])))
        elif "delete" in change:
            world.remove(_one(world, change["delete"]))
        else:
            target = _one(world, change["patch"])
            for op in change["ops"]:
                _apply(target, op)
    return world


def _one(world: list[dict[str, Any]], named: Mapping[str, Any]) -> dict[str, Any]:
    found = [o for o in world if _names(o, named)]
    assert len(found) == 1, f"{dict(named)} names {len(found)} objects"
    return found[0]


def _names(item: Mapping[str, Any], named: Mapping[str, Any]) -> bool:
    metadata = item["metadata"]
    if (item["kind"], metadata["name"]) != (named["kind"], named["name"]) or named.get("apiVersion", item["apiVersion"]) != item["apiVersion"]:
        return False
    return "namespace" not in named or metadata.get("namespace", "default") == named["namespace"]


def _apply(document: Any, op: Mapping[str, Any]) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in op["path"].split("/")[1:]]
    for part in parents:
        document = document[int(part)] if isinstance(document, list) else document[part]
    if isinstance(document, list):
        _apply_to_list(document, last, op)
    elif op["op"] == "add":
        document[last] = copy.deepcopy(op["value"])
    elif op["op"] == "replace":
        assert last in document, f"{op['path']}: nothing to replace"
        document[last] = copy.deepcopy(op["value"])
    else:
        assert op["op"] == "remove", op
        del document[last]


def _apply_to_list(items: list[Any], last: str, op: Mapping[str, Any]) -> None:
    if op["op"] == "add":
        items.insert(len(items) if last == "-" else int(last), copy.deepcopy(op["value"]))
    elif op["op"] == "replace":
        items[int(last)] = copy.deepcopy(op["value"])
    else:
        assert op["op"] == "remove", op
        del items[int(last)]
