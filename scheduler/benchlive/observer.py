"""When pods appear and when they are bound, by a watch and a clock that only goes forward.

Both moments are taken as their lines arrive on one stream, so that what the watch itself delays is in both and falls out of the
difference. Timestamps of pods have a resolution of a second and are of no use.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic_core import from_json

from scheduler.benchlive.cluster import TookTooLongError
from scheduler.kube.api import PODS, Api, Query
from scheduler.kube.errors import from_answer
from scheduler.kube.follow.lines import Lines, event

WAIT_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 120.0


@dataclass(slots=True, kw_only=True)
class _Seen:
    """The pods of the namespace by name: when each was first seen, and when with a node."""

    created: dict[str, float] = field(default_factory=dict)
    bound: dict[str, float] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


class Observer:
    """Watches the pods of one namespace. Use as ``async with``."""

    def __init__(self, api: Api, namespace: str) -> None:
        """Watch nothing yet."""
        self._api = api
        self._path = PODS.path(namespace)
        self._seen = _Seen()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._version = ""

    async def __aenter__(self) -> Self:
        """Start watching."""
        version = from_json(await self._api.get(self._path))["metadata"]["resourceVersion"]
        self._task = asyncio.create_task(self._follow(version), name="observe pods")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def created(self, names: Iterable[str]) -> float:
        """Wait until all these pods were seen; return when the last was."""
        return await self._all(list(names), lambda seen: seen.created, "created")

    async def bound(self, names: Iterable[str]) -> float:
        """Wait until all these pods have nodes; return when the last got its."""
        return await self._all(list(names), lambda seen: seen.bound, "bound")

    async def gone(self, names: Iterable[str]) -> None:
        """Wait until none of these pods exists any more."""
        wanted = set(names)
        await self._until(lambda: wanted <= self._seen.gone, f"{len(wanted)} pods gone")

    async def _all(self, names: list[str], times: Callable[[_Seen], dict[str, float]], what: str) -> float:
        await self._until(lambda: times(self._seen).keys() >= set(names), f"{len(names)} pods {what}")
        return max(times(self._seen)[name] for name in names)

    async def _until(self, true: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not true():
                    self._alive()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise TookTooLongError(f"{what}: not within {WAIT_SECONDS:.0f} s") from error

    def _alive(self) -> None:
        if self._task is not None and self._task.done():
            self._task.result()  # raises what ended it

    async def _follow(self, version: str) -> None:
        """Watch for ever; servers end a watch whenever they like, and it goes on where it was."""
        self._version = version
        try:
            while True:
                await self._watch()
        finally:
            self._changed.set()

    async def _watch(self) -> None:
        lines = Lines()
        query: Query = {"watch": "true", "resourceVersion": self._version, "timeoutSeconds": 3600}
        async with contextlib.aclosing(self._api.stream(self._path, query, idle=_IDLE_SECONDS)) as pieces:
            async for piece in pieces:
                now = time.perf_counter()
                for line in lines.feed(piece):
                    self._note(*event(line), now)
                self._changed.set()

    def _note(self, kind: str, raw: bytes, now: float) -> None:
        pod = from_json(raw)
        if kind == "ERROR":
            raise from_answer(int(pod.get("code") or 0), raw, what="watch of pods")
        name = pod["metadata"]["name"]
        self._version = pod["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self._seen.gone.add(name)
            return
        self._seen.created.setdefault(name, now)
        if pod.get("spec", {}).get("nodeName"):
            self._seen.bound.setdefault(name, now)
