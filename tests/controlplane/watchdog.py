"""Kills the programs of a control plane when the process that started it is gone, however it went.

Started by `processes.py` with a pipe as its standard input; nothing else holds the other end, so the end of the pipe is the end
of the parent, SIGKILL included. One line is one order: `+PID` and `-PID` add and forget a process group, `@PATH` names a folder to
remove, `~` keeps the folders after all. (PR_SET_PDEATHSIG does the same on Linux only, and fires when the *thread* that started a
program ends.)
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Collect orders until the pipe closes, then clean up."""
    groups: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        order, argument = line[0], line[1:].rstrip("\n")
        if order == "+":
            groups.add(int(argument))
        elif order == "-":
            groups.discard(int(argument))
        elif order == "@":
            folders.append(argument)
        else:
            folders.clear()
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
