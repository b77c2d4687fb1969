"""The published lists: what is read from them, and what is said about a list that is wrong."""

from pathlib import Path

import pytest

from scheduler.bench.openb.devices import Demand, Machine
from scheduler.bench.openb.mix import Size, Typical, task_mix
from scheduler.bench.openb.traces import NODES, VARIABLE, Task, folder, read_nodes, read_tasks
from scheduler.state.problems import BadInput

HEAD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos"


def listed(path: Path, *rows: str, head: str = HEAD) -> Path:
    path = path / "list.csv"
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_nodes_and_tasks_come_sorted_by_name(tmp_path: Path) -> None:
    nodes = listed(tmp_path, "b,64000,262144,2,P100", "a,96000,393216,8,G2", head="sn,cpu_milli,memory_mib,gpu,model")
    assert read_nodes(nodes) == (
        Machine(name="a", cpu_milli=96000, memory_mib=393216, gpus=8, model="G2"),
        Machine(name="b", cpu_milli=64000, memory_mib=262144, gpus=2, model="P100"),
    )
    tasks = listed(tmp_path, "u,1,2,1,460,P100|T4,LS", "t,3,4,0,0,,BE", "v,0,0,8,1000,,LS")
    models = frozenset({"P100", "T4"})
    assert read_tasks(tasks) == (
        Task(name="t", demand=Demand(cpu_milli=3, memory_mib=4)),
        Task(name="u", demand=Demand(cpu_milli=1, memory_mib=2, gpus=1, gpu_milli=460, models=models)),
        Task(name="v", demand=Demand(gpus=8, gpu_milli=1000)),
    )


def test_a_list_without_models_is_for_any_model(tmp_path: Path) -> None:
    (task,) = read_tasks(listed(tmp_path, "t,1,1,1,500", head="name,cpu_milli,memory_mib,num_gpu,gpu_milli"))
    assert task.demand.models == frozenset()


@pytest.mark.parametrize(
    ("row", "field", "found", "expected"),
    [
        ("t,1.5,1,1,500,,", "cpu_milli", "'1.5'", "a whole number from 0 to 1099511627776"),
        ("t,1,-1,1,500,,", "memory_mib", "'-1'", "a whole number from 0 to 1099511627776"),
        ("t,1,1,65,1000,,", "num_gpu", "'65'", "a whole number from 0 to 64"),
        ("t,1,1,1,,,", "gpu_milli", "''", "a whole number from 0 to 1099511627776"),
        ("t,1,1", "num_gpu", "null", "a whole number from 0 to 64"),
        ("t,1,1,1,9999999999999999999999,,", "gpu_milli", "'9999999999999999999999'", "a whole number from 0 to 1099511627776"),
        ("t,1,1,2,500,,", "gpu_milli", "'500 with num_gpu 2'", "0 for no GPU, 1 to 1000 for one, 1000 for several"),
        (",1,1,1,500,,", "name", "''", "a name"),
        ("good,1,1,1,500,,", "name", "'good'", "a name that no row before has"),
    ],
)
def test_a_bad_row_is_told_by_file_line_field_found_and_expected(tmp_path: Path, row: str, field: str, found: str, expected: str) -> None:
    path = listed(tmp_path, "good,1,1,1,1000,,", row)
    with pytest.raises(BadInput) as caught:
        read_tasks(path)
    assert str(caught.value) == f"{path}, line 3, {field}: found {found}, expected {expected}"


def test_of_many_bad_rows_the_first_ten_are_told(tmp_path: Path) -> None:
    path = listed(tmp_path, *[f"t{at},x,1,1,500,," for at in range(12)])
    with pytest.raises(BadInput) as caught:
        read_tasks(path)
    assert [problem.object for problem in caught.value.problems] == [f"line {at}" for at in range(2, 12)]


def test_a_missing_column_an_empty_file_and_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 1: found name, cpu_milli, expected the columns name, cpu_milli, memory_mib, num_gpu, gpu_milli"):
        read_tasks(listed(tmp_path, "t,1", head="name,cpu_milli"))
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="found an empty file"):
        read_tasks(tmp_path / "empty.csv")
    with pytest.raises(BadInput, match=r"absent\.csv: found No such file or directory"):
        read_tasks(tmp_path / "absent.csv")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(HEAD.encode() + b"\nt\xff,1,1,1,500,,\n")
    with pytest.raises(BadInput, match="expected CSV in UTF-8"):
        read_tasks(tmp_path / "list.csv")


def test_lists_without_any_gpu_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no GPU on any node"):
        read_nodes(listed(tmp_path, "a,1,1,0,none", head="sn,cpu_milli,memory_mib,gpu,model"))
    with pytest.raises(BadInput, match="no task that asks for a GPU"):
        read_tasks(listed(tmp_path, "t,1,1,0,0,,"))


def test_the_folder_is_the_given_one_or_openb_in_it_or_that_of_the_environment(tmp_path: Path) -> None:
    place = tmp_path / "data" / "openb"
    place.mkdir(parents=True)
    (place / NODES).touch()
    environment = {VARIABLE: str(tmp_path)}
    assert folder(place, {}) == folder(tmp_path / "data", {}) == folder(None, environment) == place
    with pytest.raises(BadInput, match="--data: found nothing, expected a folder"):
        folder(None, {})
    with pytest.raises(BadInput, match=f"found no {NODES} in"):
        folder(tmp_path, environment)


def test_the_mix_counts_kinds_of_tasks_with_gpus_and_no_others() -> None:
    one, two = Demand(cpu_milli=1, gpus=1, gpu_milli=500), Demand(gpus=2, gpu_milli=1000, models=frozenset({"T4"}))
    more_memory = Demand(cpu_milli=1, memory_mib=9, gpus=1, gpu_milli=500)
    assert task_mix([one, two, Demand(cpu_milli=5), more_memory, one]) == (
        Typical(size=Size(cpu_milli=0, gpus=2, gpu_milli=1000), models=frozenset({"T4"}), share=0.25),
        Typical(size=Size(cpu_milli=1, gpus=1, gpu_milli=500), models=frozenset(), share=0.75),
    )
