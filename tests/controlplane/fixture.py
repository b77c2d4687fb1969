"""The pytest fixtures of the control plane.

One conftest, and only one, imports both names: a second import would be a second fixture, and start a second control plane.
"""

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.controlplane.stack import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Run one control plane for the whole session, without nodes."""
    with ControlPlane.running() as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """Make a namespace for this test alone; nobody waits for its end."""
    admin = control_plane.admin
    name = f"test-{os.getpid()}-{next(_numbers)}"
    admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # Until the controller has made it, the API server refuses pods.
    admin.wait(lambda: admin.exists(f"/api/v1/namespaces/{name}/serviceaccounts/default"), what="the default ServiceAccount")
    yield name
    admin.delete(f"/api/v1/namespaces/{name}", missing_ok=True)
