"""``coterie run`` as the process that it is in production: its own interpreter, its own ServiceAccount, the rights of deploy/."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic_core import from_json

from scheduler.bench.launch import CommandFailedError
from scheduler.benchlive.cluster import ACCOUNTS
from scheduler.kube.api import Api
from scheduler.kube.errors import NotConfigured, NotFound

NAMESPACE: Final = "coterie-system"
ACCOUNT: Final = "coterie"
_STOP_SECONDS: Final = 30.0
_SHOWN: Final = 1000


class Scheduler:
    """A scheduler that runs."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        """Know the process and its log."""
        self._process = process
        self._log = log

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used since its start, of all its threads."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """Raise CommandFailedError when it has ended, with the end of its log."""
        if self._process.returncode is not None:
            raise CommandFailedError(f"coterie run ended with status {self._process.returncode}: {self.tail}")

    @property
    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace").strip()[-_SHOWN:]


@contextlib.asynccontextmanager
async def scheduler(api: Api, kubeconfig: Path, namespace: str) -> AsyncIterator[Scheduler]:
    """Run the scheduler for one namespace; ends it in order."""
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        own, log = Path(folder) / "kubeconfig", Path(folder) / "log"
        own.touch(mode=0o600)
        own.write_text(yaml.safe_dump(_kubeconfig(kubeconfig, await _token(api))), encoding="utf-8")
        command = ["-m", "scheduler", "run", "--kubeconfig", str(own), "--namespace", namespace, "--port", "0"]
        with log.open("wb") as stream:
            environment = {**os.environ, "POD_NAMESPACE": NAMESPACE}
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=stream, stderr=stream, env=environment)
        try:
            yield Scheduler(process, log)
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _token(api: Api) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
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
