"""``python -m scheduler.kube.crd.crdgen DIRECTORY`` writes the manifests that are derived: CRDs from the models, roles from VERBS.

What the resources are is said in `scheduler.kube.crd.crds` and `scheduler.kube.crd.crdtable`, what the scheduler may do in
`scheduler.kube.crd.verbs`; here is only the form.
A test compares what this gives with what is committed in deploy/base.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from pydantic import BaseModel

from scheduler.kube.crd.crdtable import CUSTOM_RESOURCES, Column, CustomResource
from scheduler.kube.crd.verbs import VERBS, Right, Scope

Json: TypeAlias = Any
"""A JSON value: manifests are data here, not typed objects."""

HEADER: Final = "# Written by `make generate` from {source}: change it there.\n"
LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/name": "coterie"}
ROLE: Final = "coterie"
NAMESPACE: Final = "coterie-system"
NOT_WORTH_A_DEFAULT: Final[tuple[Json, ...]] = (None, "", [], {})
FIRST: Final = ("description", "type", "format", "enum", "default", "required")
"""Keys of a schema that a person looks for first."""


def files() -> dict[str, str]:
    """Return the text of each derived manifest by its file name."""
    written = {f"crd-{resource.plural}.yaml": _text("scheduler/kube/crd/crds.py", definition(resource)) for resource in CUSTOM_RESOURCES}
    written["clusterrole.yaml"] = role("cluster")
    written["role.yaml"] = role("own namespace")
    return written


def definition(resource: CustomResource) -> dict[str, Json]:
    """Return the CustomResourceDefinition of ``resource``."""
    names: dict[str, Json] = {"kind": resource.kind, "listKind": f"{resource.kind}List", "plural": resource.plural, "singular": resource.kind.lower()}
    names |= {"shortNames": list(resource.short_names)} if resource.short_names else {}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in resource.columns],
        "schema": {"openAPIV3Schema": structural(resource.model)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}", "labels": dict(LABELS)},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {**names, "categories": ["coterie"]},
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Json]:
    shown: dict[str, Json] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    shown |= {"description": column.description} if column.description else {}
    return shown | ({"priority": 1} if column.wide else {})


def structural(model: type[BaseModel]) -> dict[str, Json]:
    """Return the structural schema of an object whose ``spec`` and ``status`` are those of ``model``."""
    document = model.model_json_schema(by_alias=True, mode="validation")
    schema = _plain(document, document.get("$defs", {}))
    head = {
        "apiVersion": {"type": "string", "description": "The version of this form of the object."},
        "kind": {"type": "string", "description": "The kind of the object."},
        "metadata": {"type": "object"},
    }
    schema["properties"] = head | schema["properties"]
    return schema


def _plain(schema: Mapping[str, Json], definitions: Mapping[str, Json]) -> dict[str, Json]:
    """Return ``schema`` without what a structural schema cannot have: references, unions with null, titles, empty defaults."""
    merged: dict[str, Json] = {}
    for layer in _layers(schema, definitions):
        merged |= layer
    if "properties" in merged:
        merged["properties"] = {name: _plain(child, definitions) for name, child in merged["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(merged.get(key), Mapping):
            merged[key] = _plain(merged[key], definitions)
    if (default := _without_nulls(merged.pop("default", None))) not in NOT_WORTH_A_DEFAULT:
        merged["default"] = default
    if "enum" in merged or "const" in merged:
        merged["enum"] = merged.pop("enum", None) or [merged.pop("const")]
    return {key: merged[key] for key in (*(key for key in FIRST if key in merged), *(key for key in merged if key not in FIRST))}


def _layers(schema: Mapping[str, Json], definitions: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
    """Yield what ``schema`` refers to, then what it says itself, which has the last word."""
    if "$ref" in schema:
        yield from _layers(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in schema:
        choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        if len(choices) != 1:
            raise ValueError(f"a structural schema has one type per field: found {len(choices)} in {schema}")
        yield from _layers(choices[0], definitions)
    yield {key: value for key, value in schema.items() if key not in ("$ref", "$defs", "anyOf", "title")}


def _without_nulls(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def role(scope: Scope) -> str:
    """Return the text of the ClusterRole (scope ``cluster``) or Role (scope ``own namespace``): the rows of VERBS, each with its reason."""
    cluster = scope == "cluster"
    head = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole" if cluster else "Role",
        "metadata": {"name": ROLE, **({} if cluster else {"namespace": NAMESPACE}), "labels": dict(LABELS)},
    }
    rules = "".join(_rule(right) for right in VERBS if right.scope == scope)
    return f"{_text('scheduler/kube/crd/verbs.py', head)}rules:\n{rules}"


def _rule(right: Right) -> str:
    rule = {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
    return f"# {right.why}\n{yaml.safe_dump([rule], sort_keys=False, default_flow_style=None)}"


def _text(source: str, document: Mapping[str, Json]) -> str:
    return HEADER.format(source=source) + yaml.safe_dump(document, sort_keys=False, width=140, allow_unicode=True)


def main(arguments: list[str]) -> int:
    """Write the derived manifests into the directory that ``arguments`` names; return the exit status."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write(f"expected one existing directory, for example deploy/base: found {' '.join(arguments) or 'nothing'}\n")
        return 2
    for name, text in files().items():
        (Path(arguments[0]) / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
