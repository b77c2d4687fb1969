"""Topology label keys are named in one place: no file of the scheduler spells one."""

from __future__ import annotations

import pytest

from tests.conformance import ROOT
from topology import VOCABULARIES

SHARED_DOMAINS = ("kubernetes.io", "nvidia.com", "cloud.google.com")
"""Prefixes under which other things than topology are named too: there only the whole key is forbidden."""


def spellings() -> list[str]:
    """Whole keys where the prefix is shared with other things, else the prefix."""
    keys = {key for vocabulary in VOCABULARIES for _, key in vocabulary.rows}
    keys |= {vocabulary.series.prefix for vocabulary in VOCABULARIES if vocabulary.series is not None}
    prefixes = {key: key.partition("/")[0] for key in keys}
    return sorted({key if prefix in SHARED_DOMAINS else f"{prefix}/" for key, prefix in prefixes.items()})


def test_the_spellings_cover_every_vocabulary() -> None:
    found = spellings()
    assert "kubernetes.io/hostname" in found
    assert "topology.kubernetes.io/" in found
    assert "fabric.topograph.run/" in found
    for vocabulary in VOCABULARIES:
        for _, key in vocabulary.rows:
            assert any(spelling in key for spelling in found), key


@pytest.mark.parametrize("spelling", spellings())
def test_no_file_of_the_scheduler_spells_a_topology_key(spelling: str) -> None:
    files = sorted((ROOT / "scheduler").rglob("*.py"))
    assert files
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if spelling in line
    ]
    assert not found, f"{spelling} belongs into topology/vocabulary.py; use the constants and names of the package topology"
