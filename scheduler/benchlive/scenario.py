"""The live scenario from beginning to end: which parts there are, on which nodes each runs, and what becomes of one that fails.

A part that cannot be measured does not take the others with it: it is told as a row without values, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scheduler.bench.launch import CommandFailedError
from scheduler.bench.measure import Options, Row
from scheduler.benchlive import cluster
from scheduler.benchlive.backlogs import backlog, large, medium
from scheduler.benchlive.floor import flights
from scheduler.benchlive.gangs import arrivals, idle
from scheduler.benchlive.hopeless import hopeless
from scheduler.benchlive.objects import Json, name_of
from scheduler.benchlive.process import credentials
from scheduler.benchlive.recovery import recovery
from scheduler.benchlive.site import Part, Site
from scheduler.benchlive.syncing import syncing
from scheduler.kube.api import connect
from topology.generate import fabric
from topology.vocabulary import HOSTNAME

FAILED: Final = "failed"
"""The fact of a row that could not be measured although everything for it was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Nodes, and the parts that are measured on them."""

    nodes: int
    rack: int
    """Nodes in a rack."""
    racks: int
    """Racks in a block."""
    parts: tuple[Part, ...]
    prefix: str = ""
    """Of the names of its nodes, so that none bears the name of one that went a moment ago and that KWOK may still remember."""

    def made(self, options: Options) -> list[Json]:
        """Return the nodes."""
        found = fabric(nodes=options.size(self.nodes), rack_size=self.rack, racks_per_spine=self.racks, seed=options.seed).nodes
        return [_renamed(node, f"{self.prefix}{name_of(node)}") for node in found]


STAGES: Final = (
    Stage(
        prefix="small-gangs-",
        nodes=500,
        rack=20,
        racks=5,
        parts=(
            Part(name="flights", what="how many binds in flight are best for a bare loop", run=flights),
            Part(name="gangs", what="a gang of 8 on an idle cluster", run=idle),
            Part(name="backlog", what="250 gangs of 8, each in one rack", run=backlog),
            Part(name="arrivals", what="gangs that arrive at a fixed rate", run=arrivals),
            Part(name="recovery", what="1,000 open records at the start", run=recovery),
            Part(name="hopeless", what="500 gangs that do not fit", run=hopeless),
        ),
    ),
    Stage(
        prefix="large-gangs-",
        nodes=640,
        rack=64,
        racks=5,
        parts=(
            Part(name="large", what="one gang of 512", run=large),
            Part(name="medium", what="15 gangs of 128, each in one rack", run=medium),
        ),
    ),
    Stage(nodes=1_000, rack=16, racks=20, parts=(Part(name="sync", what="list, parse and cache 1,000 nodes and 10,000 pods", run=syncing),)),
)
PARTS: Final = tuple(part for stage in STAGES for part in stage.parts)


def live(kubeconfig: Path, options: Options, *, rows: Sequence[str] = (), peer: Path | None = None) -> list[Row]:
    """Measure on a cluster that KWOK plays; ``kubeconfig`` must have the right to make nodes, ``peer`` is a program kube-scheduler.

    Raises BadInput for a cluster with a real node, `scheduler.kube.errors.ApiError` for one that cannot be used, CommandFailedError when the
    cluster does not do what is needed. A part that fails is told in its row.
    """
    try:
        return asyncio.run(_live(kubeconfig, options, rows or [part.name for part in PARTS], peer))
    except cluster.TookTooLongError as error:
        raise CommandFailedError(str(error)) from error


async def _live(kubeconfig: Path, options: Options, wanted: Sequence[str], peer: Path | None) -> list[Row]:
    found: list[Row] = []
    async with await connect(str(kubeconfig)) as api:
        await cluster.refuse_real_nodes(api)
        async with credentials(api, kubeconfig) as own:
            site = Site(api=api, credentials=own, kubeconfig=kubeconfig, peer=peer, played=False, options=options)
            for stage in STAGES:
                parts = [part for part in stage.parts if part.name in wanted]
                if parts:
                    found.extend(await on_stage(site, stage, parts))
    return found


async def on_stage(site: Site, stage: Stage, parts: Sequence[Part]) -> list[Row]:
    """Measure some parts of a stage; where its nodes cannot be had, each part says so."""
    found: list[Row] = []
    left = list(parts)
    try:
        async with _staged(site, stage) as ready:
            while left:
                found.extend(await _measured(left.pop(0), ready))
    except cluster.TookTooLongError as late:
        found.extend(_failed(part, late) for part in left)
    return found


@contextlib.asynccontextmanager
async def _staged(site: Site, stage: Stage) -> AsyncIterator[Site]:
    """Make the nodes of a stage, and find out what KWOK does there."""
    wanted = stage.made(site.options)
    async with cluster.nodes(site.api, wanted, site.options.tell):
        ready = dataclasses.replace(site, nodes=tuple(wanted))
        async with cluster.namespace(site.api) as namespace:
            played = await cluster.pods_played(site.api, namespace, ready.names[0])
        yield dataclasses.replace(ready, played=played)


async def _measured(part: Part, site: Site) -> list[Row]:
    began = time.perf_counter()
    rows: list[Row] = []
    try:
        rows.extend([row async for row in part.run(site)])
    except (cluster.TookTooLongError, CommandFailedError) as error:
        rows.append(_failed(part, error))
    site.options.tell(f"{part.name} took {time.perf_counter() - began:.0f} s")
    return rows


def _failed(part: Part, error: Exception) -> Row:
    return Row(what=part.what, unit="", values=(), facts={FAILED: " ".join(str(error).split())})


def _renamed(node: Json, name: str) -> Json:
    metadata = node["metadata"]
    return {**node, "metadata": {**metadata, "name": name, "labels": {**metadata["labels"], HOSTNAME: name}}}
