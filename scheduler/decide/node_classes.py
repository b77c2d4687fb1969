"""Nodes that look alike to a shape: codes by node position, kept with the snapshot, so that each kind of node is judged once.

What a shape looks at, and the judging, is in `scheduler.decide.filters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scheduler.state.ids import NodeName
from scheduler.state.objects import Node, Shape, Taint
from scheduler.state.snapshot import Snapshot

Ints: TypeAlias = NDArray[np.int64]


@dataclass(slots=True, kw_only=True, eq=False)
class Classes:
    """Codes by node position, so that equal codes mean equal to a shape; grows by the label keys that shapes ask for."""

    nodes: Sequence[Node]
    source: object
    position: dict[str, int]
    taints: Ints
    labels: dict[str, Ints] = field(default_factory=dict)
    judged: dict[Shape, Ints] = field(default_factory=dict)

    def label(self, key: str) -> Ints:
        """Return the codes of one label key; nodes without the key share a code."""
        if key not in self.labels:
            self.labels[key] = _codes(n.labels.get(key) for n in self.nodes)
        return self.labels[key]

    def named(self, names: Iterable[str]) -> Ints:
        """Return codes that tell only the mentioned nodes apart."""
        codes = np.zeros(len(self.nodes), dtype=np.int64)
        for code, name in enumerate(sorted(set(names)), start=1):
            if name in self.position:
                codes[self.position[name]] = code
        return codes


def _codes(values: Iterable[object]) -> Ints:
    known: dict[object, int] = {}
    return np.fromiter((known.setdefault(v, len(known)) for v in values), dtype=np.int64)


def classes_of(snapshot: Snapshot) -> Classes:
    """Return the table of this snapshot's nodes; what-ifs with the same nodes share it."""
    found = snapshot.memo.get(__name__)
    if isinstance(found, Classes) and found.source is snapshot.nodes and len(found.nodes) == len(snapshot.topology.nodes):
        return found
    nodes = [snapshot.nodes[NodeName(name)] for name in snapshot.topology.nodes]
    made = Classes(
        nodes=nodes,
        source=snapshot.nodes,
        position={n.name: i for i, n in enumerate(nodes)},
        taints=_codes(_taint_keys(nodes)),
    )
    snapshot.memo[__name__] = made
    return made


def _taint_keys(nodes: Iterable[Node]) -> Iterator[object]:
    """Give equal keys for equal taints and cordon; tuples that are one object are hashed once."""
    seen: dict[int, int] = {}
    known: dict[tuple[Taint, ...], int] = {}
    for node in nodes:
        code = seen.get(id(node.taints))
        if code is None:
            code = seen[id(node.taints)] = known.setdefault(node.taints, len(known))
        yield code * 2 + node.unschedulable
