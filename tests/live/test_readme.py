"""The README's five lines, run as they stand against a control plane of their own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.nodes import add_nodes, racks

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.live


def five_lines() -> str:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## A first real cluster")[1]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_five_lines_bring_up_the_scheduler_and_bind_the_gang() -> None:
    script = five_lines()
    assert len(script.strip().splitlines()) == 5
    here = Path(sys.executable).parent
    with ControlPlane.running() as cluster:
        add_nodes(cluster.admin, racks(racks=4, nodes=8))
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{cluster.kubectl.parent}:{os.environ['PATH']}"}
        waited = script.replace(".venv/bin/", f"{here}/").rstrip().rsplit("\n", 1)
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", f"{waited[0]}\nread -r _\n{waited[1]}\n"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            pods = "/api/v1/namespaces/ai-inference/pods"
            cluster.admin.wait(
                lambda: [p["status"]["phase"] for p in cluster.admin.items(pods)] == ["Running", "Running"], timeout=60, what="both pods are Running"
            )
            assert shell.stdin is not None
            shell.stdin.write("\n")
            shell.stdin.flush()
            shell.wait(timeout=30)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            said = shell.communicate(timeout=30)[0]
        assert shell.returncode == 0, said
        assert "deepseek-r1-0" in said
        assert "OPTIMAL" in said
