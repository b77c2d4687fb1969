"""Nested demands: 100 segments of ten pods, each segment in one rack, the whole gang in one block; against counting on the tree."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from scheduler.bench.deciding import changed, cold_and_warm, counted, in_turn, outcome, ready
from scheduler.bench.grids import RACK, SPINE, Layout, gang, grid
from scheduler.bench.measure import Options, Row, repeated
from scheduler.bench.sites import Chosen
from scheduler.bench.yardsticks import YARDSTICKS
from scheduler.decide import verify
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.snapshot import Snapshot

NODES: Final = (1_000, 6_000)
LAYOUT: Final = Layout(rack=10, spine=20)
"""100 racks in 5 blocks, 600 in 30. Ten racks to a block would have 800 GPUs, too few for the gang."""
USED: Final = 0.25
SEGMENTS: Final = 100
SIZE: Final = 10
WARM: Final = 5.0
"""Milliseconds."""


def nesting(options: Options) -> Iterator[Row]:
    """Decide the gang cold and warm, by our engines and by every yardstick that knows segments."""
    ready()
    segments = options.size(SEGMENTS)
    demand = Demand(required=SPINE, segments=(Segment(size=SIZE, required=RACK),))
    wanted = gang("gang", [("worker", segments * SIZE, 1)], demand=demand)
    for nodes in (options.size(n) for n in NODES):
        what = f"{nodes:,} nodes, {segments} segments x {SIZE}"
        options.tell(what)
        clusters = changed(grid(nodes=nodes, used=USED, seed=options.seed, layout=LAYOUT), options.runs)
        cold, warm = cold_and_warm(clusters, wanted, options.runs)
        yield cold.taken.row(f"{what}: cold", unit="ms", facts={**cold.solver_facts, **outcome(cold.plans)})
        yield warm.taken.row(f"{what}: warm", unit="ms", bound=WARM, facts={**warm.solver_facts, **outcome(warm.plans)})
        yield warm.solver.row(f"{what}: warm, the solver alone", unit="ms", bound=WARM)
        yield from _yardsticks(clusters, wanted, options, what, statistics.median(warm.taken.seconds))


def _yardsticks(clusters: list[Snapshot], wanted: Gang, options: Options, what: str, ours: float) -> Iterator[Row]:
    for yardstick in YARDSTICKS:
        if not yardstick.segments:
            continue
        chosen: list[Chosen | None] = []
        place = yardstick.place
        taken = repeated(in_turn(clusters, lambda s, place=place, chosen=chosen: chosen.append(place(s, wanted))), options.runs)  # type: ignore[misc]
        costs = [verify.cost(s, wanted, set(c.values())) for s, c in zip(clusters, chosen, strict=True) if c is not None]
        facts = {"status": counted("not placed" if c is None else "placed" for c in chosen)}
        cost = {"cost": statistics.median(costs)} if costs else {}
        ratio = round(ours / statistics.median(taken.seconds), 2)
        yield taken.row(f"{what}: {yardstick.name}", unit="ms", facts={**facts, **cost, "our time over this": ratio})
