"""Where the conformance data lie: beside the checkout, not in it; without them the tests that need them say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "COTERIE_CONFORMANCE"


def shared(path: str) -> Path:
    """Return a file below the conformance data (environment COTERIE_CONFORMANCE, else ../shared beside the checkout).

    Absent data skip the test with the reason; where CI=true they fail it.
    """
    root = Path(os.environ.get(VARIABLE) or Path(__file__).resolve().parents[2] / "shared")
    found = root / path
    if not found.exists():
        said = f"{found} does not exist; set {VARIABLE} to the folder that holds it"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return found
