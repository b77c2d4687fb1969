"""Where the rules of the openb scenario put a task: by hand where it is plain, and against slow definitions on random fleets."""

from math import exp, floor
from random import Random

import pytest

from scheduler.bench.openb.devices import WHOLE, Demand, Fleet, Machine, Place
from scheduler.bench.openb.fits import BestFit, Fgd
from scheduler.bench.openb.mix import Size, Typical, task_mix
from scheduler.bench.openb.replay import arrivals, replay
from scheduler.bench.openb.rooms import SHORTAGE
from scheduler.bench.openb.scarcity import FIT, SMALL, Scarcity
from scheduler.bench.openb.scenario import RULES, Named
from scheduler.bench.openb.traces import Task

MODELS = ("G2", "P100", "T4")
DEMANDS = (
    Demand(cpu_milli=1000, gpus=1, gpu_milli=1000),
    Demand(cpu_milli=4000, gpus=1, gpu_milli=600),
    Demand(cpu_milli=2000, gpus=1, gpu_milli=300, models=frozenset({"T4", "P100"})),
    Demand(cpu_milli=0, gpus=1, gpu_milli=300),
    Demand(cpu_milli=8000, gpus=2, gpu_milli=1000),
    Demand(cpu_milli=9000, gpus=4, gpu_milli=1000, models=frozenset({"G2"})),
    Demand(cpu_milli=3000),
)


def node(name: str, *, gpus: int = 2, cpu: int = 8000, model: str = "T4") -> Machine:
    return Machine(name=name, cpu_milli=cpu, memory_mib=8000, gpus=gpus, model=model)


def typical(demand: Demand, share: float) -> Typical:
    return Typical(size=Size.of(demand), models=demand.models, share=share)


def share(milli: int, cpu: int = 0) -> Demand:
    return Demand(cpu_milli=cpu, gpus=1, gpu_milli=milli)


def whole(gpus: int = 1, *, cpu: int = 0, model: str = "") -> Demand:
    return Demand(cpu_milli=cpu, gpus=gpus, gpu_milli=WHOLE, models=frozenset({model} if model else ()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_among_equal_nodes_the_smallest_name_wins(rule: Named) -> None:
    fleet = Fleet.of([node("c"), node("b"), node("a", model="G2", gpus=1)])
    demand = whole(2)
    chosen = rule.make(fleet, [typical(demand, 1.0)])
    assert chosen.choose(demand, fleet.fits(demand)) == Place(node=1, devices=(0, 1))


def test_best_fit_goes_where_least_is_left_of_cpu_and_gpus_together() -> None:
    # Of the most, 8 CPUs and 4 GPUs, a leaves 7/8 and 3/4, b 3/8 and 3/4, c 5/8 and 1/4: halves make .81, .56, .44.
    fleet = Fleet.of([node("a", gpus=4), node("b", gpus=4, cpu=4000), node("c", cpu=6000)])
    demand = whole(cpu=1000)
    assert BestFit(fleet).choose(demand, fleet.fits(demand)) == Place(node=2, devices=(0,))


def test_best_fit_puts_a_share_on_the_fullest_device_with_room() -> None:
    fleet = Fleet.of([node("a", gpus=4)])
    for device, milli in enumerate((300, 500, 700)):
        fleet.take(Place(node=0, devices=(device,)), share(milli))
    assert BestFit(fleet).choose(share(400), fleet.fits(share(400))) == Place(node=0, devices=(1,))


def test_fgd_fills_the_half_device_that_only_halves_can_use() -> None:
    # Half of the tasks ask for a device, half for half of one. Free are 1,000 and 500: for whole ones 500 are useless, F is 250. A half
    # on the second device makes F 0, on the first 500: the score is floor(100 / (1 + exp(-0.25))) = 56, or 43.
    fleet = Fleet.of([node("a")])
    fleet.take(Place(node=0, devices=(1,)), share(500))
    rule = Fgd(fleet, [typical(share(500), 0.5), typical(whole(), 0.5)])
    assert rule.choose(share(500), fleet.fits(share(500))) == Place(node=0, devices=(1,))


@pytest.mark.parametrize("make", [Fgd, Scarcity])
def test_cpu_is_not_taken_from_where_gpus_need_it(make: type[Fgd] | type[Scarcity]) -> None:
    # On a, 4 CPUs are left for two idle devices that would need 2 each; on b there is no device to go without.
    fleet = Fleet.of([node("a", cpu=4000), node("b", gpus=0, cpu=9000)])
    demand = Demand(cpu_milli=3000)
    assert make(fleet, [typical(whole(cpu=2000), 1.0)]).choose(demand, fleet.fits(demand)) == Place(node=1)


def test_scarcity_spares_the_model_that_others_cannot_do_without() -> None:
    # Half of the tasks need G2, of which there are 2, and half take any of 8. One more on G2 takes 1/2 of the first and 1/8 of the rest.
    fleet = Fleet.of([node("a", model="G2"), *(node(name) for name in ("b", "c", "d"))])
    demand = whole()
    mix = [typical(demand, 0.5), typical(whole(model="G2"), 0.5)]
    assert Scarcity(fleet, mix).choose(demand, fleet.fits(demand)) == Place(node=1, devices=(0,))


def test_scarcity_keeps_nodes_whole_for_tasks_that_need_them() -> None:
    fleet = Fleet.of([node("a", gpus=4, cpu=16000), node("b", gpus=4, cpu=16000)])
    fleet.take(Place(node=1, devices=(2,)), whole())
    mix = [typical(whole(), 0.9), typical(whole(4), 0.1)]
    assert Scarcity(fleet, mix).choose(whole(), fleet.fits(whole())) == Place(node=1, devices=(0,))


def useless(fleet: Fleet, at: int, cpu: int, free: list[int], mix: tuple[Typical, ...]) -> float:
    """Return the fragment F of one node, as the paper defines it."""
    total = 0.0
    for kind in mix:
        able = [left for left in free if left >= kind.size.gpu_milli]
        model = fleet.models[fleet.model[at]]
        fits = cpu >= kind.size.cpu_milli and len(able) >= kind.size.gpus and (not kind.models or model in kind.models)
        total += kind.share * (sum(free) - (sum(able) if fits else 0))
    return total


def room(cpu: int, free: list[int], size: Size) -> float:
    """Return the room of one node for a size, as the module of the rule defines it."""
    able = [left for left in free if left >= size.gpu_milli]
    if cpu < size.cpu_milli or len(able) < size.gpus:
        return 0.0
    by_cpu = cpu / size.cpu_milli * size.gpus * size.gpu_milli if size.cpu_milli else float("inf")
    return float(sum(able) * min(1.0, by_cpu / sum(able)) ** SHORTAGE)


def afterwards(fleet: Fleet, at: int, demand: Demand) -> list[tuple[Place, int, list[int]]]:
    """Return every place on a node, with CPU and devices that would be free then."""
    able = [device for device, left in enumerate(fleet.free[at]) if demand.gpus and left >= demand.gpu_milli]
    chosen = [(device,) for device in able] if demand.shared else [tuple(able[: demand.gpus])]
    found = []
    for devices in chosen:
        free = [int(left) - demand.gpu_milli * (device in devices) for device, left in enumerate(fleet.free[at])]
        found.append((Place(node=at, devices=devices), int(fleet.cpu[at]) - demand.cpu_milli, free))
    return found


def free_of(fleet: Fleet, at: int) -> tuple[int, list[int]]:
    return int(fleet.cpu[at]), [int(left) for left in fleet.free[at]]


def by_definition_of_fgd(fleet: Fleet, demand: Demand, mix: tuple[Typical, ...]) -> Place:
    best: tuple[int, Place] | None = None
    for at in fleet.fits(demand).nonzero()[0].tolist():
        before = useless(fleet, at, *free_of(fleet, at), mix)
        for place, cpu, free in afterwards(fleet, at, demand):
            falls = (before - useless(fleet, at, cpu, free, mix)) / WHOLE
            # Sums in another order may differ in the last digit, and a score stands on a whole number where F does not change.
            score = floor(100 / (1 + exp(-round(falls, 9))))
            if best is None or score > best[0]:
                best = (score, place)
    assert best
    return best[1]


def costs(fleet: Fleet, demand: Demand, mix: tuple[Typical, ...], most: tuple[int, int]) -> dict[Place, float]:
    """Return what every place costs by the definition of our rule."""
    models = [fleet.models[model] for model in fleet.model]
    prices = []
    for kind in mix:
        left = sum(room(*free_of(fleet, at), kind.size) for at, model in enumerate(models) if not kind.models or model in kind.models)
        weight = kind.share / (kind.size.gpus * kind.size.gpu_milli / WHOLE) ** SMALL
        prices.append(weight * fleet.capacity_milli / WHOLE / max(left, WHOLE))
    found = {}
    for at in fleet.fits(demand).nonzero()[0].tolist():
        priced = [(kind.size, price) for kind, price in zip(mix, prices, strict=True) if not kind.models or models[at] in kind.models]
        for place, cpu, free in afterwards(fleet, at, demand):
            lost = sum(price * (room(*free_of(fleet, at), size) - room(cpu, free, size)) for size, price in priced)
            found[place] = lost + FIT * (0.5 * cpu / most[0] + 0.5 * sum(free) / most[1])
    return found


@pytest.mark.parametrize("seed", range(6))
def test_fgd_and_scarcity_choose_what_their_definitions_say_as_a_fleet_fills_up(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - fleets to try, no secrets
    nodes = [node(f"n{at}", gpus=random.choice((1, 2, 4)), cpu=random.choice((8000, 16000)), model=random.choice(MODELS)) for at in range(7)]
    order = random.choices(DEMANDS, k=40)
    mix = task_mix(order)
    fgd, ours = Fleet.of(nodes), Fleet.of(nodes)
    by_fgd, by_ours = Fgd(fgd, mix), Scarcity(ours, mix)
    most = (int(ours.cpu.max()), int(ours.free.sum(axis=1).max()))
    placed = 0
    for demand in order:
        if fgd.fits(demand).any():
            place = by_fgd.choose(demand, fgd.fits(demand))
            assert place == by_definition_of_fgd(fgd, demand, mix)
            fgd.take(place, demand)
        if ours.fits(demand).any():
            place = by_ours.choose(demand, ours.fits(demand))
            all_costs = costs(ours, demand, mix, most)
            assert all_costs[place] <= min(all_costs.values()) + 1e-4
            ours.take(place, demand)
            placed += 1
    assert placed > 10


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_order_of_the_input_changes_nothing(rule: Named) -> None:
    random = Random(5)  # noqa: S311 - an order to try, no secret
    nodes = [node(f"n{at}", gpus=random.choice((1, 2, 4)), model=random.choice(MODELS)) for at in range(9)]
    tasks = [Task(name=f"t{at}", demand=random.choice(DEMANDS)) for at in range(30)]
    found = set()
    for _ in range(3):
        fleet = Fleet.of(nodes)
        order = arrivals(tasks, seed=42, capacity_milli=fleet.capacity_milli)
        outcome = replay(order, fleet, rule.make(fleet, task_mix(task.demand for task in tasks)))
        found.add((outcome, fleet.free.tobytes(), fleet.cpu.tobytes()))
        random.shuffle(nodes)
        random.shuffle(tasks)
    assert len(found) == 1
