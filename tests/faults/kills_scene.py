"""What tests with killed, paused and cut-off schedulers share: a control plane, a proxy, a warm parent, nodes, gangs, and the checker at the end."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.controlplane.admin import Admin, Object
from tests.controlplane.nodes import add_nodes, racks, remove_nodes
from tests.controlplane.stack import ControlPlane
from tests.faults.checks import Judged, Terms
from tests.faults.checks_end import judge
from tests.faults.history import is_open, node_of
from tests.faults.history_audit import agree, writes
from tests.faults.history_etcd import Recorder
from tests.faults.processes import Process, Warm
from tests.faults.proxy import Proxy, proxied
from tests.live.running import GROUPS, RECORDS, ensure_namespace, pod, pod_group, remove_pod

NAMESPACE: Final = "faults-kills"
NODES: Final = 18
"""Two gangs of 64 single GPUs fit, so that nobody waits for the former one to go."""
SECONDS: Final = 30.0
_CLIENTS: Final = 4


@dataclass(slots=True)
class Scene:
    """Everything that a test needs."""

    control_plane: ControlPlane
    kubeconfig: Path
    """Of the account that deploy/ ships for the scheduler."""
    proxy: Proxy
    warm: Warm
    recorder: Recorder
    nodes: list[str]
    gangs: "itertools.count[int]" = field(default_factory=itertools.count)
    starts: "itertools.count[int]" = field(default_factory=itertools.count)
    processes: dict[str, Process] = field(default_factory=dict)
    """What was started last by each client's port."""
    late: set[str] = field(default_factory=set)
    """Gangs whose record a paused leader makes when the room is gone: the one window that docs/commit.md names. Binds are never excused."""

    @property
    def admin(self) -> Admin:
        """The client that tests act with."""
        return self.control_plane.admin

    # --- processes

    def start(self, identity: str = "coterie-0", *, config: Mapping[str, Any] | None = None, shift: float = 0.0) -> tuple[str, Process]:
        """Start a scheduler behind a port of its own; return the port's name and the process."""
        client = f"port-{next(self.starts) % _CLIENTS}"
        path = self.proxy.kubeconfig(self.kubeconfig, client)
        served = {"namespaces": [NAMESPACE], **(config or {})}
        self.processes[client] = self.warm.start(path, identity, config=served, shift=shift)
        return client, self.processes[client]

    def end(self) -> list[str]:
        """Kill all processes; return the bugs that they logged."""
        for process in self.warm.started:
            process.kill()
            process.wait()
        return [bug for process in self.warm.started for bug in process.bugs()]

    # --- gangs

    def gang(self, size: int, *, gpus: int = 1) -> str:
        """Make a PodGroup and its pods; return its name."""
        name = f"g{next(self.gangs)}"
        self.admin.create(GROUPS.format(NAMESPACE), pod_group(name, least=size))
        pods = [pod(f"{name}-{number}", gpus=gpus, group=name) for number in range(size)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda obj: self.admin.create(f"/api/v1/namespaces/{NAMESPACE}/pods", obj), pods))
        return name

    def pods(self, gang: str) -> dict[str, Object]:
        """Return the pods of a gang by name."""
        found = self.admin.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"coterie.dev/pod-group={gang}")
        return {each["metadata"]["name"]: each for each in found}

    def record(self, gang: str) -> Object | None:
        """Return the record of a gang, if there is one."""
        found = [each for each in self.admin.items(RECORDS.format(NAMESPACE)) if each["spec"]["gang"]["name"] == gang]
        return found[0] if found else None

    def settled(self, gang: str, *, seconds: float = SECONDS) -> Object:
        """Wait until every member is bound and the record is settled; each member is where the record says. Return the record."""

        def done() -> Object | None:
            record, nodes = self.record(gang), [node_of(each) for each in self.pods(gang).values()]
            return record if record is not None and not is_open(record) and all(nodes) else None

        try:
            record = self.admin.wait(done, seconds, interval=0.03, what=f"{gang} bound and its record settled")
        except TimeoutError as error:
            raise AssertionError(self.told(gang)) from error
        assert record is not None
        wanted = {member["pod"]: member["node"] for member in record["spec"]["members"]}
        assert {name: node_of(each) for name, each in self.pods(gang).items()} == wanted
        assert record["status"]["phase"] == "Bound"
        return record

    def remove(self, gang: str) -> None:
        """Take a gang away; nobody waits for its end."""
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda each: remove_pod(self.admin, each), self.pods(gang).values()))
        self.admin.delete(f"{GROUPS.format(NAMESPACE)}/{gang}", missing_ok=True)

    def cordon(self, node: str, whether: bool = True) -> None:
        """Close a node for new pods, or open it."""
        self.admin.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": whether or None}})

    def told(self, gang: str) -> str:
        """Return all that helps to see why a gang is not settled."""
        nodes = {name: node_of(each) for name, each in self.pods(gang).items()}
        logs = "\n".join(f"--- {process.identity} {process.pid}\n{process.text()[-3000:]}" for process in self.warm.started[-2:])
        return f"{gang} is not settled: {nodes}\n{self.record(gang)}\n{self.proxy.text(60)}\n{logs}"


@contextlib.contextmanager
def scene(control_plane: ControlPlane, kubeconfig: Path, *, blind: float = 0.0) -> Iterator[Scene]:
    """Set the scene; at the end nothing of it is left, and the whole history must have been in order."""
    audit = control_plane.audit_log
    offset = audit.stat().st_size
    admin = control_plane.admin
    with Warm() as warm, Recorder(control_plane.etcd_url) as recorder, proxied(control_plane) as proxy:
        ensure_namespace(admin, NAMESPACE)
        made = Scene(control_plane, kubeconfig, proxy, warm, recorder, add_nodes(admin, racks(racks=2, nodes=NODES // 2, prefix="k")))
        try:
            yield made
            bugs = made.end()
            judged = _judge(made, offset, blind)
            assert not judged.violations, "\n".join(map(str, judged.violations[:10]))
            assert judged.counts["binds"] > 0, judged.counts
            assert not bugs, bugs
        finally:
            made.end()
            _clear(admin, made.nodes)


def _judge(made: Scene, offset: int, blind: float) -> Judged:
    history = made.recorder.history()
    time.sleep(0.5)  # the audit log is written after the answers
    judged = judge(agree(history, list(writes(made.control_plane.audit_log, offset))), Terms(blind=blind))
    first = {
        s.revision for s in history.steps if s.kind == "placement" and s.after and s.before is None and s.after["spec"]["gang"]["name"] in made.late
    }
    judged.violations = [each for each in judged.violations if not (each.rule == "H6" and each.revision in first)]
    return judged


def _clear(admin: Admin, nodes: Sequence[str]) -> None:
    for each in admin.items(f"/api/v1/namespaces/{NAMESPACE}/pods"):
        remove_pod(admin, each)
    for each in admin.items(GROUPS.format(NAMESPACE)):
        admin.delete(f"{GROUPS.format(NAMESPACE)}/{each['metadata']['name']}", missing_ok=True)
    for each in admin.items(RECORDS.format(NAMESPACE)):
        admin.patch(f"{RECORDS.format(NAMESPACE)}/{each['metadata']['name']}", {"metadata": {"finalizers": None}})
        admin.delete(f"{RECORDS.format(NAMESPACE)}/{each['metadata']['name']}", missing_ok=True)
    remove_nodes(admin, nodes)
