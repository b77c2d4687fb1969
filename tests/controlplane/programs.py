"""The command line of every program of the control plane, and the question that tells whether it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from tests.controlplane.admin import Admin
from tests.controlplane.build import Built
from tests.controlplane.certs import Certificates
from tests.controlplane.config import write_kwok_config, write_lws_config, write_scheduler_config
from tests.controlplane.processes import Program, free_ports

USELESS_CONTROLLERS = (  # they need a cloud, or networks and disks that nobody has here
    "bootstrap-signer-controller",
    "token-cleaner-controller",
    "node-ipam-controller",
    "node-route-controller",
    "cloud-node-lifecycle-controller",
    "service-lb-controller",
    "persistentvolume-attach-detach-controller",
)


@dataclass(frozen=True)
class Ports:
    """The ports of one control plane, all on 127.0.0.1."""

    etcd: int
    etcd_peer: int
    api_server: int
    lws_webhook: int
    lws_health: int
    kwok: int

    @classmethod
    def free(cls) -> "Ports":
        """Return ports that are free now."""
        return cls(*free_ports(len(cls.__dataclass_fields__)))


FEATURE_GATES: Mapping[str, bool] = {"GenericWorkload": True, "GangScheduling": True, "TopologyAwareWorkloadScheduling": True}
RUNTIME_CONFIG: Mapping[str, bool] = {"scheduling.k8s.io/v1alpha2": True}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one control plane does unlike the others."""

    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """More gates than those that every control plane has, or others; of the API server and the controller manager."""
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    """More served APIs than those that every control plane has."""
    audit: bool = True
    """Whether the API server writes down every write; without it a bind costs less."""
    in_flight: int | None = None
    """Requests that the API server serves at once, reads and writes each; None is its own default (400 and 200)."""
    pod_stages: bool = True
    """Whether KWOK starts, completes and ends pods. Without it a bound pod stays Pending, and only a deletion without grace ends it."""
    flags: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """More flags than those that every control plane has, by program."""


@dataclass(frozen=True)
class Layout:
    """All that a command line refers to."""

    folder: Path
    built: Built
    certificates: Certificates
    ports: Ports
    settings: Settings

    @property
    def etcd_url(self) -> str:
        """The URL of etcd's clients."""
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def url(self) -> str:
        """The URL of the API server."""
        return f"https://127.0.0.1:{self.ports.api_server}"

    @property
    def token_file(self) -> Path:
        """The users of the API server."""
        return self.folder / "tokens.csv"

    @property
    def audit_policy(self) -> Path:
        """What the API server writes down."""
        return self.folder / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        """Where it writes it down."""
        return self.folder / "logs" / "audit.log"

    @property
    def gates(self) -> str:
        """The value of --feature-gates."""
        return _pairs({**FEATURE_GATES, **self.settings.feature_gates})

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of one of the users."""
        return self.folder / f"{user.replace(':', '-')}.kubeconfig"

    def command(self, program: str, flags: Mapping[str, object]) -> list[str]:
        """Return the command line of a program."""
        return [str(self.built.program(program)), *(f"--{flag}={value}" for flag, value in {**flags, **self.settings.flags.get(program, {})}.items())]


def etcd(layout: Layout) -> Program:
    """Return etcd: durable nothing, since its data lives as long as the tests."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.ports.etcd, layout.ports.etcd_peer))
    flags = {
        "name": "default",
        "data-dir": layout.folder / "etcd",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }
    return Program("etcd", layout.command("etcd", flags), _answers(f"{client}/health"))


def api_server(layout: Layout, token: str) -> Program:
    """Return the API server with RBAC, token users and, unless the settings say no, an audit log."""
    flags = {
        "etcd-servers": layout.etcd_url,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",
        "secure-port": layout.ports.api_server,
        "cert-dir": layout.folder / "api-server",
        "tls-cert-file": layout.certificates.serving,
        "tls-private-key-file": layout.certificates.serving_key,
        "token-auth-file": layout.token_file,
        "authorization-mode": "RBAC",
        "anonymous-auth": "false",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": layout.certificates.service_accounts,
        "service-account-signing-key-file": layout.certificates.service_accounts,
        "service-cluster-ip-range": "10.0.0.0/24",
        "feature-gates": layout.gates,
        "runtime-config": _pairs({**RUNTIME_CONFIG, **layout.settings.runtime_config}),
    }
    if layout.settings.audit:
        # One file for good: who reads it from an offset would find another file there after a rotation (at 100 MB by default).
        flags |= {"audit-policy-file": layout.audit_policy, "audit-log-path": layout.audit_log, "audit-log-maxsize": 100_000}
    if layout.settings.in_flight is not None:
        flags |= {"max-requests-inflight": layout.settings.in_flight, "max-mutating-requests-inflight": layout.settings.in_flight}
    return Program("kube-apiserver", layout.command("kube-apiserver", flags), _answers(f"{layout.url}/readyz", layout.certificates.ca, token))


def controller_manager(layout: Layout, admin: Admin) -> Program:
    """Return the controller manager. Node lifecycle stays: it lifts the not-ready taint that admission puts on new nodes."""
    flags = {
        "kubeconfig": layout.kubeconfig("system:kube-controller-manager"),
        "service-account-private-key-file": layout.certificates.service_accounts,
        "root-ca-file": layout.certificates.ca,
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "secure-port": 0,
        "kube-api-qps": 1000,
        "kube-api-burst": 2000,
        "controllers": ",".join(("*", *(f"-{name}" for name in USELESS_CONTROLLERS))),
        "feature-gates": layout.gates,
    }
    ready = _succeeds(lambda: admin.get("/api/v1/namespaces/default/serviceaccounts/default"))
    return Program("kube-controller-manager", layout.command("kube-controller-manager", flags), ready)


def scheduler(layout: Layout, *, topology: bool, config: Mapping[str, object] | None) -> Program:
    """Return the default scheduler, with gangs, and with its topology mode when asked. It has no port here, so it counts as ready when it runs."""
    file = layout.folder / "kube-scheduler.json"
    write_scheduler_config(file, kubeconfig=layout.kubeconfig("system:kube-scheduler"), changes=config or {})
    gates = {**FEATURE_GATES, **layout.settings.feature_gates, "TopologyAwareWorkloadScheduling": topology}
    flags = {"config": file, "secure-port": 0, "feature-gates": _pairs(gates)}
    return Program("kube-scheduler", layout.command("kube-scheduler", flags), lambda: True)


def lws(layout: Layout) -> Program:
    """Return the LeaderWorkerSet controller, ready when its webhooks answer: the API server refuses LeaderWorkerSets until then."""
    config = layout.folder / "lws.yaml"
    write_lws_config(config, webhook_port=layout.ports.lws_webhook, health_port=layout.ports.lws_health, certificates=layout.certificates.folder)
    healthy = _answers(f"http://127.0.0.1:{layout.ports.lws_health}/readyz")
    webhooks = _answers(f"https://127.0.0.1:{layout.ports.lws_webhook}/validate--v1-pod", layout.certificates.ca)
    flags = {"kubeconfig": layout.kubeconfig("lws"), "config": config}
    return Program("lws", layout.command("lws", flags), lambda: healthy() and webhooks())


def kwok(layout: Layout) -> Program:
    """Return KWOK, which plays the kubelets."""
    config = layout.folder / "kwok.yaml"
    stages = [each for each in layout.built.manifests("kwok-stages") if layout.settings.pod_stages or each["spec"]["resourceRef"]["kind"] != "Pod"]
    write_kwok_config(config, port=layout.ports.kwok, stages=stages)
    flags = {"kubeconfig": layout.kubeconfig("kwok"), "config": config}
    return Program("kwok", layout.command("kwok", flags), _answers(f"http://127.0.0.1:{layout.ports.kwok}/healthz"))


def _pairs(values: Mapping[str, bool]) -> str:
    return ",".join(f"{name}={'true' if value else 'false'}" for name, value in values.items())


def _answers(url: str, ca: Path | None = None, token: str = "") -> Callable[[], bool]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask() -> bool:
        with urllib3.PoolManager(ca_certs=str(ca) if ca else None, retries=False, timeout=2.0) as pool:
            return pool.request("GET", url, headers=headers).status == 200

    return _succeeds(ask)


def _succeeds(question: Callable[[], object]) -> Callable[[], bool]:
    """Turn a question that raises as long as nobody answers into one that says no."""

    def ask() -> bool:
        try:
            return bool(question())
        except Exception:  # noqa: BLE001 - refused, reset, not yet authorised, half a TLS handshake: all of it means "not yet"
            return False

    return ask
