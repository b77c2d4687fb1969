"""Runs coroutines of the scheduler by hand: an event loop without time and sockets, and a door to the API server that asks the test.

Each call of the scheduler stops at the door until the test answers it; between two answers everything runs until nothing can go on. A sleep is
over at once, because what matters is when the next call reaches the server, and that the test decides; a deadline of the loop never comes.
A call is known by the task that makes it and its place among that task's calls, so that the same answers always meet the same calls.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, NamedTuple, cast

from scheduler.kube.api import MERGE_PATCH, Api, Body
from scheduler.kube.errors import Unreachable, from_answer
from tests.model.cluster import canonical
from tests.model.server import Answer, Call


class CallId(NamedTuple):
    """Which call of a leader's turn it is."""

    task: tuple[int, ...]
    number: int


class StepLoop:
    """The part of `asyncio.AbstractEventLoop` that tasks, task groups and semaphores need."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._ready: deque[asyncio.Handle] = deque()
        self.trouble: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._paths: dict[asyncio.Task[Any], tuple[int, ...]] = {}
        self._children: dict[tuple[int, ...], int] = {}
        self._loop = cast("asyncio.AbstractEventLoop", self)

    def run_ready(self) -> None:
        """Run until nothing can go on."""
        events._set_running_loop(self._loop)  # noqa: SLF001 - asyncio offers this to those who write an event loop
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - as above
        finally:
            events._set_running_loop(None)  # noqa: SLF001 - as above

    def path(self) -> tuple[int, ...]:
        """Return the place of the running task among the tasks: which child of which child."""
        task = asyncio.current_task(self._loop)
        return self._paths[task] if task is not None else ()

    def close(self) -> None:
        """End every task."""
        while left := [task for task in self.tasks if not task.done()]:
            for task in left:
                task.cancel()
            self.run_ready()

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(delay, callback, args, self._loop, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        return asyncio.TimerHandle(when, callback, args, self._loop, context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing is kept of a timer."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._loop)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        above = self.path()
        number = self._children.get(above, 0)
        self._children[above] = number + 1
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._loop, name=name, context=context)
        self._paths[task] = (*above, number)
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.trouble.append(str(context.get("exception") or context.get("message")))

    def time(self) -> float:
        return 0.0

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


class Door:
    """Stands where `scheduler.kube.api.Api` stands; each call waits until it is answered."""

    def __init__(self, loop: StepLoop) -> None:
        """Ask nothing yet."""
        self._loop = loop
        self._asked: dict[tuple[int, ...], int] = {}
        self.waiting: dict[CallId, tuple[Call, asyncio.Future[object]]] = {}

    @property
    def api(self) -> Api:
        """The door as the scheduler takes it."""
        return cast("Api", self)

    def answer(self, about: CallId, answer: object) -> None:
        """Answer one call and run until nothing can go on."""
        self.waiting.pop(about)[1].set_result(answer)
        self._loop.run_ready()

    async def ask(self, call: Call) -> object:
        """Wait for the answer to a call."""
        task = self._loop.path()
        number = self._asked.get(task, 0)
        self._asked[task] = number + 1
        future: asyncio.Future[object] = self._loop.create_future()
        self.waiting[CallId(task, number)] = (call, future)
        return await future

    def get(self, path: str) -> Awaitable[bytes]:
        return self._http("GET", path)

    def post(self, path: str, body: Body, *, wait: bool = True) -> Awaitable[bytes]:  # noqa: ARG002 - the server of the model never says 429
        return self._http("POST", path, body)

    def patch(self, path: str, body: Body, *, kind: str = MERGE_PATCH) -> Awaitable[bytes]:  # noqa: ARG002 - the path tells the server which patch it is
        return self._http("PATCH", path, body)

    async def _http(self, method: str, path: str, body: Body | None = None) -> bytes:
        answer = await self.ask(Call(method, path, "" if body is None else canonical(_timeless(body))))
        assert isinstance(answer, Answer)
        if answer.status == 0:
            raise Unreachable(f"{method} {path}: the answer is lost")
        if answer.status >= 400:
            raise from_answer(answer.status, answer.text.encode(), what=f"{method} {path}")
        return answer.text.encode()


def _timeless(body: Body) -> dict[str, Any]:
    """Leave out when a condition changed: it is the calendar's, and would make every run different."""
    plain: dict[str, Any] = json.loads(body if isinstance(body, bytes) else json.dumps(body))
    for condition in (plain.get("status") or {}).get("conditions") or ():
        condition.pop("lastTransitionTime", None)
    return plain
