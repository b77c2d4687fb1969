"""The quality of answers is measured on instances that fit, against an optimum that nobody of those compared has found."""

from itertools import pairwise, product

import numpy as np
import pytest

from scheduler.bench.measure import Options
from scheduler.bench.planted import FAMILIES, NODES, RACK_NODES, RACKS, Planted, planted
from scheduler.bench.planted_best import Domains, fewest
from scheduler.bench.quality import SPARE, Tally, quality
from scheduler.bench.yardsticks import YARDSTICKS

BLOCK = RACK_NODES * RACKS


def drawn(family: str, spare: float, count: int) -> list[Planted]:
    rng = np.random.default_rng(5)
    return [planted(family, spare, rng) for _ in range(count)]


def tried(instance: Planted) -> Domains | None:
    """Try every node for every pod."""
    owners = [(g, at, size) for g, wanted in enumerate(instance.gangs) for at, size in enumerate(wanted.sizes)]
    best: Domains | None = None
    for nodes in product(range(NODES), repeat=len(owners)):
        left = list(instance.free)
        for (_, _, size), node in zip(owners, nodes, strict=True):
            left[node] -= size
        if min(left) >= 0 and all(
            demand_met(instance, g, [n for (o, _, _), n in zip(owners, nodes, strict=True) if o == g]) for g in gangs(instance)
        ):
            hosts = {node for (g, _, _), node in zip(owners, nodes, strict=True) if g == 0}
            found = (len({node // RACK_NODES for node in hosts}), len(hosts))
            best = found if best is None else min(best, found)
    return best


def gangs(instance: Planted) -> range:
    return range(len(instance.gangs))


def demand_met(instance: Planted, gang: int, nodes: list[int]) -> bool:
    wanted = instance.gangs[gang]
    together = len({node // (RACK_NODES if wanted.in_rack else BLOCK) for node in nodes}) == 1
    parts = [nodes[at : at + wanted.segment] for at in range(0, len(nodes), wanted.segment)] if wanted.segment else []
    return together and all(len({node // RACK_NODES for node in part}) == 1 for part in parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_fewest_domains_are_what_trying_every_node_for_every_pod_finds(family: str) -> None:
    small = [i for i in drawn(family, 0.5, 150) if sum(len(wanted.sizes) for wanted in i.gangs) <= 4][:3]
    assert small
    for instance in small:
        assert fewest(instance) == tried(instance), instance


@pytest.mark.parametrize("spare", SPARE)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_planted_instance_fits_and_has_the_spare_room_where_it_fits_alone(family: str, spare: float) -> None:
    for instance in drawn(family, spare, 15):
        assert fewest(instance) is not None
        need = sum(size for wanted in instance.gangs for size in wanted.sizes)
        assert all(0 <= free <= 8 for free in instance.free)
        if len(instance.gangs) > 1:
            continue
        span = RACK_NODES if instance.gangs[0].in_rack else BLOCK
        rooms = sorted(sum(instance.free[start:end]) for start, end in pairwise(range(0, NODES + 1, span)))
        assert rooms[-1] == min(need + round(spare * need), 8 * span)
        assert rooms[-2] < need


def test_instances_depend_on_nothing_but_the_seed() -> None:
    assert drawn("mixed shapes", 0.1, 5) == drawn("mixed shapes", 0.1, 5)
    assert drawn("mixed shapes", 0.1, 5) != drawn("mixed shapes", 0.25, 5)


def test_answers_are_counted_as_refused_worse_and_wrong() -> None:
    tally = Tally(pairs=(((1, 2), (1, 2)), ((2, 2), (1, 2)), ("refused", (1, 1)), ("UNKNOWN", (1, 1))))
    assert (tally.refused, tally.unknown, tally.worse, tally.wrong) == (50, 1, 50, 1)
    assert (tally.over(0), tally.over(1), tally.over(0, 1)) == (1.5, 1, 7 / 6)
    assert Tally(pairs=(("refused", (1, 1)),)).over(0) == 1


def test_we_refuse_nothing_that_fits_and_use_the_fewest_domains() -> None:
    rows = list(quality(Options(instances=4)))
    asked = [row for row in rows if row.bound is not None]
    assert len(asked) == len(FAMILIES) * (len(SPARE) + 3)
    assert [row.what for row in asked if not row.holds] == []
    refused = {row.what: row.median for row in rows}
    assert refused["mixed shapes, 0% spare: first fit, refused"], "whoever sizes all pods as the largest refuses these"
    assert sum(": best score" in what for what in refused) == (len(FAMILIES) - 1) * len(SPARE), "it knows no segments and is not asked"
    assert len(rows) == len(asked) + len(SPARE) * (len(FAMILIES) * len(YARDSTICKS) - 1)
