"""Labels in, topology out: `build` reads what nodes carry into levels, dense indexes and warnings.

It knows node names and labels, nothing of pods, gangs or Kubernetes. Questions are answered in `topology.query`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from topology import query
from topology.columns import Column, absent, qualify, read
from topology.doubts import TopologyWarning, doubts
from topology.vocabulary import VOCABULARIES, CustomLevel, Level, detect

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Topology:
    """Which domains the nodes lie in, level by level. A value: nothing of it changes after `build`."""

    nodes: tuple[str, ...]
    """Node names, sorted; every index of a column is in this order."""
    position: Mapping[str, int]
    labels: Mapping[str, Mapping[str, str]]
    """The labels that the topology was built from."""
    carried: Mapping[str, int]
    """How many nodes carry each label key."""
    levels: tuple[Level, ...]
    """Widest first; hosts are always last."""
    warnings: tuple[TopologyWarning, ...]
    columns: dict[str, Column] = field(default_factory=dict)
    """What `column` has read so far."""

    def __repr__(self) -> str:
        """Show sizes, not contents."""
        return f"Topology({len(self.nodes)} nodes, levels {[level.name for level in self.levels]})"

    def column(self, key: str) -> Column:
        """Return the dense index of any label key; a key that no node carries has no domains."""
        known = self.columns.get(key)
        if known is None and key not in self.carried:
            return absent(key, len(self.nodes))  # not kept: anybody may ask for any key
        if known is None:
            known = self.columns[key] = read(key, self.nodes, self.labels)
        return known

    def nodes_without(self, key: str) -> int:
        """Return how many nodes lie in no domain of the key."""
        return int((self.column(key).index < 0).sum())

    def resolve(self, name_or_key: str) -> Level | None:
        """Return the level that a level name or a label key means here, None where no node carries it."""
        return query.resolve(self, name_or_key)

    def nearest(self, name_or_key: str) -> str | None:
        """Return the existing level name or label key that was probably meant."""
        return query.nearest(self, name_or_key)

    def wider(self, key: str) -> tuple[Level, ...]:
        """Return the levels wider than this one, nearest first."""
        return query.wider(self, key)

    def domains_of(self, node: str) -> dict[str, str]:
        """Return the node's domain by level key, widest first; levels that it does not carry are left out."""
        return query.domains_of(self, node)

    def lowest_common_level(self, a: str, b: str) -> Level | None:
        """Return the narrowest level with a domain that holds both nodes."""
        return query.lowest_common_level(self, a, b)

    def distance(self, a: str, b: str) -> int:
        """Return the number of switches between two nodes; 0 for a node and itself."""
        return query.distance(self, a, b)

    def graph(self) -> nx.Graph[object]:
        """Return nodes, switches and NVLink domains as a graph (see `topology.graph`)."""
        from topology.graph import graph  # noqa: PLC0415 - networkx is slow to import and seldom needed

        return graph(self)


def build(labels: Mapping[str, Mapping[str, str]], *, custom: Sequence[CustomLevel] = ()) -> Topology:
    """Build the topology of nodes from their labels (node name to labels). Ragged labels become warnings, never errors."""
    nodes = tuple(sorted(labels))
    carried = Counter(chain.from_iterable(labels.values()))
    levels = detect(carried, custom)
    columns = {level.key: read(level.key, nodes, labels) for level in levels}
    levels = tuple(level for level in levels if columns[level.key].domains or level.dimension == "host")
    split: dict[str, Sequence[int]] = {}
    for tree in trees(levels):
        qualified, concerned = qualify([columns[level.key] for level in tree], [level.width for level in tree])
        columns |= {column.key: column for column in qualified}
        split |= {key: where.tolist() for key, where in concerned.items()}
    return Topology(
        nodes=nodes,
        position={node: position for position, node in enumerate(nodes)},
        labels=labels,
        carried=carried,
        levels=levels,
        warnings=doubts(nodes, labels, levels, columns, split),
        columns=columns,
    )


def trees(levels: Sequence[Level]) -> list[list[Level]]:
    """Return the levels that describe one tree together, widest first: one family of vocabularies in one dimension."""
    family = {v.name: v.family or v.name for v in VOCABULARIES}
    found: dict[tuple[str, bool], list[Level]] = {}
    for level in levels:
        if level.dimension != "host":
            found.setdefault((family.get(level.vocabulary, level.vocabulary), level.dimension == "nvlink"), []).append(level)
    return list(found.values())
