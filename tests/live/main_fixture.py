"""The fixtures of the tests of `coterie run`; test modules name this file in `pytest_plugins` and import nothing from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.stack import ControlPlane
from tests.deploy.applying import Deployed
from tests.live.running import FIXTURES, Cluster, Scheduler, build, running


@pytest.fixture(scope="module")
def kubeconfig(control_plane: ControlPlane, deployed: Deployed) -> Path:
    """Return a kubeconfig of the account that deploy/ ships for the scheduler."""
    assert deployed.status == 0, deployed.complaints
    return control_plane.kubeconfig_for_service_account("coterie-system", "coterie")


@pytest.fixture(scope="module")
def scheduler(kubeconfig: Path) -> Iterator[Scheduler]:
    """Run one scheduler for the tests of a module."""
    with running(kubeconfig) as started:
        yield started


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    """Make the cluster of the main test: 32 nodes in 4 racks, partly used."""
    made = build(control_plane.admin, FIXTURES / "clusters" / "main-test.yaml")
    yield made
    made.remove()
