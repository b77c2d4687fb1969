"""Starts and ends the programs of a control plane, each in a process group of its own with its output in a file."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 1.0  # seconds from SIGTERM to SIGKILL: nothing here has data worth waiting for
POLL = 0.02
LOG_TAIL = 3000
# Below the range that systems hand out for outgoing connections: a port that was free a moment ago is then taken far less often.
PORTS = range(20000, 32000)


class StartError(RuntimeError):
    """A program did not come up; the message ends with the end of its log."""


class PortTakenError(StartError):
    """A program found its port taken in between: another attempt with other ports may work."""


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(PORTS, len(PORTS)):
            server = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                server.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise StartError("no free ports on 127.0.0.1")


@dataclass(frozen=True)
class Program:
    """How to start one program, and how to see that it is ready."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    timeout: float = 60.0


@dataclass(frozen=True)
class Running:
    """A program that runs, and its log."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path


class Processes:
    """The programs that run, in the order of their start."""

    def __init__(self, logs: Path, folder: Path) -> None:
        """Start the watchdog; it removes the folder at the end, also when this process dies without a word."""
        self._logs = logs
        self._running: dict[str, Running] = {}
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py"))],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._tell(f"@{folder}")

    def __contains__(self, name: str) -> bool:
        """Say whether the program was started and not stopped since."""
        return name in self._running

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: running.process.pid for name, running in self._running.items()}

    def log(self, name: str) -> Path:
        """Return the log of a program; it is appended to at every start."""
        return self._logs / f"{name}.log"

    def launch(self, program: Program) -> None:
        """Start a program without waiting for it."""
        if program.name in self._running:
            raise StartError(f"{program.name} runs already")
        with self.log(program.name).open("ab") as log:
            process = subprocess.Popen(
                list(program.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal must reach us only: the order of the end matters
                cwd=self._logs,
            )
        self._tell(f"+{process.pid}")
        self._running[program.name] = Running(program, process, self.log(program.name))

    def await_ready(self, name: str) -> None:
        """Wait until a program that was launched says that it is ready."""
        running = self._running[name]
        deadline = time.monotonic() + running.program.timeout
        while True:
            ready = running.program.ready()
            if running.process.poll() is not None:  # asked last: a stranger on a port that was taken may have answered for it
                self._fail(running, f"{name} ended with {running.process.returncode}")
            if ready:
                return
            if time.monotonic() > deadline:
                self._fail(running, f"{name} is not ready after {running.program.timeout:.0f} s")
            time.sleep(POLL)

    def start(self, program: Program) -> None:
        """Start a program and wait until it is ready."""
        self.launch(program)
        self.await_ready(program.name)

    def stop(self, name: str) -> None:
        """End a program that runs: a word, then force."""
        running = self._running.pop(name)
        _end(running.process)
        self._tell(f"-{running.process.pid}")

    def close(self, *, keep_folder: bool = False) -> None:
        """End every program, the last one first (API server before etcd: without etcd it hangs), then the watchdog, which removes the folder."""
        while self._running:
            self.stop(next(reversed(self._running)))
        if keep_folder:
            self._tell("~")
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.close()
        self._watchdog.wait(timeout=10)

    def _tell(self, order: str) -> None:
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a watchdog that was killed by hand must not keep us from cleaning up
                self._watchdog.stdin.write(f"{order}\n".encode())
                self._watchdog.stdin.flush()

    @staticmethod
    def _fail(running: Running, what: str) -> None:
        tail = running.log.read_text(errors="replace")[-LOG_TAIL:]
        kind = PortTakenError if "address already in use" in tail else StartError
        raise kind(f"{what}; the end of {running.log}:\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for what, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
            return
    raise StartError(f"process {process.pid} survives SIGKILL")
