"""A topology as text: levels, then the tree of domains; equal siblings share a line, so that 10,000 nodes stay readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from topology.vocabulary import Level

if TYPE_CHECKING:
    from topology.tree import Topology

Shape: TypeAlias = tuple[str, int, tuple["Shape", ...]]
"""Level name, number of nodes, shapes of the children: siblings of one shape are drawn once."""

Place: TypeAlias = tuple[str, Mapping[str, str], Mapping[str, int]]
"""Level name, domain by node, nodes by domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A domain and what lies in it; nodes of no narrower domain stand in ``nodes``."""

    level: str
    name: str
    nodes: tuple[str, ...]
    children: tuple[Branch, ...]
    size: int
    total: int
    """Nodes of the whole domain; more than ``size`` where it reaches beyond the wider domain (an NVLink domain over two racks)."""
    shape: Shape

    @property
    def count(self) -> str:
        """Say how many nodes."""
        part = f" of {self.total}" if self.total > self.size else ""
        return f"{self.size}{part} node{'s' if self.total != 1 else ''}"


def draw(topology: Topology, *, limit: int = 12, notes: Mapping[str, str] | None = None) -> str:
    """Return the topology as text.

    ``limit`` is the number of lines that one domain's children may take (the rest is counted). ``notes`` are short remarks by
    node; nodes with different remarks are not equal siblings, and a node with one is drawn on a line of its own.
    """
    if not topology.nodes:
        return "no nodes"
    lines = [_level_line(topology, level) for level in topology.levels]
    root = branch(("", "", len(topology.nodes)), topology.nodes, _places(topology), notes or {})
    lines += ["", root.count, *_lines(root, notes or {}, limit)]
    lines += ["", *(f"{w.code}: {w.message}" for w in topology.warnings)] if topology.warnings else []
    return "\n".join(lines)


def _level_line(topology: Topology, level: Level) -> str:
    """Describe one level: name, key, domains, nodes without."""
    domains, without = len(topology.column(level.key).domains), topology.nodes_without(level.key)
    label = "" if level.name == level.key else f"  {level.key}"
    missing = f", {without} nodes without" if without else ""
    return f"{level.name:<10}{label}  {domains} domain{'s' if domains != 1 else ''}{missing}"


def _places(topology: Topology) -> list[Place]:
    """Return (level name, domain by node), widest first; keys of one name are one level here: each node has one rack."""
    found: dict[str, dict[str, str]] = {}
    for level in topology.levels:
        if level.dimension == "host":
            continue
        column, place = topology.column(level.key), found.setdefault(level.name, {})
        for node, index in zip(topology.nodes, column.index.tolist(), strict=True):
            if index >= 0:
                place.setdefault(node, column.domains[index])
    return [(name, place, Counter(place.values())) for name, place in found.items()]


def branch(domain: tuple[str, str, int], nodes: Sequence[str], places: Sequence[Place], notes: Mapping[str, str]) -> Branch:
    """Group the nodes of a domain (level name, name, total nodes) by the first level that any of them carries, and so on."""
    rest, children = list(nodes), list[Branch]()
    for depth, (inner, place, totals) in enumerate(places, 1):
        groups: dict[str, list[str]] = {}
        for node in rest:
            if node in place:
                groups.setdefault(place[node], []).append(node)
        children += [branch((inner, name, totals[name]), groups[name], places[depth:], notes) for name in sorted(groups)]
        rest = [node for node in rest if node not in place]
    remarks = tuple((f"node {remark}", count, ()) for remark, count in sorted(Counter(notes.get(node, "") for node in rest).items()))
    level, name, total = domain
    shared = f" {name}" if total > len(nodes) else ""  # a part of a domain is only like other parts of the same
    shape: Shape = (level + shared, len(nodes), (*remarks, *sorted(child.shape for child in children)))
    return Branch(level=level, name=name, nodes=tuple(rest), children=tuple(children), size=len(nodes), total=total, shape=shape)


def _lines(parent: Branch, notes: Mapping[str, str], limit: int) -> Iterator[str]:
    """Draw what lies below a domain."""
    entries = [*_groups(parent), *_node_entries(parent.nodes, notes)]
    shown = entries[:limit]
    if len(entries) > limit:
        hidden = sum(size for _, size, _ in entries[limit:])
        shown.append((f"... and {len(entries) - limit} more like these with {hidden} nodes", hidden, None))
    for number, (text, _, below) in enumerate(shown, 1):
        last = number == len(shown)
        yield f"{'└─' if last else '├─'} {text}"
        if below is not None:
            yield from (f"{'   ' if last else '│  '}{line}" for line in _lines(below, notes, limit))


def _groups(parent: Branch) -> Iterator[tuple[str, int, Branch | None]]:
    """Yield (text, nodes, branch) for each group of equal siblings, in order of their first."""
    alike: dict[Shape, list[Branch]] = {}
    for child in parent.children:
        alike.setdefault(child.shape, []).append(child)
    for group in alike.values():
        first = group[0]
        names = first.name if len(group) == 1 else f"{_span([b.name for b in group])} ({len(group)} alike)"
        each = "" if len(group) == 1 else " each"
        yield f"{first.level} {names}: {first.count}{each}", first.size * len(group), first


def _node_entries(nodes: Sequence[str], notes: Mapping[str, str]) -> Iterator[tuple[str, int, Branch | None]]:
    """Yield nodes without remark as one line, then each node with one."""
    plain = [node for node in nodes if node not in notes]
    if plain:
        yield _span(plain), len(plain), None
    for node in nodes:
        if node in notes:
            yield f"{node}  {notes[node]}", 1, None


def _span(names: Sequence[str]) -> str:
    """Shorten a list of names to its ends."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} ... {names[-1]}"  # noqa: PLR2004 - four names still fit a line
