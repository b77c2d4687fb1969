"""The configuration of the scheduler: one YAML file, read once; the only reader of configuration files and of the environment."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from scheduler.state.problems import BadInput, InputProblem, show
from topology import CustomLevel

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", allow_inf_nan=False)


class LevelConfig(_Model):
    """A topology level of your own: the node label key that carries it, and the name that people may write for it."""

    key: str = Field(min_length=1, max_length=317)
    name: str = Field(min_length=1, max_length=63)


class TopologyConfig(_Model):
    """``levels``: your own, widest first; they lie above the levels of the known vocabularies, below zone and region."""

    levels: tuple[LevelConfig, ...] = ()


class SolverConfig(_Model):
    """How much work one gang may cost: repeatable work, and a wall clock as the safety net."""

    deterministic_seconds: Seconds = 5.0
    wall_seconds: Seconds = 2.0


class LeaderElectionConfig(_Model):
    """The Lease in the scheduler's own namespace. Followers take over when it was not renewed for ``lease_seconds``."""

    enabled: bool = True
    lease_name: str = Field(default="coterie", min_length=1, max_length=253)
    lease_seconds: Seconds = 15.0
    renew_seconds: Seconds = 2.0


class BackoffConfig(_Model):
    """Wait after a gang could not be committed, or timed out: doubled each time, with jitter."""

    first_seconds: Seconds = 1.0
    longest_seconds: Seconds = 300.0


class WatchConfig(_Model):
    """A watch that is silent for ``idle_seconds`` counts as dead and is begun anew; the API server says something about every minute."""

    idle_seconds: Seconds = 90.0


class QueueConfig(_Model):
    """``reserveAfterSeconds``: how long the gang at the head of the queue is refused before seats are reserved for it (docs/queue.md); 0: never."""

    reserve_after_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0


class HttpConfig(_Model):
    """Where /healthz, /readyz, /metrics and /snapshot are served. Port 0 takes any free one."""

    host: str = "0.0.0.0"  # noqa: S104 - the probes and Prometheus come from outside the pod
    port: int = Field(default=8080, ge=0, le=65_535)


class Config(_Model):
    """Everything that can be configured; every field has a default that works."""

    api_version: Literal["coterie.dev/v1alpha1"] = "coterie.dev/v1alpha1"
    kind: Literal["Configuration"] = "Configuration"
    scheduler_name: str = Field(default="coterie", min_length=1, max_length=253)
    namespaces: tuple[str, ...] = Field(default=(), description="Namespaces to serve; empty: all.")
    topology: TopologyConfig = TopologyConfig()
    solver: SolverConfig = SolverConfig()
    leader_election: LeaderElectionConfig = LeaderElectionConfig()
    backoff: BackoffConfig = BackoffConfig()
    queue: QueueConfig = QueueConfig()
    watch: WatchConfig = WatchConfig()
    http: HttpConfig = HttpConfig()
    binds_in_flight: int = Field(
        default=128,
        ge=1,
        le=1024,
        description="The most binds that are on their way at one moment; how many are is found by measuring what the API server takes.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def custom_levels(self) -> tuple[CustomLevel, ...]:
        """The configured levels as `topology.build` takes them."""
        return tuple(CustomLevel(key=level.key, name=level.name) for level in self.topology.levels)


class Identity(_Model):
    """Who this process is among the replicas."""

    name: str
    namespace: str


def load(path: Path | None) -> Config:
    """Read the configuration file, or return the defaults; BadInput names file, field, found and expected."""
    if path is None:
        return Config()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(InputProblem(file=str(path), found=error.strerror or str(error), expected="a file that can be read")) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(InputProblem(file=str(path), found=show(str(error)), expected="YAML")) from error
    if not isinstance(raw, Mapping):
        raise BadInput(InputProblem(file=str(path), found=show(raw), expected="a mapping of kind Configuration"))
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise BadInput(
            InputProblem(file=str(path), object="Configuration", field=".".join(map(str, e["loc"])), found=show(e["input"]), expected=e["msg"])
            for e in error.errors()
        ) from error


def identity() -> Identity:
    """Tell who we are: POD_NAME and POD_NAMESPACE where set, else the host's name with a random part."""
    name = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    return Identity(name=name, namespace=os.environ.get("POD_NAMESPACE") or "coterie-system")
