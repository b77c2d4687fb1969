"""When pods appear and when they are bound, by a watch and a clock that only goes forward.

All moments are taken as their lines arrive on one stream, so that what the watch itself delays is in all of them and falls out of the
differences. Timestamps of pods have a resolution of a second and are of no use. Only the fields that are needed are parsed: the watch shares
the machine with what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Required, Self

from pydantic import TypeAdapter
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.benchlive.cluster import PATIENCE, TookTooLongError
from scheduler.kube.api import PODS, Api, Query
from scheduler.kube.errors import from_answer
from scheduler.kube.follow.lines import Lines, event

WAIT_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = PATIENCE


class _Meta(TypedDict):
    name: str
    resourceVersion: str


class _Spec(TypedDict, total=False):
    nodeName: str


class _Pod(TypedDict, total=False):
    metadata: Required[_Meta]
    spec: _Spec


_POD: Final = TypeAdapter(_Pod)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """The pods of the namespace by name: when each was first seen, and when first with a node, and with which."""

    created: dict[str, float] = field(default_factory=dict)
    bound: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
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
        version = from_json(await self._api.get(self._path, {"limit": 1}))["metadata"]["resourceVersion"]
        self._task = asyncio.create_task(self._follow(version), name="observe pods")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def nodes(self) -> Mapping[str, str]:
        """The node of every pod that was seen with one."""
        return self._seen.nodes

    @property
    def moments(self) -> Mapping[str, float]:
        """When each pod was first seen with a node."""
        return self._seen.bound

    async def created(self, names: Iterable[str], *, seconds: float = WAIT_SECONDS) -> float:
        """Wait until all these pods were seen; return when the last was."""
        return await self._all(list(names), self._seen.created, "created", seconds)

    async def bound(self, names: Iterable[str], *, seconds: float = WAIT_SECONDS) -> float:
        """Wait until all these pods have nodes; return when the last got its."""
        return await self._all(list(names), self._seen.bound, "bound", seconds)

    async def gone(self, names: Iterable[str], *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until none of these pods exists any more."""
        wanted = list(names)
        await self._until(_all_in(wanted, self._seen.gone), f"{len(wanted)} pods gone", seconds)

    async def _all(self, names: list[str], times: Mapping[str, float], what: str, seconds: float) -> float:
        await self._until(_all_in(names, times), f"{len(names)} pods {what}", seconds)
        return max(times[name] for name in names)

    async def _until(self, true: Callable[[], bool], what: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    self._alive()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise TookTooLongError(f"{what}: not within {seconds:.0f} s") from error

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
        if kind == "ERROR":
            raise from_answer(int(from_json(raw).get("code") or 0), raw, what="watch of pods")
        pod = _POD.validate_json(raw)
        name = pod["metadata"]["name"]
        self._version = pod["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self._seen.gone.add(name)
            return
        self._seen.created.setdefault(name, now)
        if (node := pod.get("spec", {}).get("nodeName")) and name not in self._seen.bound:
            self._seen.bound[name] = now
            self._seen.nodes[name] = node


def _all_in(names: Sequence[str], seen: Container[str]) -> Callable[[], bool]:
    """Return a question that looks at each name once it is there only once: it is asked with every piece of the stream."""
    left = list(names)

    def ask() -> bool:
        while left and left[-1] in seen:
            left.pop()
        return not left

    return ask
