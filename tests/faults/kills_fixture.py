"""The fixture of the tests that kill, pause and cut off schedulers; test modules name this file in `pytest_plugins` and import nothing from it."""

from collections.abc import Iterator

import pytest

from tests.faults.longrun import Stage, stage


@pytest.fixture(scope="session")
def faults_stage() -> Iterator[Stage]:
    """Run a control plane whose etcd can be read, for all tests of faults."""
    with stage() as on:
        yield on
