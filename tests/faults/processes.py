"""Schedulers as processes that start at once: forked from a warm parent (`warm`), killed, paused, and with a clock that can be shifted."""

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

from tests.faults.warm import SHIFT

ROOT: Final = Path(__file__).parents[2]
LEASE_SECONDS: Final = 1.0
QUICK: Final[Mapping[str, Any]] = {
    "leaderElection": {"leaseSeconds": LEASE_SECONDS, "renewSeconds": 0.2},
    "backoff": {"firstSeconds": 0.1, "longestSeconds": 1.0},
    "http": {"host": "127.0.0.1", "port": 0},
}
"""Short times: a hand-over takes about a second."""


class Process:
    """One scheduler."""

    def __init__(self, pid: int, identity: str, folder: Path, parent: "Warm") -> None:
        """Stand for a process that runs."""
        self.pid = pid
        self.identity = identity
        self._folder = folder
        self._parent = parent
        self._status: int | None = None
        with (folder / "shift").open("r+b") as file:
            self._shift = mmap.mmap(file.fileno(), SHIFT.size)

    def kill(self) -> None:
        """Kill it at once: nothing can be finished. Harmless when it is dead."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended; return its exit status, negative for a signal."""
        if self._status is None:
            self._status = self._parent.wait(self.pid)
        return self._status

    def terminate(self) -> int:
        """Ask it to end, and return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def pause(self) -> None:
        """Stop it where it is."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on as if nothing had happened."""
        os.kill(self.pid, signal.SIGCONT)

    def shift(self, seconds: float) -> None:
        """Let its clock jump: from now on it differs so much from the machine's."""
        SHIFT.pack_into(self._shift, 0, seconds)

    def text(self) -> str:
        """Return its output as it is, for messages."""
        return (self._folder / "log").read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        return [json.loads(line) for line in self.text().splitlines(keepends=True) if line.endswith("\n") and line.startswith("{")]

    def count(self, message: str) -> int:
        """Return how many lines of its log begin so."""
        return sum(str(line["message"]).startswith(message) for line in self.lines())

    def until(self, message: str, *, times: int = 1, seconds: float = 20.0) -> None:
        """Wait until so many lines of its log begin so."""
        deadline = time.monotonic() + seconds
        while self.count(message) < times:
            if time.monotonic() > deadline:
                raise AssertionError(f"no line {message!r} of {self.identity} in {seconds} s: {self.text()[-4000:]}")
            time.sleep(0.01)

    def bugs(self) -> list[str]:
        """Return what in its log nobody expects: tracebacks."""
        lines = self.text().splitlines()
        return [line for line in lines if '"traceback"' in line or line.startswith("Traceback")]


class Warm:
    """The warm parent, and the schedulers that it has forked. Use it as ``with Warm() as warm``."""

    def __init__(self) -> None:
        """Start it; it is warm when the block begins."""
        self.started: list[Process] = []
        self._folder = tempfile.TemporaryDirectory(prefix="coterie-warm-")
        command = [sys.executable, "-m", "tests.faults.warm"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        """Wait until everything is imported."""
        self._heard()
        return self

    def __exit__(self, *_: object) -> None:
        """End all of them."""
        self._pipe(self._process.stdin).close()
        self._process.wait(20)
        self._pipe(self._process.stdout).close()
        self._folder.cleanup()

    def start(self, kubeconfig: Path, identity: str = "coterie-0", *, config: Mapping[str, Any] | None = None, shift: float = 0.0) -> Process:
        """Fork a scheduler."""
        folder = Path(self._folder.name) / f"{len(self.started)}-{identity}"
        folder.mkdir()
        (folder / "log").touch()
        (folder / "shift").write_bytes(SHIFT.pack(shift))
        order = {"kubeconfig": str(kubeconfig), "identity": identity, "folder": str(folder), "config": {**QUICK, **(config or {})}}
        made = Process(int(self._ask(order)["pid"]), identity, folder, self)
        self.started.append(made)
        return made

    def wait(self, pid: int) -> int:
        """Wait until a child has ended; return its exit status."""
        return int(self._ask({"wait": pid})["status"])

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        pipe = self._pipe(self._process.stdin)
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"the warm parent has ended with {self._process.wait(10)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
