"""Yardsticks must be what they say, or the comparison with them is worth nothing; and the generated worlds must be the same every time."""

import json
from collections import Counter
from collections.abc import Callable

import pytest

from scheduler.bench import grids
from scheduler.bench.deciding import decided
from scheduler.bench.worlds import PAGE, cluster, list_pages, objects
from scheduler.bench.yardsticks import YARDSTICKS, Yardstick
from scheduler.bench.yardsticks_fit import first_fit
from scheduler.bench.yardsticks_score import best_score
from scheduler.bench.yardsticks_tree import counted
from scheduler.decide import verify
from scheduler.kube.parse import wire
from scheduler.state.gang import Demand, Gang, Segment
from scheduler.state.ids import NodeName
from scheduler.state.plan import Placed
from scheduler.state.resources import GPU
from scheduler.state.snapshot import Snapshot
from tests.builders import RACK, SPINE, gang, node, pod, shape, snapshot


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


def test_first_fit_sizes_every_pod_as_the_largest_and_so_refuses_what_fits() -> None:
    nodes = [node("a1", rack="a"), node("a2", rack="a")]
    mixed = gang(pods=3, leader=shape(gpus=2), worker=shape(gpus=6))
    assert first_fit(snapshot(nodes), mixed) is None
    assert counted(snapshot(nodes), mixed) is not None
    assert best_score(snapshot(nodes), mixed) == {"ai/train-0": "a1", "ai/train-1": "a1", "ai/train-2": "a2"}


def test_first_fit_takes_the_domain_with_the_least_room_and_the_fullest_node_first() -> None:
    nodes = [node("a1", rack="a"), node("a2", rack="a"), node("b1", rack="b"), node("b2", rack="b")]
    running = [pod("one", on="b1", gpus=2), pod("two", on="b2", gpus=3)]
    chosen = first_fit(snapshot(nodes, running), gang(pods=10, gpus=1, demand=Demand(required=RACK)))
    assert Counter((chosen or {}).values()) == {"b1": 5, "b2": 5}


def test_tree_counts_take_the_least_domain_that_suffices_else_the_largest_until_the_rest_fits_one() -> None:
    nodes = [node(name, rack=name[0], spine="s") for name in ("a1", "a2", "a3", "b1", "b2", "c1")]
    assert set((counted(snapshot(nodes), gang(pods=2)) or {}).values()) == {"b1", "b2"}
    assert set((counted(snapshot(nodes), gang(pods=4)) or {}).values()) == {"a1", "a2", "a3", "c1"}
    assert counted(snapshot(nodes), gang(pods=4, demand=Demand(required=RACK))) is None
    assert set((counted(snapshot(nodes), gang(pods=4, demand=Demand(required=SPINE))) or {}).values()) == {"a1", "a2", "a3", "c1"}


def test_tree_counts_count_segments_whole() -> None:
    nodes = [node(name, rack=name[0], spine="s") for name in ("a1", "a2", "a3", "b1", "b2", "b3")]
    wanted = gang(pods=4, demand=Demand(required=SPINE, segments=(Segment(size=2, required=RACK),)))
    chosen = counted(snapshot(nodes), wanted) or {}
    assert sorted(name[0] for name in chosen.values()) == ["a", "a", "b", "b"]
    assert len({chosen["ai/train-0"][0], chosen["ai/train-1"][0]}) == 1
    too_many = gang(pods=6, demand=Demand(required=SPINE, segments=(Segment(size=2, required=RACK),)))
    assert counted(snapshot(nodes), too_many) is None


def test_tree_counts_know_what_a_domain_holds_beside_the_leader() -> None:
    nodes = [node("a1", rack="a", gpus=8), node("b1", rack="b", gpus=8), node("b2", rack="b", gpus=2)]
    led = gang(pods=3, leader=shape(gpus=2), worker=shape(gpus=4), demand=Demand(required=RACK))
    assert counted(snapshot(nodes), led) == {"ai/train-0": "b2", "ai/train-1": "b1", "ai/train-2": "b1"}


def test_best_score_leaves_the_fewest_gpus_free_where_it_places() -> None:
    nodes = [node("a1", rack="a"), node("a2", rack="a"), node("b1", rack="b"), node("b2", rack="b")]
    chosen = best_score(snapshot(nodes, [pod("one", on="b2", gpus=4)]), gang(pods=3, gpus=4, demand=Demand(required=RACK)))
    assert Counter((chosen or {}).values()) == {"b1": 2, "b2": 1}


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (first_fit, gang(pods=2, on={0: "a1"})),
        (counted, gang(pods=2, min_member=1)),
        (best_score, gang(pods=2, demand=Demand(segments=(Segment(size=1, required=RACK),)))),
        (first_fit, gang(pods=2, demand=Demand(segments=(Segment(size=2, required=SPINE), Segment(size=1, required=RACK))))),
    ],
)
def test_what_a_yardstick_does_not_know_is_refused_by_name_not_answered(method: Callable[[Snapshot, Gang], object], wanted: Gang) -> None:
    with pytest.raises(ValueError, match="ai/LeaderWorkerSet/train"):
        method(snapshot([node("a1", rack="a", spine="s")]), wanted)


LOADS = (
    ("four whole nodes", lambda demand: grids.gang("g", [("worker", 4, 8)], demand=demand)),
    ("24 small pods", lambda demand: grids.gang("g", [("worker", 24, 1)], demand=demand)),
    ("a leader and ten workers", lambda demand: grids.gang("g", [("leader", 1, 1), ("worker", 10, 4)], demand=demand)),
    ("three shapes", lambda demand: grids.gang("g", [("a", 3, 5), ("b", 4, 3), ("c", 5, 2)], demand=demand)),
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("required", [None, grids.RACK, grids.SPINE])
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load[0])
@pytest.mark.parametrize("yardstick", YARDSTICKS, ids=lambda y: y.name)
def test_no_yardstick_beats_the_proved_bound_overfills_a_node_or_leaves_the_required_domain(
    yardstick: Yardstick, load: tuple[str, Callable[[Demand], Gang]], required: str | None, seed: int
) -> None:
    world = grids.grid(nodes=48, used=0.6, seed=seed, layout=grids.Layout(rack=6, spine=4))
    wanted = load[1](Demand(required=required))
    chosen = yardstick.place(world, wanted)
    plan = decided(world, (wanted,))[0]
    if chosen is None:
        return
    assert isinstance(plan, Placed), "a gang that is proved not to fit was placed"
    assert chosen.keys() == {m.pod.key for m in wanted.members}
    assert verify.cost(world, wanted, set(chosen.values())) >= plan.bound
    taken: Counter[NodeName] = Counter()
    for member in wanted.members:
        taken[chosen[member.pod.key]] += member.pod.shape.requests.amount(GPU)
    assert all(gpus <= world.free(name).amount(GPU) for name, gpus in taken.items())
    if required is not None:
        assert len({world.topology.domains_of(name)[required] for name in taken}) == 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", [first_fit, counted])
def test_yardsticks_keep_each_segment_in_one_domain(method: Callable[[Snapshot, Gang], dict[str, NodeName] | None], seed: int) -> None:
    world = grids.grid(nodes=48, used=0.4, seed=seed, layout=grids.Layout(rack=6, spine=4))
    wanted = grids.gang("g", [("worker", 20, 2)], demand=Demand(required=grids.SPINE, segments=(Segment(size=5, required=grids.RACK),)))
    chosen = method(world, wanted)
    assert chosen is not None, "a third of the GPUs would do"
    homes = [world.topology.domains_of(chosen[m.pod.key]) for m in wanted.members]
    assert len({home[grids.SPINE] for home in homes}) == 1
    assert all(len({home[grids.RACK] for home in homes[start : start + 5]}) == 1 for start in range(0, 20, 5))


def test_the_yardsticks_differ_from_each_other_and_from_us() -> None:
    """What compares equal everywhere would compare nothing: on some cluster every method answers otherwise."""
    answers: dict[str, list[int | None]] = {name: [] for name in ("ours", *(y.name for y in YARDSTICKS))}
    for seed in range(8):
        world = grids.grid(nodes=48, used=0.7, seed=seed, layout=grids.Layout(rack=6, spine=4))
        wanted = grids.gang("g", [("prefill", 3, 5), ("decode", 6, 3)])
        (plan,) = decided(world, (wanted,))
        answers["ours"].append(plan.cost if isinstance(plan, Placed) else None)
        for yardstick in YARDSTICKS:
            chosen = yardstick.place(world, wanted)
            answers[yardstick.name].append(None if chosen is None else verify.cost(world, wanted, set(chosen.values())))
    assert len({tuple(found) for found in answers.values()}) == len(answers)


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
