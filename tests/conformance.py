"""Where the data lies that is shared with the project but not shipped with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "COTERIE_CONFORMANCE"


def shared(path: str) -> Path:
    """Return a file below the shared folder (``COTERIE_CONFORMANCE``, else ``shared`` beside the checkout).

    Where it is absent the test counts as not run (a skip with its reason); with ``CI=true`` that is a failure.
    """
    base = Path(os.environ.get(VARIABLE) or ROOT.parent / "shared")
    found = base / path
    if not found.exists():
        reason = f"not run: {path} is not below {base}; {VARIABLE} names the folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
