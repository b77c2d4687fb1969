"""kube-scheduler beside us: its topology-aware gang mode on the same nodes, one scheduler at a time.

It is a program of the user's (``--kube-scheduler``); here it gets a configuration in which its own limits on requests stand in nobody's way,
and is asked for one gang first: an API server without the feature gates drops what makes a gang one.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from pydantic_core import from_json

from scheduler.benchlive.cluster import gone
from scheduler.benchlive.objects import PEER_GROUPS, their_group
from scheduler.benchlive.process import Process, started
from scheduler.benchlive.site import Site
from scheduler.kube.api import Api
from scheduler.kube.errors import ApiError, NotFound

GATES: Final = ("GenericWorkload", "GangScheduling", "TopologyAwareWorkloadScheduling")
NAME: Final = "kube-scheduler"
ABSENT: Final = "no kube-scheduler was named with --kube-scheduler, so nothing is compared with its topology mode"


@contextlib.asynccontextmanager
async def kube_scheduler(program: Path, kubeconfig: Path) -> AsyncIterator[Process]:
    """Run it; ends it in order."""
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder:
        config = Path(folder) / "config.json"
        document = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 5000, "burst": 10000},
            "leaderElection": {"leaderElect": False},
        }
        config.write_text(json.dumps(document), encoding="utf-8")
        command = [str(program), f"--config={config}", "--secure-port=0", f"--feature-gates={','.join(f'{gate}=true' for gate in GATES)}"]
        async with started(NAME, command, Path(folder)) as running:
            yield running


async def why_not(site: Site, namespace: str) -> str:
    """Say why nothing can be compared with kube-scheduler here; an empty word where it can."""
    if site.peer is None:
        return ABSENT
    return await _refused(site.api, namespace)


async def _refused(api: Api, namespace: str) -> str:
    wanted = their_group("asked", 2)
    try:
        made = from_json(await api.post(PEER_GROUPS.path(namespace), wanted))
    except NotFound:
        return f"the API server does not serve {PEER_GROUPS.api_version} PodGroups, by which kube-scheduler knows gangs"
    except ApiError as error:
        return f"the API server does not take {PEER_GROUPS.api_version} PodGroups: {error.message}"
    await gone(api, PEER_GROUPS.path(namespace, "asked"))
    if made["spec"].get("schedulingConstraints") != wanted["spec"]["schedulingConstraints"]:
        return f"the API server drops spec.schedulingConstraints of PodGroups: its feature gates lack {GATES[-1]}"
    return ""
