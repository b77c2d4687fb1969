"""Topology objects of other schedulers as custom levels: Kueue's Topology and Grove's ClusterTopologyBinding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from topology.vocabulary import HOSTNAME, CustomLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one kind of topology object keeps its levels, widest first."""

    group: str
    kind: str
    path: tuple[str, ...]
    key: str
    """Field of a level that holds the label key."""
    name: str = ""
    """Field that holds the object's own word for the level, if it has one."""


SOURCES: Final = (
    Source(group="kueue.x-k8s.io", kind="Topology", path=("spec", "levels"), key="nodeLabel"),
    Source(group="grove.io", kind="ClusterTopologyBinding", path=("spec", "levels"), key="key", name="domain"),
    Source(group="grove.io", kind="ClusterTopology", path=("spec", "levels"), key="key", name="domain"),
)

NAMES: Final[Mapping[str, str]] = {"region": "region", "zone": "zone", "datacenter": "core", "block": "spine", "rack": "rack", "host": "host"}
"""Grove's words and ours; parts of a host (``numa``) are no level between nodes."""


def levels_of(document: Mapping[str, object]) -> tuple[CustomLevel, ...]:
    """Return the levels of a topology object, widest first; hosts and parts of hosts are left out.

    ValueError names the field that cannot be read, or the kind where it is no topology object.
    """
    group, kind = str(document.get("apiVersion", "")).partition("/")[0], document.get("kind")
    source = next((s for s in SOURCES if (s.group, s.kind) == (group, kind)), None)
    if source is None:
        kinds = ", ".join(f"{s.kind} ({s.group})" for s in SOURCES)
        raise ValueError(f"found {kind} of {group or 'no API group'}, expected one of {kinds}")
    rows = _rows(document, source.path)
    levels = [_level(row, f"{'.'.join(source.path)}[{number}]", source) for number, row in enumerate(rows)]
    return tuple(level for level in levels if level is not None)


def _rows(document: Mapping[str, object], path: tuple[str, ...]) -> list[object]:
    """Follow the path to the list of levels."""
    value: object = document
    for field in path:
        value = value.get(field) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        raise ValueError(f"{'.'.join(path)}: found {type(value).__name__}, expected a list of levels")  # noqa: TRY004 - bad input, not a bug
    return value


def _level(row: object, where: str, source: Source) -> CustomLevel | None:
    """Read one level."""
    key = row.get(source.key) if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(key, str) or not key:
        raise ValueError(f"{where}.{source.key}: found {key!r:.80}, expected a node label key")
    word = str(row.get(source.name, "")) if source.name else ""
    if key == HOSTNAME or word in ("host", "numa"):
        return None
    return CustomLevel(key=key, name=NAMES.get(word, ""))
