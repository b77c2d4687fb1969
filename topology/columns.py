"""One level as a dense index: which domain each node lies in; equal names under different parents are kept apart.

It reads values and compares them; which keys are levels is decided in `topology.vocabulary`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from topology.vocabulary import HOSTNAME

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """The domains of one label key. ``index[i]`` is the domain of node i, -1 for a node without the label."""

    key: str
    index: Ints
    """int64[N], in node order; read-only."""
    domains: tuple[str, ...]
    """Domain names, sorted; ``index`` points into it."""


def column_of(key: str, values: Sequence[str]) -> Column:
    """Index one value per node; an empty value means that the node lies in no domain."""
    domains = tuple(sorted(set(values) - {""}))
    number = {name: position for position, name in enumerate(domains)}
    index = np.fromiter((number.get(value, -1) for value in values), dtype=np.int64, count=len(values))
    index.setflags(write=False)
    return Column(key=key, index=index, domains=domains)


def absent(key: str, count: int) -> Column:
    """Return the column of a key that none of ``count`` nodes carries."""
    index = np.full(count, -1, dtype=np.int64)
    index.setflags(write=False)
    return Column(key=key, index=index, domains=())


def read(key: str, nodes: Sequence[str], labels: Mapping[str, Mapping[str, str]]) -> Column:
    """Read a key from the labels as they stand; the host key gives every node a domain of its own."""
    if key == HOSTNAME:
        return column_of(key, host_names(nodes, labels))
    return column_of(key, [labels[node].get(key, "") for node in nodes])


def host_names(nodes: Sequence[str], labels: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Name every host by its label, by the node's name where the label is missing or not unique."""
    names = [labels[node].get(HOSTNAME) or node for node in nodes]
    if len(set(names)) == len(names):
        return names
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    mended = [node if seen[name] > 1 else name for node, name in zip(nodes, names, strict=True)]
    return mended if len(set(mended)) == len(mended) else list(nodes)


def qualify(columns: Sequence[Column], widths: Sequence[int]) -> tuple[list[Column], dict[str, Ints]]:
    """Split domains that lie under several wider domains of the same tree.

    ``columns`` are one tree's levels, widest first. A domain under two parents becomes ``parent/domain`` for each; its nodes
    without a parent keep the bare name. Parents that are one value and "missing" are no conflict. Returns the columns and,
    for each key that had such domains, the positions of the nodes concerned.
    """
    done: list[Column] = []
    parents: list[Ints] = []
    split: dict[str, Ints] = {}
    for column, width in zip(columns, widths, strict=True):
        above = [k for k in range(len(done)) if widths[k] > width]
        clashing = _clashing(column, [parents[k] for k in above])
        if clashing.any():
            split[column.key] = np.flatnonzero((column.index >= 0) & clashing[column.index])
            column = _renamed(column, clashing, [(done[k], parents[k]) for k in above])  # noqa: PLW2901 - the split column takes its place
        for k in above:
            parents[k] = _inherited(column.index, len(column.domains), parents[k])
        done.append(column)
        parents.append(column.index)
    return done, split


def _clashing(column: Column, parents: Sequence[Ints]) -> NDArray[np.bool_]:
    """Tell for each domain whether its nodes name more than one parent at some wider level."""
    clashing = np.zeros(len(column.domains), dtype=np.bool_)
    for parent in parents:
        both = (column.index >= 0) & (parent >= 0)
        pairs = np.unique(np.stack((column.index[both], parent[both])), axis=1)
        clashing |= np.bincount(pairs[0], minlength=len(column.domains)) > 1
    return clashing


def _renamed(column: Column, clashing: NDArray[np.bool_], above: Sequence[tuple[Column, Ints]]) -> Column:
    """Give the clashing domains their parent's name in front, nearest parent level that tells them apart first."""
    values = [column.domains[i] if i >= 0 else "" for i in column.index.tolist()]
    order = np.argsort(column.index, kind="stable")
    bounds = np.searchsorted(column.index[order], np.arange(len(column.domains) + 1))
    for domain, (start, end) in enumerate(pairwise(bounds.tolist())):
        if not clashing[domain]:
            continue
        rest = order[start:end]
        for wider, parent in reversed(above):
            found = parent[rest]
            if len(np.unique(found[found >= 0])) > 1:
                for node, under in zip(rest.tolist(), found.tolist(), strict=True):
                    if under >= 0:
                        values[node] = f"{wider.domains[under]}/{column.domains[domain]}"
                rest = rest[found < 0]
    return column_of(column.key, values)


def _inherited(index: Ints, domains: int, parent: Ints) -> Ints:
    """Fill in the parent of nodes that do not name one from the other nodes of their domain (they agree by now)."""
    known = np.full(domains + 1, -1, dtype=np.int64)
    both = (index >= 0) & (parent >= 0)
    known[index[both]] = parent[both]
    return np.where((parent < 0) & (index >= 0), known[index], parent)
