"""What every row of the live scenario is given, and how one is described: the cluster as it was made, and a bench in a namespace of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scheduler.bench.measure import Options, Row
from scheduler.benchlive import cluster
from scheduler.benchlive.objects import POD_GROUPS, RACK, Json, name_of
from scheduler.benchlive.observer import Observer
from scheduler.kube.api import PODS, Api, Body, Resource

PAUSE_SECONDS: Final = 0.5
"""After objects were made or removed, until events and controllers have caught up: the cluster is to be idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The cluster that is measured on."""

    api: Api
    credentials: Path
    """A kubeconfig with the rights of the scheduler."""
    kubeconfig: Path
    """The one that was given, whose user may do everything."""
    peer: Path | None
    """The program kube-scheduler; None where there is none to compare with."""
    played: bool
    """Whether KWOK plays pods, which costs as much as binding them."""
    options: Options
    nodes: tuple[Json, ...] = ()
    rates: dict[int, list[float]] = field(default_factory=dict)
    """Binds a second of the bare loop by calls in flight, as far as they were measured."""

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [name_of(node) for node in self.nodes]

    @property
    def racks(self) -> Mapping[str, str]:
        """The rack of every node."""
        return {name_of(node): node["metadata"]["labels"][RACK] for node in self.nodes}

    @property
    def pause(self) -> float:
        """Seconds between two measurements."""
        return PAUSE_SECONDS if self.options.shrink == 1 else PAUSE_SECONDS / 5

    def asked(self, bound: float) -> float | None:
        """Return what is asked of a row in which KWOK must not play pods; None where it does."""
        return None if self.played else bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the live scenario that can be run alone."""

    name: str
    what: str
    run: Callable[[Site], AsyncIterator[Row]]


class Bench:
    """Makes pods in one namespace, sees them bound, and takes them away."""

    def __init__(self, site: Site, namespace: str, observer: Observer) -> None:
        """Use this namespace."""
        self.site = site
        self.namespace = namespace
        self.observer = observer
        self._numbers = iter(range(10**9))

    def name(self, kind: str) -> str:
        """Return a name that was not used before."""
        return f"{kind}-{next(self._numbers):04}"

    async def make(self, resource: Resource, objects: Sequence[Body]) -> list[bytes]:
        """Create objects; return the server's answers."""
        return await cluster.together(self.site.api.post(resource.path(self.namespace), each) for each in objects)

    async def clear(self, pods: Sequence[str], resource: Resource = POD_GROUPS) -> None:
        """Delete all pods and groups of the namespace, and its commit records; wait until these pods are gone."""
        api, space = self.site.api, self.namespace
        await cluster.remove_records(api, space)
        await cluster.emptied(api, resource, space)
        await cluster.emptied(api, PODS, space)
        await self.observer.gone(pods)
        await asyncio.sleep(self.site.pause)


@contextlib.asynccontextmanager
async def bench(site: Site) -> AsyncIterator[Bench]:
    """Make a namespace, watch its pods, and take it away again."""
    async with cluster.namespace(site.api) as namespace, Observer(site.api, namespace) as observer:
        yield Bench(site, namespace, observer)
