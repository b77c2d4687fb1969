"""Runs a command in a process of its own and weighs it: seconds, seconds of CPU, peak memory.

The difficulty: Linux counts the memory of the parent, at the moment of the fork, towards the peak of the child. So between us and the
command stands a launcher, a bare interpreter that is smaller than anything we weigh.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIMIT_SECONDS: Final = 300
_SHOWN: Final = 400
_LAUNCHER: Final = """
import json, os, sys, time
report, command = int(sys.argv[1]), sys.argv[2:]
started = time.perf_counter()
child = os.fork()
if child == 0:
    try:
        os.set_inheritable(report, False)
        os.execv(command[0], command)
    finally:
        os._exit(127)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - started
answer = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss, "status": os.waitstatus_to_exitcode(status)}
os.write(report, json.dumps(answer).encode())
"""
_PEAK_UNIT: Final = 1 if sys.platform == "darwin" else 1024
"""Bytes of one unit of ``ru_maxrss``."""


class CommandFailedError(Exception):
    """The command that was to be measured did not do what it should: there is nothing to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one run of a command took."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    """Millions of bytes."""


def weigh(arguments: Sequence[str], *, folder: Path) -> Weighed:
    """Run this Python with ``arguments`` in ``folder``; its output goes nowhere. Raises CommandFailedError when it does not end with 0."""
    read, write = os.pipe()
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, arguments of our own
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(write), *command],
            cwd=folder,
            pass_fds=(write,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        os.close(write)
        write = -1
        answer = os.read(read, 4096)
    except subprocess.TimeoutExpired as error:
        raise CommandFailedError(f"{' '.join(command)} did not end within {LIMIT_SECONDS} s") from error
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)
    seen = json.loads(answer) if answer else {"status": done.returncode}
    if seen["status"] != 0:
        complaint = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
        raise CommandFailedError(f"{' '.join(command)} ended with status {seen['status']}: {complaint}")
    return Weighed(seconds=seen["seconds"], cpu_seconds=seen["cpu"], peak_megabytes=seen["peak"] * _PEAK_UNIT / 1e6)
