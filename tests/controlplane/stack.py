"""The life of one control plane: start in the order that works, stop in the reverse one, leave nothing behind.

Only this module knows the order. What each program is told is in `programs.py`, how processes end is in `processes.py`.
"""

import atexit
import base64
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.controlplane import build, certs, config, programs
from tests.controlplane.admin import Admin
from tests.controlplane.processes import PortTakenError, Processes, Program

ATTEMPTS = 3  # a port can be taken between the question and the start
KEEP = "COTERIE_KEEP_CONTROLPLANE"
"""Set this variable to keep the folder with logs and audit log after the end."""


class ControlPlane:
    """A real API server with etcd, the controllers, LeaderWorkerSet and KWOK; the default scheduler on demand."""

    def __init__(self, settings: programs.Settings | None = None) -> None:
        """Take what this control plane does unlike the others."""
        self._settings = settings or programs.Settings()
        self._layout: programs.Layout
        self._processes: Processes | None = None
        self._kubeconfigs = 0
        self.admin_token: str
        self.admin: Admin
        self.started_in = 0.0

    @classmethod
    @contextlib.contextmanager
    def running(cls, settings: programs.Settings | None = None) -> Iterator["ControlPlane"]:
        """Build when needed, start, and stop at the end of the block."""
        with cls(settings) as control_plane:
            yield control_plane

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return self._layout.url

    @property
    def etcd_url(self) -> str:
        """The URL of etcd, where the states of all objects have one order."""
        return self._layout.etcd_url

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server."""
        return self._layout.certificates.ca

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig for a user in system:masters."""
        return self._layout.kubeconfig(config.ADMIN)

    @property
    def logs(self) -> Path:
        """The folder with one log for each program."""
        return self._layout.folder / "logs"

    @property
    def audit_log(self) -> Path:
        """Every write that the API server took, one JSON event on a line, in its order; no such file where the settings turn it off."""
        return self._layout.audit_log

    @property
    def kubectl(self) -> Path:
        """A kubectl of the same version."""
        return self._layout.built.program("kubectl")

    @property
    def kube_scheduler(self) -> Path:
        """The program of the default scheduler, for those who start it themselves."""
        return self._layout.built.program("kube-scheduler")

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what runs."""
        return self._running().pids()

    def start(self) -> None:
        """Start everything but the default scheduler; whatever goes wrong, nothing is left running."""
        built = build.ensure()
        begin = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start(built)
                break
            except PortTakenError:
                self.stop()
                if attempt == ATTEMPTS:
                    raise
            except Exception:
                self._close(keep_folder=True)  # the message names a log in there
                raise
            except BaseException:  # Ctrl-C
                self.stop()
                raise
        self.started_in = time.monotonic() - begin

    def stop(self) -> None:
        """Stop everything, and remove the folder unless the environment says to keep it. Harmless when nothing runs."""
        self._close(keep_folder=bool(os.environ.get(KEEP)))

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, expires_in: int = 7200) -> Path:
        """Return a kubeconfig with a token of a ServiceAccount that exists, from the TokenRequest API."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": expires_in}}
        answer = self.admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
        return self.kubeconfig_for_token(answer["status"]["token"], namespace=namespace)

    def kubeconfig_for_token(self, token: str, *, namespace: str = "default") -> Path:
        """Return a new kubeconfig for any bearer token."""
        self._kubeconfigs += 1
        path = self._layout.folder / f"client-{self._kubeconfigs}.kubeconfig"
        return config.write_kubeconfig(path, url=self.url, ca=self.ca_file, token=token, namespace=namespace)

    def start_kube_scheduler(self, *, topology: bool = False, config: Mapping[str, object] | None = None) -> None:
        """Start the default scheduler; ``topology`` turns its topology-aware gangs on, ``config`` replaces fields of its configuration."""
        self._running().start(programs.scheduler(self._layout, topology=topology, config=config))

    def stop_kube_scheduler(self) -> None:
        """Stop the default scheduler."""
        self._running().stop("kube-scheduler")

    def stop_kwok(self) -> None:
        """Stop KWOK: as if every kubelet went silent at once."""
        self._running().stop("kwok")

    def start_kwok(self) -> None:
        """Start KWOK again. The leases of its former self go first: it would wait 40 s for them to run out."""
        self.admin.delete("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
        self._running().start(programs.kwok(self._layout))

    def restart_kwok(self) -> None:
        """Stop KWOK and start it again."""
        self.stop_kwok()
        self.start_kwok()

    def stop_api_server(self) -> None:
        """Stop the API server; the others stay and try again and again."""
        self._running().stop("kube-apiserver")

    def start_api_server(self) -> None:
        """Start the API server again, on the same port and the same data."""
        self._running().start(programs.api_server(self._layout, self.admin_token))

    def _start(self, built: build.Built) -> None:
        folder = Path(tempfile.mkdtemp(prefix="coterie-controlplane-"))
        (folder / "logs").mkdir()
        self._processes = Processes(folder / "logs", folder)
        atexit.register(self.stop)
        certificates = certs.make(folder / "certificates")
        self._layout = programs.Layout(folder, built, certificates, programs.Ports.free(), self._settings)
        tokens = config.new_tokens()
        config.write_token_file(self._layout.token_file, tokens)
        config.write_audit_policy(self._layout.audit_policy)
        for user, token in tokens.items():
            config.write_kubeconfig(self._layout.kubeconfig(user), url=self.url, ca=self.ca_file, token=token)
        self.admin_token = tokens[config.ADMIN]
        self.admin = Admin(self.url, self.ca_file, self.admin_token)
        self._processes.start(programs.etcd(self._layout))
        self._processes.start(programs.api_server(self._layout, self.admin_token))
        self._install()
        # The controller manager learns the kinds for garbage collection at its start: a CRD that comes later costs 41 s at the first deletion.
        self._start_together(programs.controller_manager(self._layout, self.admin), programs.lws(self._layout), programs.kwok(self._layout))

    def _start_together(self, *several: Program) -> None:
        for program in several:
            self._running().launch(program)
        for program in several:
            self._running().await_ready(program.name)

    def _install(self) -> None:
        """Put the CRDs, roles and webhooks into the API server, and wait until the CRDs are served."""
        built = self._layout.built
        definitions = [*built.manifests("lws-crds"), *config.own_definitions()]
        roles = [*config.role_for("lws", built.manifests("lws-role")), *config.role_for("kwok", built.manifests("kwok-role"))]
        bundle = base64.b64encode(self.ca_file.read_bytes()).decode()
        hooks = config.webhooks(built.manifests("lws-webhooks"), port=self._layout.ports.lws_webhook, ca_bundle=bundle)
        for obj in (*definitions, *roles, *hooks):
            self.admin.create(self.admin.path(obj).rsplit("/", 1)[0], obj)
        paths = [self.admin.path(definition) for definition in definitions]
        self.admin.wait(lambda: all(map(self._established, paths)), timeout=30, what="the CRDs are served")

    def _established(self, path: str) -> bool:
        conditions = self.admin.get(path).get("status", {}).get("conditions") or []  # null at first
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    def _running(self) -> Processes:
        if self._processes is None:
            raise RuntimeError("the control plane does not run")
        return self._processes

    def _close(self, *, keep_folder: bool) -> None:
        processes, self._processes = self._processes, None
        if processes is None:
            return
        atexit.unregister(self.stop)
        if hasattr(self, "admin"):
            self.admin.close()
        processes.close(keep_folder=keep_folder)
