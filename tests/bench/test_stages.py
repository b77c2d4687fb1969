"""The stages of a decision: four of them where a gang is placed, none where it is not."""

from __future__ import annotations

from scheduler.bench.grids import gang, grid
from scheduler.bench.stages import STAGES, stages
from scheduler.solve.solver import Budget


def test_each_stage_of_a_placed_gang_takes_some_time() -> None:
    world = grid(nodes=32, used=0.5, seed=1)
    found = stages([world, world], gang("gang", (("worker", 4, 1),)), Budget())
    assert list(found) == [f"{stage} ms" for stage in STAGES]
    assert all(isinstance(took, float) and took > 0 for took in found.values())


def test_a_gang_that_cannot_fit_has_no_stages() -> None:
    assert stages([grid(nodes=4, used=1.0, seed=1)], gang("gang", (("worker", 4, 8),)), Budget()) == {}
