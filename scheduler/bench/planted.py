"""Small random instances with a planted solution: pods are put on empty nodes first, and the room that they take is what is free.

So every gang fits. Spare room is added where it lies; elsewhere there is less room than it needs. Twelve nodes of eight GPUs: three to a
rack, two racks to a block, two blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scheduler.bench.grids import GPUS, RACK, SPINE, Layout, filled, gang
from scheduler.state.gang import Demand, Gang, Preference, Segment
from scheduler.state.snapshot import Snapshot
from topology import HOSTNAME

NODES: Final = 12
RACK_NODES: Final = 3
RACKS: Final = 2
"""Racks of a block."""
LAYOUT: Final = Layout(rack=RACK_NODES, spine=RACKS, core=1)
RACK_WEIGHT: Final = 100
"""More than all hosts together: racks first, then hosts."""
_TRIES: Final = 20
_SIZES: Final = (1, 2, 3, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One gang: the GPUs of each pod in rank order, what must lie in one rack, and whether all must."""

    sizes: tuple[int, ...]
    in_rack: bool
    """Whether all pods must lie in one rack; else they must lie in one block."""
    segment: int = 0
    """Pods of a segment, which must lie in one rack; 0: no segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """An instance: gangs of equal priority in the order of the queue, and the free GPUs of each node."""

    gangs: tuple[Wanted, ...]
    free: tuple[int, ...]

    def snapshot(self) -> Snapshot:
        """Return the cluster."""
        return filled([GPUS - free for free in self.free], LAYOUT)

    def queue(self) -> tuple[Gang, ...]:
        """Return the gangs as they are decided."""
        return tuple(_gang(f"gang-{at}", wanted) for at, wanted in enumerate(self.gangs))


def _gang(name: str, wanted: Wanted) -> Gang:
    demand = Demand(
        required=RACK if wanted.in_rack else SPINE,
        preferred=(Preference(level=RACK, weight=RACK_WEIGHT), Preference(level=HOSTNAME, weight=1)),
        segments=(Segment(size=wanted.segment, required=RACK),) if wanted.segment else (),
    )
    roles = [(f"size-{gpus}", 1, gpus) for gpus in wanted.sizes]
    return gang(name, roles, demand=demand)


def planted(family: str, spare: float, rng: np.random.Generator) -> Planted:
    """Draw an instance of a family; KeyError for one that does not exist."""
    while True:
        gangs = FAMILIES[family](rng)
        for _ in range(_TRIES):
            used = _plant(gangs, rng)
            if used is not None:
                return Planted(gangs=gangs, free=_with_room(gangs, used, spare, rng))


def _uniform(rng: np.random.Generator) -> tuple[Wanted, ...]:
    return (Wanted(sizes=(_draw(_SIZES, rng),) * int(rng.integers(2, 9)), in_rack=_coin(rng)),)


def _led(rng: np.random.Generator) -> tuple[Wanted, ...]:
    leader, worker = rng.choice(_SIZES, 2, replace=False).tolist()
    return (Wanted(sizes=(leader, *(worker,) * int(rng.integers(1, 8))), in_rack=_coin(rng)),)


def _mixed(rng: np.random.Generator) -> tuple[Wanted, ...]:
    shapes = rng.choice(np.arange(1, GPUS + 1), int(rng.integers(2, 4)), replace=False).tolist()
    sizes = [size for size in shapes for _ in range(int(rng.integers(1, 4)))]
    return (Wanted(sizes=tuple(sizes), in_rack=_coin(rng)),)


def _segments(rng: np.random.Generator) -> tuple[Wanted, ...]:
    size = int(rng.integers(2, 4))
    pods = size * int(rng.integers(2, 5))
    return (Wanted(sizes=(_draw(_SIZES, rng),) * pods, in_rack=False, segment=size),)


def _joint(rng: np.random.Generator) -> tuple[Wanted, ...]:
    return tuple(Wanted(sizes=(_draw(_SIZES, rng),) * int(rng.integers(1, 5)), in_rack=True) for _ in range(int(rng.integers(2, 4))))


FAMILIES: Final[dict[str, Callable[[np.random.Generator], tuple[Wanted, ...]]]] = {
    "uniform": _uniform,
    "leader + workers": _led,
    "mixed shapes": _mixed,
    "segments": _segments,
    "joint": _joint,
}
"""Families by name: one gang of equal pods; with a leader of another size; of two or three sizes; in segments; two or three gangs at once."""


def _plant(gangs: Iterable[Wanted], rng: np.random.Generator) -> list[int] | None:
    """Return the GPUs taken of each node by all pods at random places that their demands allow; None where one found no room."""
    used = [0] * NODES
    for wanted in gangs:
        block = int(rng.integers(NODES // (RACK_NODES * RACKS)))
        whole = list(range(block * RACKS * RACK_NODES, (block + 1) * RACKS * RACK_NODES))
        step = len(wanted.sizes) if wanted.in_rack else wanted.segment or len(wanted.sizes)
        for start in range(0, len(wanted.sizes), step):
            inside = whole
            if wanted.in_rack or wanted.segment:
                rack = int(rng.integers(RACKS))
                inside = whole[rack * RACK_NODES : (rack + 1) * RACK_NODES]
            for size in wanted.sizes[start : start + step]:
                places = [at for at in inside if used[at] + size <= GPUS]
                if not places:
                    return None
                used[_draw(places, rng)] += size
    return used


def _with_room(gangs: Sequence[Wanted], used: Sequence[int], spare: float, rng: np.random.Generator) -> tuple[int, ...]:
    """Add spare room in the domains that hold the gangs, and less than they need to every other domain."""
    need = sum(used)
    span = RACK_NODES if all(wanted.in_rack for wanted in gangs) else RACK_NODES * RACKS
    domains = [list(range(start, start + span)) for start in range(0, NODES, span)]
    home = [at for domain in domains if any(used[at] for at in domain) for at in domain]
    free = list(used)
    _scatter(free, home, round(spare * need), rng)
    for domain in domains:
        if not set(domain) & set(home):
            _scatter(free, domain, int(rng.integers(need)), rng)
    return tuple(free)


def _scatter(free: list[int], inside: Sequence[int], gpus: int, rng: np.random.Generator) -> None:
    for _ in range(gpus):
        places = [at for at in inside if free[at] < GPUS]
        if not places:
            return
        free[_draw(places, rng)] += 1


def _draw(choices: Sequence[int], rng: np.random.Generator) -> int:
    return int(choices[int(rng.integers(len(choices)))])


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))
