"""One run of one scheduler over a backlog: the gangs are there first, then the scheduler starts; or the scheduler is there and a gang comes.

What is seen is the same for every scheduler: the moments of the binds on a watch, the racks of each gang, gangs that are bound in part when the
scheduler has come to rest, and the CPU time of its process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic_core import from_json

from scheduler.benchlive.objects import PEER_GROUPS, POD_GROUPS, Gangs, our_group, ours, their_group, theirs
from scheduler.benchlive.peer import kube_scheduler
from scheduler.benchlive.process import LEADING, Process, scheduler
from scheduler.benchlive.site import Bench
from scheduler.kube.api import PODS

IDLE_SECONDS: Final = 2.0
"""How long a scheduler that has nothing to do is watched, to know what it costs then."""
BIND_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one run of a scheduler took and left."""

    pods: int
    gangs: int
    seconds: float
    """From the first bind seen to the last."""
    since: float
    """From the moment when it could begin (ours: it leads; another: its process starts; one gang: its last member created) to the last bind."""
    racks: float
    """Racks a gang, the mean."""
    partial: int
    """Gangs of which some members were bound and some not, once the scheduler had come to rest."""
    longest: float
    """Seconds from the first to the last bind of one gang, the most."""
    cpu: float
    """Seconds of CPU of its process, what it costs when idle taken off."""
    idle: float
    """Share of a CPU that it costs when idle."""

    @property
    def rate(self) -> float:
        """Pods a second."""
        return self.pods / self.seconds if self.seconds else 0.0

    @property
    def cpu_a_pod(self) -> float:
        """Milliseconds of CPU a pod."""
        return 1000 * self.cpu / self.pods


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """From when on a scheduler is watched."""

    began: float
    cpu: float


async def ours_over_backlog(on: Bench, gangs: Gangs) -> Seen:
    """Make the gangs, then start Coterie; take all away again."""
    members = await _made(on, gangs, peer=False)
    async with scheduler(on.site.credentials, on.namespace) as running:
        began = await running.said(LEADING)
        seen = await _watched(on, running, members, _Work(began=began, cpu=running.cpu_seconds))
    await on.clear(_flat(members))
    return seen


async def peer_over_backlog(on: Bench, gangs: Gangs, program: Path) -> Seen:
    """Make the gangs, then start kube-scheduler; take all away again. Its start is counted in: it is short."""
    members = await _made(on, gangs, peer=True)
    async with kube_scheduler(program, on.site.kubeconfig) as running:
        seen = await _watched(on, running, members, _Work(began=time.perf_counter(), cpu=0.0))
    await on.clear(_flat(members), PEER_GROUPS)
    return seen


async def one_gang(on: Bench, running: Process, gangs: Gangs) -> Seen:
    """Make one gang for a scheduler that runs and is idle; take it away again."""
    before = running.cpu_seconds
    members = await _made(on, gangs, peer=False, settled=False)
    began = await on.observer.created(_flat(members))
    seen = await _watched(on, running, members, _Work(began=began, cpu=before))
    await on.clear(_flat(members))
    return seen


async def _made(on: Bench, gangs: Gangs, *, peer: bool, settled: bool = True) -> dict[str, list[str]]:
    members = gangs.members(on.name("peer" if peer else "gang"))
    load = gangs.load
    groups = [their_group(gang, load.pods) if peer else our_group(gang, load.pods, in_rack=gangs.in_rack) for gang in members]
    pods = theirs if peer else ours
    await on.make(PEER_GROUPS if peer else POD_GROUPS, groups)
    await on.make(PODS, [pod for gang, names in members.items() for pod in pods(gang, names, load.gpus)])
    if settled:
        await on.observer.created(_flat(members))
        await asyncio.sleep(on.site.pause)
    return members


async def _watched(on: Bench, running: Process, members: Mapping[str, Sequence[str]], work: _Work) -> Seen:
    names = _flat(members)
    last = await on.observer.bound(names, seconds=BIND_SECONDS)
    rest, at_rest = await running.quiet()
    await asyncio.sleep(IDLE_SECONDS / on.site.options.shrink)
    idle = (running.cpu_seconds - at_rest) / (time.perf_counter() - rest)
    running.check()
    moments, nodes = on.observer.moments, on.observer.nodes
    racks = on.site.racks
    return Seen(
        pods=len(names),
        gangs=len(members),
        seconds=last - min(moments[name] for name in names),
        since=last - work.began,
        racks=sum(len({racks[nodes[name]] for name in gang}) for gang in members.values()) / len(members),
        partial=_partial(members, await _with_nodes(on, names)),
        longest=max(max(moments[name] for name in gang) - min(moments[name] for name in gang) for gang in members.values()),
        cpu=max(0.0, at_rest - work.cpu - idle * (rest - work.began)),
        idle=idle,
    )


async def _with_nodes(on: Bench, names: Sequence[str]) -> set[str]:
    """Ask the server itself which of these pods have a node at this moment: a watch only tells which once had one."""
    items = from_json(await on.site.api.get(PODS.path(on.namespace)))["items"]
    return {item["metadata"]["name"] for item in items if item["spec"].get("nodeName")} & set(names)


def _partial(members: Mapping[str, Sequence[str]], bound: set[str]) -> int:
    return sum(0 < sum(name in bound for name in names) < len(names) for names in members.values())


def _flat(members: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for names in members.values() for name in names]
