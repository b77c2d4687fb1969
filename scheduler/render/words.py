"""The words that text and page share: counts, amounts, where a gang lies, what it costs and what is proved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from scheduler.report import AdviceRow, GangReport, Level, PlacementReport, RoomRow
from scheduler.state.resources import MEMORY, written
from topology import spoken

ROOMS_SHOWN: Final = 10
"""Rooms that a person is shown; JSON holds all."""
STATUS: Final[Mapping[str, str]] = {
    "OPTIMAL": "placed",
    "FEASIBLE": "placed",
    "INFEASIBLE": "not placed: proved impossible as the cluster stands",
    "UNKNOWN": "not placed: the budget ended before a placement was found or proved impossible",
    "UNSUPPORTED": "not placed: it asks for something that is not supported yet",
    "WAITING": "not placed: it waits",
}
BESIDE: Final = "not placed: proved impossible beside the gangs before it"
"""In place of INFEASIBLE's words for a gang that only loses to others of the same plan."""
ENGINE: Final = "not placed: the engine that was asked for cannot express it"
_LONG: Final = 7
_GIB: Final = 2**30
_SPELLED: Final = 3


def count(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 node``, ``2,000 nodes``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def domains(number: int, level: str) -> str:
    """Write a number of domains of a level: ``2 racks``, ``1 NVLink domain``, ``3 domains of example.com/pod``."""
    if spoken(level) != level:
        return count(number, spoken(level))
    return count(number, level) if level.isalpha() else f"{count(number, 'domain')} of {level}"


def amounts(found: Mapping[str, int]) -> str:
    """Write amounts by resource: ``16 nvidia.com/gpu, 12.5Gi memory``."""
    return ", ".join(f"{amount(name, number)} {name}" for name, number in found.items())


def amount(name: str, number: int) -> str:
    """Write an amount as Kubernetes would; bytes that would be a long number are rounded up to a tenth of a Gi."""
    exact = written(name, number)
    bytes_ = name in (MEMORY, "ephemeral-storage") or name.startswith("hugepages-")
    if not bytes_ or (len(exact) <= _LONG and not exact.replace(",", "").isdigit()):
        return exact
    tenths = -(-number * 10 // _GIB)
    return f"{tenths // 10:,}.{tenths % 10}Gi" if tenths % 10 else f"{tenths // 10:,}Gi"


def refusals(row: RoomRow) -> str:
    """Write how many nodes each check refuses, and how many lack a label: ``TaintToleration 2, missing KEY 8``."""
    found = {**row.checks, **{f"missing {key}": number for key, number in row.unlabelled.items()}}
    return ", ".join(f"{what} {number:,}" for what, number in found.items())


def seated(gang: GangReport) -> str:
    """Say what became of a gang in one sentence: how many pods are placed, and where."""
    if gang.unplaced is not None and gang.unplaced.reason == "EngineCannot":
        return ENGINE
    if gang.unplaced is not None and gang.status == "INFEASIBLE" and gang.unplaced.beside:
        return BESIDE
    if gang.unplaced is not None or gang.cost is None:
        return STATUS[gang.status]
    placed = [m for m in gang.members if m.node is not None]
    running = sum(m.bound for m in placed)
    pods = (
        f"{len(placed):,} of {count(len(gang.members), 'pod')} placed" if len(placed) < len(gang.members) else f"{count(len(placed), 'pod')} placed"
    )
    already = f" ({running:,} running already)" if running else ""
    inside = "".join(f"{'' if i else ' in'} {_where(x)}," for i, x in enumerate(x for x in gang.levels if x.name != "host"))
    return f"{pods}{already}{inside} on {count(len({m.node for m in placed}), 'node')}"


def _where(level: Level) -> str:
    if level.count == 1 and level.domains:
        return f"{level.name} {level.domains[0]}"
    names = f" ({', '.join(level.domains)})" if len(level.domains) <= _SPELLED else ""
    return domains(level.count, level.name) + names


def terms(gang: GangReport) -> str:
    """Write what the cost is made of: ``zone 100 x (1 - 1) + host 50 x (2 - 1)``; empty where nothing is weighted."""
    return " + ".join(f"{x.name} {x.weight:,} x ({x.count} - 1)" for x in gang.levels if x.weight)


def proof(gang: GangReport) -> str:
    """Say what is proved of the cost, and of the number of pods where that is what is open."""
    if gang.status == "OPTIMAL":
        others, more = gang.decision.jointly[:_SPELLED], len(gang.decision.jointly) - _SPELLED
        together = f" together with {', '.join(others)}{f' and {more:,} more' if more > 0 else ''}" if others else ""
        return f"proved to be the least possible{together}"
    placed = sum(m.node is not None for m in gang.members)
    aims = {
        "core": f"that {gang.min_member:,} of them, which minMember asks for, could not cost less",
        "extras": f"that no more than {placed:,} of {count(len(gang.members), 'pod')} can be placed",
    }
    left = " and ".join(text for aim, text in aims.items() if aim not in gang.decision.proved)
    if gang.cost == gang.bound and left:
        return f"the least possible for {count(placed, 'pod')}; it is not proved {left}"
    return f"not proved to be the least: that is at least {gang.bound:,}"


def decided(gang: GangReport) -> str:
    """Say who decided, in what time, and why that engine."""
    engine = "" if gang.decision.engine == "none" else f" by {gang.decision.engine}"
    why = f" ({gang.decision.why})" if gang.decision.why else ""
    if gang.status == "INFEASIBLE":
        return f"refused{engine}{why}; with its explanation {gang.decision.milliseconds:,} ms"
    return f"decided{engine} in {gang.decision.milliseconds:,} ms{why}"


def room(row: RoomRow) -> str:
    """Write how much fits: ``6 of 8``; whole segments where these are what counts: ``3 of 4 segments (12 members)``."""
    if row.segments is None or row.segments_needed is None:
        return f"{row.room:,} of {row.needed:,}"
    return f"{row.segments:,} of {count(row.segments_needed, 'segment')} ({count(row.room, 'member')})"


def share(row: RoomRow) -> int:
    """Return what part of what is needed fits, in hundredths."""
    fits, needed = (row.room, row.needed) if row.segments is None else (row.segments, row.segments_needed or 1)
    return min(100, 100 * fits // max(1, needed))


def room_name(row: RoomRow) -> str:
    """Name the domain of a room: ``rack r1``; the whole cluster has no key."""
    return f"{row.name} {row.domain}" if row.key else row.name


def rooms(found: Sequence[RoomRow]) -> tuple[Sequence[RoomRow], str]:
    """Return the rooms to show and a line on the rest."""
    shown, rest = found[:ROOMS_SHOWN], found[ROOMS_SHOWN:]
    more = f"and {count(len(rest), 'more domain')} with room for {max(r.room for r in rest):,} or fewer" if rest else ""
    return shown, more


def advice(report: PlacementReport) -> Iterable[tuple[AdviceRow, str]]:
    """Yield every piece of advice once, with the number of gangs that it concerns where they are several."""
    found: dict[AdviceRow, int] = dict.fromkeys(report.advice, 0)
    for gang in report.gangs:
        for row in gang.advice:
            found[row] = found.get(row, 0) + 1
    for row, gangs in found.items():
        yield row, f" ({count(gangs, 'gang')})" if gangs > 1 else ""


def wanted(level: Level) -> str:
    """Say how a level is wanted."""
    both = [*(["required"] if level.required else []), *([f"weight {level.weight:,}"] if level.weight else [])]
    return ", ".join(both)


def helps(number: int) -> str:
    """Introduce the relaxations."""
    return "What would make it fit:" if number == 1 else "What would make it fit; each alone is enough, the least harm first:"


def segments(indexes: Sequence[int | None]) -> str:
    """Say in which segment of each layer a member lies, outermost first."""
    return "/".join("-" if index is None else str(index) for index in indexes)
