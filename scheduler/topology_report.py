"""What ``coterie topology`` tells: the levels and domains that the labels show, each node's place, and what is ragged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from scheduler.state.ids import NodeName
from scheduler.state.resources import GPU, quantity
from scheduler.state.snapshot import Snapshot

_SHOWN: Final = 5


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class LevelRow(_Model):
    """One level: its name and key, where it comes from, and how many domains and nodes it has."""

    name: str
    key: str
    vocabulary: str
    dimension: str
    domains: int
    nodes_without: int


class NodePlace(_Model):
    """One node: its domain at each level (levels that it does not carry are left out) and its GPUs."""

    name: str
    domains: dict[str, str]
    gpus: int
    free_gpus: int


class WarningRow(_Model):
    """Something ragged or contradictory in the labels, or nodes that are over-committed; ``nodes`` holds the first few of ``count``."""

    code: str
    level: str
    """Empty where the warning is about no level."""
    message: str
    nodes: list[str]
    count: int


class TopologyReport(_Model):
    """The whole topology, levels widest first, nodes by name."""

    api_version: Literal["coterie.dev/v1alpha1"] = "coterie.dev/v1alpha1"
    kind: Literal["TopologyReport"] = "TopologyReport"
    levels: list[LevelRow]
    nodes: list[NodePlace]
    warnings: list[WarningRow]


def topology_report(snapshot: Snapshot) -> TopologyReport:
    """Describe the topology of a snapshot."""
    topology = snapshot.topology
    return TopologyReport(
        levels=[
            LevelRow(
                name=level.name,
                key=level.key,
                vocabulary=level.vocabulary,
                dimension=level.dimension,
                domains=len(topology.column(level.key).domains),
                nodes_without=topology.nodes_without(level.key),
            )
            for level in topology.levels
        ],
        nodes=[
            NodePlace(
                name=name,
                domains=dict(topology.domains_of(name)),
                gpus=node.allocatable.amount(GPU),
                free_gpus=max(0, snapshot.free(name).amount(GPU)),
            )
            for name, node in sorted(snapshot.nodes.items())
        ],
        warnings=[
            *(WarningRow(code=w.code, level=w.level, message=w.message, nodes=list(w.nodes), count=w.count) for w in topology.warnings),
            *_over_committed(snapshot),
        ],
    )


def _over_committed(snapshot: Snapshot) -> Iterator[WarningRow]:
    """Tell the nodes whose pods use more than there is, one row for each resource."""
    found: dict[str, list[NodeName]] = {}
    for name in sorted(snapshot.nodes):
        for resource, left in snapshot.free(name).items():
            if left < 0:
                found.setdefault(resource, []).append(name)
    for resource, nodes in sorted(found.items()):
        shown = [f"{name} (short of {quantity(resource, -snapshot.free(name).amount(resource))})" for name in nodes[:_SHOWN]]
        more = f" and {len(nodes) - _SHOWN:,} more" if len(nodes) > _SHOWN else ""
        count = f"{len(nodes):,} node is" if len(nodes) == 1 else f"{len(nodes):,} nodes are"
        message = f"{count} over-committed in {resource}: pods use more than is allocatable on {', '.join(shown)}{more}; nothing is left there."
        yield WarningRow(code="OverCommitted", level="", message=message, nodes=list(nodes[:_SHOWN]), count=len(nodes))
