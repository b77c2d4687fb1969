"""What ``coterie topology`` tells: the levels and domains that the labels show, each node's place, and what is ragged."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot


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
    """Something ragged or contradictory in the labels; ``nodes`` holds the first few of ``count``."""

    code: str
    level: str
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
        warnings=[WarningRow(code=w.code, level=w.level, message=w.message, nodes=list(w.nodes), count=w.count) for w in topology.warnings],
    )
