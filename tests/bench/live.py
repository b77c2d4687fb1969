"""The live benchmark on a control plane of its own: `python -m tests.bench.live`, with the options of `coterie bench`."""

import subprocess
import sys
from collections.abc import Sequence

from tests.controlplane import ControlPlane
from tests.deploy.applying import apply_deploy


def main(arguments: Sequence[str]) -> int:
    """Start everything, apply deploy/, measure, stop everything; return the exit status of the bench."""
    with ControlPlane.running() as control_plane:
        deployed = apply_deploy(control_plane)
        if deployed.status != 0:
            print(f"deploy/ cannot be applied: {deployed.complaints}", file=sys.stderr)  # noqa: T201 - a command line speaks to its user
            return 1
        command = [sys.executable, "-m", "scheduler", "bench", "live", f"--kubeconfig={control_plane.kubeconfig}", *arguments]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
