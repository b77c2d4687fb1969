"""A parent that has imported all of the scheduler, and forks one for each order: a start then costs no import.

``python -m tests.faults.warm`` reads orders as JSON lines on stdin and answers each with one on stdout; when stdin ends, all children die.
The side of the tests is `processes`.
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

Order = dict[str, Any]
SHIFT: Final = struct.Struct("d")
"""What a child's file ``shift`` holds: the seconds by which its clocks differ from the machine's."""
MODULES: Final = (
    "kubernetes.aio.client.rest",
    "kubernetes.aio.config",
    "scheduler.config",
    "scheduler.logs",
    "scheduler.service.running",
    "scheduler.solve.cpsat.joint",
    "scheduler.solve.engines",
)
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Warm up, say so, and take orders until there are none."""
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is shared stays shared: the collector of a child does not touch it
    children: set[int] = set()
    _say({"ready": True})
    for line in sys.stdin:
        order: Order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            children.discard(order["wait"])
            _say({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if not pid:
            _child(order)
        children.add(pid)
        _say({"pid": pid})
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _say(answer: Order) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the pipe to the tests


def _child(order: Order) -> NoReturn:
    status = 1
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        folder = Path(order["folder"])
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        asyncio.run(_serve(order, folder))
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it must not come back into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


async def _serve(order: Order, folder: Path) -> None:
    from scheduler import logs  # noqa: PLC0415 - imported by main, for the children
    from scheduler.config import Config, Identity  # noqa: PLC0415
    from scheduler.kube.api import connect  # noqa: PLC0415
    from scheduler.service.running import serve  # noqa: PLC0415
    from scheduler.solve.engines import joint, solver  # noqa: PLC0415

    config = Config.model_validate(order["config"])
    logs.setup(config.log_level)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    who = Identity(name=order["identity"], namespace="coterie-system")
    async with await connect(order["kubeconfig"]) as api:
        await serve(api, config, who, solver(), joint, stop=stop, clock=_clock(folder / "shift"))


def _clock(path: Path) -> Callable[[], float]:
    """Return monotonic time as the file shifts it at this moment."""
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), SHIFT.size)
    return lambda: time.monotonic() + float(SHIFT.unpack_from(memory)[0])


if __name__ == "__main__":
    main()
