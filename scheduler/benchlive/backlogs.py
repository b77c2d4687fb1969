"""Backlogs and large gangs: our binds over those of a bare loop and of kube-scheduler, each after the other on the same nodes in the same run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from statistics import median
from typing import Final

from scheduler.bench.measure import Fact, Row
from scheduler.bench.worlds import Load
from scheduler.benchlive.floor import Floor, bare, best
from scheduler.benchlive.objects import Gangs
from scheduler.benchlive.peer import why_not
from scheduler.benchlive.process import LEADING, scheduler
from scheduler.benchlive.runs import Seen, one_gang, ours_over_backlog, peer_over_backlog
from scheduler.benchlive.site import Bench, Site, bench

GANGS: Final = 250
SMALL: Final = Load(pods=8, gpus=1)
FLOOR_SHARE: Final = 0.8
OVER_PEER: Final = 5.0
CPU_MILLISECONDS: Final = 0.6
LARGE: Final = 512
MEDIUM: Final = 128
MEDIUM_GANGS: Final = 15
OVER_FLOOR: Final = 1.25
PEER_RUNS: Final = 3
"""Of the runs, those in which kube-scheduler takes its turn with 15 gangs of 128, too: half a minute each."""
LARGE_GPUS: Final = 8
PLAYED: Final = "KWOK plays pods here, which costs as much as binding: nothing is asked"


async def backlog(site: Site) -> AsyncIterator[Row]:
    """Measure many small gangs, each in one rack (scenario 1)."""
    gangs = Gangs(count=site.options.size(GANGS), load=SMALL)
    async with bench(site) as on:
        missing = await why_not(site, on.namespace)
        ours, floors, peers = await _in_turn(on, gangs, compared=0 if missing else site.options.runs)
    about = f"{gangs}, one rack each"
    ratios = tuple(mine.rate / floor.rate for mine, floor in zip(ours, floors, strict=True))
    facts: dict[str, Fact] = {"KWOK": PLAYED} if site.played else {}
    yield Row(
        what=f"{about}: binds a second over the bare loop's", unit="ratio", values=ratios, bound=site.asked(FLOOR_SHARE), at_least=True, facts=facts
    )
    yield _over_peer(site, about, ours, peers, missing)
    yield Row(what=f"{about}: racks a gang", unit="racks", values=tuple(s.racks for s in ours), bound=1.0)
    longest: dict[str, Fact] = {"longest half bound ms": round(1000 * max(s.longest for s in ours))}
    yield Row(what=f"{about}: bound in part once settled", unit="gangs", values=tuple(float(s.partial) for s in ours), bound=0.0, facts=longest)
    idle: dict[str, Fact] = {"idle CPU %": round(100 * median(s.idle for s in ours), 1)}
    yield Row(
        what=f"{about}: our CPU a pod bound", unit="ms", values=tuple(s.cpu_a_pod for s in ours), bound=site.asked(CPU_MILLISECONDS), facts=idle
    )
    for row in _rates(about, ours, floors, peers):
        yield row


async def large(site: Site) -> AsyncIterator[Row]:
    """Measure one large gang on a scheduler that runs and is idle (scenario 2)."""
    gangs = Gangs(count=1, load=Load(pods=site.options.size(LARGE), gpus=LARGE_GPUS), in_rack=False)
    in_flight = await best(site)
    ours: list[Seen] = []
    floors: list[Floor] = []
    async with bench(site) as on:
        for run in range(site.options.runs):
            site.options.tell(f"{gangs}, run {run + 1}")
            async with scheduler(site.credentials, on.namespace) as running:
                await running.said(LEADING)
                await running.quiet()
                ours.append(await one_gang(on, running, gangs))
            floors.append(await bare(on, gangs.pods, gangs.load.gpus, in_flight))
    yield _over_floor(site, f"{gangs}: last created to last bound", [s.since for s in ours], [f.whole for f in floors])
    yield Row(what=f"{gangs}: last created to last bound", unit="s", values=tuple(s.since for s in ours))
    yield Row(what=f"{gangs}: the same binds by a bare loop (yardstick)", unit="s", values=tuple(f.whole for f in floors))


async def medium(site: Site) -> AsyncIterator[Row]:
    """Measure a backlog of gangs that take a quarter of a rack each (scenario 2)."""
    gangs = Gangs(count=MEDIUM_GANGS, load=Load(pods=site.options.size(MEDIUM), gpus=1))
    async with bench(site) as on:
        missing = await why_not(site, on.namespace)
        ours, floors, peers = await _in_turn(on, gangs, compared=0 if missing else PEER_RUNS)
    about = f"{gangs}, one rack each"
    yield _over_floor(site, f"{about}: first bind to last", [s.seconds for s in ours], [f.seconds for f in floors])
    yield Row(what=f"{about}: first bind to last", unit="s", values=tuple(s.seconds for s in ours))
    yield Row(what=f"{about}: the same binds by a bare loop (yardstick)", unit="s", values=tuple(f.seconds for f in floors))
    yield peer_row(f"{about}: kube-scheduler's topology mode, first bind to last (yardstick)", "s", tuple(p.seconds for p in peers), peers, missing)


async def _in_turn(on: Bench, gangs: Gangs, *, compared: int) -> tuple[list[Seen], list[Floor], list[Seen]]:
    """Take ours, the bare loop and, in so many runs, kube-scheduler in turn, so that all see the same machine."""
    site, in_flight = on.site, await best(on.site)
    ours: list[Seen] = []
    floors: list[Floor] = []
    peers: list[Seen] = []
    for run in range(site.options.runs):
        site.options.tell(f"{gangs}, run {run + 1}: ours")
        ours.append(await ours_over_backlog(on, gangs))
        site.options.tell(f"{gangs}, run {run + 1}: {ours[-1].rate:.0f} pods/s; the bare loop")
        floors.append(await bare(on, gangs.pods, gangs.load.gpus, in_flight))
        if run < compared and site.peer is not None:
            site.options.tell(f"{gangs}, run {run + 1}: {floors[-1].rate:.0f} binds/s; kube-scheduler")
            peers.append(await peer_over_backlog(on, gangs, site.peer))
            site.options.tell(f"{gangs}, run {run + 1}: {peers[-1].rate:.0f} pods/s")
    return ours, floors, peers


def _over_floor(site: Site, what: str, ours: Sequence[float], floors: Sequence[float]) -> Row:
    facts: dict[str, Fact] = {"KWOK": PLAYED} if site.played else {}
    ratios = tuple(mine / floor for mine, floor in zip(ours, floors, strict=True))
    return Row(what=f"{what}, over the bare loop's", unit="ratio", values=ratios, bound=site.asked(OVER_FLOOR), facts=facts)


def _over_peer(site: Site, about: str, ours: Sequence[Seen], peers: Sequence[Seen], missing: str) -> Row:
    what = f"{about}: binds a second over those of kube-scheduler's topology mode"
    if not peers:
        return Row.not_run(what, missing)
    ratios = tuple(mine.rate / peer.rate for mine, peer in zip(ours, peers, strict=True))
    return Row(what=what, unit="ratio", values=ratios, bound=site.asked(OVER_PEER), at_least=True)


def _rates(about: str, ours: Sequence[Seen], floors: Sequence[Floor], peers: Sequence[Seen]) -> Iterator[Row]:
    gangs: dict[str, Fact] = {"gangs/s": round(median(s.gangs / s.seconds for s in ours if s.seconds), 1)}
    yield Row(what=f"{about}: ours", unit="binds/s", values=tuple(s.rate for s in ours), facts=gangs)
    cpu: dict[str, Fact] = {"CPU ms a pod": round(median(1000 * f.cpu / f.pods for f in floors), 2)}
    yield Row(what=f"{about}: the bare loop (yardstick)", unit="binds/s", values=tuple(f.rate for f in floors), facts=cpu)
    if peers:
        yield peer_row(f"{about}: kube-scheduler's topology mode (yardstick)", "binds/s", tuple(p.rate for p in peers), peers, "")


def peer_row(what: str, unit: str, values: tuple[float, ...], peers: Sequence[Seen], missing: str) -> Row:
    """Return the row of kube-scheduler's runs; without any, one that says why."""
    if not peers:
        return Row.not_run(what, missing)
    facts: dict[str, Fact] = {
        "gangs/s": round(median(p.gangs / p.seconds for p in peers if p.seconds), 1),
        "racks a gang": round(median(p.racks for p in peers), 2),
        "CPU ms a pod": round(median(p.cpu_a_pod for p in peers), 2),
    }
    return Row(what=what, unit=unit, values=values, facts=facts)
