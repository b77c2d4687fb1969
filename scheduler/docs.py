"""Writes the parts of docs/ that are made from tables of the code; a test fails when they differ.

python -m scheduler.docs docs
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import BaseModel

from scheduler import metrics
from scheduler.config import Config
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
    return "\n".join(lines) + "\n"


def schema_page() -> str:
    """Return docs/report.schema.json."""
    return json.dumps(PlacementReport.model_json_schema(by_alias=True, mode="serialization"), indent=2, sort_keys=True) + "\n"


PAGES: tuple[tuple[str, Callable[[], str]], ...] = (
    ("reasons.md", reasons_page),
    ("metrics.md", metrics_page),
    ("configuration.md", configuration_page),
    ("report.schema.json", schema_page),
)


def main(folder: Path) -> None:
    """Write every page into the folder."""
    for name, page in PAGES:
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
