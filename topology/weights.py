"""What leaving a domain costs when nobody gave a weight: the hardware's bandwidths, written down once.

Sources: NVIDIA's data sheets per GPU and direction (NVLink 5: 900 GB/s; NDR InfiniBand: 50 GB/s, hence 18 to 1); a measured NCCL
pair on GB200 (811 against 85 GB/s); in a 1:1 fat tree spine and core keep the nominal bandwidth, published losses to congestion
are up to 17 % for collectives, more between pairs. So the curve is a cliff at the NVLink domain, a gentle slope through the
fabric, and a cliff again at its edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from topology.tree import Topology
    from topology.vocabulary import Level

# Time per byte relative to NVLink inside one node, in tenths, for two pods whose lowest common level is ...
SAME_HOST: Final = 10
SAME_NVLINK: Final = 11
SAME_RACK: Final = 180
SAME_SPINE: Final = 210
SAME_CORE: Final = 270
SAME_TIER_BEYOND: Final = 360
ELSEWHERE: Final = 10 * SAME_CORE

LEAVE_NVLINK: Final = SAME_RACK - SAME_NVLINK
LEAVE_HOST_WITH_NVLINK: Final = SAME_NVLINK - SAME_HOST
LEAVE_HOST: Final = SAME_RACK - SAME_HOST
LEAVE_RACK: Final = SAME_SPINE - SAME_RACK
LEAVE_SPINE: Final = SAME_CORE - SAME_SPINE
LEAVE_TIER: Final = SAME_TIER_BEYOND - SAME_CORE
LEAVE_FABRIC: Final = ELSEWHERE - SAME_CORE

_BY_NAME: Final = {
    "region": LEAVE_FABRIC,
    "zone": LEAVE_FABRIC,
    "spine": LEAVE_SPINE,
    "rack": LEAVE_RACK,
    "nvlink": LEAVE_NVLINK,
    "nvlink-sub": LEAVE_HOST_WITH_NVLINK,
}


def default_weights(topology: Topology) -> tuple[tuple[str, int], ...]:
    """Return (key, weight) for the levels that the labels show, widest first; hosts are always among them.

    A weight is what one more domain of the level adds in time per byte, in tenths of a node's own NVLink. Hosts cost little where
    NVLink domains are shown; else the host is the NVLink domain and leaving it is the cliff (a node without an NVLink label
    pays both: it is a domain of its own). The fabric's edge is its core, or the widest tier beyond it.

    Of several keys with one name (two vendors, or two generations on the same nodes) only the one that most nodes carry gets the
    weight. Nodes without a label count as domains of their own, so weighting both would charge every further node of either kind
    once per level, up to the cliff at the fabric's edge, and fewest hosts would beat every closeness. The price: gangs on the
    minority's nodes are kept on few hosts but not in few racks unless a policy names that vendor's key.

    Custom levels without a level name get no weight: nothing is known of their bandwidth.
    """
    weighted = [level for level in topology.levels if level.dimension != "custom" and topology.resolve(level.name) == level]
    nvlink = any(level.name == "nvlink" for level in weighted)
    tiers = [level for level in weighted if level.dimension == "fabric"]
    return tuple((level.key, _weight(level, tiers, nvlink=nvlink)) for level in weighted)


def _weight(level: Level, tiers: list[Level], *, nvlink: bool) -> int:
    """Return the weight of one level among the fabric tiers that are shown, widest first."""
    if level.dimension == "host":
        return LEAVE_HOST_WITH_NVLINK if nvlink else LEAVE_HOST
    if level.name in _BY_NAME:
        return _BY_NAME[level.name]
    return LEAVE_FABRIC if level == tiers[0] else LEAVE_TIER
