"""The label keys that carry topology: one row per vocabulary, and nothing outside this file names such a key.

It knows how keys are spelled and how wide each level is; what nodes really carry is read in `topology.tree`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Dimension = Literal["place", "fabric", "nvlink", "host", "custom"]

REGION: Final = "topology.kubernetes.io/region"
ZONE: Final = "topology.kubernetes.io/zone"
HOSTNAME: Final = "kubernetes.io/hostname"
FABRIC_TIERS: Final = tuple(f"fabric.topograph.run/tier-{tier}" for tier in range(3))
"""Rack, spine and core in the labels of topograph v1."""
GPU_PRODUCT: Final = "nvidia.com/gpu.product"
GPU_CLIQUE: Final = "nvidia.com/gpu.clique"
CUSTOM: Final = "custom"
"""Vocabulary of the levels that a configuration or a topology object of another scheduler names."""

_TIERS: Final = ("rack", "spine", "core")
_USUAL: Final = ("GFD", "topograph v1", "well known")
"""Vocabularies whose keys are offered where nodes carry none that has the level."""
_STEP: Final = 1000
_WIDTHS: Final[Mapping[str, int]] = {"host": 0, "nvlink-sub": 1 * _STEP, "nvlink": 2 * _STEP, "zone": 2000 * _STEP, "region": 2001 * _STEP}
_RACK_WIDTH: Final = 10 * _STEP
_TIER_NAME: Final = re.compile(r"tier-([3-9]|[1-9][0-9]{1,2})")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the topology, as the nodes at hand show it."""

    key: str
    """The node label key whose values are the domains."""
    name: str
    """``rack``, ``nvlink``, ``zone``, ...; the key itself where no name applies."""
    vocabulary: str
    dimension: Dimension
    width: int = 0
    """Larger is wider; levels of equal width are alternatives of each other (two vendors' racks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomLevel:
    """A level that a configuration names.

    A ``name`` of `level_width` puts the key at that place, over what a vocabulary says of it. Without one, a key of a vocabulary
    stays where it is, and any other key stands just below the row before it (the first: just below the zone).
    """

    key: str
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a level; ValueError says why."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r:.80} is no label key")
        if self.name == "host" and self.key != HOSTNAME:
            raise ValueError(f"hosts are told apart by {HOSTNAME}, not by {self.key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Keys that end in a number: one fabric tier each."""

    prefix: str
    top_first: bool
    """Whether the smallest number is the widest tier; then the largest that nodes carry is the rack, else number 0 is."""

    def numbers(self, carried: Iterable[str]) -> list[int]:
        """Return the numbers of the carried keys, nearest tier first."""
        ends = (key.removeprefix(self.prefix) for key in carried if key.startswith(self.prefix))
        return sorted((int(end) for end in ends if _NUMBER.fullmatch(end)), reverse=self.top_first)

    def key_of(self, name: str) -> str | None:
        """Return the key of a fabric tier by its level name; ``None`` where numbers count from the top, or it is no tier."""
        tier = _TIERS.index(name) if name in _TIERS else int(name.removeprefix("tier-")) if _TIER_NAME.fullmatch(name) else None
        return None if tier is None or self.top_first else f"{self.prefix}{tier}"

    def named(self, carried: Iterable[str]) -> list[tuple[str, str]]:
        """Return (name, key) of the carried keys, widest first."""
        numbers = self.numbers(carried)
        tiers = range(len(numbers)) if self.top_first else numbers
        return [(tier_name(tier), f"{self.prefix}{number}") for tier, number in zip(tiers, numbers, strict=True)][::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """One label scheme; ``rows`` are (level name, key), widest to narrowest; a series stands above the rows."""

    name: str
    rows: tuple[tuple[str, str], ...] = ()
    series: Series | None = None
    family: str = ""
    """Vocabularies of one family describe one tree (generations of a tool); empty: the name."""

    def levels(self, carried: Iterable[str]) -> tuple[Level, ...]:
        """Return the levels whose keys are among ``carried``, widest first."""
        keys = set(carried)
        named = [] if self.series is None else self.series.named(keys)
        named += [row for row in self.rows if row[1] in keys]
        return tuple(level_of(key, name, self.name) for name, key in named)


VOCABULARIES: Final = (
    Vocabulary(
        name="topograph v0.1",
        family="topograph v0",
        rows=(
            ("core", "network.topology.nvidia.com/datacenter"),
            ("spine", "network.topology.nvidia.com/spine"),
            ("rack", "network.topology.nvidia.com/block"),
            ("nvlink", "network.topology.nvidia.com/accelerator"),
        ),
    ),
    Vocabulary(
        name="topograph v0.3",
        family="topograph v0",
        rows=(
            ("core", "network.topology.nvidia.com/core"),
            ("spine", "network.topology.nvidia.com/spine"),
            ("rack", "network.topology.nvidia.com/leaf"),
            ("nvlink", "network.topology.nvidia.com/accelerator"),
        ),
    ),
    Vocabulary(
        name="topograph v1",
        series=Series(prefix="fabric.topograph.run/tier-", top_first=False),
        rows=(("nvlink", "accelerator.topograph.run/domain"), ("nvlink-sub", "accelerator.topograph.run/sub-domain")),
    ),
    Vocabulary(name="GFD", rows=(("nvlink", GPU_CLIQUE),)),
    Vocabulary(
        name="AWS",
        series=Series(prefix="topology.k8s.aws/network-node-layer-", top_first=True),
        rows=(("nvlink", "topology.k8s.aws/ultraserver-id"),),
    ),
    Vocabulary(
        name="GKE",
        rows=(("spine", "cloud.google.com/gce-topology-block"), ("rack", "cloud.google.com/gce-topology-subblock")),
    ),
    Vocabulary(
        name="OCI",
        rows=(
            ("spine", "oci.oraclecloud.com/rdma.network_block_id"),
            ("rack", "oci.oraclecloud.com/rdma.local_block_id"),
            ("nvlink", "oci.oraclecloud.com/host.gpu_memory_fabric_id"),
        ),
    ),
    Vocabulary(
        name="CoreWeave",
        rows=(
            ("core", "ib.coreweave.cloud/fabric"),
            ("spine", "ib.coreweave.cloud/superpod"),
            ("rack", "ib.coreweave.cloud/leafgroup"),
            ("nvlink", "ds.coreweave.com/nvlink.domain"),
        ),
    ),
    Vocabulary(
        name="CoreWeave backend",
        rows=(
            ("core", "backend.coreweave.cloud/fabric"),
            ("spine", "backend.coreweave.cloud/superpod"),
            ("rack", "backend.coreweave.cloud/leafgroup"),
            ("nvlink", "ds.coreweave.com/nvlink.domain"),
        ),
    ),
    Vocabulary(
        name="Nebius",
        rows=(
            ("core", "topology.nebius.com/gpu-cluster-id"),
            ("spine", "topology.nebius.com/tier-2"),
            ("rack", "topology.nebius.com/tier-1"),
            ("nvlink", "topology.nebius.com/tier-0"),
        ),
    ),
    Vocabulary(name="Crusoe", rows=(("core", "crusoe.ai/ib.partition.id"), ("rack", "crusoe.ai/pod.id"))),
    Vocabulary(name="well known", rows=(("region", REGION), ("zone", ZONE), ("host", HOSTNAME))),
)


def tier_name(tier: int) -> str:
    """Return the level name of a fabric tier, 0 the nearest."""
    return _TIERS[tier] if tier < len(_TIERS) else f"tier-{tier}"


def level_width(name: str) -> int | None:
    """Return how wide the level of this name is (larger is wider), None where it is no level name."""
    if name in _TIERS:
        return _RACK_WIDTH + _TIERS.index(name) * _STEP
    beyond = _TIER_NAME.fullmatch(name)
    return _RACK_WIDTH + int(beyond[1]) * _STEP if beyond else _WIDTHS.get(name)


def spoken(name: str) -> str:
    """Return what a sentence calls a domain of the level of this name: ``rack``, ``NVLink domain``."""
    return name.replace("nvlink", "NVLink") + " domain" if name in ("nvlink", "nvlink-sub") else name


def key_of(name: str, carried: Iterable[str]) -> str | None:
    """Return the label key that would carry a level of this name: of a vocabulary in use, else of a usual one; ``None`` where none has it."""
    keys = set(carried)
    used = [v for v in VOCABULARIES if v.levels(keys)]
    for vocabulary in (*used, *(v for name in _USUAL for v in VOCABULARIES if v.name == name)):
        tier = None if vocabulary.series is None else vocabulary.series.key_of(name)
        found = next((key for level, key in vocabulary.rows if level == name), tier)
        if found is not None:
            return found
    return None


def level_of(key: str, name: str, vocabulary: str) -> Level:
    """Return the level of a key under one of the level names."""
    width = level_width(name)
    if width is None:
        raise ValueError(f"{name!r} is no level name")
    dimension: Dimension = "fabric"
    if name in ("region", "zone"):
        dimension = "place"
    elif name == "host":
        dimension = "host"
    elif name.startswith("nvlink"):
        dimension = "nvlink"
    return Level(key=key, name=name, vocabulary=vocabulary, dimension=dimension, width=width)


def validate(vocabularies: tuple[Vocabulary, ...]) -> None:
    """Check the table; ValueError names the vocabulary and the row that cannot be meant."""
    if len({v.name for v in vocabularies}) != len(vocabularies):
        raise ValueError("two vocabularies share a name")
    named: dict[str, str] = {}
    for vocabulary in vocabularies:
        widths = [level_of(key, name, vocabulary.name).width for name, key in vocabulary.rows]
        if sorted(set(widths), reverse=True) != widths:
            raise ValueError(f"{vocabulary.name}: the rows are not ordered from widest to narrowest")
        for name, key in vocabulary.rows:
            if not _KEY.fullmatch(key):
                raise ValueError(f"{vocabulary.name}: {key!r} is no label key")
            if named.setdefault(key, name) != name:
                raise ValueError(f"{vocabulary.name}: {key} is {name} here and {named[key]} elsewhere")


validate(VOCABULARIES)


def detect(carried: Mapping[str, int], custom: Iterable[CustomLevel] = ()) -> tuple[Level, ...]:
    """Return the levels of the carried keys (key to number of nodes), widest first, hosts last.

    A key that two vocabularies share goes to the one of which nodes carry more labels (ties: table order).
    """
    order = {v.name: position for position, v in enumerate(VOCABULARIES)}
    found = [v.levels(carried) for v in VOCABULARIES]
    found.sort(key=lambda levels: -sum(carried[level.key] for level in levels))
    levels: dict[str, Level] = {}
    for level in (level for one in found for level in one):
        levels.setdefault(level.key, level)
    levels.setdefault(HOSTNAME, level_of(HOSTNAME, "host", VOCABULARIES[-1].name))
    levels |= _custom_levels(custom, levels, carried)
    return tuple(sorted(levels.values(), key=lambda level: (-level.width, order.get(level.vocabulary, -1), level.key)))


def _custom_levels(custom: Iterable[CustomLevel], levels: Mapping[str, Level], carried: Mapping[str, int]) -> dict[str, Level]:
    """Place the configured levels; each unnamed key of no vocabulary goes just below the row before it."""
    anchor = _WIDTHS["zone"]
    found: dict[str, Level] = {}
    for row in custom:
        if row.key in found or row.key == HOSTNAME:
            continue
        width = level_width(row.name)
        if width is not None:
            level = level_of(row.key, row.name, CUSTOM)
        elif row.key in levels and not row.name:
            level = levels[row.key]
        else:
            level = Level(key=row.key, name=row.name or row.key, vocabulary=CUSTOM, dimension="custom", width=anchor - 1)
        anchor = level.width
        if carried.get(row.key):
            found[row.key] = level
    return found
