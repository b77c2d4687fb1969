"""The fixtures of the tests of faults; test modules name this file in `pytest_plugins` and import nothing from it."""

from collections.abc import Iterator

import pytest

from tests.faults.longrun import Outcome, Stage, run_seed, stage

FAULTS = 300
"""Faults of the one seed that every run of the tests plays."""


@pytest.fixture(scope="session")
def theatre() -> Iterator[Stage]:
    """Start a control plane of our own, whose etcd can be read: it is restarted, compacted and filled up."""
    with stage() as started:
        yield started


@pytest.fixture(scope="session")
def outcome(theatre: Stage) -> Outcome:
    """Play one seed."""
    return run_seed(theatre, 1, FAULTS, seconds=240)
