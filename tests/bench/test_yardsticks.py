"""First fit must be what it says, or the comparison with it is worth nothing; and the generated worlds must be the same every time."""

import json
from collections import Counter

import pytest

from scheduler.bench.worlds import PAGE, Load, cluster, list_pages, objects
from scheduler.bench.yardsticks import first_fit
from scheduler.decide import filters, verify
from scheduler.decide.cycle import decide
from scheduler.dryrun import CHECKS
from scheduler.kube.parse import wire
from scheduler.solve import engines
from scheduler.solve.solver import Budget
from scheduler.state.plan import Placed
from tests.builders import gang, node, pod, shape, snapshot


def test_first_fit_takes_the_first_domain_of_the_narrowest_level_that_holds_all() -> None:
    nodes = [node("a1", rack="a", spine="s"), node("b1", rack="b", spine="s"), node("b2", rack="b", spine="s"), node("c1", rack="c", spine="s")]
    chosen = first_fit(snapshot(nodes), gang(pods=2, gpus=8))
    assert sorted((chosen or {}).values()) == ["b1", "b2"]


def test_first_fit_puts_all_on_one_node_where_it_can() -> None:
    nodes = [node("a1", rack="a"), node("a2", rack="a")]
    chosen = first_fit(snapshot(nodes, [pod("running", on="a1", gpus=6)]), gang(pods=4, gpus=2))
    assert sorted((chosen or {}).values()) == ["a2"] * 4


def test_first_fit_goes_to_the_whole_cluster_in_the_order_of_names_at_last() -> None:
    nodes = [node("a1", rack="a"), node("b1", rack="b"), node("c1", rack="c")]
    chosen = first_fit(snapshot(nodes), gang(pods=2, gpus=8))
    assert sorted((chosen or {}).values()) == ["a1", "b1"]


def test_first_fit_places_nothing_where_not_all_fit_or_a_check_refuses() -> None:
    assert first_fit(snapshot([node("a1"), node("a2", unschedulable=True)]), gang(pods=2, gpus=8)) is None
    assert first_fit(snapshot([node("a1")]), gang(pods=9, gpus=1)) is None


def test_first_fit_counts_other_shapes_of_the_gang_too() -> None:
    nodes = [node("a1", rack="a"), node("a2", rack="a")]
    mixed = gang(pods=3, leader=shape(gpus=2), worker=shape(gpus=6))
    chosen = first_fit(snapshot(nodes), mixed)
    assert chosen is not None
    assert Counter(chosen.values()) == {"a1": 2, "a2": 1}
    assert chosen["ai/train-0"] == "a1"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [Load(pods=4, gpus=8), Load(pods=24, gpus=1), Load(pods=10, gpus=4)], ids=str)
def test_first_fit_never_beats_the_proved_bound_and_never_overfills_a_node(load: Load, seed: int) -> None:
    world = cluster(nodes=64, used=0.6, seed=seed)
    wanted = load.gang()
    (plan,) = decide(
        world, (wanted,), solver=engines.default, budget=Budget(), checks=CHECKS, verify=lambda s, p: verify.verify(s, p, filters.allowed)
    )
    chosen = first_fit(world, wanted)
    if not isinstance(plan, Placed):
        assert chosen is None, "a gang that is proved not to fit was placed"
        return
    assert chosen is not None, "64 nodes are filled node by node, and pods are equal: first fit finds room where there is some"
    assert verify.cost(world, wanted, set(chosen.values())) >= plan.bound
    request = wanted.members[0].pod.shape.requests
    for name, pods in Counter(chosen.values()).items():
        free = world.free(name)
        assert all(pods * amount <= free.amount(what) for what, amount in request.items() if what != "pods")


def test_generated_lists_are_whole_the_same_every_time_and_readable() -> None:
    nodes, pods = objects(nodes=20, pods=1_200, seed=3)
    assert (len(nodes), len(pods)) == (20, 1_200)
    pages = list(list_pages(pods, "Pod"))
    assert pages == list(list_pages(objects(nodes=20, pods=1_200, seed=3)[1], "Pod"))
    items = [json.loads(page)["items"] for page in pages]
    assert [len(page) for page in items] == [PAGE, PAGE, 200]
    read = [wire.pod(raw, strict=True) for page in items for raw in page]
    assert len({p.uid for p in read}) == len({p.key for p in read}) == 1_200
    assert {p.node for p in read} <= {wire.node(raw).name for raw in nodes}
    assert 3_000 < sum(map(len, pages)) / len(pods) < 6_000, "about as large as a server's pods"


def test_worlds_depend_on_the_seed() -> None:
    one, same, other = (cluster(nodes=32, used=0.5, seed=seed) for seed in (1, 1, 2))
    assert one.pods == same.pods
    assert one.pods != other.pods
