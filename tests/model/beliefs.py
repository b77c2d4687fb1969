"""What a leader of the model check is told by its watches, and what it believes between two turns; its deeds are `tests.model.leader`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from scheduler.state.assumed import Seating
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey
from scheduler.state.record import Record
from tests.model.cluster import Cluster, ModelNode, ModelPod
from tests.model.server import Call

WATCH: Final = Call("WATCH", "everything")
"""Not a call to the server: the leader takes in what its watches have told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the watches tell; ``None`` where one of them lags and tells nothing new."""

    nodes: tuple[ModelNode, ...] | None
    pods: tuple[ModelPod, ...] | None
    records: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Belief:
    """What a leader holds between two turns: what it was told, records as it knows them, seats that it assumes."""

    nodes: tuple[ModelNode, ...]
    pods: tuple[ModelPod, ...]
    records: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    """UIDs of pods that kubelets refused, until something was done about their records."""
    looked: tuple[str, ...] = ()
    """Records with which nothing could be done, and what was believed then: they are not looked at again before that changes."""


@dataclass(slots=True)
class Words:
    """What minds have in common: values that cannot be hashed, by their text, so that a belief can name them; gangs by the pods that make them."""

    records: dict[str, Record] = field(default_factory=dict)
    assumed: dict[str, tuple[GangKey, tuple[Seating, ...]]] = field(default_factory=dict)
    gangs: dict[tuple[ModelPod, ...], tuple[Gang, ...]] = field(default_factory=dict)


def first_belief(cluster: Cluster) -> Belief:
    """Return what everybody knows at the start."""
    return Belief(cluster.nodes, cluster.pods)
