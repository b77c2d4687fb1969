"""What a start costs that finds a thousand open commit records: gangs whose records are written and whose pods are not bound yet.

Two things are timed from the moment when the scheduler leads: until every recorded pod is bound, and until a new gang, which has no record, is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from pydantic_core import from_json

from scheduler.bench.measure import Fact, Row
from scheduler.bench.worlds import Load
from scheduler.benchlive.objects import POD_GROUPS, our_group, ours
from scheduler.benchlive.process import LEADING, scheduler
from scheduler.benchlive.site import Bench, Site, bench
from scheduler.kube.api import PLACEMENTS, PODS, Body
from scheduler.kube.bindings.records import body, record_name
from scheduler.state.gang import Gang
from scheduler.state.ids import GangKey, NodeName, PodUid
from scheduler.state.objects import Ref
from scheduler.state.record import Record, RecordSeat

RECORDS: Final = 1_000
PAIR: Final = Load(pods=2, gpus=1)
SECONDS: Final = 3.0
_DEADLINE_SECONDS: Final = 3600.0


async def recovery(site: Site) -> AsyncIterator[Row]:
    """Measure starts with open records."""
    count = site.options.size(RECORDS)
    first: list[float] = []
    new: list[float] = []
    every: list[float] = []
    async with bench(site) as on:
        for run in range(site.options.runs):
            site.options.tell(f"making {count:,} gangs of {PAIR.pods} with open records, run {run + 1}")
            took = await _run(on, count)
            site.options.tell(f"{took[2]:.2f} s")
            for values, one in zip((first, new, every), took, strict=True):
                values.append(one)
    about = f"{count:,} open records of {PAIR.pods} pods at the start: leading to"
    facts: dict[str, Fact] = {"pods": count * PAIR.pods}
    yield Row(what=f"{about} the first recorded pod bound", unit="s", values=tuple(first), bound=SECONDS)
    yield Row(what=f"{about} a new gang's first bind", unit="s", values=tuple(new), bound=SECONDS)
    yield Row(what=f"{about} every recorded pod bound", unit="s", values=tuple(every), bound=SECONDS, facts=facts)


async def _run(on: Bench, count: int) -> tuple[float, float, float]:
    gangs = {on.name("record"): None for _ in range(count)}
    recorded = {gang: [f"{gang}-{i}" for i in range(PAIR.pods)] for gang in gangs}
    pods = [pod for names in recorded.values() for pod in names]
    new = on.name("new")
    others = [f"{new}-{i}" for i in range(PAIR.pods)]
    groups = await on.make(POD_GROUPS, [our_group(gang, PAIR.pods, in_rack=False) for gang in (*recorded, new)])
    made = await on.make(PODS, [each for gang, names in (*recorded.items(), (new, others)) for each in ours(gang, names, PAIR.gpus)])
    uids = {each["metadata"]["name"]: each["metadata"]["uid"] for each in map(from_json, (*groups, *made))}
    nodes = on.site.names
    seats = {
        gang: [(pod, nodes[(number * PAIR.pods + i) % len(nodes)]) for i, pod in enumerate(names)]
        for number, (gang, names) in enumerate(recorded.items())
    }
    await on.make(PLACEMENTS, [_record(on, gang, uids, seats[gang]) for gang in recorded])
    await on.observer.created([*pods, *others])
    await asyncio.sleep(on.site.pause)
    async with scheduler(on.site.credentials, on.namespace) as running:
        leading = await running.said(LEADING)
        last = await on.observer.bound(pods)
        await on.observer.bound(others)
        await running.quiet()
    moments = on.observer.moments
    await on.clear([*pods, *others])
    return min(moments[pod] for pod in pods) - leading, min(moments[pod] for pod in others) - leading, last - leading


def _record(on: Bench, gang: str, uids: dict[str, str], seats: Sequence[tuple[str, str]]) -> Body:
    """Return the record that a leader wrote before it died."""
    owner = Ref(kind="PodGroup", name=gang, uid=uids[gang], api_version=POD_GROUPS.api_version)
    rows = [
        RecordSeat(pod=pod, uid=PodUid(uids[pod]), node=NodeName(node), rank=rank, domains={"rack": on.site.racks[node]})
        for rank, (pod, node) in enumerate(seats)
    ]
    named = Gang(key=GangKey(gang), namespace=on.namespace, name=gang, workload=owner, owner=owner, members=(), min_member=PAIR.pods)
    record = Record(
        namespace=on.namespace,
        name=record_name(named),
        uid="",
        resource_version="",
        gang=owner,
        epoch=1,
        deadline=time.time() + _DEADLINE_SECONDS,
        seats=tuple(rows),
        written_by="coterie-bench/1",
    )
    return body(record, owner)
