"""The pace of binds against simulated servers: nearly the best constant's rate, within the bound, and less when the server has enough."""

import asyncio
import contextlib

import pytest

from scheduler.kube.bindings.pace import LEAST, Pace
from scheduler.kube.errors import TooMany


class Server:
    """Answers up to ``workers`` calls a tick of its clock; every one beyond ``crowd`` on its way costs it work."""

    def __init__(self, workers: int, *, crowd: int = 10_000) -> None:
        """Begin idle, at moment zero."""
        self.now = 0.0
        self.workers = workers
        self.crowd = crowd
        self.done = 0
        self.most = 0
        self._calls: list[asyncio.Future[None]] = []

    def clock(self) -> float:
        return self.now

    async def call(self) -> None:
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.append(waits)
        await waits

    async def tick(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        self.most = max(self.most, len(self._calls))
        self.now += 0.01
        able = max(self.workers // 2, self.workers - max(0, len(self._calls) - self.crowd) // 2)
        for call in self._calls[:able]:
            if not call.done():
                call.set_result(None)
        self.done += len(self._calls[:able])
        del self._calls[:able]


async def pressed(server: Server, pace: Pace, *, ticks: int, callers: int = 400) -> float:
    """Keep many callers asking; return how many answers a tick came in the second half."""

    async def ask() -> None:
        while True:
            async with pace.slot():
                await server.call()

    tasks = [asyncio.create_task(ask()) for _ in range(callers)]
    for _ in range(ticks // 2):
        await server.tick()
    before = server.done
    for _ in range(ticks // 2):
        await server.tick()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return (server.done - before) / (ticks // 2)


@pytest.mark.parametrize("workers", [6, 20, 60])
async def test_it_reaches_nearly_what_the_server_can_do(workers: int) -> None:
    server = Server(workers)
    rate = await pressed(server, Pace(most=200, clock=server.clock), ticks=1500)
    assert rate >= 0.95 * workers


async def test_it_never_has_more_on_the_way_than_the_bound() -> None:
    server = Server(100)
    await pressed(server, Pace(most=24, clock=server.clock), ticks=200)
    assert server.most == 24


async def test_it_steps_back_where_more_calls_make_the_server_slower() -> None:
    server = Server(20, crowd=24)
    pace = Pace(most=200, first=100, clock=server.clock)
    rate = await pressed(server, pace, ticks=3000)
    assert rate >= 0.85 * 20
    assert pace.limit <= 60


async def test_a_refusal_halves_the_limit_once_a_round_and_never_below_the_least() -> None:
    pace = Pace(most=64, first=64)

    async def refused() -> None:
        with contextlib.suppress(TooMany):
            async with pace.slot():
                raise TooMany("enough", status=429)

    await asyncio.gather(*(refused() for _ in range(20)))
    assert pace.limit == 32
    for _ in range(2000):
        async with pace.slot():
            pass
        await refused()
    assert pace.limit == LEAST


async def test_calls_that_never_wait_leave_the_limit_as_it_is() -> None:
    pace = Pace(most=64, first=16)
    for _ in range(1000):
        async with pace.slot():
            pass
    assert pace.limit == 16


async def test_a_caller_that_gives_up_gives_its_slot_to_the_next_one() -> None:
    pace, order = Pace(most=1, first=1), list[str]()

    async def one(name: str) -> None:
        async with pace.slot():
            order.append(name)
            await asyncio.sleep(0)

    first, second, third = (asyncio.create_task(one(name)) for name in "abc")
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert order == ["a", "c"]
    async with asyncio.timeout(5), pace.slot():
        pass
