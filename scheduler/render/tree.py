"""The fabric as a tree of lines with the GPUs that are free; equal siblings of a large cluster share a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from scheduler.render.fabric import DomainBox, NodeBox
from scheduler.render.words import count

Shape: TypeAlias = tuple[tuple[str, ...], int, tuple["Shape", ...]]
"""Level names, number of nodes, shapes of what lies inside: boxes of one shape are alike."""

APART: Final = 24
"""Up to so many boxes each has a line of its own."""
LIMIT: Final = 24
"""Lines that the boxes within one box may take; the rest is counted."""
SPELLED: Final = 4
"""Names that a line spells out."""
LONGEST: Final = 24
"""Characters of a domain's name on a terminal; NVLink domains have UUIDs for names."""
EACH: Final = 24
"""Up to so many nodes the free GPUs of each are told, in the order of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alike:
    """Boxes that share a line."""

    boxes: Sequence[DomainBox]

    @property
    def nodes(self) -> Sequence[NodeBox]:
        return [node for box in self.boxes for node in box.nodes]

    @property
    def size(self) -> int:
        return sum(box.size for box in self.boxes)


def tree(root: DomainBox, *, longest: int | None = None) -> Iterator[str]:
    """Yield the lines of the tree; names of domains longer than ``longest`` lose their middle."""
    writer = _Writer(apart=sum(1 for _ in _boxes(root)) <= APART, longest=longest)
    yield writer.title(_Alike(boxes=[root]))
    yield from writer.below(_Alike(boxes=[root]))


def _boxes(box: DomainBox) -> Iterator[DomainBox]:
    yield box
    for inner in box.boxes:
        yield from _boxes(inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    apart: bool
    longest: int | None

    def below(self, parent: _Alike) -> Iterator[str]:
        """Draw what lies in the boxes of a line."""
        groups = _groups([inner for box in parent.boxes for inner in box.boxes], apart=self.apart)
        shown = groups if len(groups) <= LIMIT else groups[: LIMIT - 1]
        entries: list[tuple[str, _Alike | None]] = [(self.title(group), group) for group in shown]
        if len(shown) < len(groups):
            rest = groups[len(shown) :]
            more = count(sum(len(g.boxes) for g in rest), "more domain")
            entries.append((f"... and {more} with {count(sum(g.size for g in rest), 'node')}", None))
        if parent.nodes:
            entries.append((_nodes(parent.nodes), None))
        for number, (text, group) in enumerate(entries, start=1):
            last = number == len(entries)
            yield f"{'└─' if last else '├─'} {text}"
            if group is not None:
                yield from (f"{'   ' if last else '│  '}{line}" for line in self.below(group))

    def title(self, group: _Alike) -> str:
        """Name the boxes of a line, level by level, with their nodes and free GPUs."""
        first, many = group.boxes[0], len(group.boxes) > 1
        names = " · ".join(
            f"{place.level} {_span([self.name(box.places[i].domain) for box in group.boxes])}" if place.key else place.level
            for i, place in enumerate(first.places)
        )
        alike = f" ({len(group.boxes):,} alike)" if many else ""
        return f"{names}{alike}: {nodes_of(first)}{' each' if many else ''}{_free(group)}"

    def name(self, domain: str) -> str:
        """Shorten a name where names are to be shortened."""
        if self.longest is None or len(domain) <= self.longest:
            return domain
        half = (self.longest - 3) // 2
        return f"{domain[:half]}...{domain[-half:]}"


def _groups(boxes: Sequence[DomainBox], *, apart: bool) -> list[_Alike]:
    found: dict[object, list[DomainBox]] = {}
    for i, box in enumerate(boxes):
        found.setdefault(i if apart else _shape(box), []).append(box)
    return [_Alike(boxes=group) for group in found.values()]


def _shape(box: DomainBox) -> Shape:
    parts = tuple(f"{p.level} {p.domain if p.nodes > box.size else ''}" for p in box.places)
    return parts, box.size, tuple(sorted(_shape(inner) for inner in box.boxes))


def nodes_of(box: DomainBox) -> str:
    """Say how many nodes a box holds, and of how many where a domain of it lies in other boxes too."""
    part = next((p for p in box.places if p.nodes > box.size), None)
    if part is None:
        return count(box.size, "node")
    if len(box.places) == 1:
        return f"{box.size:,} of {count(part.nodes, 'node')}"
    return f"{count(box.size, 'node')} (of {part.nodes:,} in {part.level} {part.domain})"


def _free(group: _Alike) -> str:
    free, gpus = [b.free for b in group.boxes], [b.gpus for b in group.boxes]
    if not any(gpus):
        return ""
    return f", {_range(free)} of {_range(gpus)} GPUs free"


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _nodes(nodes: Sequence[NodeBox]) -> str:
    """Name nodes and tell their free GPUs: one number each where they are few, else how many nodes have how many."""
    names = _span([n.name for n in nodes])
    barred = [n for n in nodes if n.notes]
    notes = f"; {barred[0].name} {', '.join(barred[0].notes)}" if len(barred) == 1 else f"; {len(barred):,} tainted or cordoned" if barred else ""
    if not any(n.gpus for n in nodes):
        return names + notes
    if len(nodes) <= EACH:
        return f"{names}: {' '.join(str(n.free) for n in nodes)} free{notes}"
    found = sorted(Counter(n.free for n in nodes).items(), reverse=True)
    return f"{names}: {', '.join(f'{free} free on {number:,}' for free, number in found)}{notes}"


def _span(names: Sequence[str]) -> str:
    """Spell out a few names, else the first and the last."""
    different = list(dict.fromkeys(names))
    return ", ".join(different) if len(different) <= SPELLED else f"{different[0]} ... {different[-1]}"
