"""How good the answers are: small random gangs that all fit, by family and spare room, ours and the yardsticks' against the optimum.

A gang that is refused although it fits, and domains beyond the fewest possible (racks first, then hosts), are what is counted. Where
several gangs wait, all must be placed, and the domains are those of the first: it goes before the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from scheduler.bench.deciding import Stopwatch, decided, ready
from scheduler.bench.grids import RACK
from scheduler.bench.measure import Fact, Options, Row
from scheduler.bench.planted import FAMILIES, Planted, planted
from scheduler.bench.planted_best import Domains, fewest
from scheduler.bench.sites import Chosen
from scheduler.bench.yardsticks import YARDSTICKS
from scheduler.state.gang import Gang
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed
from scheduler.state.snapshot import Snapshot

SPARE: Final = (0.0, 0.1, 0.25, 0.5)
"""Free GPUs beside those that the gang needs, where it fits, as a share of them."""
OURS: Final = "ours"
UNKNOWN: Final = "UNKNOWN"

Answer: TypeAlias = Domains | str
"""The domains that were used, or why there are none."""
Method: TypeAlias = Callable[[Snapshot, Sequence[Gang]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Answers beside the optimum, instance by instance."""

    pairs: tuple[tuple[Answer, Domains], ...] = ()

    @property
    def placed(self) -> list[tuple[Domains, Domains]]:
        """The answers that are placements."""
        return [(found, best) for found, best in self.pairs if not isinstance(found, str)]

    @property
    def refused(self) -> float:
        """Per cent of the instances without a placement."""
        return 100 * (1 - len(self.placed) / len(self.pairs))

    @property
    def unknown(self) -> int:
        """Instances for which the search ended too early: nothing found, or not proved."""
        return sum(found == UNKNOWN for found, _ in self.pairs)

    @property
    def worse(self) -> float:
        """Per cent of the placements with more domains than needed."""
        return 100 * sum(found > best for found, best in self.placed) / max(1, len(self.placed))

    @property
    def wrong(self) -> int:
        """Placements with another number of domains than the optimum: more, or fewer than can be."""
        return sum(found != best for found, best in self.placed)

    def over(self, *levels: int) -> float:
        """Domains of all placements over the fewest, racks (0) and hosts (1) added up as asked; 1 where there is no placement."""
        best = sum(best[level] for _, best in self.placed for level in levels)
        return sum(found[level] for found, _ in self.placed for level in levels) / best if best else 1.0


def quality(options: Options) -> Iterator[Row]:
    """Draw instances family by family, and answer each by every method."""
    ready()
    for family in FAMILIES:
        whole = Tally()
        for spare in SPARE:
            what = f"{family}, {spare:.0%} spare"
            options.tell(f"{what}: {options.instances} instances")
            tallies = _tallies(family, spare, options)
            whole = replace(whole, pairs=whole.pairs + tallies[OURS].pairs)
            for name, tally in tallies.items():
                yield _refused(f"{what}: {name}, refused", tally, bound=0.0 if name == OURS else None)
        yield Row(what=f"{family}: {OURS}, domains over the optimum", unit="ratio", values=(whole.over(0, 1),), bound=1.0)
        yield Row(what=f"{family}: {OURS}, domains other than the optimum", unit="instances", values=(float(whole.wrong),), bound=0.0)
        yield Row(what=f"{family}: {OURS}, not decided within the budget", unit="instances", values=(float(whole.unknown),), bound=0.0)


def _tallies(family: str, spare: float, options: Options) -> dict[str, Tally]:
    rng = np.random.default_rng([options.seed, list(FAMILIES).index(family), round(100 * spare)])
    methods = _methods(family)
    found: dict[str, list[tuple[Answer, Domains]]] = {name: [] for name in methods}
    for _ in range(options.instances):
        instance = planted(family, spare, rng)
        best = _best(instance)
        snapshot, gangs = instance.snapshot(), instance.queue()
        for name, method in methods.items():
            found[name].append((method(snapshot, gangs), best))
    return {name: Tally(pairs=tuple(pairs)) for name, pairs in found.items()}


def _best(instance: Planted) -> Domains:
    best = fewest(instance)
    if best is None:
        raise AssertionError(f"a planted instance has no solution: {instance}")
    return best


def _methods(family: str) -> dict[str, Method]:
    theirs = [y for y in YARDSTICKS if y.segments or family != "segments"]
    solver = Stopwatch()

    def ours(snapshot: Snapshot, gangs: Sequence[Gang]) -> Answer:
        plans = decided(snapshot, gangs, solver=solver)
        reasons = sorted({p.status for p in plans if not isinstance(p, Placed)})
        if reasons:
            return UNKNOWN if UNKNOWN in reasons else reasons[0]
        if not all(p.optimal for p in plans if isinstance(p, Placed)):
            return UNKNOWN
        (first,) = (p for p in plans if p.gang.key == gangs[0].key and isinstance(p, Placed))
        return _domains(snapshot, {s.member.pod.key: s.node for s in first.seats})

    return {OURS: ours, **{y.name: _one_by_one(y.place) for y in theirs}}


def _one_by_one(place: Callable[[Snapshot, Gang], Chosen | None]) -> Method:
    """Return the yardstick's answer for several gangs: one after the other, each beside those before it."""

    def answer(snapshot: Snapshot, gangs: Sequence[Gang]) -> Answer:
        first: Chosen | None = None
        for gang in gangs:
            chosen = place(snapshot, gang)
            if chosen is None:
                return "refused"
            first = first or chosen
            taken = {m.pod.uid: replace(m.pod, node=chosen[m.pod.key], phase="Running") for m in gang.members}
            snapshot = Snapshot(topology=snapshot.topology, nodes=snapshot.nodes, pods={**snapshot.pods, **taken}, memo=snapshot.memo)
        return _domains(snapshot, first or {})

    return answer


def _domains(snapshot: Snapshot, chosen: dict[str, NodeName]) -> Domains:
    hosts = set(chosen.values())
    return len({snapshot.topology.domains_of(host)[RACK] for host in hosts}), len(hosts)


def _refused(what: str, tally: Tally, bound: float | None) -> Row:
    facts: dict[str, Fact] = {
        "racks over optimum": round(tally.over(0), 3),
        "hosts over optimum": round(tally.over(1), 3),
        "% with more domains than needed": round(tally.worse, 1),
    }
    return Row(what=what, unit="%", values=(tally.refused,), bound=bound, facts=facts)
