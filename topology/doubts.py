"""What is missing or contradictory in the labels, said once per level: how many nodes, and which come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topology.columns import Column
from topology.vocabulary import HOSTNAME, Level

SHOWN: Final = 5
"""Names that a warning shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyWarning:
    """One doubt about the labels."""

    code: str
    """``MissingLabel``, ``EmptyLabel``, ``SplitDomain``, ``SharedHostname`` or ``NoLevels``."""
    message: str
    level: str
    """The label key of the level concerned."""
    nodes: tuple[str, ...]
    """The first few nodes concerned, in name order."""
    count: int
    """How many nodes are concerned."""


def doubts(
    nodes: Sequence[str],
    labels: Mapping[str, Mapping[str, str]],
    levels: Sequence[Level],
    columns: Mapping[str, Column],
    split: Mapping[str, Sequence[int]],
) -> tuple[TopologyWarning, ...]:
    """Return the warnings, widest level first; ``split`` holds the nodes whose domain lies under several parents."""
    found = [_no_levels(nodes, levels)]
    for level in levels:
        if level.dimension == "host":
            found.append(_shared_hostname(nodes, labels, columns[level.key]))
            continue
        found.append(_split(nodes, level, columns[level.key], split.get(level.key, ())))
        empty = [node for node in nodes if labels[node].get(level.key) == ""]
        found.append(_empty(level, empty))
        found.append(_missing(nodes, level, levels, columns, set(empty)))
    return tuple(warning for warning in found if warning is not None)


def _no_levels(nodes: Sequence[str], levels: Sequence[Level]) -> TopologyWarning | None:
    if len(nodes) < 2 or any(level.dimension != "host" for level in levels):  # noqa: PLR2004 - one node needs no topology
        return None
    message = f"None of the {len(nodes)} nodes carries a topology label that is known: only hosts are told apart."
    return _warning("NoLevels", HOSTNAME, nodes, message)


def _missing(nodes: Sequence[str], level: Level, levels: Sequence[Level], columns: Mapping[str, Column], empty: set[str]) -> TopologyWarning | None:
    """Name the nodes that no key of the level's name places; said once, for the key that most nodes carry."""
    alternatives = [other for other in levels if other.name == level.name]
    if level != min(alternatives, key=lambda other: int((columns[other.key].index < 0).sum())):
        return None
    without = np.ones(len(nodes), dtype=np.bool_)
    for other in alternatives:
        without &= columns[other.key].index < 0
    if level.name == "nvlink-sub":  # optional, and only within a domain
        without &= _anywhere(nodes, columns, [other for other in levels if other.name == "nvlink"])
    names = [nodes[i] for i in np.flatnonzero(without).tolist() if nodes[i] not in empty]
    if not names:
        return None
    label = f"Label {level.key}{_called(level)} is" if len(alternatives) == 1 else f"Every label for the level {level.name} is"
    message = f"{label} missing on {len(names)} of {len(nodes)} nodes{_first(names)}; each is a domain of its own."
    return _warning("MissingLabel", level.key, names, message)


def _anywhere(nodes: Sequence[str], columns: Mapping[str, Column], levels: Sequence[Level]) -> NDArray[np.bool_]:
    """Tell which nodes lie in a domain of any of the levels."""
    found = np.zeros(len(nodes), dtype=np.bool_)
    for level in levels:
        found |= columns[level.key].index >= 0
    return found


def _empty(level: Level, names: Sequence[str]) -> TopologyWarning | None:
    if not names:
        return None
    message = f"Label {level.key}{_called(level)} has an empty value on {_count(names)}{_first(names)}; that counts as no label."
    return _warning("EmptyLabel", level.key, names, message)


def _split(nodes: Sequence[str], level: Level, column: Column, where: Sequence[int]) -> TopologyWarning | None:
    if not where:
        return None
    parts = sorted({column.domains[column.index[i]] for i in where})
    message = (
        f"Label {level.key}{_called(level)} has equal values under different wider domains on {_count(where)}; "
        f"they are kept apart as {len(parts)} domains{_first(parts)}."
    )
    return _warning("SplitDomain", level.key, [nodes[i] for i in where], message)


def _shared_hostname(nodes: Sequence[str], labels: Mapping[str, Mapping[str, str]], column: Column) -> TopologyWarning | None:
    names = [node for i, node in enumerate(nodes) if labels[node].get(HOSTNAME) and labels[node][HOSTNAME] != column.domains[column.index[i]]]
    if not names:
        return None
    message = f"Label {HOSTNAME} is not unique on {_count(names)}{_first(names)}; each is a host of its own, under its node name."
    return _warning("SharedHostname", HOSTNAME, names, message)


def _called(level: Level) -> str:
    return "" if level.name == level.key else f" ({level.name})"


def _count(concerned: Sequence[object]) -> str:
    return "1 node" if len(concerned) == 1 else f"{len(concerned)} nodes"


def _first(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return f" ({', '.join(names[:SHOWN])}{more})"


def _warning(code: str, key: str, names: Sequence[str], message: str) -> TopologyWarning:
    return TopologyWarning(code=code, message=message, level=key, nodes=tuple(names[:SHOWN]), count=len(names))
