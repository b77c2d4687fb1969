"""Our connections: an answer is whole or an error, however its bytes are cut, and only a connection that is surely clean is used again."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.kube import connection
from scheduler.kube.connection import BrokenAnswerError, Connections

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n3;name=x\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
TRAILERS = OK + b'transfer-encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\nExpires: never\r\n\r\n'
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
TO_THE_END = OK + b'\r\n{"a":1}'


class Server:
    """Answers the requests of each connection with these pieces, one list for each request, in this order; then it closes."""

    def __init__(self, *answers: Sequence[bytes], hangs: bool = False) -> None:
        """With ``hangs`` it reads one request more than it answers."""
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.opened = 0
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        self._hangs = hangs
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        self.opened += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.answers or self._hangs:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
                self.requests.append(head + await reader.readexactly(length))
                self.asked.set()
                if not self.answers:
                    await reader.read()  # until the client has gone
                    break
                for piece in self.answers.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.closed.set()


@contextlib.asynccontextmanager
async def connected(server: Server, *, prefix: str = "") -> AsyncIterator[Connections]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        made = Connections(f"http://127.0.0.1:{port}{prefix}", tls=ssl.create_default_context(), connect_seconds=5.0)
        try:
            yield made
        finally:
            await made.close()
            await asyncio.gather(*(task for task in server.tasks if task is not None))


async def ask(connections: Connections, body: bytes | None = None) -> tuple[int, bytes]:
    answer = await connections.call("POST", "/x?y=1", b"Accept: a\r\n", body, seconds=10.0)
    return answer.status, answer.body


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, TRAILERS, INTERIM, TO_THE_END])
@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(min_value=0, max_value=150), max_size=6))
def test_an_answer_is_the_same_however_its_bytes_were_cut(answer: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted({cut for cut in cuts if cut < len(answer)}), len(answer)]
    pieces = [answer[a:b] for a, b in itertools.pairwise(edges)]

    async def check() -> None:
        async with connected(Server(pieces)) as connections:
            assert await ask(connections) == (200, b'{"a":1}')

    asyncio.run(check())


async def test_the_request_is_written_as_it_was_given_with_host_prefix_and_length() -> None:
    server = Server([NOTHING], [LENGTH])
    async with connected(server, prefix="/clusters/x") as connections:
        assert await ask(connections) == (204, b"")
        await ask(connections, b"{}")
    port = server.requests[0].partition(b"127.0.0.1:")[2].partition(b"\r\n")[0]
    assert server.requests[0] == b"POST /clusters/x/x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:%b\r\nAccept: a\r\n\r\n" % port
    assert server.requests[1].endswith(b"Accept: a\r\nContent-Length: 2\r\n\r\n{}")
    assert server.opened == 1


CLEAN = [LENGTH, CHUNKED, TRAILERS, INTERIM, NOTHING]
UNCLEAN = [
    LENGTH.replace(b"Content-Type", b"Connection: close\r\nContent-Type"),
    LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
    LENGTH + b"more",
    CHUNKED + b"more",
    TO_THE_END,
]


@pytest.mark.parametrize(("first", "opened"), [*((each, 1) for each in CLEAN), *((each, 2) for each in UNCLEAN)])
async def test_only_a_connection_that_was_read_to_the_end_and_stays_open_is_used_again(first: bytes, opened: int) -> None:
    server = Server([first], [LENGTH])
    if first is TO_THE_END:
        server = Server([first])
    async with connected(server) as connections:
        await ask(connections)
        if first is TO_THE_END:
            server.answers.append([LENGTH])
        assert await ask(connections) == (200, b'{"a":1}')
        assert server.opened == opened


BROKEN = [
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    LENGTH[:-1],
    CHUNKED[:-9],
    CHUNKED[:-2],
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.1 two hundred\r\n\r\n",
    OK + b"Content-Length: -7\r\n\r\n",
    OK + b"Content-Length: 7_0\r\n\r\n",
    OK + b"Content-Length: 99999999999999\r\n\r\n{}",
    OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_an_answer_that_ends_early_or_is_not_http_is_an_error_and_costs_the_connection(answer: bytes) -> None:
    server = Server([answer])
    async with connected(server) as connections:
        with pytest.raises(BrokenAnswerError):
            await ask(connections)
        server.answers.append([LENGTH])
        assert await ask(connections) == (200, b'{"a":1}')
    assert server.opened == 2


@pytest.mark.parametrize("answer", [OK + b"X: y\r\n" * 20, OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"5\r\n12345\r\n" * 20])
async def test_an_answer_without_end_is_given_up(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_BYTES", 100)
    async with connected(Server([answer[:60], answer[60:]], hangs=True)) as connections:
        with pytest.raises(BrokenAnswerError, match="longer than 100 bytes"):
            await ask(connections)


async def test_a_server_that_does_not_answer_in_time_loses_its_connection() -> None:
    server = Server(hangs=True)
    async with connected(server) as connections:
        with pytest.raises(TimeoutError):
            await connections.call("GET", "/", b"", None, seconds=0.05)
        await asyncio.wait_for(server.closed.wait(), 10)


async def test_a_call_that_is_cancelled_never_leaves_its_answer_to_another_one() -> None:
    server = Server(hangs=True)
    async with connected(server) as connections:
        call = asyncio.create_task(ask(connections))
        await asyncio.wait_for(server.asked.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.closed.wait(), 10)
        server.answers.append([LENGTH])
        assert await ask(connections) == (200, b'{"a":1}')
    assert server.opened == 2


async def test_calls_at_one_moment_have_a_connection_each_and_share_them_afterwards() -> None:
    server = Server(*([LENGTH] for _ in range(20)))
    async with connected(server) as connections:
        await asyncio.gather(*(ask(connections) for _ in range(5)))
        opened = server.opened
        await asyncio.gather(*(ask(connections) for _ in range(5)))
    assert (opened, server.opened) == (5, 5)


async def test_no_more_connections_are_opened_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 2)
    server = Server(*([LENGTH] for _ in range(20)))
    async with connected(server) as connections:
        await asyncio.gather(*(ask(connections) for _ in range(10)))
    assert server.opened == 2


@pytest.mark.parametrize("host", ["", "127.0.0.1:6443", "ftp://x", "https://"])
def test_an_address_that_is_none_is_refused_with_the_address(host: str) -> None:
    with pytest.raises(ValueError, match="expected https://"):
        Connections(host, tls=ssl.create_default_context(), connect_seconds=1.0)
