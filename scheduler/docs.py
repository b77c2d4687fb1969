"""Writes the parts of docs/ that are made from tables of the code; a test fails when they differ.

python -m scheduler.docs docs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from scheduler import metrics
from scheduler.config import Config
from scheduler.kube.bindings import table
from scheduler.kube.crd.crdgen import structural
from scheduler.kube.crd.crdtable import CUSTOM_RESOURCES, CustomResource
from scheduler.report import PlacementReport
from scheduler.state.reasons import REASONS


def reasons_page() -> str:
    """Return docs/reasons.md."""
    lines = [
        "# Why a gang is not placed",
        "",
        "Written from `scheduler/state/reasons.py` by `make generate`. The report, conditions, events and metrics use these codes.",
        "",
        "| code | status | speaks of | tried again by itself | meaning | what helps |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {r.code} | {r.status} | the {r.of} | {'yes' if r.retry else 'no'} | {r.meaning} | {r.remedy} |" for r in REASONS]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    head = "# Metrics\n\nWritten from `scheduler/metrics.py` by `make generate`; served on `/metrics`.\n\n"
    return head + metrics.table() + "\n"


def configuration_page() -> str:
    """Return docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Written from `scheduler/config.py` by `make generate`. One YAML file, given with `--config`; every field has the default shown.",
        "",
        "```yaml",
        yaml.safe_dump(Config().model_dump(mode="json", by_alias=True), sort_keys=False).rstrip(),
        "```",
    ]
    for name, field in Config.model_fields.items():
        if isinstance(field.default, BaseModel):
            lines += ["", f"`{field.alias or name}`: {' '.join((type(field.default).__doc__ or '').split())}"]
        elif field.description:
            lines += ["", f"`{field.alias or name}`: {field.description}"]
    return "\n".join(lines) + "\n"


def resources_page() -> str:
    """Return docs/resources.md."""
    head = [
        "# Custom resources, field by field",
        "",
        "Written from `scheduler/kube/crd/crds.py` by `make generate`. What a gang can demand with them is told in [demands.md](demands.md).",
    ]
    return "\n".join((*head, *(line for resource in CUSTOM_RESOURCES for line in _resource(resource)))) + "\n"


def _resource(resource: CustomResource) -> Iterator[str]:
    """Yield the section of one custom resource."""
    schema = structural(resource.model)
    yield from (
        "",
        f"## {resource.kind} ({resource.api_version})",
        "",
        str(schema["description"]),
        "",
        "| field | value | meaning |",
        "|---|---|---|",
    )
    for part in ("spec", "status"):
        yield from _rows(part, schema["properties"][part])


def _rows(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each field below ``path``, in the order of the model; conditions are those that every Kubernetes object has."""
    for name, child in schema.get("properties", {}).items():
        inner = child.get("items", child)
        must = ", required" if name in schema.get("required", ()) else ""
        yield f"| `{path}.{name}` | {_value(child)}{must} | {child.get('description', '')} |"
        if name != "conditions":
            yield from _rows(f"{path}.{name}{'[]' if 'items' in child else ''}", inner)


def _value(schema: Mapping[str, Any]) -> str:
    """Say what a field holds, with its bounds and its default."""
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    words = {"integer": "whole number", "array": "list", "object": "object"}.get(schema["type"], "text")
    if schema["type"] == "integer" and "maximum" in schema:
        words += f", {schema.get('minimum', 0):,} to {schema['maximum']:,}"
    elif schema["type"] == "integer" and "minimum" in schema:
        words += f", at least {schema['minimum']:,}"
    elif schema["type"] == "array" and "maxItems" in schema:
        words += f" of at most {schema['maxItems']:,}"
    return words + (f", default {schema['default']}" if "default" in schema else "")


def schema_page() -> str:
    """Return docs/report.schema.json."""
    return json.dumps(PlacementReport.model_json_schema(by_alias=True, mode="serialization"), indent=2, sort_keys=True) + "\n"


def commit_tables() -> str:
    """Return the state table of commit records: states, findings, what is done, and the calls of each action."""
    lines = ["| state of a record | how it is known |", "|---|---|"]
    lines += [f"| {word.word} | {word.means} |" for word in table.STATE_WORDS]
    lines += ["", "| found (the first that holds) | meaning |", "|---|---|"]
    lines += [f"| {word.word} | {word.means} |" for word in table.FINDING_WORDS]
    lines += ["", "| state | found | action | state after it |", "|---|---|---|---|"]
    for row in table.ROWS:
        found = "anything" if row.findings == table.EVERY else "anything else" if row.findings == table.EVERY[1:] else ", ".join(row.findings)
        lines.append(f"| {', '.join(row.states)} | {found} | {row.action} | {row.then} |")
    lines += ["", "| action | what is done | calls of the API server, in order |", "|---|---|---|"]
    lines += [f"| {deed.action} | {deed.does} | {deed.calls} |" for deed in table.DEEDS]
    return "\n".join(lines) + "\n"


PAGES: tuple[tuple[str, Callable[[], str]], ...] = (
    ("reasons.md", reasons_page),
    ("metrics.md", metrics_page),
    ("configuration.md", configuration_page),
    ("resources.md", resources_page),
    ("report.schema.json", schema_page),
)

PARTS: tuple[tuple[str, str, Callable[[], str]], ...] = (("commit.md", "state table", commit_tables),)
"""Parts of pages that are otherwise written by hand: the page, what the part is called between its markers, and what makes it."""


def with_part(text: str, name: str, part: str) -> str:
    """Put a generated part between its markers; raises ValueError where the page has none."""
    first, last = f"<!-- begin: {name}, written by `make generate` -->\n", f"<!-- end: {name} -->"
    before, found, rest = text.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise ValueError(f"the markers of {name} are missing")
    return f"{before}{first}{part}{last}{after}"


def main(folder: Path) -> None:
    """Write every page into the folder, and every part into its page."""
    for name, page in PAGES:
        (folder / name).write_text(page(), encoding="utf-8")
    for name, part, make in PARTS:
        whole = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(with_part(whole, part, make()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
