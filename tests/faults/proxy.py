"""A proxy before the real API server: it numbers every call, asks rules what to do to it, and logs both.

It listens on 127.0.0.1 with the serving certificate of the control plane, one port for each client (a replica of the scheduler), so that
a kubeconfig needs no more than another port, and one replica can be cut off. It runs in a thread of its own; everything public may be called
from any thread. Calls are described in `proxy_calls`, faults in `proxy_faults`.
"""

import asyncio
import contextlib
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import yaml

from tests.controlplane.certs import Certificates
from tests.controlplane.stack import ControlPlane
from tests.faults import proxy_faults as faults
from tests.faults.proxy_calls import Call, Entry, kind, split, target
from tests.faults.proxy_doing import done
from tests.faults.proxy_faults import Rule
from tests.faults.proxy_streams import Stream
from tests.faults.proxy_wire import Connection, Head, LostError, Upstream, answer

T = TypeVar("T")
_HEAD_LIMIT = 2**17


@dataclass(slots=True, eq=False)
class _Port:
    """One client's way in."""

    name: str
    number: int = 0
    connections: set[Connection] = field(default_factory=set)
    streams: list[Stream] = field(default_factory=list)
    refuses: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def clear(self) -> None:
        """Wait while nothing gets through."""
        await self.open.wait()


class Proxy:
    """Use it as ``with Proxy(...)`` or ``with Proxy.before(control_plane)``."""

    def __init__(self, url: str, ca: Path, certificates: Certificates) -> None:
        """Forward to this URL, trusting this CA; listen with the serving certificate."""
        self.rules: list[Rule] = []
        """The first answer that is not None counts. They run in the proxy's thread: no waiting in them."""
        self.log: list[Entry] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._ports: dict[str, _Port] = {}
        self._servers: list[asyncio.Server] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.serving, certificates.serving_key)
        parsed = urlsplit(url)
        self._upstream = Upstream(parsed.hostname or "127.0.0.1", parsed.port or 443, ssl.create_default_context(cafile=str(ca)))

    @classmethod
    def before(cls, control_plane: ControlPlane) -> "Proxy":
        """Return a proxy before a control plane."""
        return cls(control_plane.url, control_plane.ca_file, Certificates(control_plane.ca_file.parent))

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut everything off and end."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # --- ways in

    def listen(self, client: str) -> int:
        """Open the port of a client, once, and return its number."""
        if client not in self._ports:
            self._do(self._listen(client))
        return self._ports[client].number

    def kubeconfig(self, source: Path, client: str) -> Path:
        """Write a copy of a kubeconfig beside it that goes through the port of this client."""
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
        for cluster in document["clusters"]:
            cluster["cluster"]["server"] = f"https://127.0.0.1:{self.listen(client)}"
        path = source.with_name(f"{source.stem}-{client}.kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    # --- what is done to a client as a whole

    def cut(self, client: str) -> None:
        """Reset all connections of a client, and every new one, until `heal`: the server seems to be dead."""
        self._do(self._cut(self._ports[client]))

    def hush(self, client: str) -> None:
        """Let nothing through any more, in silence, until `heal`: calls and events that are on their way come then, late."""
        self._call(self._ports[client].open.clear)

    def reset(self, client: str) -> None:
        """Reset the connections of a client that are open now; new ones are welcome."""
        self._do(self._reset(self._ports[client]))

    def heal(self, client: str) -> None:
        """End `cut` and `hush`."""

        def do() -> None:
            self._ports[client].refuses = False
            self._ports[client].open.set()

        self._call(do)

    # --- watches that are open

    def streams(self, client: str, plural: str) -> list[Stream]:
        """Return the open watches of a client on one resource."""
        return [each for each in list(self._ports[client].streams) if each.call.target.plural == plural]

    def disturb(self, client: str, plural: str, fault: faults.StreamFault | None) -> int:
        """Put a fault upon the open watches of a client on one resource, from now on (its ``after`` counts from now); return how many there are."""
        found = self.streams(client, plural)

        def do() -> None:
            for each in found:
                each.set(fault)

        self._call(do)
        return len(found)

    # --- the log

    def calls(self, fits: Callable[[Entry], bool] = lambda _: True) -> list[Entry]:
        """Return the entries of the log that fit, in the order of arrival."""
        return [entry for entry in list(self.log) if fits(entry)]

    def text(self, last: int = 200) -> str:
        """Return the end of the log for a message."""
        return "\n".join(map(str, self.log[-last:]))

    # --- inside the proxy's thread

    async def _listen(self, client: str) -> None:
        port = _Port(client)
        port.open.set()
        server = await asyncio.start_server(lambda r, w: self._connected(port, Connection(r, w)), "127.0.0.1", 0, ssl=self._tls, limit=_HEAD_LIMIT)
        port.number = server.sockets[0].getsockname()[1]
        self._servers.append(server)
        self._ports[client] = port

    async def _connected(self, port: _Port, client: Connection) -> None:
        port.connections.add(client)
        try:
            while not port.refuses and (head := await client.read_head()) is not None:
                body = await client.read_body(head)
                if port.refuses or not await self._serve(port, client, head, body):
                    break
        except LostError:
            pass
        except asyncio.CancelledError:
            pass  # the end of the proxy: the task is the callback of a stream, and nobody waits for what becomes of it
        finally:
            if not client.closed:
                client.reset()
            port.connections.discard(client)

    async def _serve(self, port: _Port, client: Connection, head: Head, body: bytes) -> bool:
        """Serve one call; return whether the connection may be used again."""
        entry = self._entry(port, head, body)
        await port.clear()
        if entry.call.kind == "watch" and not isinstance(entry.fault, faults.CallFault):
            return await self._watch(entry, port, client, head)
        try:
            reply = await done(entry, head, self._upstream)
        except LostError:
            return False
        await port.clear()
        if reply is None or port.refuses:
            return False
        entry.told = reply.head.status
        await client.write(answer(reply.head, length=len(reply.body)) + reply.body)
        return True

    def _entry(self, port: _Port, head: Head, body: bytes) -> Entry:
        method, raw, _ = head.line.split(" ", 2)
        path, query = split(raw)
        about = target(path)
        what = kind(method, about, query)
        call = Call(
            number=len(self.log) + 1,
            nth=self._counts[port.name, what],
            client=port.name,
            agent=head.get("user-agent"),
            method=method,
            path=path,
            query=query,
            kind=what,
            target=about,
            body=body,
        )
        self._counts[port.name, what] += 1
        found = (rule(call) for rule in self.rules)
        entry = Entry(call=call, fault=next((fault for fault in found if fault is not None), None))
        self.log.append(entry)
        return entry

    async def _watch(self, entry: Entry, port: _Port, client: Connection, head: Head) -> bool:
        server, answered = await self._upstream.open(entry.call, head)
        entry.status = entry.told = answered.status
        if not answered.chunked:  # a refusal
            body = await server.read_body(answered)
            server.reset()
            await client.write(answer(answered, length=len(body)) + body)
            return True
        stream = Stream(entry.call, entry.fault if isinstance(entry.fault, faults.StreamFault) else None)
        port.streams.append(stream)
        try:
            if await stream.run(client, server, answered, port):
                client.close()
        finally:
            port.streams.remove(stream)
        return False

    async def _cut(self, port: _Port) -> None:
        port.refuses = True
        await self._reset(port)

    @staticmethod
    async def _reset(port: _Port) -> None:
        for each in list(port.connections):
            each.reset()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for port in self._ports.values():
            await self._cut(port)
        await asyncio.sleep(0.02)  # those who only wait for their client end by themselves
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._upstream.close()
        await asyncio.sleep(0.02)  # sockets are closed some turns of the loop later

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    def _call(self, work: Callable[[], object]) -> None:
        async def do() -> None:
            work()

        self._do(do())


@contextlib.contextmanager
def proxied(control_plane: ControlPlane, *rules: Rule) -> Iterator[Proxy]:
    """Run a proxy before a control plane, with these rules."""
    with Proxy.before(control_plane) as proxy:
        proxy.rules.extend(rules)
        yield proxy
