"""Questions about a topology: what a name means, what is wider, what two nodes have in common, how far apart they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from topology.vocabulary import CUSTOM, VOCABULARIES, Level, level_width

if TYPE_CHECKING:
    from topology.columns import Column
    from topology.tree import Topology


def resolve(topology: Topology, name_or_key: str) -> Level | None:
    """Return the level of a name or key. Of several keys with one name, the one that most nodes carry (ties: table order)."""
    for level in topology.levels:
        if level.key == name_or_key:
            return level
    named = [level for level in topology.levels if level.name == name_or_key]
    if named:
        return max(named, key=lambda level: topology.carried.get(level.key, 0))
    if topology.column(name_or_key).domains:
        return Level(key=name_or_key, name=name_or_key, vocabulary=CUSTOM, dimension="custom")
    return None


def nearest(topology: Topology, name_or_key: str) -> str | None:
    """Return what exists and was probably meant.

    A level name that no node shows: the name of the next wider level, else of the next narrower one. A key of a vocabulary that no
    node carries: the key that stands for the same level here. Anything else: the closest spelling among level names, level
    keys and label keys, None where nothing is similar.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only failures ask

    width = level_width(name_or_key)
    if width is not None and resolve(topology, name_or_key) is None:
        return _nearest_level(topology, width).name
    same = _same_level(topology, name_or_key)
    if same is not None:
        return same.key
    levels = topology.levels
    spellings = dict.fromkeys([*(level.name for level in levels), *(level.key for level in levels), *sorted(topology.carried)])
    by_lower = {spelling.lower(): spelling for spelling in reversed(spellings)}
    ordered = [spelling.lower() for spelling in spellings]
    close = get_close_matches(name_or_key.lower(), ordered, n=1)
    return by_lower[close[0]] if close else None


def _nearest_level(topology: Topology, width: int) -> Level:
    """Return the next wider level that exists, else the next narrower (hosts always exist)."""
    wider_ones = [level for level in topology.levels if level.width >= width and level.dimension != "host"]
    narrower = [level for level in topology.levels if level.width < width]
    return wider_ones[-1] if wider_ones else narrower[0]


def _same_level(topology: Topology, key: str) -> Level | None:
    """Return the level that stands here for the level that a known key stands for elsewhere."""
    if key in topology.carried:
        return None
    for vocabulary in VOCABULARIES:
        for level in vocabulary.levels((key,)):
            return resolve(topology, level.name)
    return None


def wider(topology: Topology, key: str) -> tuple[Level, ...]:
    """Return the wider levels that share a node with this one, nearest first.

    For a key of no vocabulary these are the levels whose domains contain its domains and more.
    """
    own = topology.column(key)
    known = next((level for level in topology.levels if level.key == key), None)
    found = []
    for level in reversed(topology.levels):
        other = topology.column(level.key)
        both = (own.index >= 0) & (other.index >= 0)
        if level.key != key and both.any() and (level.width > known.width if known else _beyond(own, other)):
            found.append(level)
    return tuple(found)


def _beyond(inner: Column, outer: Column) -> bool:
    """Tell whether every domain of ``inner`` lies in one of ``outer``, and the two are not simply the same domains."""
    return _within(inner, outer) and not _within(outer, inner)


def _within(inner: Column, outer: Column) -> bool:
    """Tell whether every domain of ``inner`` that meets ``outer`` lies in one domain of it with all its nodes."""
    meets = np.zeros(len(inner.domains) + 1, dtype=np.bool_)
    meets[inner.index[outer.index >= 0]] = True
    nodes = (inner.index >= 0) & meets[inner.index]
    pairs = np.unique(np.stack((inner.index[nodes], outer.index[nodes])), axis=1)
    return bool((pairs[1] >= 0).all()) and len(np.unique(pairs[0])) == pairs.shape[1]


def domains_of(topology: Topology, node: str) -> dict[str, str]:
    """Return the node's domain by level key; KeyError for a node that is not there."""
    at = topology.position[node]
    columns = (topology.column(level.key) for level in topology.levels)
    return {column.key: column.domains[column.index[at]] for column in columns if column.index[at] >= 0}


def lowest_common_level(topology: Topology, a: str, b: str) -> Level | None:
    """Return the narrowest level with one domain for both nodes; KeyError for a node that is not there."""
    first, second = topology.position[a], topology.position[b]
    for level in reversed(topology.levels):
        index = topology.column(level.key).index
        if index[first] == index[second] >= 0:
            return level
    return None


def distance(topology: Topology, a: str, b: str) -> int:
    """Return how many switches lie between two nodes when traffic takes the best way that their labels show.

    0 for one node, 1 through an NVLink domain or a shared rack switch, 3 through a spine, 5 through a core, two more for each
    further tier, zone and region that the cluster shows; nodes with nothing in common are one step beyond its widest level.
    """
    common = lowest_common_level(topology, a, b)
    if common is not None and common.dimension == "host":
        return 0
    if common is not None and common.dimension == "nvlink":
        return 1
    steps = sorted({level.width for level in topology.levels if level.dimension not in ("host", "nvlink")})
    return 2 * (steps.index(common.width) if common is not None else len(steps)) + 1
