"""The fixture of the tests of a seed's history; test modules name this file in `pytest_plugins` and import nothing from it."""

import pytest

from tests.faults.longrun import Outcome, Stage, run_seed

FAULTS = 300
"""Faults of the one seed that every run of the tests plays."""


@pytest.fixture(scope="session")
def outcome(faults_stage: Stage) -> Outcome:
    """Play one seed."""
    return run_seed(faults_stage, 1, FAULTS, seconds=240)
