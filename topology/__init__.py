"""Topology: what node labels tell about switches, racks, NVLink domains, zones and hosts.

A `Topology` is built once from labels and never changes. It knows nothing of pods, gangs or Kubernetes. Every level is a dense
index over the sorted nodes. Label keys are named here and nowhere else.
"""

from topology.columns import Column
from topology.doubts import TopologyWarning
from topology.objects import levels_of
from topology.tree import Topology, build
from topology.vocabulary import (
    FABRIC_TIERS,
    GPU_CLIQUE,
    GPU_PRODUCT,
    HOSTNAME,
    REGION,
    VOCABULARIES,
    ZONE,
    CustomLevel,
    Level,
    Vocabulary,
    key_of,
    spoken,
)
from topology.weights import default_weights

__all__ = [
    "FABRIC_TIERS",
    "GPU_CLIQUE",
    "GPU_PRODUCT",
    "HOSTNAME",
    "REGION",
    "VOCABULARIES",
    "ZONE",
    "Column",
    "CustomLevel",
    "Level",
    "Topology",
    "TopologyWarning",
    "Vocabulary",
    "build",
    "default_weights",
    "key_of",
    "levels_of",
    "spoken",
]
