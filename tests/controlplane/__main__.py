"""A control plane for a person: `python -m tests.controlplane up` starts one with 32 GPU nodes, `build` only builds the programs."""

import argparse
import contextlib
import shlex
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from tests.controlplane import ControlPlane, build
from tests.controlplane.nodes import GPU, add_nodes, racks
from tests.controlplane.processes import StartError

_ENDS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the programs into the cache, if they are not there")
    up = commands.add_parser("up", help="start a control plane with GPU nodes and stay until Ctrl-C")
    up.add_argument("--racks", type=int, default=4, help="racks of the cluster (4)")
    up.add_argument("--nodes", type=int, default=8, help="nodes of each rack, with 8 GPUs each (8)")
    up.add_argument("--kube-scheduler", action="store_true", help="start the default scheduler too")
    options = parser.parse_args(arguments)
    try:
        if options.command == "build":
            _print(str(build.ensure().folder))
        else:
            _up(options.racks, options.nodes, kube_scheduler=options.kube_scheduler)
    except (build.BuildError, StartError) as error:
        print(f"controlplane: {error}", file=sys.stderr)  # noqa: T201 - a command line speaks to its user
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell reports it; an interrupted build goes on at the next call
    return 0


def _up(rack_count: int, nodes_per_rack: int, *, kube_scheduler: bool) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    with contextlib.suppress(KeyboardInterrupt), ControlPlane.running() as control_plane:
        names = add_nodes(control_plane.admin, racks(racks=rack_count, nodes=nodes_per_rack), timeout=120)
        if kube_scheduler:
            control_plane.start_kube_scheduler()
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # one that comes before the wait is not lost: it ends the wait at once
        _print(f"# {len(names)} nodes with 8 {GPU} each, in {rack_count} racks; logs in {control_plane.logs}")
        _print(f"# kubectl of this cluster: export PATH={shlex.quote(str(control_plane.kubectl.parent))}:$PATH")
        _print(f"export KUBECONFIG={shlex.quote(str(control_plane.kubeconfig))}")
        _print("# Ctrl-C ends it")
        signal.sigwait(_ENDS)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
