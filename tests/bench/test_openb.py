"""The devices and the protocol of the openb scenario, with answers worked out by hand; and the real lists, where they are."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from scheduler.bench.openb.devices import Demand, Fleet, Machine, Place
from scheduler.bench.openb.fits import BestFit, Fgd
from scheduler.bench.openb.mix import task_mix
from scheduler.bench.openb.replay import Outcome, Rule, arrivals, replay
from scheduler.bench.openb.scarcity import Scarcity
from scheduler.bench.openb.scenario import RULES, TRACES
from scheduler.bench.openb.traces import NODES, VARIABLE, Task, read_nodes, read_tasks
from tests.bench.shapes import REPORT
from tests.conformance import shared

ROOT = Path(__file__).parents[2]


def node(name: str, *, gpus: int = 2, cpu: int = 8000, memory: int = 8000, model: str = "T4") -> Machine:
    return Machine(name=name, cpu_milli=cpu, memory_mib=memory, gpus=gpus, model=model)


def share(milli: int) -> Demand:
    return Demand(gpus=1, gpu_milli=milli)


def whole(gpus: int, *models: str) -> Demand:
    return Demand(gpus=gpus, gpu_milli=1000, models=frozenset(models))


def named(*demands: Demand) -> tuple[Task, ...]:
    return tuple(Task(name=f"t{at}", demand=demand) for at, demand in enumerate(demands))


def fits(fleet: Fleet, demand: Demand) -> list[bool]:
    found: list[bool] = fleet.fits(demand).tolist()
    return found


def test_a_share_lies_on_one_device() -> None:
    fleet = Fleet.of([node("a")])
    fleet.take(Place(node=0, devices=(0,)), share(600))
    fleet.take(Place(node=0, devices=(1,)), share(600))
    assert fits(fleet, share(400)) == [True]
    assert fits(fleet, share(401)) == [False], "800 thousandths are free, but nowhere 401"


def test_whole_devices_must_be_idle() -> None:
    fleet = Fleet.of([node("a", gpus=3)])
    fleet.take(Place(node=0, devices=(1,)), share(1))
    assert fits(fleet, whole(2)) == [True]
    assert fits(fleet, whole(3)) == [False]
    assert fleet.first(0, whole(2)) == Place(node=0, devices=(0, 2))


def test_cpu_memory_and_model_count_and_a_task_without_gpus_asks_for_no_model() -> None:
    fleet = Fleet.of([node("b", model="G2"), node("a", gpus=0, cpu=9000), node("c", memory=9000)])
    assert fleet.names == ("a", "b", "c")
    assert fits(fleet, whole(1)) == [False, True, True]
    assert fits(fleet, whole(1, "T4", "P100")) == [False, False, True]
    assert fits(fleet, Demand(cpu_milli=8001)) == [True, False, False]
    assert fits(fleet, Demand(memory_mib=8001)) == [False, False, True]
    assert fits(fleet, Demand(models=frozenset({"G3"}))) == [True, True, True]


@pytest.mark.parametrize(
    ("place", "demand"),
    [
        (Place(node=0, devices=(0,)), share(700)),
        (Place(node=0, devices=(0, 1)), whole(2)),
        (Place(node=0, devices=(1, 1)), whole(2)),
        (Place(node=0, devices=()), share(100)),
        (Place(node=0, devices=(1,)), whole(1, "G2")),
        (Place(node=0), Demand(cpu_milli=8001)),
    ],
)
def test_what_is_not_free_is_not_taken(place: Place, demand: Demand) -> None:
    fleet = Fleet.of([node("a")])
    fleet.take(Place(node=0, devices=(0,)), share(400))
    free = fleet.free.copy()
    with pytest.raises(ValueError, match="does not fit on node a"):
        fleet.take(place, demand)
    assert np.array_equal(free, fleet.free)
    assert (fleet.used_milli, fleet.changes.tolist()) == (400, [1])


@pytest.mark.parametrize(("gpus", "milli"), [(2, 500), (1, 0), (0, 1000), (0, 1), (1, 1001), (-1, 1000)])
def test_a_demand_is_whole_devices_or_a_share_of_one(gpus: int, milli: int) -> None:
    with pytest.raises(ValueError, match=r"neither whole devices nor a share of one|negative"):
        Demand(gpus=gpus, gpu_milli=milli)


@pytest.mark.parametrize("make", [rule.make for rule in RULES], ids=[rule.name for rule in RULES])
def test_what_does_not_fit_is_dropped_and_the_last_word_is_spoken_at_all_gpus(make: type[BestFit] | type[Fgd] | type[Scarcity]) -> None:
    # 600 and 600 go to a device each: 500 fits nowhere, 300 does. With it 2,000 of 2,000 have arrived, and 1,500 are used.
    order = named(share(600), share(600), share(500), share(300), share(100))
    fleet = Fleet.of([node("a")])
    rule: Rule = make(fleet, task_mix(task.demand for task in order))
    assert replay(order, fleet, rule) == Outcome(unallocated=25.0, arrived=4, dropped=1)


def test_tasks_arrive_shuffled_by_the_seed_until_130_percent_are_asked_for() -> None:
    tasks = named(*[share(500)] * 5, whole(1), Demand(cpu_milli=1))
    order = arrivals(tasks, seed=42, capacity_milli=10_000)
    assert sorted(task.name for task in order[:7]) == sorted(task.name for task in tasks)
    asked = [task.demand.total_milli for task in order]
    assert sum(asked) >= 13_000 > sum(asked[:-1])
    assert order == arrivals(tasks[::-1], seed=42, capacity_milli=10_000), "the order of the file does not matter"
    assert order != arrivals(tasks, seed=43, capacity_milli=10_000)
    assert len(arrivals(tasks, seed=42, capacity_milli=1_000)) == len(tasks), "all tasks arrive, however few GPUs there are"


def test_tasks_that_ask_for_no_gpu_at_all_cannot_fill_any() -> None:
    with pytest.raises(ValueError, match="no task asks for a GPU"):
        arrivals(named(Demand(cpu_milli=1)), seed=42, capacity_milli=1000)


def outcome(nodes: Sequence[Machine], tasks: Sequence[Task], make: type[BestFit] | type[Fgd] | type[Scarcity]) -> Outcome:
    fleet = Fleet.of(nodes)
    order = arrivals(tasks, seed=42, capacity_milli=fleet.capacity_milli)
    return replay(order, fleet, make(fleet, task_mix(task.demand for task in tasks)))


def test_on_the_published_lists_the_yardsticks_come_near_the_published_figures_and_our_rule_below_them() -> None:
    place = shared("data/openb")
    nodes = read_nodes(place / NODES)
    assert (len(nodes), sum(machine.gpus for machine in nodes)) == (1213, 6212)
    (trace,) = (one for one in TRACES if one.name == "multigpu50")
    tasks = read_tasks(place / trace.file)
    found = {make: outcome(nodes, tasks, make).unallocated for make in (BestFit, Fgd, Scarcity)}
    assert abs(found[BestFit] - trace.best_fit) < 1
    assert abs(found[Fgd] - trace.fgd) < 0.5
    assert found[Scarcity] < found[BestFit]


def write_lists(folder: Path) -> None:
    nodes = "".join(f"n{at},8000,8000,2,T4\n" for at in range(3))
    (folder / NODES).write_text(f"sn,cpu_milli,memory_mib,gpu,model\n{nodes}", encoding="utf-8")
    tasks = "".join(f"p{at},1000,1000,1,{milli}\n" for at, milli in enumerate((1000, 500, 300)))
    for trace in TRACES:
        (folder / trace.file).write_text(f"name,cpu_milli,memory_mib,num_gpu,gpu_milli\n{tasks}", encoding="utf-8")


def coterie(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-m", "scheduler", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_scenario_has_a_row_for_every_trace_and_rule_and_asks_something_of_ours(tmp_path: Path) -> None:
    (tmp_path / "openb").mkdir()
    write_lists(tmp_path / "openb")
    done = coterie("bench", "openb", "--data", str(tmp_path), "--shrink", "10", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, REPORT)
    rows = found["scenarios"][0]["rows"]
    assert [row["what"] for row in rows] == [f"{trace.name}: {rule.name}" for trace in TRACES for rule in RULES]
    assert [row["bound"] for row in rows if row["bound"] is not None] == [trace.most for trace in TRACES]
    assert all(len(row["values"]) == 1 and row["unit"] == "%" and any(fact.startswith("published") for fact in row["facts"]) for row in rows)


def test_without_the_lists_the_scenario_says_what_it_looked_for_before_anything_is_done(tmp_path: Path) -> None:
    done = coterie("bench", "openb", "--data", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(word in done.stderr for word in (NODES, str(tmp_path), "--data", VARIABLE))
