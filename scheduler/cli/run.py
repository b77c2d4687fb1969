"""``coterie run``: the scheduler. Here, and only here, the solvers meet the live loop."""

from __future__ import annotations

import asyncio
import signal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.common import ConfigFile, Kubeconfig, errors

SOLVERS = "scheduler.solve.cpsat.joint"
"""What loads OR-Tools, and both of our solvers that use it."""

if TYPE_CHECKING:
    from scheduler.config import Config as Chosen


def run(
    kubeconfig: Kubeconfig = None,
    config: ConfigFile = None,
    namespace: Annotated[
        list[str] | None, typer.Option("-n", "--namespace", help="Serve this namespace only. May be given again; without it all are served.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port of /healthz, /readyz, /metrics and /snapshot; 0 takes any free one.")
    ] = None,
) -> None:
    """Schedule pods whose schedulerName is coterie, group by group, until SIGTERM or Ctrl-C.

    Example: coterie run --kubeconfig ~/.kube/config --namespace ai-inference

    Logs are JSON lines on stderr. In a pod the ServiceAccount is used.
    """
    with errors():
        from scheduler import logs
        from scheduler.config import Config, load

        chosen = load(config)
        update: dict[str, object] = {}
        if namespace:
            update["namespaces"] = tuple(namespace)
        if port is not None:
            update["http"] = chosen.http.model_copy(update={"port": port})
        chosen = Config.model_validate({**chosen.model_dump(), **update})
        logs.setup(chosen.log_level)
        asyncio.run(_run(kubeconfig, chosen))


async def _run(kubeconfig: Path | None, config: Chosen) -> None:
    from scheduler.config import identity
    from scheduler.kube.api import connect
    from scheduler.service.running import serve
    from scheduler.solve.engines import joint, solver

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, loop, number, stop)
    async with await connect(str(kubeconfig) if kubeconfig is not None else None) as api:
        warming = asyncio.create_task(asyncio.to_thread(import_module, SOLVERS))  # the first gang does not pay for the import
        await serve(api, config, identity(), solver(), joint, stop=stop)
        await warming


def _stop(loop: asyncio.AbstractEventLoop, number: int, stop: asyncio.Event) -> None:
    """Stop in order; the same signal once more ends the process at once."""
    stop.set()
    loop.remove_signal_handler(number)
