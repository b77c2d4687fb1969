"""The independent watch: etcd itself tells every state of every object, in the order of its one revision counter.

The API server must store JSON (`STORAGE`). It is not asked, so that its restarts, its caches and its own watch cannot hide anything, and no
compaction can overtake a watch that is read at once. One stream tells all kinds, so there is nothing to merge.
"""

import base64
import json
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import urllib3

from tests.faults.history import History, Key, Kind, Object, linked

STORAGE: Final[Mapping[str, Mapping[str, object]]] = {"kube-apiserver": {"storage-media-type": "application/json"}}
"""Flags of a control plane whose etcd can be read."""
PREFIXES: Final[Mapping[str, Kind]] = {
    "/registry/pods/": "pod",
    "/registry/minions/": "node",
    "/registry/coterie.dev/placements/": "placement",
    "/registry/scheduling.run.ai/podgroups/": "podgroup",
}
_FIRST, _END, _MARK = "/registry/", "/registry0", "/registry/coterie-test-mark"


class Etcd:
    """The few calls that are made of etcd, through its JSON gateway."""

    def __init__(self, url: str) -> None:
        """Call this etcd."""
        self._url = url
        self._pool = urllib3.PoolManager(retries=False)

    def call(self, path: str, body: Object) -> Object:
        """Make one call; raise when etcd refuses it."""
        answer = self._pool.request("POST", f"{self._url}/v3/{path}", body=json.dumps(body), timeout=30.0)
        if answer.status != 200:
            raise RuntimeError(f"etcd {path}: {answer.status} {answer.data.decode(errors='replace')}")
        found: Object = json.loads(answer.data)
        return found

    def revision(self) -> int:
        """Return the newest revision."""
        return int(self.call("kv/range", {"key": _coded(_MARK), "count_only": True})["header"]["revision"])

    def compact(self, *, keep: int = 0) -> int:
        """Forget all but the last ``keep`` revisions; return the first one that is still known. Watches that lag get 410."""
        first = self.revision() - keep
        self.call("kv/compaction", {"revision": str(first), "physical": True})
        return first

    def full(self, whether: bool) -> None:
        """Raise or lift the alarm of a full disk: every write is refused while it stands."""
        self.call("maintenance/alarm", {"action": "ACTIVATE" if whether else "DEACTIVATE", "memberID": "0", "alarm": "NOSPACE"})

    def stream(self, path: str, body: Object) -> urllib3.BaseHTTPResponse:
        """Make a call whose answer does not end."""
        limits = urllib3.Timeout(connect=5.0, read=None)
        return self._pool.request("POST", f"{self._url}/v3/{path}", body=json.dumps(body), preload_content=False, timeout=limits)


class Recorder:
    """Writes down all that happens while the ``with`` block runs. `history` waits until everything that happened was told."""

    def __init__(self, url: str) -> None:
        """Record nothing yet."""
        self.etcd = Etcd(url)
        self._rows: list[Object] = []
        self._broken = ""
        self._told = threading.Condition()
        self._begins = 0
        self._seen = 0
        """The newest revision that was told."""
        self._stream: urllib3.BaseHTTPResponse | None = None

    def __enter__(self) -> Self:
        """Begin: first what there is, then every change from the next revision on."""
        state = self.etcd.call("kv/range", {"key": _coded(_FIRST), "range_end": _coded(_END)})
        first = int(state["header"]["revision"])
        kvs = sorted(state.get("kvs", []), key=lambda kv: int(kv["mod_revision"]))
        for kv in kvs:
            self._take({"kv": kv}, time.time())
        self._begins = first + 1
        body = {"create_request": {"key": _coded(_FIRST), "range_end": _coded(_END), "start_revision": str(first + 1)}}
        self._stream = self.etcd.stream("watch", body)
        threading.Thread(target=self._read, name="history", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End."""
        if self._stream is not None:
            self._stream.close()

    def history(self, *, seconds: float = 30.0) -> History:
        """Return what happened so far; nothing of it is missing, or this raises."""
        answer = self.etcd.call("kv/put", {"key": _coded(_MARK), "value": _coded("now")})
        wanted = int(answer["header"]["revision"])
        with self._told:
            if not self._told.wait_for(lambda: self._seen >= wanted or self._broken, seconds) or self._broken:
                raise RuntimeError(f"the independent watch is at revision {self._seen}, etcd at {wanted}: {self._broken or 'it is late'}")
            return History(list(linked(self._rows)), self._begins, wanted)

    def __len__(self) -> int:
        """Return how many states were told."""
        return len(self._rows)

    def _read(self) -> None:
        rest = b""
        try:
            assert self._stream is not None
            while piece := self._stream.read1():
                now = time.time()
                *lines, rest = (rest + piece).split(b"\n")
                with self._told:
                    for line in lines:
                        self._line(json.loads(line)["result"], now)
                    self._told.notify_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, the history has a hole from here on, and `history` must say so
            self._broken = repr(error)
        else:
            self._broken = "the stream ended"

    def _line(self, result: Object, now: float) -> None:
        if result.get("canceled"):
            self._broken = f"the watch was cancelled: {result.get('cancel_reason') or result}"
        for event in result.get("events", []):
            self._take(event, now)
            self._seen = max(self._seen, int(event["kv"]["mod_revision"]))

    def _take(self, event: Object, now: float) -> None:
        kv = event["kv"]
        name = base64.b64decode(kv["key"]).decode()
        found = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if found is None:
            return
        after = None if event.get("type") == "DELETE" else _object(kv)
        self._rows.append({"revision": int(kv["mod_revision"]), "at": now, "kind": PREFIXES[found], "key": _key(name[len(found) :]), "after": after})


def _object(kv: Object) -> Object:
    obj: Object = json.loads(base64.b64decode(kv["value"]))
    obj["metadata"].pop("managedFields", None)
    obj["metadata"]["resourceVersion"] = kv["mod_revision"]
    return obj


def _key(path: str) -> Key:
    namespace, _, name = path.rpartition("/")
    return namespace, name


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
