"""Words that text and page share."""

from __future__ import annotations

import pytest

from scheduler.render import words
from scheduler.report import Level
from tests.pages import gang_report


def level(name: str, *, key: str | None = None, weight: int = 10, domains: int = 1) -> Level:
    return Level(
        key=key or f"example.com/{name}", name=name, required=False, weight=weight, count=domains, domains=[f"{name}-{i}" for i in range(domains)]
    )


@pytest.mark.parametrize(
    ("resource", "amount", "expected"),
    [
        ("nvidia.com/gpu", 16, "16"),
        ("cpu", 1500, "1500m"),
        ("memory", 2**36, "64Gi"),
        ("memory", 2**36 + 1, "64.1Gi"),
        ("memory", 300 * 2**20, "300Mi"),
        ("memory", 1_234_567_890, "1.2Gi"),
        ("memory", 5000, "0.1Gi"),
        ("ephemeral-storage", 2000 * 2**30 + 7, "2,000.1Gi"),
        ("hugepages-2Mi", 2**21, "2Mi"),
    ],
)
def test_amounts_are_written_for_people_and_what_is_short_is_never_rounded_down(resource: str, amount: int, expected: str) -> None:
    assert words.amount(resource, amount) == expected


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (1, "rack", "1 rack"),
        (2_000, "rack", "2,000 racks"),
        (2, "nvlink", "2 NVLink domains"),
        (3, "example.com/pod", "3 domains of example.com/pod"),
    ],
)
def test_domains_are_counted_in_the_words_of_their_level(number: int, name: str, expected: str) -> None:
    assert words.domains(number, name) == expected


def test_where_a_gang_lies_names_one_domain_or_a_few_and_counts_many() -> None:
    levels = [level("zone"), level("rack", domains=2), level("block", domains=4), level("host", domains=3)]
    gang = gang_report(seats=["n1", "n2", "n3"], levels=levels)
    assert words.seated(gang) == "3 pods placed in zone zone-0, 2 racks (rack-0, rack-1), 4 blocks, on 3 nodes"


def test_the_cost_is_written_as_its_sum() -> None:
    gang = gang_report(seats=["n1"], levels=[level("zone", weight=100), level("rack", weight=0), level("host", weight=50, domains=2)])
    assert words.terms(gang) == "zone 100 x (1 - 1) + host 50 x (2 - 1)"
