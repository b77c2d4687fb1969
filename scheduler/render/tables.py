"""The tables that text and page share: the levels of a gang with those of its segments, and the columns of its seats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scheduler.render.words import wanted
from scheduler.report import GangReport

_HOST: Final = "host"
_NAMED: Final = 6
"""Objects that are alike and named one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelLine:
    """One row of the table of levels."""

    name: str
    key: str
    wanted: str
    domains: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a relaxation, and the names of further objects to create that are the same but for their names."""

    change: Mapping[str, Any]
    more: list[str] = field(default_factory=list)

    @property
    def likewise(self) -> str:
        """Say how many more there are, and name them: ``and 3 more like it: added-2, added-3, added-4``; empty where there are none."""
        if not self.more:
            return ""
        names = ", ".join(self.more) if len(self.more) <= _NAMED else f"{self.more[0]} ... {self.more[-1]}"
        return f"and {len(self.more):,} more like it: {names}"


def levels(gang: GangReport) -> list[LevelLine]:
    """Return the levels that a gang occupies, widest first, then those of its segments, outermost first."""
    whole = [LevelLine(name=x.name, key=x.key, wanted=wanted(x), domains=x.domains) for x in gang.levels]
    parts = [LevelLine(name=x.name, key=x.key, wanted=f"each segment of {x.size:,} in one", domains=x.domains) for x in gang.segments]
    return whole + parts


def columns(gang: GangReport) -> dict[str, str]:
    """Return the levels whose domain is told of each seat, name by key; the host is the seat's node and needs no column."""
    return {x.key: x.name for x in levels(gang) if x.name != _HOST}


def pieces(key: str) -> list[str]:
    """Return a label key in the parts between which a narrow column may break it: after each dot and slash."""
    return re.findall(r"[^./]*[./]|[^./]+", key)


def folded(changes: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Return the changes with objects to create that differ in nothing but their name put together: a list of nodes is read once."""
    found: list[Change] = []
    looks: list[str] = []
    for change in changes:
        name = change.get("create", {}).get("metadata", {}).get("name")
        look = json.dumps(change, sort_keys=True).replace(json.dumps(name), "") if name else ""
        if look and looks and look == looks[-1]:
            found[-1].more.append(name)
        else:
            found.append(Change(change=change))
            looks.append(look)
    return found
