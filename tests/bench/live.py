"""The live benchmark on a control plane of its own: `python -m tests.bench.live`, with the options of `coterie bench`.

The control plane is made for measuring: no audit log, no limits on requests in flight, and KWOK leaves pods alone. With `--pod-stages` KWOK
plays pods as elsewhere.
"""

import subprocess
import sys
from collections.abc import Sequence

from tests.controlplane import ControlPlane, Settings
from tests.deploy.applying import apply_deploy

IN_FLIGHT = 2000
DELETING = 8  # what was measured is cleared away by one call for each kind
POD_STAGES = "--pod-stages"


def main(arguments: Sequence[str]) -> int:
    """Start everything, apply deploy/, measure, stop everything; return the exit status of the bench."""
    flags = {"kube-apiserver": {"delete-collection-workers": DELETING}}
    settings = Settings(audit=False, in_flight=IN_FLIGHT, pod_stages=POD_STAGES in arguments, flags=flags)
    with ControlPlane.running(settings) as control_plane:
        deployed = apply_deploy(control_plane)
        if deployed.status != 0:
            print(f"deploy/ cannot be applied: {deployed.complaints}", file=sys.stderr)  # noqa: T201 - a command line speaks to its user
            return 1
        cluster = (f"--kubeconfig={control_plane.kubeconfig}", f"--kube-scheduler={control_plane.kube_scheduler}")
        asked = (argument for argument in arguments if argument != POD_STAGES)
        return subprocess.run([sys.executable, "-m", "scheduler", "bench", "live", *cluster, *asked], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
