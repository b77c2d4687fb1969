"""Follows every row of WATCHED: list, then watch, on one queue of typed events.

Lists are paged; watches carry bookmarks, resume at the last resourceVersion and reconnect with jittered backoff. When the server has
forgotten that version (410), the new list is compared with what was told before, so that deletes in between are told too. What the events
mean is `scheduler.state.cache`.

The difficulty: a watch can end at any byte, in silence, or with an error inside a 200 answer, and none of these may lose a delete.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Required

from pydantic import TypeAdapter, ValidationError, with_config
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from scheduler.kube.api import Api, Query
from scheduler.kube.backoff import Backoff
from scheduler.kube.errors import ApiError, Denied, Gone, Invalid, NotFound, Unreachable, from_answer
from scheduler.kube.follow.lines import Lines, event
from scheduler.kube.follow.listing import PAGE, pages
from scheduler.kube.follow.watched import WATCHED, Watched
from scheduler.kube.parse.fields import STRICT
from scheduler.kube.parse.reading import Raw
from scheduler.state.events import Event, Id, Put, Removed, Synced, Unreadable
from scheduler.state.problems import BadInput, show

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 90.0
"""Silence after which a watch counts as dead: the server sends a bookmark about every minute."""
WATCH_SECONDS: Final = (240.0, 300.0)
"""How long the server is asked to keep one watch; spread, so that sixteen watches do not end together."""
RECHECK_SECONDS: Final = 60.0
"""How often a resource that the server does not serve is looked for again."""
_STEADY_SECONDS: Final = 5.0
"""A watch that lived so long was healthy: the next failure starts the backoff anew."""


@with_config(STRICT)
class _Meta(TypedDict, total=False):
    name: Required[str]
    namespace: str | None
    uid: str | None
    resourceVersion: str | None


@with_config(STRICT)
class _Headed(TypedDict):
    metadata: _Meta


@with_config(STRICT)
class _Marked(TypedDict):
    metadata: Mapping[str, object]


_HEAD: Final = TypeAdapter(_Headed)
_BOOKMARK: Final = TypeAdapter(_Marked)

Phase = Literal["starting", "live", "absent", "failing"]


@dataclass(slots=True, kw_only=True)
class Health:
    """How one row is doing, for readiness, metrics and messages."""

    phase: Phase = "starting"
    version: str = ""
    heard: float = 0.0
    """Monotonic seconds when the server was last heard for this row."""
    synced: bool = False
    """Whether everything was told at least once (or the row is not served)."""
    error: ApiError | None = None
    lists: int = 0
    watches: int = 0


class Watcher:
    """Follows all rows. ``events`` is the one queue; ``health`` tells about each row by its source."""

    def __init__(
        self,
        api: Api,
        rows: Sequence[Watched] = WATCHED,
        *,
        page: int = PAGE,
        idle: float = IDLE_SECONDS,
        recheck: float = RECHECK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked before `run`. ``idle`` and ``recheck`` are in seconds."""
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.health: dict[str, Health] = {row.source: Health() for row in rows}
        self._clock = clock
        self._synced = asyncio.Event()
        self._rows = rows
        self._reflectors = [_Reflector(api, row, self, page=page, idle=idle, recheck=recheck) for row in rows]

    async def run(self) -> None:
        """Follow until cancelled; no answer of the server ends it."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.follow(), name=f"watch {reflector.row.source}")

    async def synced(self) -> None:
        """Wait until every row was told once, is not served, or is forbidden and not needed."""
        await self._synced.wait()

    @property
    def age(self) -> float:
        """Seconds since the server was last heard for the needed row that is silent longest; readiness depends on it."""
        now = self._clock()
        return max((now - self.health[row.source].heard for row in self._rows if row.needed), default=0.0)

    def tell(self, happened: Event) -> None:
        """Put an event on the queue."""
        self.events.put_nowait(happened)

    def mark(self, row: Watched, phase: Phase, *, error: ApiError | None = None) -> Health:
        """Note how a row is doing."""
        health = self.health[row.source]
        health.phase, health.error = phase, error
        if phase in ("live", "absent"):
            health.heard = self._clock()
        if phase in ("live", "absent") or (isinstance(error, Denied) and not row.needed):
            health.synced = True
            if all(h.synced for h in self.health.values()):
                self._synced.set()
        return health


class _Reflector:
    """Follows one row."""

    def __init__(self, api: Api, row: Watched, watcher: Watcher, *, page: int, idle: float, recheck: float) -> None:
        self.row = row
        self._api = api
        self._watcher = watcher
        self._page = page
        self._idle = idle
        self._recheck = recheck
        self._backoff = Backoff()
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        """UID and resourceVersion of every object that was told, by namespace and name."""
        self._resource = row.resource(row.versions[0])
        self._version = ""
        """The resourceVersion to resume at; empty: list first."""

    async def follow(self) -> None:
        """List and watch, for ever."""
        while True:
            started = time.monotonic()
            try:
                if not self._version:
                    await self._list_served()
                await self._watch()
                pause = 0.0 if time.monotonic() - started > _STEADY_SECONDS else self._backoff.next()
            except NotFound:
                self._absent()
                pause = self._recheck
            except (Gone, Invalid):
                # Both mean that this version is no place to resume at. The pause keeps a confused server from being listed in a loop.
                self._version = ""
                pause = self._backoff.next()
            except ApiError as error:
                pause = self._failed(error, started)
            await asyncio.sleep(pause)

    def _failed(self, error: ApiError, started: float) -> float:
        if time.monotonic() - started > _STEADY_SECONDS:
            self._backoff.reset()
        pause = min(self._backoff.next(error.retry_after), max(self._recheck, error.retry_after or 0.0))
        self._watcher.mark(self.row, "failing", error=error)
        logger.warning("watch of %s failed, trying again in %.1f s: %s", self.row.source, pause, error)
        return pause

    def _absent(self) -> None:
        self._version = ""
        for key in sorted(self._known):
            self._forget(key)
        self._watcher.mark(self.row, "absent")
        self._watcher.tell(Synced(source=self.row.source))

    async def _list_served(self) -> None:
        for version in self.row.versions:
            self._resource = self.row.resource(version)
            try:
                return await self._list()
            except NotFound:
                if version == self.row.versions[-1]:
                    raise
        raise AssertionError("a row has at least one version")

    async def _list(self) -> None:
        seen: set[tuple[str, str]] = set()
        version = ""
        async for page in pages(self._api, self._resource, self._page, read=self.row.read):
            version = page.version
            for item in page.items:
                item.setdefault("apiVersion", self._resource.api_version)
                item.setdefault("kind", self.row.kind)
                seen.add(self._put(item))
        for key in sorted(self._known.keys() - seen):
            self._forget(key)
        self._version = version
        health = self._watcher.mark(self.row, "live")
        health.lists += 1
        health.version = self._resource.version
        self._watcher.tell(Synced(source=self.row.source))

    async def _watch(self) -> None:
        least, most = WATCH_SECONDS
        query: Query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": int(self._backoff.between(least, most)),
        }
        lines = Lines()
        async with contextlib.aclosing(self._api.stream(self._resource.path(), query, idle=self._idle)) as pieces:
            self._watcher.health[self.row.source].watches += 1
            told = time.monotonic()
            async for piece in pieces:
                whole = lines.feed(piece)
                for line in whole:
                    self._apply(*event(line))
                now = time.monotonic()
                if whole:
                    told = now
                    self._watcher.mark(self.row, "live")
                elif now - told > self._idle:
                    # Something between us and the server keeps the connection warm; a server would have sent a bookmark.
                    raise Unreachable(f"watch of {self.row.source}: neither an event nor a bookmark came in {self._idle:.0f} s")

    def _apply(self, kind: str, raw: bytes) -> None:
        match kind:
            case "ADDED" | "MODIFIED":
                key = self._put(raw)
                self._version = self._known[key][1]
                self._backoff.reset()
            case "DELETED":
                meta = _head(raw)
                self._forget((meta.get("namespace") or "", meta["name"]))
                self._version = meta.get("resourceVersion") or self._version
            case "BOOKMARK":
                self._version = str(_BOOKMARK.validate_json(raw)["metadata"].get("resourceVersion") or self._version)
                self._backoff.reset()
            case "ERROR":
                code = from_json(raw).get("code", 0)
                raise from_answer(int(code) or 500, raw, what=f"watch of {self.row.source}")
            case _:
                raise Unreachable(f"watch of {self.row.source}: an event of type {kind} is not known")

    def _put(self, raw: Raw) -> tuple[str, str]:
        meta = _head(raw)
        key = (meta.get("namespace") or "", meta["name"])
        now = (meta.get("uid") or "", meta.get("resourceVersion") or "")
        before = self._known.get(key)
        if before is not None and before[0] != now[0]:
            self._forget(key)  # made anew under its name while nobody looked
        if before != now:
            self._known[key] = now
            self._watcher.tell(self._parsed(self._id(key, now[0]), raw))
        return key

    def _parsed(self, whose: Id, raw: Raw) -> Event:
        try:
            return Put(id=whose, value=self.row.parse(raw))
        except BadInput as error:
            return Unreadable(id=whose, problem=str(error.problems[0]))

    def _forget(self, key: tuple[str, str]) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._watcher.tell(Removed(id=self._id(key, known[0])))

    def _id(self, key: tuple[str, str], uid: str) -> Id:
        return Id(source=self.row.source, namespace=key[0], name=self.row.prefix + key[1], uid=uid)


def _head(raw: Raw) -> _Meta:
    try:
        return (_HEAD.validate_json(raw) if isinstance(raw, bytes) else _HEAD.validate_python(raw))["metadata"]
    except ValidationError as error:
        raise Unreachable(f"an object without name in a list or watch: {show(from_json(raw) if isinstance(raw, bytes) else raw)}") from error
