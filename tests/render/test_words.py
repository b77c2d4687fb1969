"""Words that text and page share."""

from __future__ import annotations

import pytest

from scheduler.render import words
from scheduler.report import DecisionRow, GangReport, Level, RoomRow, UnplacedRow
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


def decided(gang: GangReport, **fields: object) -> GangReport:
    """Return the report with another decision, and other fields of its own."""
    names = DecisionRow.model_fields.keys() & fields.keys()
    decision = gang.decision.model_copy(update={name: fields[name] for name in names})
    return gang.model_copy(update={"decision": decision, **{name: value for name, value in fields.items() if name not in names}})


def refused(reason: str, *, status: str = "INFEASIBLE", beside: list[str] | None = None) -> GangReport:
    unplaced = UnplacedRow(reason=reason, message="", fits=None, rooms=[], relaxations=[], beside=beside or [])
    return gang_report(seats=[None], status=status, unplaced=unplaced)


def test_what_became_of_a_gang_without_seats_tells_a_full_cluster_from_a_full_plan_and_from_the_engine() -> None:
    assert words.seated(refused("NotEnoughRoom")) == "not placed: proved impossible as the cluster stands"
    assert words.seated(refused("NotEnoughRoom", beside=["ai/first"])) == "not placed: proved impossible beside the gangs before it"
    assert words.seated(refused("EngineCannot", status="UNSUPPORTED")) == "not placed: the engine that was asked for cannot express it"
    assert words.seated(refused("NotChecked", status="UNSUPPORTED")) == "not placed: it asks for something that is not supported yet"


def test_what_is_proved_of_gangs_that_were_decided_jointly_names_the_others() -> None:
    gang = gang_report(seats=["n1"])
    assert words.proof(gang) == "proved to be the least possible"
    assert words.proof(decided(gang, jointly=["ai/b"])) == "proved to be the least possible together with ai/b"
    assert words.proof(decided(gang, jointly=["a", "b", "c", "d", "e"])) == "proved to be the least possible together with a, b, c and 2 more"


def test_where_cost_and_bound_are_equal_it_is_the_number_of_pods_that_is_open() -> None:
    gang = decided(gang_report(seats=["n1", "n2", None], status="FEASIBLE"), min_member=1, bound=50)
    most = "that no more than 2 of 3 pods can be placed"
    assert words.proof(decided(gang, proved=["core"])) == f"the least possible for 2 pods; it is not proved {most}"
    core = "that 1 of them, which minMember asks for, could not cost less"
    assert words.proof(decided(gang, proved=[])) == f"the least possible for 2 pods; it is not proved {core} and {most}"
    assert words.proof(decided(gang, bound=20)) == "not proved to be the least: that is at least 20"


def test_the_time_of_a_refusal_is_said_to_include_its_explanation() -> None:
    assert words.decided(gang_report(seats=["n1"])) == "decided by tree in 1.5 ms"
    refusal = decided(refused("NotEnoughRoom"), engine="counting", why="no domain has room enough", milliseconds=2838.5)
    assert words.decided(refusal) == "refused by counting (no domain has room enough); with its explanation 2,838.5 ms"


def test_room_is_told_in_members_or_in_whole_segments() -> None:
    row = RoomRow(key="k", name="rack", domain="r1", room=6, needed=8, short={}, checks={"NodeAffinity": 1_600})
    assert (words.room(row), words.share(row), words.refusals(row)) == ("6 of 8", 75, "NodeAffinity 1,600")
    whole = row.model_copy(update={"room": 13, "needed": 4, "segments": 3, "segments_needed": 4, "unlabelled": {"c": 2}})
    assert (words.room(whole), words.share(whole)) == ("3 of 4 segments (13 members)", 75)
    assert words.refusals(whole) == "NodeAffinity 1,600, missing c 2"
