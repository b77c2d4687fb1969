"""The fixtures of the live tests of the edge; test modules name this file in `pytest_plugins` and import nothing from it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from scheduler.kube.api import Api, connect
from scheduler.kube.bindings.commit import Committer
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.live.edges import Leading, Scene, following


@pytest.fixture
def nodes(control_plane: ControlPlane, namespace: str) -> Iterator[list[str]]:
    """Make four nodes in one rack; pods of former tests may still be on nodes that bear a former name."""
    names = add_nodes(control_plane.admin, racks(racks=1, nodes=4, prefix=namespace.removeprefix("test-")))
    yield names
    remove_nodes(control_plane.admin, names)


@pytest.fixture
async def api(control_plane: ControlPlane, place: str) -> AsyncIterator[Api]:
    """Connect with the account of the scheduler."""
    assert place
    async with await connect(str(control_plane.kubeconfig_for_service_account("coterie-system", "coterie"))) as connected:
        yield connected


@pytest.fixture
async def scene(control_plane: ControlPlane, place: str, nodes: list[str], api: Api) -> AsyncIterator[Scene]:
    """Follow the server with a cache, and commit as the only leader."""
    committer = Committer(api, Leading())
    async with following(api) as follower:
        yield Scene(admin=control_plane.admin, place=place, nodes=nodes, api=api, follower=follower, committer=committer)
