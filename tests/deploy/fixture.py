"""The fixtures of the live tests of deploy/; test modules name this file in `pytest_plugins` and import nothing from it."""

import pytest

from tests.controlplane.stack import ControlPlane
from tests.deploy.applying import Deployed, apply_deploy


@pytest.fixture(scope="session")
def deployed(control_plane: ControlPlane) -> Deployed:
    """Apply deploy/ once."""
    return apply_deploy(control_plane)


@pytest.fixture
def place(deployed: Deployed, namespace: str) -> str:
    """Return a namespace in which our objects can be made."""
    assert deployed.status == 0, deployed.complaints
    return namespace
