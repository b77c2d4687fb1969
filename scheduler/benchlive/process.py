"""The processes that are measured: ``coterie run`` as in production, with the rights of deploy/, and whatever else runs beside it.

Each has its own interpreter, its CPU time is read from /proc, and its output goes to a file that is shown when it ends before its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic_core import from_json

from scheduler.bench.launch import CommandFailedError
from scheduler.benchlive.cluster import ACCOUNTS, TookTooLongError
from scheduler.kube.api import Api
from scheduler.kube.errors import NotConfigured, NotFound

NAMESPACE: Final = "coterie-system"
ACCOUNT: Final = "coterie"
LEADING: Final = "leading"
START_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 30.0
_IDENTITY: Final = "coterie-bench"
_TOKEN_SECONDS: Final = 7200
_STOP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.005
_SHOWN: Final = 500


class Process:
    """A process that runs."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Know the process and its log."""
        self.name = name
        self._process = process
        self._log = log

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used since its start, of all its threads."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            self.check()
            raise CommandFailedError(f"the CPU time of {self.name} cannot be read: there is no /proc here") from None
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """Raise CommandFailedError when it has ended, with the end of its log."""
        if self._process.returncode is not None:
            raise CommandFailedError(f"{self.name} ended with status {self._process.returncode}: {self.tail}")

    @property
    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace").strip()[-_SHOWN:]

    async def said(self, message: str, *, seconds: float = START_SECONDS) -> float:
        """Wait until a line of its log says this; return when it was seen, some milliseconds late at most."""
        deadline = time.perf_counter() + seconds
        wanted = f'"message": "{message}'
        while wanted not in self._log.read_text(encoding="utf-8", errors="replace"):
            self.check()
            if time.perf_counter() > deadline:
                raise TookTooLongError(f"{self.name} did not say {message!r} within {seconds:.0f} s; its log ends: {self.tail}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.perf_counter()

    async def quiet(self, *, share: float = 0.1, window: float = 0.5, seconds: float = QUIET_SECONDS) -> tuple[float, float]:
        """Wait until it uses less than this share of a CPU over a window, at most so long; return when that began, and its CPU seconds then."""
        deadline = time.perf_counter() + seconds
        while True:
            began, before = time.perf_counter(), self.cpu_seconds
            await asyncio.sleep(window)
            if self.cpu_seconds - before <= share * window or time.perf_counter() > deadline:
                return began, before


@contextlib.asynccontextmanager
async def started(name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Run a command; ends it in order."""
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(*command, stdout=stream, stderr=stream, env={**os.environ, **(environment or {})})
    try:
        yield Process(name, process, log)
    finally:
        await stop(process)


@contextlib.asynccontextmanager
async def scheduler(credentials: Path, namespace: str, *, arguments: Sequence[str] = ()) -> AsyncIterator[Process]:
    """Run the scheduler for one namespace; ends it in order."""
    command = [sys.executable, "-m", "scheduler", "run", f"--kubeconfig={credentials}", f"--namespace={namespace}", "--port=0", *arguments]
    environment = {"POD_NAMESPACE": NAMESPACE, "POD_NAME": _IDENTITY}
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        async with started("coterie run", command, Path(folder), environment) as running:
            yield running


@contextlib.asynccontextmanager
async def credentials(api: Api, kubeconfig: Path) -> AsyncIterator[Path]:
    """Write a kubeconfig with the ServiceAccount of deploy/, for the scheduler and the bare loop alike; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        own = Path(folder) / "kubeconfig"
        own.touch(mode=0o600)
        own.write_text(yaml.safe_dump(_kubeconfig(kubeconfig, await _token(api))), encoding="utf-8")
        yield own


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ask it to end; make it end when it does not."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _token(api: Api) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": _TOKEN_SECONDS}}
    try:
        answer = await api.post(ACCOUNTS.path(NAMESPACE, ACCOUNT, "token"), request)
    except NotFound as error:
        message = f"The cluster has no ServiceAccount {NAMESPACE}/{ACCOUNT}: apply deploy/ first (kubectl apply -k deploy --server-side)."
        raise NotConfigured(message) from error
    return str(from_json(answer)["status"]["token"])


def _kubeconfig(source: Path, token: str) -> dict[str, Any]:
    """Return a kubeconfig for the same server with other credentials."""
    given: Mapping[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    contexts = {c["name"]: c["context"] for c in given["contexts"]}
    name = contexts[given["current-context"]]["cluster"]
    cluster = dict(next(c["cluster"] for c in given["clusters"] if c["name"] == name))
    if "certificate-authority" in cluster:
        cluster["certificate-authority"] = str((source.parent / cluster["certificate-authority"]).resolve())
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
