"""A bug in the decision of one gang is that gang's alone: the scheduler in this process, with a solver that has one.

The other gang waits beside it, so that both are one window at first.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.config import Config, HttpConfig, Identity, LeaderElectionConfig
from scheduler.kube.api import connect
from scheduler.service.running import serve
from scheduler.solve import engines
from scheduler.solve.problem import Problem
from scheduler.solve.solution import Solution
from scheduler.solve.solver import Budget
from tests.controlplane.admin import Admin
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.running import apply, bound, condition, pod, pod_group, pods, seats

pytestmark = pytest.mark.live
pytest_plugins = ("tests.deploy.fixture", "tests.live.main_fixture")


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[list[str]]:
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=3, prefix="bugs"))
    yield names
    remove_nodes(control_plane.admin, names)


def buggy(problem: Problem, budget: Budget) -> Solution:
    """Fail on gangs of three."""
    if problem.total == 3:
        raise ZeroDivisionError("three")
    return engines.default(problem, budget)


def scene(admin: Admin, namespace: str) -> None:
    """Make a gang of three, which is decided first, and then one of two."""
    for name, size in (("three", 3), ("two", 2)):
        apply(admin, [pod_group(name, least=size), *(pod(f"{name}-{number}", gpus=1, group=name) for number in range(size))], namespace)


def watched(admin: Admin, namespace: str) -> None:
    """Wait until the other gang is bound and the members of the first are told."""
    bound(admin, namespace, 2)
    admin.wait(lambda: condition(pods(admin, namespace)["three-0"], "PodScheduled"), 20, what="three-0 is told something")
    assert set(seats(admin, namespace)) == {"two-0", "two-1"}
    told = condition(pods(admin, namespace)["three-0"], "PodScheduled")
    assert told["reason"] == "SchedulerError"
    assert "ZeroDivisionError" in told["message"]
    apply(admin, [pod("later", gpus=1)], namespace)
    bound(admin, namespace, 3)


@pytest.mark.usefixtures("nodes")
async def test_the_others_are_bound_and_the_loop_goes_on(
    control_plane: ControlPlane, namespace: str, kubeconfig: Path, caplog: pytest.LogCaptureFixture
) -> None:
    admin = control_plane.admin
    config = Config(
        namespaces=(namespace,), leader_election=LeaderElectionConfig(lease_seconds=3, renew_seconds=0.5), http=HttpConfig(host="127.0.0.1", port=0)
    )
    scene(admin, namespace)
    stop = asyncio.Event()
    async with await connect(str(kubeconfig)) as api:
        task = asyncio.create_task(serve(api, config, Identity(name="bugs", namespace="coterie-system"), buggy, engines.joint, stop=stop))
        try:
            await asyncio.to_thread(watched, admin, namespace)
        finally:
            stop.set()
            await task
    assert any(record.exc_info and "three" in str(record.exc_info[1]) for record in caplog.records)
